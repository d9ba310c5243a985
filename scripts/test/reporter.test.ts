import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { root, toolEnv } from "../bootstrap.js";
import type { RunReport } from "./reporter.ts";

it("says of a suite whose preparation failed why, and of its tests that they were skipped for that", {
  timeout: 60_000,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), "talos-reporter-"));
  try {
    const TALOS_TEST_REPORT = join(dir, "report.json");
    const args = ["run", "--config", "scripts/test/fixtures/vitest.config.ts"];
    args.push("--reporter", "./scripts/test/reporter.ts");
    const run = promisify(execFile)("vitest", args, { cwd: root, env: toolEnv({ TALOS_TEST_REPORT }) });
    await expect(run).rejects.toMatchObject({ code: 1 });
    const report = JSON.parse(await readFile(TALOS_TEST_REPORT, "utf8")) as RunReport;
    expect(report).toMatchObject({ passed: 1, failed: 2 });
    expect(report.skipped.map(({ reason }) => reason)).toEqual([
      "its suite failed",
      "its suite failed",
      "for a reason",
    ]);
    const [suite, test] = report.failures;
    expect(suite!.name).toBe("failing.fixture.ts > a suite whose preparation fails");
    expect(suite!.error.split("\n").slice(0, 3)).toEqual([
      "Error: the first line of the cause",
      "and the second",
      "cause: what lies behind it",
    ]);
    expect(suite!.error).toContain("failing.fixture.ts:5");
    expect(test).toMatchObject({ name: "failing.fixture.ts > another suite > fails" });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
