/** As load.node.ts, for the verifier of bundles. */
import { readFileSync } from "node:fs";

export const module: WebAssembly.Module = new WebAssembly.Module(
  readFileSync(new URL("./pkg-bundle/talos_bundle_bg.wasm", import.meta.url)),
);
