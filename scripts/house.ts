/**
 * What a stranger would stumble over and no other tool sees: download addresses in lock files, absolute paths in the built core,
 * test data of others, oversized sources, surfaces without a line in the traceability table, stale folder lists, a registry built
 * from another source, mutants whose text is no longer in the sources.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./bootstrap.js";
import { AREAS } from "./mutants/all.ts";
import { locate } from "./mutants/list.ts";

const findings: string[] = [];
const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0").filter(Boolean);
const read = (path: string): string => readFileSync(join(root, path), "utf8");

for (const path of tracked.filter((p) => /(^|\/)package-lock\.json$/.test(p))) {
  if (/"resolved": "https?:/.test(read(path)))
    findings.push(`${path} names a download address; run npm install with the repository's .npmrc`);
}

for (const path of tracked.filter((p) => /^crypto-wasm\/pkg(-[a-z]+)?\//.test(p))) {
  const bytes = readFileSync(join(root, path)).toString("latin1");
  const found = /\/(?:root|home|tmp|work|Users|usr\/local)\/[\x21-\x7e]{0,60}/.exec(bytes);
  if (found) findings.push(`${path} holds an absolute path: ${found[0]}`);
}

const generated = /^(contracts\/(gen|evm)|crypto-wasm\/pkg|migrations)\//;
for (const path of tracked.filter((p) => /\.(ts|rs)$/.test(p) && !generated.test(p) && existsSync(join(root, p)))) {
  const lines = read(path).split("\n").length;
  if (lines > 800) findings.push(`${path} has ${lines} lines: which second noun has it found?`);
}

const { REGISTRY_SOURCE } = await import("../contracts/evm/registry.ts");
if (createHash("sha256").update(read("contracts/evm/AnchorRegistry.sol")).digest("hex") !== REGISTRY_SOURCE)
  findings.push("contracts/evm/registry.ts is of another source: run npm run registry");

const table = read("docs/traceability.md");
for (const file of readdirSync(join(root, "contracts/surfaces"))) {
  const name = file.replace(/\.json$/, "");
  if (file.endsWith(".json") && !table.includes(`\`${name}\``))
    findings.push(`docs/traceability.md has no line for the surface ${name}`);
}
for (const match of table.matchAll(
  /`((?:contracts|crypto-wasm|durable-objects|workers|sdk|scripts|test)\/[^`\s]+\.(?:ts|rs|json|md))[`:#]/g,
)) {
  if (!existsSync(join(root, match[1] as string)))
    findings.push(`docs/traceability.md names ${match[1]}, which is not there`);
}

for (const { file, mutants } of AREAS) {
  const source = read(file);
  for (const mutant of mutants) {
    try {
      locate(source, mutant);
    } catch (error) {
      findings.push(`${file}: scripts/mutants: ${(error as Error).message}`);
    }
  }
}

for (const finding of findings) process.stderr.write(`${finding}\n`);
process.exitCode = findings.length === 0 ? 0 : 1;
