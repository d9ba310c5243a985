/** As load.browser.ts, for the log. */
const answer = await fetch(new URL("./pkg-log/talos_log_bg.wasm", import.meta.url));
if (!answer.ok) throw new Error(`talos log: HTTP ${answer.status} for ${answer.url}`);

export const module: WebAssembly.Module = await WebAssembly.compile(await answer.arrayBuffer());
