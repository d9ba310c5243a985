/** As load.workerd.ts, for the verifier of bundles. */
import compiled from "./pkg-bundle/talos_bundle_bg.wasm";

export const module: WebAssembly.Module = compiled;
