import { writeFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";

/** What failed, and the first lines of why. */
export interface Failure {
  name: string;
  error: string;
}

/** One run's counts, what failed and what it skipped with the reason; written to TALOS_TEST_REPORT for scripts/test.ts to add up. */
export interface RunReport {
  passed: number;
  failed: number;
  skipped: { name: string; reason: string }[];
  failures: Failure[];
}

/** Of an error, enough to know it by: a log may be cut, and the summary at its end is what is left. */
const ERROR_LINES = 6;
const LINE_CHARACTERS = 300;

interface SomeError {
  name?: string;
  message?: string;
  stack?: string;
  cause?: unknown;
}

/** The first lines of each error, and where it was thrown. */
function linesOf(errors: readonly SomeError[]): string {
  const lines = errors.flatMap((error) => {
    const { message = "", name = "Error", stack = "", cause } = error;
    const thrownAt = stack.split("\n").find((line) => /^\s*at /.test(line) && !line.includes("node_modules"));
    const why = (cause as SomeError | undefined)?.message;
    return [
      ...`${name}: ${message}`.split("\n").slice(0, ERROR_LINES),
      ...(why === undefined ? [] : [`cause: ${why.split("\n")[0]}`]),
      ...(thrownAt === undefined ? [] : [thrownAt.trim()]),
    ];
  });
  return lines.map((line) => stripVTControlCharacters(line).slice(0, LINE_CHARACTERS)).join("\n");
}

/** The suite or file around a test whose hook threw, or nothing. */
function brokenAround(test: TestCase): boolean {
  for (let around: TestSuite | TestModule = test.parent; ; around = around.parent) {
    if (around.errors().length > 0) return true;
    if (around.type === "module") return false;
  }
}

export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SomeError[]): void {
    const report: RunReport = { passed: 0, failed: 0, skipped: [], failures: [] };
    const fail = (name: string, errors: readonly SomeError[]): void => {
      report.failed += 1;
      report.failures.push({ name, error: linesOf(errors) });
    };
    for (const module of modules) {
      // A file that does not load, or a hook that throws, is a failure and not an absence of tests.
      if (module.errors().length > 0) fail(module.relativeModuleId, module.errors());
      for (const suite of module.children.allSuites()) {
        if (suite.errors().length > 0) fail(`${module.relativeModuleId} > ${suite.fullName}`, suite.errors());
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") report.passed += 1;
        else if (result.state === "failed") fail(`${module.relativeModuleId} > ${test.fullName}`, result.errors);
        else if (result.state === "skipped") {
          const reason = result.note ?? (brokenAround(test) ? "its suite failed" : "");
          report.skipped.push({ name: test.fullName, reason });
        }
      }
    }
    for (const error of unhandled) fail("outside of any test", [error]);
    const path = process.env.TALOS_TEST_REPORT;
    if (path) writeFileSync(path, JSON.stringify(report));
  }
}
