/** workerd hands out compiled modules; nothing is fetched or compiled at run time. */
import compiled from "./pkg/talos_core_bg.wasm";

export const module: WebAssembly.Module = compiled;
