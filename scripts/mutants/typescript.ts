/** Running the tests of one file in the copied tree. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toolEnv } from "../bootstrap.js";
import type { Outcome } from "../mutants.ts";

interface Report {
  success: boolean;
  numTotalTests: number;
  testResults: { message?: string; assertionResults: { status: string; fullName: string }[] }[];
}

/** `by`: a vitest project, then test files. A file that cannot be loaded is no dead test. */
export async function runVitest(tree: string, by: string): Promise<Outcome> {
  const [project, ...files] = by.split(" ");
  const folder = mkdtempSync(join(tmpdir(), "talos-mutant-"));
  const output = join(folder, "report.json");
  try {
    const args = ["run", "--project", project!, ...files, "--reporter=json", `--outputFile=${output}`, "--bail=1"];
    const child = spawn("vitest", args, { cwd: tree, env: toolEnv(), stdio: "ignore" });
    await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
    const report: Report = JSON.parse(readFileSync(output, "utf8"));
    const failed = report.testResults.flatMap((file) => file.assertionResults).find((test) => test.status === "failed");
    if (failed !== undefined) return { died: `${files.join(" ")}: ${failed.fullName}` };
    if (report.numTotalTests === 0) return { broken: `no test: ${by}` };
    return report.success
      ? { lives: true }
      : {
          broken: report.testResults
            .map((file) => file.message)
            .join(" ")
            .slice(0, 300),
        };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
