/**
 * `npm run fuzz -- [--seconds N] [--target T] [--jobs N] [--minimise]`: every target of crypto-wasm/fuzz for N seconds (60), or
 * one; `--jobs` of them side by side, each in a process, with a dictionary and a corpus of its own.
 *
 * Needs a nightly Rust and cargo-fuzz (`cargo install cargo-fuzz --locked`). What is found on the way is kept under
 * crypto-wasm/fuzz/target; `--minimise` writes of it, and of the committed corpus, the least that reaches the same code into
 * crypto-wasm/fuzz/corpus: a file a target, a line of base64url an input. `cargo test` replays those on every machine.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { atOnce } from "../durable-objects/at-once.ts";
import { root, toolEnv } from "./bootstrap.js";
import { BINARY, dictionary, seeds } from "./fuzz/seeds.ts";
import { orHelp } from "./help.ts";

/** Of one target. Its inputs are small, and what they may cost is bounded: a target that needs more has found something. */
const RSS_MB = 1_024;
const MOST_JOBS = 16;

orHelp(`npm run fuzz [-- OPTIONS]: the targets of crypto-wasm/fuzz (needs a nightly Rust and cargo-fuzz)

  --seconds N  of each target (60)
  --target T   this one alone
  --jobs N     so many targets side by side, 1 to ${MOST_JOBS} (1); each may use a core and ${RSS_MB} MB
  --minimise   write the least inputs that reach the same code into crypto-wasm/fuzz/corpus
`);

const core = join(root, "crypto-wasm");
const work = join(core, "fuzz/target/corpus");
const corpus = join(core, "fuzz/corpus");
/** Bytes. Beyond it only the reader of JSON would see anything new, and that nests at most 32 deep. */
const LONGEST = 4_096;
/** Bytes of a target's inputs that are committed, shortest first: twenty targets stay below 300 kB of text. */
const COMMITTED = 11_000;

const { values } = parseArgs({
  options: {
    ...{ seconds: { type: "string" }, target: { type: "string" } },
    ...{ jobs: { type: "string" }, minimise: { type: "boolean" } },
  },
});
const seconds = Number(values.seconds ?? "60");
if (!Number.isSafeInteger(seconds) || seconds < 1) fail("--seconds takes a whole number from 1");
const jobs = Number(values.jobs ?? "1");
if (!Number.isSafeInteger(jobs) || jobs < 1 || jobs > MOST_JOBS)
  fail(`--jobs takes a whole number of 1 to ${MOST_JOBS}`);

function fail(reason: string): never {
  process.stderr.write(`fuzz: ${reason}\n`);
  process.exit(1);
}

function targets(): string[] {
  const all = readdirSync(join(core, "fuzz/bin")).map((name) => name.replace(/\.rs$/, ""));
  if (values.target === undefined) return all.sort();
  return all.includes(values.target)
    ? [values.target]
    : fail(`no target ${values.target}; there are ${all.join(", ")}`);
}

/** The committed inputs of a target. */
function committed(target: string): Buffer[] {
  const path = join(corpus, `${target}.txt`);
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => Buffer.from(line, "base64url"));
}

/** The seeds of a target as it reads them. */
const inputs = (target: string): Buffer[] =>
  seeds(target).map((text) => Buffer.from(text, BINARY.has(target) ? "latin1" : "utf8"));

/** Puts the seeds and the committed corpus where the fuzzer keeps what it finds. */
function prepare(target: string): string {
  const directory = join(work, target);
  mkdirSync(directory, { recursive: true });
  for (const input of [...inputs(target), ...committed(target)]) {
    writeFileSync(join(directory, createHash("sha1").update(input).digest("hex")), input);
  }
  return directory;
}

