/**
 * The parts of the long evidence, as data: what is claimed, the command that shows it, what it needs, and where in its
 * output the counts stand. A part is complete only when every count is there and at least as large as asked.
 */
import { availableParallelism } from "node:os";

export interface Count {
  /** what is counted, as the summary says it */
  what: string;
  /** its numbers in the output; all matches are added up. One capturing group. */
  pattern: RegExp;
  /** fewer than this is no evidence */
  least: number;
  /** likewise with `--quick` */
  least_quick: number;
  /** of so many, and all of them, but for those of `besides`, e.g. mutants that are argued equivalent */
  of?: RegExp;
  besides?: RegExp;
}

export type Need = "cargo" | "cargo-fuzz" | "go";

export interface Part {
  name: string;
  claim: string;
  /** program and arguments, found on the path of our own commands; relative to the root, or to `cwd` */
  command: string[];
  /** instead of the above, with `--quick`: the same in a few minutes less */
  quick?: string[];
  cwd?: string;
  env?: Record<string, string>;
  env_quick?: Record<string, string>;
  needs: Need[];
  counts: Count[];
}

/** Twenty targets one after another take more than three hours; each takes a core and at most a gigabyte. */
const JOBS = String(Math.min(4, availableParallelism()));

const vitest = (...args: string[]) => ["vitest", "run", "--silent=false", "--reporter=default", ...args];

