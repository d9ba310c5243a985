/** As load.node.ts, for the evidence of anchors. */
import { readFileSync } from "node:fs";

export const module: WebAssembly.Module = new WebAssembly.Module(
  readFileSync(new URL("./pkg-anchor/talos_anchor_bg.wasm", import.meta.url)),
);
