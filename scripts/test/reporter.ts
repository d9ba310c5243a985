import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** One run's counts and what it skipped with the reason; written to TALOS_TEST_REPORT for scripts/test.ts to add up. */
export interface RunReport {
  passed: number;
  failed: number;
  skipped: { name: string; reason: string }[];
  errors: number;
}

export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const report: RunReport = { passed: 0, failed: 0, skipped: [], errors: unhandled.length };
    for (const module of modules) {
      if (module.errors().length > 0) report.failed += 1; // a file that does not load is a failure, not an absence
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") report.passed += 1;
        else if (result.state === "failed") report.failed += 1;
        else if (result.state === "skipped") {
          report.skipped.push({ name: test.fullName, reason: result.note ?? "" });
        }
      }
    }
    const path = process.env.TALOS_TEST_REPORT;
    if (path) writeFileSync(path, JSON.stringify(report));
  }
}
