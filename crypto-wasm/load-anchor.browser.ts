/** As load.browser.ts, for the evidence of anchors. */
const answer = await fetch(new URL("./pkg-anchor/talos_anchor_bg.wasm", import.meta.url));
if (!answer.ok) throw new Error(`talos anchor: HTTP ${answer.status} for ${answer.url}`);

export const module: WebAssembly.Module = await WebAssembly.compile(await answer.arrayBuffer());
