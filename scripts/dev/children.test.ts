import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Child } from "./children.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "talos-children-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A program that starts another one, says both pids and goes on for ever; deaf to the polite signal. */
const STUBBORN = `
  process.on("SIGTERM", () => {});
  const { spawn } = require("node:child_process");
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  console.log("pids", process.pid, other.pid);
  setInterval(() => {}, 1000);
`;

function start(code: string): Child {
  return new Child({
    name: "the program",
    command: [process.execPath, "-e", code],
    env: process.env,
    cwd: dir,
    logFile: join(dir, "log"),
  });
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(...pids: number[]): Promise<boolean> {
  for (let i = 0; i < 100 && pids.some(alive); i++) await sleep(100);
  return !pids.some(alive);
}

it("stops a program with all that it started, even one that does not listen", { timeout: 20_000 }, async () => {
  const child = start(STUBBORN);
  const [, one, two] = await child.line(/^pids (\d+) (\d+)$/, 10_000);
  await child.stop();
  expect(child.running).toBe(false);
  expect(await gone(Number(one), Number(two))).toBe(true);
});

it("leaves nothing behind when the stack itself is killed", { timeout: 20_000 }, async () => {
  const stack = join(dir, "stack.ts");
  const source = new URL("./children.ts", import.meta.url).pathname;
  writeFileSync(
    stack,
    `import { Child } from ${JSON.stringify(source)};
     const child = new Child({ name: "x", command: [process.execPath, "-e", ${JSON.stringify(STUBBORN)}], env: process.env, cwd: ${JSON.stringify(dir)}, logFile: ${JSON.stringify(join(dir, "log"))} });
     const [line] = await child.line(/^pids .*$/, 10_000);
     console.log(line);`,
  );
  const process_ = spawn(process.execPath, [stack], { stdio: ["ignore", "pipe", "inherit"] });
  const [output] = await once(process_.stdout, "data");
  const [, one, two] = /^pids (\d+) (\d+)/.exec(String(output))!;
  expect(alive(Number(one))).toBe(true);
  process_.kill("SIGKILL");
  expect(await gone(Number(one), Number(two))).toBe(true);
});

it("says what a program said last when it ends too early", async () => {
  const child = start(`console.error("no such luck"); process.exit(3)`);
  await expect(child.line(/never/, 5_000)).rejects.toThrow(/the program ended[\s\S]*no such luck/);
});
