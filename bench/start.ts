/** `bench start`: what a cold isolate costs, how large what we upload is, and whether memory grows under load. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { publish, send, signed } from "../test/fixtures.ts";
import { freePort } from "../scripts/dev/ports.ts";
import { bundle } from "./bundle.ts";
import { talosScript } from "./http/stack.ts";
import { type Options, type Report, row } from "./measure.ts";
import { benchMemory } from "./memory.ts";
import { agent, CALL, chain, policy, publisher } from "./scene.ts";
import { startScripts } from "./workerd.ts";

export async function benchStart(report: Report, options: Options): Promise<void> {
  if (options.only === "memory") return benchMemory(report, options);
  await instantiate(report, options);
  await coldDecision(report, options);
  const modules = await bundle("workers/index.ts");
  const gzipped = modules.map(({ path, contents }) => [path, gzipSync(contents, { level: 9 }).byteLength] as const);
  for (const [path, size] of gzipped) report.rows.push(row(`gzipped${path.replace("/", ".")}`, "bytes", [size]));
  await benchMemory(report, options);
}

async function instantiate(report: Report, options: Options): Promise<void> {
  const workerd = await startScripts([{ name: "start", modules: await bundle("bench/worker/start.ts") }]);
  try {
    const post = async (path: string, body?: string): Promise<number> => {
      const begun = performance.now();
      const response = await fetch(`${workerd.origins.start}/${path}`, { method: "POST", body: body ?? null });
      if (!response.ok) throw new Error(await response.text());
      return performance.now() - begun;
    };
    await post("setup", "{}");
    const values: number[] = [];
    const n = 10;
    for (let i = 0; i < options.rounds; i += 1) {
      const idle = await post("noop?n=1");
      values.push(((await post(`instantiate?n=${n}`)) - idle) / n);
    }
    report.rows.push(row("instantiate", "ms", values));
  } finally {
    await workerd.stop();
  }
}

/** Each round is a new workerd on the same state: head, policy and filter are read by the first request. */
async function coldDecision(report: Report, options: Options): Promise<void> {
  const [port, state] = [await freePort(), await mkdtemp(join(tmpdir(), "talos-bench-"))];
  const script = await talosScript(port);
  const aud = `http://127.0.0.1:${port}/t/default`;
  const own = chain(aud, 1);
  const [ready, first, second]: number[][] = [[], [], []];
  const ask = async (): Promise<number> => {
    const request = signed(agent, own, { aud, path: "/v1/authorize", body: CALL });
    const begun = performance.now();
    const response = await send(request);
    const text = await response.text();
    if (!response.ok || !text.includes('"allow":true')) throw new Error(`${response.status} ${text}`);
    return performance.now() - begun;
  };
  try {
    for (let round = -1; round < options.rounds; round += 1) {
      const begun = performance.now();
      const workerd = await startScripts([script], { state, ports: { talos: port } });
      const startedMs = performance.now() - begun;
      try {
        if (round < 0) {
          await publish(aud, publisher, policy());
          continue;
        }
        ready!.push(startedMs);
        first!.push(await ask());
        second!.push(await ask());
      } finally {
        await workerd.stop();
      }
    }
  } finally {
    await rm(state, { recursive: true, force: true });
  }
  report.rows.push(row("process_ready", "ms", ready!));
  report.rows.push(row("first_decision", "ms", first!), row("second_decision", "ms", second!));
}
