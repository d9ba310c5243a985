/** Runs one part: its output into a log and, line by line, through the patterns that count; a sign of life while it runs. */
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { root, toolEnv } from "../bootstrap.js";
import type { Count, Need, Part } from "./parts.ts";

export interface Counted {
  what: string;
  n: number;
  of?: number;
}

export interface Result {
  part: Part;
  state: "passed" | "failed" | "skipped";
  seconds: number;
  counts: Counted[];
  /** why it did not pass */
  reason?: string;
}

const ALIVE_MS = 30_000;
/** Characters of output that are kept for the patterns; what is longer prints its counts at the end. */
const KEPT = 4_000_000;
/** Lines of a failure that are shown here; all are in the log. */
const TAIL = 40;

const PROBES: Record<Need, { command: string[]; missing: string }> = {
  cargo: { command: ["cargo", "--version"], missing: "no cargo on this machine" },
  go: { command: ["go", "version"], missing: "no Go on this machine" },
  "cargo-fuzz": {
    command: ["cargo", "+nightly", "fuzz", "--version"],
    missing: "no nightly Rust with cargo-fuzz on this machine",
  },
};

/** What a part lacks here, or nothing. */
export function lacking(part: Part): string | undefined {
  for (const need of part.needs) {
    const [program, ...args] = PROBES[need].command;
    if (spawnSync(program!, args, { env: toolEnv() }).status !== 0) return PROBES[need].missing;
  }
  return undefined;
}

/** The sum of a pattern's first group over all its matches, or undefined when there is none. */
function sum(pattern: RegExp, output: string): number | undefined {
  const found = [...output.matchAll(pattern)].map((match) => Number(match[1]!.replaceAll(/[,_]/g, "")));
  return found.length === 0 ? undefined : found.reduce((a, b) => a + b, 0);
}

/** Read the counts of an output. @returns them, and what keeps them from being evidence */
export function judge(
  counts: readonly Count[],
  output: string,
  quick: boolean,
): { counted: Counted[]; reason?: string } {
  const counted: Counted[] = [];
  const reasons: string[] = [];
  for (const { what, pattern, of, besides, least, least_quick } of counts) {
    const n = sum(pattern, output);
    const all = of === undefined ? undefined : sum(of, output);
    const wanted = quick ? least_quick : least;
    if (n === undefined) reasons.push(`its output does not count: ${what}`);
    else counted.push({ what, n, ...(all === undefined ? {} : { of: all }) });
    if (n !== undefined && n < wanted) reasons.push(`${what}: ${n}, fewer than ${wanted}`);
    const excused = besides === undefined ? 0 : (sum(besides, output) ?? 0);
    if (n !== undefined && of !== undefined && all !== n + excused) reasons.push(`${what}: ${n} of ${all}`);
  }
  return { counted, ...(reasons.length === 0 ? {} : { reason: reasons.join("; ") }) };
}

export async function run(part: Part, options: { quick: boolean; logs: string }): Promise<Result> {
  const missing = lacking(part);
  if (missing !== undefined) return { part, state: "skipped", seconds: 0, counts: [], reason: missing };
  const [program, ...args] = options.quick ? (part.quick ?? part.command) : part.command;
  const env = { ...part.env, ...(options.quick ? part.env_quick : {}), NO_COLOR: "1" };
  const log = join(options.logs, `${part.name}.log`);
  const begun = performance.now();
  const seconds = () => Math.round((performance.now() - begun) / 1_000);
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve, reject) => {
    const child = spawn(program!, args, {
      cwd: join(root, part.cwd ?? "."),
      env: toolEnv(env),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const file = createWriteStream(log);
    let kept = "";
    const take = (chunk: Buffer): void => {
      file.write(chunk);
      kept = (kept + chunk.toString("utf8")).slice(-KEPT);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const alive = setInterval(() => {
      const last = stripVTControlCharacters(kept.trimEnd().split("\n").at(-1) ?? "").trim();
      process.stdout.write(`   ${part.name}, ${seconds()} s: ${last.slice(0, 120)}\n`);
    }, ALIVE_MS);
    child.on("error", (error) => {
      clearInterval(alive);
      reject(error);
    });
    child.on("close", (status) => {
      clearInterval(alive);
      file.end(() => resolve({ code: status ?? 1, output: stripVTControlCharacters(kept) }));
    });
  });
  const { counted, reason } = judge(part.counts, output, options.quick);
  const base = { part, seconds: seconds(), counts: counted };
  if (code === 0 && reason === undefined) return { ...base, state: "passed" };
  process.stderr.write(`${output.trimEnd().split("\n").slice(-TAIL).join("\n")}\n`);
  return { ...base, state: "failed", reason: code === 0 ? reason! : `ended with ${code}; all of it is in ${log}` };
}
