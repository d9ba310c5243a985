/** Node reads the module from beside this file, synchronously, so that importing the core makes it ready. */
import { readFileSync } from "node:fs";

export const module: WebAssembly.Module = new WebAssembly.Module(
  readFileSync(new URL("./pkg/talos_core_bg.wasm", import.meta.url)),
);
