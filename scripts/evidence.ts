/**
 * `npm run evidence [-- --only NAME[,NAME]] [--quick] [--allow-skips] [--list]`: the evidence that takes too long for `npm test`,
 * part by part (scripts/evidence/parts.ts), and at the end what was counted. docs/evidence.md says which claim each part is for.
 *
 * It fails when a part fails, counts too little, or (without --allow-skips) cannot run on this machine.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PARTS } from "./evidence/parts.ts";
import { type Result, run } from "./evidence/run.ts";

const HELP = `npm run evidence [-- OPTIONS]
  --only NAME[,NAME]  these parts alone
  --quick             less of everything: the same commands, smaller numbers
  --allow-skips       parts that cannot run on this machine do not make it fail
  --list              the parts, and end
  --help              this text
parts: ${PARTS.map(({ name }) => name).join(", ")}
`;

function fail(reason: string): never {
  process.stderr.write(`evidence: ${reason}\n${HELP}`);
  process.exit(2);
}

const options = {
  only: { type: "string" },
  quick: { type: "boolean", default: false },
  "allow-skips": { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

function read() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

const values = read();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
if (values.list) {
  for (const { name, claim, command } of PARTS) process.stdout.write(`${name}: ${claim}\n   ${command.join(" ")}\n`);
  process.exit(0);
}

const only = values.only?.split(",");
const unknown = only?.find((name) => !PARTS.some((part) => part.name === name));
if (unknown !== undefined) fail(`no part ${unknown}`);

const logs = mkdtempSync(join(tmpdir(), "talos-evidence-"));
const results: Result[] = [];
for (const part of PARTS.filter(({ name }) => only?.includes(name) ?? true)) {
  process.stdout.write(`\n== ${part.name}: ${part.claim}\n`);
  const result = await run(part, { quick: values.quick, logs });
  results.push(result);
  process.stdout.write(`   ${result.state} in ${result.seconds} s${result.reason ? `: ${result.reason}` : ""}\n`);
}

process.stdout.write(`\nEvidence${values.quick ? " (quick)" : ""}:\n`);
for (const { part, state, counts, reason } of results) {
  const numbers = counts.map(
    ({ what, n, of }) => `${n.toLocaleString("en")}${of === undefined ? "" : ` of ${of.toLocaleString("en")}`} ${what}`,
  );
  process.stdout.write(
    `  ${part.name.padEnd(12)} ${state.padEnd(8)} ${[...numbers, ...(reason ? [reason] : [])].join("; ")}\n`,
  );
}
const failed = results.filter(({ state }) => state === "failed").length;
const skipped = results.filter(({ state }) => state === "skipped").length;
process.stdout.write(
  `${results.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped; logs in ${logs}\n`,
);
process.exitCode = failed > 0 || (skipped > 0 && !values["allow-skips"]) ? 1 : 0;