export const PARTS: Part[] = [
  {
    name: "core",
    claim: "a narrowed grant allows nothing that its parent denies; every vector and property of the core holds",
    command: ["cargo", "test", "--locked", "--release", "-p", "talos-core", "--", "--show-output"],
    cwd: "crypto-wasm",
    needs: ["cargo"],
    counts: [
      {
        what: "universe pairs compared",
        pattern: /^universe: (\d+) pairs compared/gm,
        least: 1_000_000,
        least_quick: 1_000_000,
      },
      {
        what: "pairs of the property test",
        pattern: /^(\d+) pairs, \d+ contained/gm,
        least: 10_000,
        least_quick: 10_000,
      },
      { what: "tests of the core", pattern: /^test result: ok\. (\d+) passed/gm, least: 100, least_quick: 100 },
    ],
  },
  {
    name: "oracle",
    claim: "on random grants and requests the core decides as Cedar does",
    command: ["node", "scripts/oracle.ts", "--requests", "120000"],
    quick: ["node", "scripts/oracle.ts", "--requests", "5000"],
    needs: [],
    counts: [
      { what: "oracle requests", pattern: /^oracle: (\d+) requests decided/gm, least: 100_000, least_quick: 5_000 },
    ],
  },
  {
    name: "mutants",
    claim:
      "each check of containment, chains, proofs, replay, what is in force, what is asked for, admission, the logs, their " +
      "proofs and anchors is missed by a test when it is taken away",
    command: ["node", "scripts/mutants.ts"],
    quick: ["node", "scripts/mutants.ts", "--only", "contain"],
    needs: ["cargo"],
    counts: [
      {
        what: "mutants killed",
        pattern: /^mutants: (\d+) killed of/gm,
        of: /^mutants: \d+ killed of (\d+)/gm,
        besides: /^mutants: \d+ killed of \d+ \((\d+) equivalent\)/gm,
        least: 1_000,
        least_quick: 10,
      },
    ],
  },
  {
    name: "simulation",
    claim:
      "leases never admit more than the buckets allow, no nonce is accepted twice, no isolate acts on an older head",
    command: ["node", "scripts/sim.ts"],
    env_quick: { TALOS_SIM_STEPS: "100000" },
    needs: [],
    counts: [
      { what: "simulation steps", pattern: /^simulation: (\d+) steps/gm, least: 1_000_000, least_quick: 100_000 },
    ],
  },
  {
    name: "kills",
    claim:
      "the process is killed at random under load: nothing acknowledged is lost, nothing stands there twice, every head " +
      "extends the last",
    command: vitest("--project", "integration", "test/integration/crash.test.ts"),
    env: { TALOS_KILLS: "1000" },
    env_quick: { TALOS_KILLS: "20" },
    needs: [],
    counts: [
      { what: "kills", pattern: /^seed \d+: (\d+) kills/gm, least: 1_000, least_quick: 20 },
      { what: "heads of one history", pattern: /(\d+) heads, \d+ events in the log$/gm, least: 500, least_quick: 10 },
      {
        what: "events in the log, each in its place once",
        pattern: /(\d+) events in the log$/gm,
        least: 1_000,
        least_quick: 100,
      },
    ],
  },
  {
    name: "crashes",
    claim:
      "the objects of the log, of its archives and of the meta-log die between any two of their steps: nothing acknowledged is lost or " +
      "doubled, no second history is signed, a promise repeats byte for byte",
    command: vitest("--project", "workers", "crash-points.worker.test.ts"),
    env: { TALOS_CRASHES: "25" },
    env_quick: { TALOS_CRASHES: "2" },
    needs: [],
    counts: [
      { what: "crashes", pattern: /^crash points: (\d+) crashes/gm, least: 1_050, least_quick: 84 },
      { what: "crashes while rows move", pattern: /^archive points: (\d+) crashes/gm, least: 500, least_quick: 26 },
      { what: "promises repeated", pattern: /(\d+) promises repeated; seed/gm, least: 10_000, least_quick: 500 },
    ],
  },
  {
    name: "runs",
    claim:
      "without Postgres for a whole run, and with a bucket that fails one in five writes, no call fails, nothing is lost or " +
      "forked and all catches up exactly; an append that is made again has no second leaf",
    command: vitest("--project", "integration", "test/integration/whole-run.test.ts"),
    env: { TALOS_RUN_SECONDS: "120", TALOS_RETRIES: "2000" },
    env_quick: { TALOS_RUN_SECONDS: "20", TALOS_RETRIES: "1000" },
    needs: [],
    counts: [
      {
        what: "calls without Postgres",
        pattern: /^without Postgres: (\d+) calls, 0 failed/gm,
        least: 1_000,
        least_quick: 50,
      },
      {
        what: "writes to the bucket that failed",
        pattern: /^unreliable bucket: .* (\d+) writes failed/gm,
        least: 10,
        least_quick: 1,
      },
      { what: "appends made again", pattern: /^retried appends: (\d+) made again/gm, least: 1_000, least_quick: 1_000 },
    ],
  },
  {
    name: "readers",
    claim: "Tessera's fsck and Go's sumdb agree with what a running Worker publishes, before and after it was killed",
    command: vitest("--project", "integration", "test/integration/log-readers.test.ts"),
    needs: ["go"],
    counts: [
      {
        what: "entries re-derived by fsck",
        pattern: /^fsck: (\d+) entries re-derived/gm,
        least: 10_000,
        least_quick: 10_000,
      },
      {
        what: "random proofs that sumdb agrees with",
        pattern: /sumdb: (\d+) proofs agree/gm,
        least: 10_000,
        least_quick: 10_000,
      },
    ],
  },
  {
    name: "faults",
    claim: "without any one dependency callers get the named answer, nothing is half done, and all is well afterwards",
    command: vitest("--project", "integration", "test/integration/faults.test.ts"),
    env: { TALOS_FAULT_ROUNDS: "3" },
    env_quick: { TALOS_FAULT_ROUNDS: "1" },
    needs: [],
    counts: [{ what: "failures played under load", pattern: /^\s*Tests +(\d+) passed/gm, least: 60, least_quick: 20 }],
  },
  {
    name: "callers",
    claim: "slow, half-open and vanishing callers, and 10,000 at once, are answered or let go in time, and recorded",
    command: vitest("--project", "integration", "test/integration/slow-callers.test.ts"),
    env: { TALOS_BURST: "10000" },
    env_quick: { TALOS_BURST: "2000" },
    needs: [],
    counts: [
      {
        what: "requests of a burst, each answered by name",
        pattern: /^burst: (\d+) requests answered/gm,
        least: 10_000,
        least_quick: 2_000,
      },
    ],
  },
  {
    name: "differential",
    claim: "the edge path (WebCrypto verifies) and the core alone decide alike, on chains and proofs damaged anywhere",
    command: vitest("--project", "unit", "crypto-wasm/differential.test.ts"),
    env: { TALOS_DIFFERENTIAL: "50000" },
    env_quick: { TALOS_DIFFERENTIAL: "2000" },
    needs: [],
    counts: [
      {
        what: "requests decided on both paths",
        pattern: /^differential: (\d+) requests/gm,
        least: 50_000,
        least_quick: 2_000,
      },
    ],
  },
  {
    name: "fuzz",
    claim: "no input makes the core panic, hang, allocate without bound, or break what its oracles say",
    command: ["node", "scripts/fuzz.ts", "--seconds", "600", "--jobs", JOBS],
    quick: ["node", "scripts/fuzz.ts", "--seconds", "5", "--jobs", JOBS],
    needs: ["cargo-fuzz"],
    counts: [
      {
        what: "fuzz executions without a crash",
        pattern: /^fuzz: \w+ (\d+) executions, 0 crashes$/gm,
        least: 1_000_000,
        least_quick: 10_000,
      },
    ],
  },
  {
    name: "bundles",
    claim:
      "a proof of a running system's event (gateway, two witnesses, a chain) holds; every single bit of it that is turned over is refused, by the step of its member",
    command: vitest("test/integration/proof-bundle.test.ts"),
    needs: [],
    counts: [
      {
        what: "bits turned over",
        pattern: /bits: (\d+) turned over, each refused/g,
        least: 20_000,
        least_quick: 20_000,
      },
      { what: "tests passed", pattern: /Tests\s+(\d+) passed/g, least: 6, least_quick: 6 },
    ],
  },
];
