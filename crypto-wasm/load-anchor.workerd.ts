/** As load.workerd.ts, for the evidence of anchors. */
import compiled from "./pkg-anchor/talos_anchor_bg.wasm";

export const module: WebAssembly.Module = compiled;
