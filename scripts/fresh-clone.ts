/**
 * What a newcomer does, checked: clone, `npm start` with an empty npm cache, wait for the scenario's last line, Ctrl-C.
 * Fails when a step is not as expected, when it takes longer than promised after installation, or when Ctrl-C leaves
 * anything behind. Clones what is committed, not what lies in the working tree.
 *   node scripts/fresh-clone.ts [--keep]
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { root } from "./bootstrap.js";
import { orHelp } from "./help.ts";

orHelp(`npm run fresh-clone [-- --keep]: what a newcomer does, checked: clone, npm start, the scenario, Ctrl-C

  --keep  leave the clone where it is, and say where
`);

/** Promised in the README: from installed to the scenario's last line. */
const READY_MS = 60_000;
/** Installation downloads some hundred megabytes; beyond this something is wrong. */
const INSTALL_MS = 10 * 60_000;
const STOP_MS = 20_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keep: { type: "boolean" } } });
  const folder = mkdtempSync(join(tmpdir(), "talos-fresh-"));
  const clone = join(folder, "talos");
  try {
    execFileSync("git", ["clone", "--quiet", "--no-local", root, clone], { stdio: "inherit" });
    await check(clone, join(folder, "cache"));
  } finally {
    if (values.keep) console.log(`kept ${clone}`);
    else rmSync(folder, { recursive: true, force: true });
  }
}

async function check(clone: string, cache: string): Promise<void> {
  const started = Date.now();
  const PATH = process.env
    .PATH!.split(":")
    .filter((dir) => !dir.includes("node_modules"))
    .join(":");
  // A group of its own, so that the interrupt reaches what a terminal's Ctrl-C would reach, and nothing else.
  const child = spawn("npm", ["start"], {
    cwd: clone,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PATH, npm_config_cache: cache },
  });
  const ended = new Promise<number | string>((resolve) =>
    child.on("exit", (code, signal) => resolve(signal ?? code ?? 1)),
  );
  let installed = 0;
  let played = 0;
  const scenario = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      console.log(`  ${line}`);
      if (installed === 0 && line.startsWith("talos: ")) installed = Date.now();
      if (line.startsWith("scenario: ")) {
        played = Date.now();
        resolve(line);
      }
    });
  });
  const line = await Promise.race([
    scenario,
    ended.then(() => null),
    sleep(INSTALL_MS + READY_MS, null, { ref: false }),
  ]);
  if (child.exitCode === null) process.kill(-child.pid!, "SIGINT");
  const end = await Promise.race([ended, sleep(STOP_MS, null, { ref: false })]);

  if (!/^scenario: (\d+) of \1 steps as expected$/.test(line ?? ""))
    throw new Error(`the scenario ended with: ${line}`);
  const seconds = ((played - installed) / 1000).toFixed(1);
  console.log(`installed and begun after ${((installed - started) / 1000).toFixed(1)} s, scenario ${seconds} s later`);
  if (played - installed > READY_MS) throw new Error(`that is more than ${READY_MS / 1000} s`);
  if (end === null) throw new Error(`it was still running ${STOP_MS / 1000} s after Ctrl-C`);
  // npm itself ends by the signal, as shells expect, and may do so before the stack has stopped.
  if (end !== 0 && end !== "SIGINT") throw new Error(`it ended with ${end} after Ctrl-C`);
  let left = processesIn(clone);
  for (const until = Date.now() + STOP_MS; left.length > 0 && Date.now() < until; left = processesIn(clone))
    await sleep(200);
  if (left.length > 0) throw new Error(`Ctrl-C left behind: ${left.join(", ")}`);
  console.log("nothing left behind");
}

/** Processes whose command line names the clone (Linux; elsewhere nothing is said). */
function processesIn(clone: string): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return command.includes(clone) ? [`${pid} ${command.slice(0, 120)}`] : [];
    } catch (error) {
      if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return []; // it has just ended
      throw error;
    }
  });
}

try {
  await main();
} catch (error) {
  console.error(`fresh clone: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
