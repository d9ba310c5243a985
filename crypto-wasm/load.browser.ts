/** Browsers fetch and compile; importers wait for it by top-level await. */
const answer = await fetch(new URL("./pkg/talos_core_bg.wasm", import.meta.url));
if (!answer.ok) throw new Error(`talos core: HTTP ${answer.status} for ${answer.url}`);

export const module: WebAssembly.Module = await WebAssembly.compile(await answer.arrayBuffer());
