/** Scripts for workerd, as wrangler bundles them: one module, every wasm file beside it as a compiled module. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";
import { ROOT } from "./measure.ts";

/** A module as miniflare takes it. */
export type Module =
  | { type: "ESModule"; path: string; contents: string }
  | { type: "CompiledWasm"; path: string; contents: Uint8Array };

/** @param entry relative to the root @throws when it cannot be bundled, e.g. as a dependency is not installed */
export async function bundle(entry: string): Promise<Module[]> {
  const found = new Map<string, string>();
  const wasmBeside: Plugin = {
    name: "wasm-beside",
    setup: (esbuild) => {
      // casbin names the file system that it does not use here.
      esbuild.onResolve({ filter: /^fs$/ }, () => ({ path: "node:fs", external: true }));
      esbuild.onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
        const name = path.slice(path.lastIndexOf("/") + 1);
        found.set(name, join(resolveDir, dirname(path), name));
        return { path: `./${name}`, external: true };
      });
    },
  };
  const result = await build({
    entryPoints: [join(ROOT, entry)],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "browser",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    define: { global: "globalThis" },
    plugins: [wasmBeside],
    logLevel: "silent",
  });
  const wasm = [...found].map(async ([name, file]): Promise<Module> => {
    return { type: "CompiledWasm", path: `/${name}`, contents: await readFile(file) };
  });
  return [{ type: "ESModule", path: "/index.js", contents: result.outputFiles[0]!.text }, ...(await Promise.all(wasm))];
}
