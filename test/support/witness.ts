/** A witness for tests: its script in real workerd, with real objects, on a free loopback port. Bindings come from wrangler.witness.toml. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { publicKey } from "@talos/core";
import { verifierKey } from "@talos/core/log";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { freePort } from "../../scripts/dev/ports.ts";
import { bundle, childPids, modulesOf } from "../harness.ts";

export interface WitnessOptions {
  name: string;
  /** keys of the logs that it knows, as policies write them */
  logs: readonly string[];
  /** base64url; default: a new one */
  key?: string;
  port?: number;
  /** keep state here, to start again on it */
  state?: string;
  /** other values of its variables */
  env?: Record<string, string>;
}

export interface TestWitness {
  url: string;
  port: number;
  key: string;
  vkey: string;
  /** a line of a policy */
  line: string;
  logs: string[];
  add(body: string | Uint8Array): Promise<{ status: number; type: string | null; text: string }>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export async function startWitness(options: WitnessOptions): Promise<TestWitness> {
  const { name } = options;
  const port = options.port ?? (await freePort());
  const key = options.key ?? randomBytes(32).toString("base64url");
  const state = options.state ?? (await mkdtemp(join(tmpdir(), "talos-witness-")));
  const { workerOptions } = unstable_getMiniflareWorkerOptions(
    join(import.meta.dirname, "../../wrangler.witness.toml"),
  );
  const logs: string[] = [];
  const known = `${options.logs.map((log) => `log ${log}\n`).join("")}quorum none\n`;
  const bindings = { WITNESS_NAME: name, WITNESS_KEY: key, WITNESS_KNOWN_LOGS: known, ...options.env };
  const modules = modulesOf(await bundle("workers/witness/index.ts"));
  const children = await childPids();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port,
      cf: false,
      resourcePersistencePath: state,
      handleStructuredLogs: ({ message }: { message: string }) => void logs.push(message),
      workers: [{ ...workerOptions, name: "witness", modulesRoot: "/", modules, bindings }],
    }),
  );
  await miniflare.ready;
  const pids = (await childPids()).filter((pid) => !children.includes(pid));
  const url = `http://127.0.0.1:${port}`;
  const publicHalf = publicKey(new Uint8Array(Buffer.from(key, "base64url")));
  const vkey = verifierKey({ name, publicKey: publicHalf, cosigns: true });
  return {
    url,
    port,
    key,
    vkey,
    line: `witness ${name} ${vkey} ${url}\n`,
    logs,
    add: async (body) => {
      const answer = await fetch(`${url}/add-checkpoint`, { method: "POST", body: body as BodyInit });
      return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
    },
    kill: async () => {
      for (const pid of pids) process.kill(pid, "SIGKILL");
      await miniflare.dispose();
    },
    stop: async () => {
      await miniflare.dispose();
      if (options.state === undefined) await rm(state, { recursive: true, force: true });
    },
  };
}
