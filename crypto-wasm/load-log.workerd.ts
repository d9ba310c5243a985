/** As load.workerd.ts, for the log. */
import compiled from "./pkg-log/talos_log_bg.wasm";

export const module: WebAssembly.Module = compiled;
