/**
 * `npm run contracts`: checks the sources in contracts/ against each other and writes contracts/gen/.
 * `npm run contracts -- --check` writes nothing and fails when a file in gen/ differs from what would be written.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "./contracts/generate.ts";
import { orHelp } from "./help.ts";

orHelp(`npm run contracts [-- --check]: check the sources in contracts/ against each other and write contracts/gen

  --check  write nothing; fail when a file in contracts/gen differs from what would be written
`);

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const GEN = join(ROOT, "contracts", "gen");

/** Names of files in gen/ that are missing, differ or should not be there. */
function differences(files: Map<string, string>): string[] {
  const present = new Set(readdirSync(GEN));
  const changed = [...files].filter(
    ([name, text]) => !present.has(name) || readFileSync(join(GEN, name), "utf8") !== text,
  );
  return [...changed.map(([name]) => name), ...[...present].filter((name) => !files.has(name))];
}

const check = process.argv.slice(2).includes("--check");
mkdirSync(GEN, { recursive: true });
const { files, problems, hash } = generate(ROOT);
if (problems.length > 0) {
  console.error(`contracts: ${problems.length} problem(s)\n${problems.map((text) => `  ${text}`).join("\n")}`);
  process.exit(1);
}
const stale = differences(files);
if (check && stale.length > 0) {
  console.error(`contracts: not what the sources give: ${stale.join(", ")}. Run \`npm run contracts\`.`);
  process.exit(1);
}
if (!check) {
  for (const name of stale) {
    const text = files.get(name);
    if (text === undefined) rmSync(join(GEN, name));
    else writeFileSync(join(GEN, name), text);
  }
}
console.log(`contracts: ${hash}, ${files.size} files, ${check ? "up to date" : `${stale.length} written`}`);
