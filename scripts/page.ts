/**
 * `npm run page [-- --out FILE]`: the verifier as one HTML file, with module, script and style in it, and a policy that names
 * them by their hashes. No server and no network; default sdk/verifier/dist/verify.html.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build, type Plugin } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const SOURCE = join(ROOT, "sdk/verifier");
const WASM = join(ROOT, "crypto-wasm/pkg-bundle/talos_bundle_bg.wasm");

export interface Page {
  html: string;
  /** gzipped bytes of what verifies: module and script */
  verifier: number;
}

/** The same sources give the same bytes. */
export async function buildPage(): Promise<Page> {
  const wasm = gzipSync(readFileSync(WASM), { level: 9 });
  const inline: Plugin = {
    name: "inline",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^#load-bundle$/ }, () => ({ path: join(SOURCE, "load-inline.ts") }));
      onResolve({ filter: /^talos:wasm$/ }, () => ({ path: "wasm", namespace: "talos" }));
      onLoad({ filter: /.*/, namespace: "talos" }, () => ({
        contents: `export default ${JSON.stringify(wasm.toString("base64"))}`,
      }));
    },
  };
  const { outputFiles } = await build({
    entryPoints: [join(SOURCE, "page.ts")],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
    minify: true,
    legalComments: "none",
    // The generated loader would fetch the module by its own address; ours is handed over.
    define: { "import.meta.url": '""' },
    plugins: [inline],
    logLevel: "silent",
  });
  // What would end the script's element must not stand in it.
  const script = outputFiles[0]!.text.trim().replaceAll("</script", "<\\/script");
  const style = readFileSync(join(SOURCE, "page.css"), "utf8").trim();
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const csp = [
    "default-src 'none'",
    `script-src ${hash(script)} 'wasm-unsafe-eval'`,
    `style-src ${hash(style)}`,
    "connect-src http: https:", // the script narrows it to one node, or to nothing, before anything else
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  let html = readFileSync(join(SOURCE, "page.html"), "utf8");
  for (const [place, text] of [
    ['content="CSP"', `content="${csp}"`],
    ["/*STYLE*/", style],
    ["/*SCRIPT*/", script],
  ] as const) {
    html = html.replace(place, () => text); // a function: `$` means nothing in it
  }
  const code = script.replace(wasm.toString("base64"), "");
  return { html, verifier: wasm.byteLength + gzipSync(code, { level: 9 }).byteLength };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: "string" }, help: { type: "boolean" } } });
  if (values.help) console.log("usage: npm run page [-- --out FILE]");
  else {
    const out = values.out ?? join(SOURCE, "dist", "verify.html");
    const { html, verifier } = await buildPage();
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(out, html);
    console.log(
      `${out}: ${html.length} bytes, ${gzipSync(html, { level: 9 }).byteLength} gzipped; verifier ${verifier}`,
    );
  }
}
