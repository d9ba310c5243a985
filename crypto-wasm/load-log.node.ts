/** As load.node.ts, for the log. */
import { readFileSync } from "node:fs";

export const module: WebAssembly.Module = new WebAssembly.Module(
  readFileSync(new URL("./pkg-log/talos_log_bg.wasm", import.meta.url)),
);
