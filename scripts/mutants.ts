/**
 * `npm run mutants [-- --only <text>] [--list]`: takes every check of the lists in scripts/mutants/ away, one at a time and in a
 * copy of the tree, runs the tests that are about it, and demands that one of them fails. Prints each check with the test
 * that died. A text that does not stand exactly once in its file, a mutant that does not compile, a test run that is red
 * without a mutant, and a mutant that lives all fail the run; one that is listed as equivalent must live.
 *
 * Rust is compiled once with all of its mutants in it, and the environment says which one is alive; see mutants/rust.ts.
 *   --only <text>  areas or checks whose file or name holds the text
 *   --list         look every text up and run nothing
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { atOnce } from "../durable-objects/at-once.ts";
import { root } from "./bootstrap.js";
import { orHelp } from "./help.ts";
import { AREAS } from "./mutants/all.ts";
import { type Area, locate, type Mutant } from "./mutants/list.ts";
import { buildRust } from "./mutants/rust.ts";
import { copyTree } from "./mutants/tree.ts";
import { runVitest } from "./mutants/typescript.ts";

orHelp(`npm run mutants [-- OPTIONS]: take every listed check away, one at a time, and see a test die (needs cargo)

  --only TEXT  areas or checks whose file or name holds the text
  --list       look every text up and run nothing
`);

export interface Job {
  number: number;
  area: Area;
  mutant: Mutant;
  by: string;
}

/** What came of one: the test that died, or why none did. */
export type Outcome = { died: string } | { lives: true } | { broken: string };

interface Row {
  job: Job;
  outcome: Outcome;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" }, list: { type: "boolean" } } });
  const wanted = ({ file }: Area, { check }: Mutant): boolean =>
    values.only === undefined || `${file} ${check}`.includes(values.only);
  const jobs: Job[] = [];
  const lost: string[] = [];
  for (const area of AREAS) {
    const source = readFileSync(join(root, area.file), "utf8");
    for (const mutant of area.mutants) {
      try {
        locate(source, mutant);
      } catch (error) {
        lost.push(`${area.file}: ${(error as Error).message}`);
      }
      if (wanted(area, mutant)) jobs.push({ number: jobs.length + 1, area, mutant, by: mutant.by ?? area.by });
    }
  }
  if (lost.length > 0) throw new Error(`the lists do not fit the sources:\n${lost.join("\n")}`);
  if (values.list) {
    process.stdout.write(`mutants: ${jobs.length} listed, every text found once\n`);
    return;
  }
  const tree = copyTree();
  try {
    report([...(await rust(jobs, tree)), ...(await typescript(jobs, tree))]);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

const isRust = ({ area }: Job): boolean => area.file.endsWith(".rs");

async function rust(all: Job[], tree: string): Promise<Row[]> {
  const jobs = all.filter(isRust);
  if (jobs.length === 0) return [];
  const run = await buildRust(jobs, tree);
  for (const by of new Set(jobs.map((job) => job.by))) green(by, await run(0, by));
  const rows: Row[] = [];
  // Two at a time: each is one process of one thread.
  await atOnce(2, jobs, async (job) => void rows.push(say({ job, outcome: await run(job.number, job.by) })));
  return rows;
}

async function typescript(all: Job[], tree: string): Promise<Row[]> {
  const jobs = all.filter((job) => !isRust(job));
  for (const by of new Set(jobs.map((job) => job.by))) green(by, await runVitest(tree, by));
  const rows: Row[] = [];
  for (const job of jobs) {
    const file = join(tree, job.area.file);
    const source = readFileSync(file, "utf8");
    const { from, to } = locate(source, job.mutant);
    writeFileSync(file, source.slice(0, from) + (job.mutant.replace ?? "") + source.slice(to));
    try {
      rows.push(say({ job, outcome: await runVitest(tree, job.by) }));
    } finally {
      writeFileSync(file, source);
    }
  }
  return rows;
}

function green(by: string, outcome: Outcome): void {
  if (!("lives" in outcome)) throw new Error(`red without a mutant: ${by}: ${JSON.stringify(outcome)}`);
}

function say(row: Row): Row {
  const { job, outcome } = row;
  const what = "died" in outcome ? outcome.died : "broken" in outcome ? `BROKEN ${outcome.broken}` : "lives";
  process.stderr.write(`${job.number} ${job.area.file.replace(/^.*\//, "")}: ${job.mutant.check} → ${what}\n`);
  return row;
}

function report(rows: Row[]): void {
  rows.sort((a, b) => a.job.number - b.job.number);
  let killed = 0;
  let equivalent = 0;
  const bad: string[] = [];
  let file = "";
  for (const { job, outcome } of rows) {
    const { area, mutant } = job;
    if (area.file !== file) process.stdout.write(`\n${area.file}\n`);
    file = area.file;
    const claimed = mutant.equivalent !== undefined;
    if ("died" in outcome && !claimed) killed += 1;
    else if ("lives" in outcome && claimed) equivalent += 1;
    else bad.push(`${area.file}: ${mutant.check}: ${explain(outcome)}`);
    const died = "died" in outcome ? outcome.died : claimed ? `equivalent: ${mutant.equivalent}` : explain(outcome);
    process.stdout.write(`  ${mutant.check} → ${died}\n`);
  }
  for (const line of bad) process.stderr.write(`mutants: ${line}\n`);
  process.stdout.write(`\nmutants: ${killed} killed of ${rows.length} (${equivalent} equivalent)\n`);
  if (bad.length > 0) process.exitCode = 1;
}

function explain(outcome: Outcome): string {
  if ("died" in outcome) return `claimed to be equivalent, but ${outcome.died} died`;
  return "lives" in outcome ? "LIVES: no test misses this check" : `BROKEN: ${outcome.broken}`;
}

await main();
