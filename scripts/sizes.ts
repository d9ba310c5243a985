/**
 * The sizes that we promise: the core's wasm ≤ 200 kB gzipped, the log's ≤ 32 kB, the anchors' ≤ 32 kB, the whole Worker ≤ 1 MB gzipped, as `wrangler deploy`
 * would upload it. Prints all; exits 1 above a limit.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildPage } from "./page.ts";

const ROOT = join(import.meta.dirname, "..");
const CORE_LIMIT = 200_000;
const LOG_LIMIT = 32_000;
const ANCHOR_LIMIT = 32_000;
const VERIFIER_LIMIT = 50_000;
const WORKER_LIMIT = 1_000_000;

const gzipped = (path: string): number => gzipSync(readFileSync(path), { level: 9 }).byteLength;

/** Gzipped bytes of every module that an upload would hold; source maps stay at home. */
function workerBytes(): number {
  const out = mkdtempSync(join(tmpdir(), "talos-worker-"));
  try {
    const args = [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "deploy", "--dry-run", "--outdir", out];
    execFileSync(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
    const modules = readdirSync(out, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && /\.(?:js|mjs|wasm)$/.test(entry.name),
    );
    return modules.reduce((sum, entry) => sum + gzipped(join(entry.parentPath, entry.name)), 0);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function report(name: string, bytes: number, limit: number): void {
  console.log(`${name}: ${bytes} bytes gzipped of ${limit}`);
  if (bytes > limit) {
    console.error(`${name} is too large`);
    process.exitCode = 1;
  }
}

report("core", gzipped(join(ROOT, "crypto-wasm/pkg/talos_core_bg.wasm")), CORE_LIMIT);
report("log", gzipped(join(ROOT, "crypto-wasm/pkg-log/talos_log_bg.wasm")), LOG_LIMIT);
report("anchor", gzipped(join(ROOT, "crypto-wasm/pkg-anchor/talos_anchor_bg.wasm")), ANCHOR_LIMIT);
report("verifier, module and script of its page", (await buildPage()).verifier, VERIFIER_LIMIT);
report("worker", workerBytes(), WORKER_LIMIT);
