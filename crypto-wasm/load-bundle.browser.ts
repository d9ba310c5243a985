/** As load.browser.ts, for the verifier of bundles. */
const answer = await fetch(new URL("./pkg-bundle/talos_bundle_bg.wasm", import.meta.url));
if (!answer.ok) throw new Error(`talos verifier: HTTP ${answer.status} for ${answer.url}`);

export const module: WebAssembly.Module = await WebAssembly.compile(await answer.arrayBuffer());
