/**
 * `npm test [-- <vitest arguments>]`: everything this machine can run, then what was skipped and why, what failed
 * and why, and one line of counts.
 *
 * 1. vitest: unit tests in Node, Worker tests in workerd, integration and end-to-end tests against a running stack (embedded Postgres);
 * 2. the integration tests that are about its rows again, against a real PostgreSQL, if TALOS_TEST_DATABASE_URL names one;
 * 3. cargo test, if cargo is there.
 * Arguments narrow step 1 and leave out the others.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, toolEnv } from "./bootstrap.js";
import type { RunReport } from "./test/reporter.ts";

const total: RunReport = { passed: 0, failed: 0, skipped: [], failures: [] };
const scratch = mkdtempSync(join(tmpdir(), "talos-test-"));

function add(report: RunReport): void {
  total.passed += report.passed;
  total.failed += report.failed;
  total.skipped.push(...report.skipped);
  total.failures.push(...report.failures);
}

/** A failure of a whole step, which no test stands for. */
function failedStep(name: string, error: string): void {
  total.failed += 1;
  total.failures.push({ name, error });
}

/** Runs a command with its output shown as it comes; resolves to its exit code and standard output. */
function run(
  command: string,
  args: string[],
  env: Record<string, string>,
  cwd = root,
): Promise<{ code: number; out: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: toolEnv(env), stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk;
      process.stdout.write(chunk);
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, out }));
  });
}

async function vitest(args: string[], env: Record<string, string> = {}): Promise<void> {
  const path = join(scratch, `${Math.trunc(performance.now())}.json`);
  const reporters = ["--reporter=default", "--reporter=./scripts/test/reporter.ts"];
  const { code } = await run("vitest", ["run", ...reporters, ...args], { ...env, TALOS_TEST_REPORT: path });
  let report: RunReport;
  try {
    report = JSON.parse(readFileSync(path, "utf8")) as RunReport;
  } catch (cause) {
    failedStep("vitest", `ended with ${code} and left no report: ${String(cause)}`);
    return;
  }
  add(report);
  if (code !== 0 && report.failed === 0) failedStep("vitest", `ended with ${code}, though no test failed`);
}

async function cargo(): Promise<void> {
  if (spawnSync("cargo", ["--version"], { env: toolEnv() }).status !== 0) {
    total.skipped.push({ name: "Rust core: cargo test", reason: "no cargo on this machine" });
    return;
  }
  const { code, out } = await run(
    "cargo",
    ["test", "--locked", "--quiet", "--", "--show-output"],
    {},
    join(root, "crypto-wasm"),
  );
  let failures = 0;
  for (const [, passed, failed] of out.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    total.passed += Number(passed);
    failures += Number(failed);
  }
  total.failed += failures;
  for (const [, name, error] of out.matchAll(/^---- (\S+) stdout ----\n((?:.*\n){1,6})/gm)) {
    if (error!.includes("panicked at")) total.failures.push({ name: name!, error: error!.trimEnd() });
  }
  for (const [, name, reason] of out.matchAll(/^skipped: ([^:\n]+(?:::[^:\n]+)*): (.*)$/gm)) {
    total.skipped.push({ name: name as string, reason: reason as string });
  }
  if (code !== 0 && failures === 0) failedStep("cargo test", `ended with ${code}, though no test failed`);
}

/**
 * Tests of whole stacks in which it matters which Postgres stands behind: what rows come to, through failures and kills,
 * what is rebuilt out of the log, what erasing leaves, and the whole as its users meet it.
 */
const ON_POSTGRES = [
  ...["audit-record", "canary", "crash", "erasure", "outage", "policy-publish", "rebuild", "whole-run"].map(
    (name) => `test/integration/${name}.test.ts`,
  ),
  "test/e2e/sdk-mcp.test.ts",
];

const narrowed = process.argv.slice(2);
try {
  await vitest(narrowed);
  if (narrowed.length === 0) {
    const database = process.env.TALOS_TEST_DATABASE_URL;
    if (database) {
      process.stdout.write("\nIntegration tests of rows again, on a real PostgreSQL\n");
      await vitest(["--project", "integration", ...ON_POSTGRES], { TALOS_TEST_DATABASE_URL: database });
    } else {
      total.skipped.push({
        name: "integration tests on a real PostgreSQL",
        reason: "TALOS_TEST_DATABASE_URL is not set",
      });
    }
    await cargo();
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (total.skipped.length > 0) {
  process.stdout.write("\nSkipped:\n");
  for (const { name, reason } of total.skipped) process.stdout.write(`  ${name}: ${reason || "no reason given"}\n`);
}
if (total.failures.length > 0) {
  process.stdout.write("\nFailed:\n");
  for (const { name, error } of total.failures) process.stdout.write(`  ${name}\n${error.replace(/^/gm, "      ")}\n`);
}
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped.length} skipped\n`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
