/** Talos, an empty route and a plain proxy in one workerd; upstream and load generator in processes of their own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Keysets } from "@talos/contracts";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { freePort } from "../../scripts/dev/ports.ts";
import { developmentKeysets, nowSeconds, openSession, publish, type Session } from "../../test/fixtures.ts";
import { bundle } from "../bundle.ts";
import { ROOT } from "../measure.ts";
import { agent, chain, policy, publisher } from "../scene.ts";
import { startScripts } from "../workerd.ts";
import type { Order, Result } from "./load.ts";

/** A session that ends sooner is not used for another run, which takes up to half a minute with its preparation. */
const RENEW_SECONDS = 60;

export interface Stack {
  origin: string;
  plain: string;
  /** the MCP server that does nothing */
  upstream: string;
  keysets: Keysets;
  /** the folder of everything that is kept */
  state: string;
  /** where the scripts beside Talos listen */
  beside: Record<string, string>;
  aud: string;
  chain: string;
  /** a session with room for `count` more requests in order, opened anew before it ends */
  session(count: number): Promise<NonNullable<Order["session"]>>;
  load(order: Order): Promise<Result>;
  stop(): Promise<void>;
}

interface Child {
  process: ChildProcess;
  lines: Interface;
}

function child(script: string): Child {
  const started = spawn(process.execPath, [join(ROOT, script)], { stdio: ["pipe", "pipe", "inherit"] });
  return { process: started, lines: createInterface({ input: started.stdout! }) };
}

const line = ({ process: from, lines }: Child): Promise<string> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a helper process ended with ${code}`));
    from.once("exit", ended);
    lines.once("line", (text) => {
      from.off("exit", ended);
      resolve(text);
    });
  });

export interface Database {
  url: string;
  endpoint: string;
}

/** No database: nobody listens there, projection waits. It is not on the path of a request. */
const NOWHERE: Database = { url: "postgresql://nobody:nothing@127.0.0.1:9/none", endpoint: "http://127.0.0.1:9" };

export interface StackOptions {
  inspectorPort?: number;
  database?: Database;
  /** further scripts beside Talos; they get its variables, and its objects and buckets under the same names */
  beside?: Record<string, string>;
}

/** The whole Talos on a port of its own, without a router before it. */
export async function talosScript(port: number, database: Database = NOWHERE) {
  const { workerOptions } = unstable_getMiniflareWorkerOptions(join(ROOT, "wrangler.toml"));
  const bindings: Record<string, string> = {
    ...(workerOptions.bindings as Record<string, string>),
    ...{ TALOS_MODE: "development", TALOS_ORIGIN: `http://127.0.0.1:${port}`, TALOS_TENANTS: "default" },
    TALOS_PUBLISHERS: JSON.stringify({ default: [publisher.jwk] }),
    TALOS_KEYSETS: JSON.stringify(developmentKeysets()),
    ...{ DATABASE_URL: database.url, TALOS_DATABASE_ENDPOINT: database.endpoint },
  };
  return { ...workerOptions, name: "talos", modules: await bundle("workers/index.ts"), bindings };
}

/** A script that shares what Talos binds, but for the objects' classes, which stay Talos's. */
async function besideTalos(name: string, entry: string, talos: Awaited<ReturnType<typeof talosScript>>) {
  const own = Object.entries((talos as { durableObjects?: object }).durableObjects ?? {}).map(([binding, object]) => [
    binding,
    { ...(object as { className: string }), scriptName: "talos" },
  ]);
  return { ...talos, name, modules: await bundle(entry), durableObjects: Object.fromEntries(own) };
}

export async function startStack({ inspectorPort, database, beside = {} }: StackOptions = {}): Promise<Stack> {
  const upstream = child("bench/http/upstream.ts");
  const url = `http://127.0.0.1:${await line(upstream)}/mcp`;
  const [port, state] = [await freePort(), await mkdtemp(join(tmpdir(), "talos-bench-"))];
  const plain = { name: "plain", modules: await bundle("bench/http/proxy.ts"), bindings: { UPSTREAM: url } };
  const talos = await talosScript(port, database);
  const keysets = JSON.parse(talos.bindings.TALOS_KEYSETS!) as Keysets;
  const others = await Promise.all(Object.entries(beside).map(([name, entry]) => besideTalos(name, entry, talos)));
  const workerd = await startScripts([talos, plain, ...others], {
    ...{ state, ports: { talos: port } },
    ...(inspectorPort === undefined ? {} : { inspectorPort }),
    // Without a database projecting fails, again and again, as it should.
    ...(database === undefined ? { unlogged: /"(projector\.failed|audit_log\.projection_failed)"/ } : {}),
  });
  const origin = workerd.origins.talos!;
  const aud = `${origin}/t/default`;
  const own = chain(aud, 1);
  const load = child("bench/http/load.ts");
  const stop = async (): Promise<void> => {
    for (const { process: started } of [load, upstream]) started.kill();
    await workerd.stop();
    await rm(state, { recursive: true, force: true });
  };
  try {
    await publish(aud, publisher, policy(url));
    let session: Session | undefined;
    let sequence = 0;
    return {
      ...{
        origin,
        plain: workerd.origins.plain!,
        upstream: url,
        beside: workerd.origins,
        aud,
        keysets,
        state,
        chain: own,
      },
      async session(count) {
        if (session === undefined || session.expires_at < nowSeconds() + RENEW_SECONDS) {
          session = await openSession(aud, agent, own);
          sequence = 0;
        }
        const { id, ticket, mac_key, expires_at } = session;
        const from = sequence;
        sequence += count;
        return { id, ticket, mac_key: [...mac_key], expires_at, from };
      },
      async load(order) {
        load.process.stdin!.write(`${JSON.stringify(order)}\n`);
        const answer = JSON.parse(await line(load)) as Result & { error?: string };
        if (answer.error !== undefined) throw new Error(answer.error);
        return answer;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
