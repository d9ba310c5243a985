/** In place of load-bundle.browser.ts (scripts/page.ts): the module stands in the page itself, compressed. */
import packed from "talos:wasm";

const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));

export const module: WebAssembly.Module = await WebAssembly.compile(await new Response(stream).arrayBuffer());
