// What every entry command does before anything else, in plain JavaScript for the Node that happens to be there (20 or newer):
// install the locked dependencies if they are missing or older than the lock file, then continue under the pinned Node.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createHash } from "node:crypto";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The lock file's hash is written into node_modules after a complete install; anything else means: install again. */
export function ensureInstalled() {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < 20) {
    process.stderr.write(`Talos needs Node 20 or newer to start; this is ${process.versions.node}.\n`);
    process.exit(1);
  }
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const mark = join(root, "node_modules", ".talos-lock");
  if (existsSync(mark) && readFileSync(mark, "utf8") === lock) return;
  process.stdout.write("Installing dependencies (once) …\n");
  rmSync(mark, { force: true });
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  // Not `npm ci`: it refuses a lock file without every platform's optional binaries, and a lock written against a registry
  // that serves one platform has only those. This installs exactly what is locked and writes nothing back. Its warnings
  // are about engines: the packages want the Node that is being installed with them.
  const install = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = spawnSync(npm, install, { cwd: root, stdio: "inherit" });
  if (result.status !== 0) process.exit(result.status ?? 1);
  writeFileSync(mark, lock);
}

/** Paths of the pinned Node and of the commands of our dependencies come first. */
export function toolEnv(extra = {}) {
  const bin = join(root, "node_modules", ".bin");
  return { ...process.env, PATH: `${bin}:${process.env.PATH ?? ""}`, NODE_NO_WARNINGS: "1", ...extra };
}

/** Run `script` (TypeScript, relative to the root) under the pinned Node with our arguments, hand signals on, and end as it ends. */
export function continueIn(script) {
  const child = spawn(join(root, "node_modules", ".bin", "node"), [join(root, script), ...process.argv.slice(2)], {
    cwd: root,
    stdio: "inherit",
    env: toolEnv(),
  });
  // The terminal sends Ctrl-C to the whole group; a supervisor sends it to us alone. The child acts once either way.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}
