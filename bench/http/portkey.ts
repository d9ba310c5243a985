/**
 * Portkey's gateway in a process of its own (Node), in front of the same upstream. It reads a chat completion, picks a
 * provider and passes the answer on; it checks no signature and records nothing durable: comparable, not equal work.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../scripts/dev/ports.ts";
import { ROOT } from "../measure.ts";

const FOLDER = join(ROOT, "bench/peers/portkey");
const SCRIPT = join(FOLDER, "node_modules/@portkey-ai/gateway/build/start-server.js");
const START_MS = 20_000;

export interface Portkey {
  origin: string;
  headers: Record<string, string>;
  stop(): void;
}

/** @throws when it cannot be installed or does not answer */
export async function startPortkey(upstream: string): Promise<Portkey> {
  if (!existsSync(SCRIPT)) {
    process.stderr.write("installing the peer gateway (once) …\n");
    const args = ["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
    const { status } = spawnSync("npm", args, { cwd: FOLDER, stdio: "ignore", timeout: 180_000 });
    if (status !== 0) throw new Error("it could not be installed");
  }
  const port = await freePort();
  const own = { ...process.env, TRUSTED_CUSTOM_HOSTS: "127.0.0.1" };
  const started = spawn(process.execPath, [SCRIPT, `--port=${port}`, "--headless"], { stdio: "ignore", env: own });
  const origin = `http://127.0.0.1:${port}`;
  const until = Date.now() + START_MS;
  while (
    !(await fetch(origin).then(
      () => true,
      () => false,
    ))
  ) {
    if (Date.now() > until || started.exitCode !== null) {
      started.kill();
      throw new Error("it did not start");
    }
    await sleep(100);
  }
  const headers = {
    ...{ authorization: "Bearer nothing", "x-portkey-provider": "openai" },
    "x-portkey-custom-host": `${new URL(upstream).origin}/v1`,
  };
  return { origin, headers, stop: () => void started.kill() };
}