/** `cargo fuzz run`, its report (which libFuzzer writes to standard error) and its exit code. */
function cargoFuzz(
  target: string,
  directories: string[],
  options: string[],
): Promise<{ code: number; report: string }> {
  const args = ["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz", target, ...directories, "--", ...options];
  return new Promise((resolve, reject) => {
    const child = spawn("cargo", args, { cwd: core, env: toolEnv(), stdio: ["ignore", "ignore", "pipe"] });
    let report = "";
    child.stderr.on("data", (chunk: Buffer) => {
      report = (report + chunk).slice(-20_000);
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, report }));
  });
}

/** Keeps the seeds, and of what was found the least that reaches the same edges. @returns whether it could */
async function minimise(target: string): Promise<boolean> {
  const least = mkdtempSync(join(tmpdir(), "talos-fuzz-"));
  const options = ["-merge=1", "-use_counters=0", `-max_len=${LONGEST}`, "-timeout=10"];
  const { code, report } = await cargoFuzz(target, [least, prepare(target)], options);
  const found = readdirSync(least).map((name) => readFileSync(join(least, name)));
  rmSync(least, { recursive: true, force: true });
  if (code !== 0) {
    process.stderr.write(`fuzz: ${target} could not be merged\n${report.slice(-2_000)}\n`);
    return false;
  }
  // Seeds stand on the bounds of what is allowed, where no other code is reached but another answer given: they are kept too.
  const shortest = (list: Buffer[]) => list.sort((a, b) => a.length - b.length || Buffer.compare(a, b));
  const kept = new Map<string, Buffer>();
  let bytes = 0;
  const keep = (list: Buffer[], most: number) => {
    for (const input of shortest(list)) {
      const line = input.toString("base64url");
      if (line === "" || kept.has(line)) continue;
      if (bytes + input.length > most) break;
      kept.set(line, input);
      bytes += input.length;
    }
  };
  keep(inputs(target), COMMITTED / 2);
  keep(found, COMMITTED);
  mkdirSync(corpus, { recursive: true });
  writeFileSync(join(corpus, `${target}.txt`), [...kept.keys()].map((line) => `${line}\n`).join(""));
  process.stdout.write(`fuzz: ${target} keeps ${kept.size} inputs, ${bytes} bytes\n`);
  return true;
}

let executions = 0;

/** Runs a target for its time. @returns whether it ran and nothing was found */
async function fuzz(target: string): Promise<boolean> {
  const words = join(core, "fuzz/target/dictionaries", target);
  const artifacts = `${join(core, "fuzz/artifacts", target)}/`;
  const found = prepare(target);
  mkdirSync(artifacts, { recursive: true });
  mkdirSync(dirname(words), { recursive: true });
  writeFileSync(words, dictionary());
  const options = [
    `-max_total_time=${seconds}`,
    `-max_len=${LONGEST}`,
    `-dict=${words}`,
    `-artifact_prefix=${artifacts}`,
    "-timeout=10",
    `-rss_limit_mb=${RSS_MB}`,
    "-malloc_limit_mb=256",
    "-print_final_stats=1",
  ];
  const { code, report } = await cargoFuzz(target, [found], options);
  const ran = Number(/stat::number_of_executed_units:\s*(\d+)/.exec(report)?.[1] ?? 0);
  executions += ran;
  const clean = code === 0 && ran > 0;
  if (!clean) process.stderr.write(`${report.slice(-6_000)}\n`);
  process.stdout.write(`fuzz: ${target} ${ran} executions, ${Number(!clean)} crashes\n`);
  return clean;
}

if (spawnSync("cargo", ["+nightly", "fuzz", "--version"], { env: toolEnv() }).status !== 0) {
  fail("needs a nightly Rust and cargo-fuzz: rustup toolchain install nightly; cargo install cargo-fuzz --locked");
}

let crashes = 0;
await atOnce(jobs, targets(), async (target) => {
  const clean = await (values.minimise ? minimise(target) : fuzz(target));
  crashes += Number(!clean); // counted when it is known: an `await` in the sum would forget what others found meanwhile
});
if (!values.minimise) process.stdout.write(`fuzz: ${executions} executions in all, ${crashes} crashes\n`);
process.exitCode = crashes === 0 ? 0 : 1;
