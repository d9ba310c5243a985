/**
 * `npm test [-- <vitest arguments>]`: everything this machine can run, then what was skipped and why, then one line of counts.
 *
 * 1. vitest: unit tests in Node, Worker tests in workerd, integration and end-to-end tests against a running stack (embedded Postgres);
 * 2. the same integration tests against a real PostgreSQL, if TALOS_TEST_DATABASE_URL names one;
 * 3. cargo test, if cargo is there.
 * Arguments narrow step 1 and leave out the others.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, toolEnv } from "./bootstrap.js";
import type { RunReport } from "./test/reporter.ts";

const total: RunReport = { passed: 0, failed: 0, skipped: [], errors: 0 };
const scratch = mkdtempSync(join(tmpdir(), "talos-test-"));

function add(report: RunReport): void {
  total.passed += report.passed;
  total.failed += report.failed;
  total.errors += report.errors;
  total.skipped.push(...report.skipped);
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
  try {
    add(JSON.parse(readFileSync(path, "utf8")) as RunReport);
  } catch (cause) {
    process.stderr.write(`vitest ended with ${code} and left no report: ${String(cause)}\n`);
    total.errors += 1;
    return;
  }
  if (code !== 0 && total.failed + total.errors === 0) total.errors += 1;
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
  for (const [, passed, failed] of out.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    total.passed += Number(passed);
    total.failed += Number(failed);
  }
  for (const [, name, reason] of out.matchAll(/^skipped: ([^:\n]+(?:::[^:\n]+)*): (.*)$/gm)) {
    total.skipped.push({ name: name as string, reason: reason as string });
  }
  if (code !== 0 && total.failed === 0) total.errors += 1;
}

const narrowed = process.argv.slice(2);
try {
  await vitest(narrowed);
  if (narrowed.length === 0) {
    const database = process.env.TALOS_TEST_DATABASE_URL;
    if (database) {
      process.stdout.write("\nIntegration tests again, on a real PostgreSQL\n");
      await vitest(["--project", "integration"], { TALOS_TEST_DATABASE_URL: database });
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
const failed = total.failed + total.errors;
process.stdout.write(`\n${total.passed} passed, ${failed} failed, ${total.skipped.length} skipped\n`);
process.exitCode = failed === 0 && total.passed > 0 ? 0 : 1;
