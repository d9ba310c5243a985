/**
 * A whole Talos for tests: the Worker script in real workerd, with real objects and KV, on a free loopback port.
 * Bindings come from wrangler.toml, so that a test runs what is deployed. Nothing inside the Worker is replaced;
 * `faults` starts it behind an entry (support/faulty-worker.ts) that can make dependencies fail and change secrets.
 */
import { readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { mkdtemp } from "node:fs/promises";
import type { AuditEventV2, Jwk, Keysets } from "@talos/contracts";
import { build, type Plugin } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { freePort } from "../scripts/dev/ports.ts";
import type { AppendAsk, Appended, LoggedEvent, LogStatus } from "../durable-objects/types.ts";
import { developmentKeysets } from "./fixtures.ts";

const ROOT = join(import.meta.dirname, "..");

export interface TalosOptions {
  /** default: `default` */
  tenants?: string[];
  mode?: "development" | "production";
  keysets?: Keysets;
  publishers?: Record<string, Jwk[]>;
  /** further variables and secrets; undefined removes one */
  env?: Record<string, string | undefined>;
  /** a database reached through its local endpoint; without one, projection waits */
  database?: { url: string; endpoint: string };
  /**
   * Further scripts of the same deployment, each with other keysets: the same code over the same objects and KV, as
   * points of presence are while a deployment rolls out. They answer for `origin` on ports of their own.
   */
  edges?: Keysets[];
  /** start behind the entry that can make dependencies fail */
  faults?: boolean;
  /** keep state here (and the port), to start again on it; otherwise a folder that `stop` removes */
  state?: string;
  port?: number;
}

export type Dependency = "gate" | "head" | "intake" | "log" | "log.outcome" | "kv" | "meta";

/** What the faulty entry can be told; each request of a test after the answer sees it. */
export interface Faults {
  /** dependencies that cannot be reached */
  down?: Dependency[];
  /** that do their work, but later than anybody waits */
  slow?: Dependency[];
  /** that answer garbage and do nothing */
  wrong?: Dependency[];
  /** the isolate forgets what is in force, as a new one knows nothing */
  forget?: boolean;
  /** intake objects that the logs advise, whatever they are asked */
  intake?: number;
  /** another value of a secret, as a new deployment would have it */
  keysets?: Keysets;
  /** one in so many writes of a file to the bucket fails: half of them are done all the same, and their answer is lost */
  files?: number;
}

type ObjectKind =
  | "Anchors"
  | "AuditIntake"
  | "AuditLog"
  | "CapabilityGate"
  | "LogArchive"
  | "MetaLog"
  | "SubjectVault"
  | "TenantHead"
  | "WebhookSink";

export interface Talos {
  origin: string;
  port: number;
  keysets: Keysets;
  /** `<origin>/t/{tenant}` */
  aud(tenant?: string): string;
  /** lines that the Worker logged */
  logs: string[];
  faults(faults: Faults): Promise<void>;
  /** events that the logs took since the start, in order (with `faults` only) */
  recorded(): Promise<AuditEventV2[]>;
  /** appends that went through intake objects since the start (with `faults` only) */
  gathered(): Promise<number>;
  /** writes of files that were made to fail since the start (with `faults` only): not done, done without an answer */
  failedFiles(): Promise<{ undone: number; done: number }>;
  /** revoke past the Worker, as another isolate would (with `faults` only); `body` as of `revocations.create` */
  revokeAtObject(body: string, aud: string): Promise<unknown>;
  /** throw an object out of memory, as the platform does at will */
  evict(kind: ObjectKind, name: string): Promise<void>;
  /** run SQL inside an object, e.g. to damage its storage */
  sql(kind: ObjectKind, name: string, statement: string): Promise<unknown>;
  /** the Worker's clock, as the platform dispatches it once a minute. @returns how that ended */
  tick(): Promise<string>;
  /** a file that a tenant's log published (`checkpoint`, `tile/…`), out of the bucket */
  published(tenant: string, path: string): Promise<Uint8Array | undefined>;
  /** what lies in a bucket now, by name */
  bucket(binding: "SEALED_VALUES"): Promise<[string, Buffer][]>;
  /** a tenant's log, called as the Worker calls it */
  log(tenant?: string): LogStub;
  /** resident memory of its processes, bytes */
  memory(): Promise<number>;
  /** where each of `edges` listens */
  edges: string[];
  /** end it without ceremony: SIGKILL to workerd */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** What a log answers over RPC. */
export interface LogStub {
  append(ask: AppendAsk): Promise<Appended>;
  get(eventId: string): Promise<LoggedEvent | null>;
  status(): Promise<LogStatus>;
  flush(): Promise<void>;
}

/** A script as workerd takes it. */
export interface Bundle {
  code: string;
  /** compiled modules by the name beside which the script finds them */
  wasm: { name: string; contents: Uint8Array }[];
}

const bundles = new Map<string, Promise<Bundle>>();

/** The script as wrangler bundles it: one module, every wasm beside it. */
export function bundle(entry: string): Promise<Bundle> {
  const made = bundles.get(entry) ?? makeBundle(entry);
  bundles.set(entry, made);
  return made;
}

async function makeBundle(entry: string): Promise<Bundle> {
  const found = new Map<string, string>();
  const wasmBeside: Plugin = {
    name: "wasm-beside",
    setup: (esbuild) =>
      esbuild.onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
        found.set(basename(path), join(resolveDir, path));
        return { path: `./${basename(path)}`, external: true };
      }),
  };
  const result = await build({
    entryPoints: [join(ROOT, entry)],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "browser",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    plugins: [wasmBeside],
    logLevel: "silent",
  });
  const wasm = [...found].map(async ([name, file]) => ({ name, contents: await readFile(file) }));
  return { code: result.outputFiles[0]!.text, wasm: await Promise.all(wasm) };
}

export const modulesOf = ({ code, wasm }: Bundle) => [
  { type: "ESModule" as const, path: "/index.js", contents: code },
  ...wasm.map(({ name, contents }) => ({ type: "CompiledWasm" as const, path: `/${name}`, contents })),
];

/** Start a Talos and wait until it serves. */
export async function startTalos(options: TalosOptions = {}): Promise<Talos> {
  const port = options.port ?? (await freePort());
  const origin = `http://127.0.0.1:${port}`;
  const state = options.state ?? (await mkdtemp(join(tmpdir(), "talos-test-")));
  const keysets = options.keysets ?? developmentKeysets();
  const logs: string[] = [];
  const { code, wasm } = await bundle(options.faults === true ? "test/support/faulty-worker.ts" : "workers/index.ts");
  const probe = await bundle("test/support/log-probe.ts");
  const { workerOptions } = unstable_getMiniflareWorkerOptions(join(ROOT, "wrangler.toml"));
  const modules = modulesOf({ code, wasm });
  const script = (keys: Keysets) => ({
    ...workerOptions,
    modulesRoot: "/",
    modules,
    bindings: { ...(workerOptions.bindings as Record<string, string>), ...variables(options, origin, keys) },
  });
  const elsewhere = Object.fromEntries(
    Object.entries(workerOptions.durableObjects ?? {}).map(([name, object]) => [
      name,
      { ...(object as { className: string }), scriptName: "talos" },
    ]),
  );
  const children = await childPids();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port,
      cf: false,
      unsafeInspectDurableObjects: true,
      resourcePersistencePath: state,
      handleStructuredLogs: ({ message }: { message: string }) => void logs.push(message),
      workers: [
        { ...script(keysets), name: "talos" },
        ...(options.edges ?? []).map((keys, i) => ({
          ...script(keys),
          name: `edge-${i}`,
          durableObjects: elsewhere,
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        })),
        {
          name: "probe",
          compatibilityDate: String(workerOptions.compatibilityDate),
          modulesRoot: "/",
          modules: [{ type: "ESModule", path: "/probe.js", contents: probe.code }],
          durableObjects: elsewhere,
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
      ],
    }),
  );
  await miniflare.ready;
  // Where nobody has to know the port before, workerd takes a free one itself: nothing can come in between.
  const direct = async (name: string) => (await miniflare.unsafeGetDirectURL(name)).origin;
  const probeUrl = await direct("probe");
  const edges = await Promise.all((options.edges ?? []).map((_, i) => direct(`edge-${i}`)));
  const pids = (await childPids()).filter((pid) => !children.includes(pid));
  return {
    origin,
    port,
    keysets,
    aud: (tenant = "default") => `${origin}/t/${tenant}`,
    logs,
    faults: async (faults) => {
      const response = await fetch(`${origin}/__faults`, { method: "POST", body: JSON.stringify(faults) });
      if (!response.ok) throw new Error("this Talos was not started with faults");
    },
    gathered: async () => (await (await fetch(`${origin}/__gathered`)).json()) as number,
    recorded: async () => (await (await fetch(`${origin}/__recorded`)).json()) as AuditEventV2[],
    failedFiles: async () => (await (await fetch(`${origin}/__failed`)).json()) as { undone: number; done: number },
    revokeAtObject: async (body, aud) =>
      (
        await fetch(`${origin}/__revoke`, {
          method: "POST",
          body: JSON.stringify({ ...(JSON.parse(body) as object), aud }),
        })
      ).json(),
    evict: (kind, name) => miniflare.unsafeEvictDurableObject("talos", kind, { name }),
    sql: async (kind, name, statement) =>
      (await miniflare.unsafeGetDurableObjectStorage("talos", kind, { name })).exec(statement),
    published: async (tenant, path) => {
      const bucket = await miniflare.getR2Bucket("AUDIT_TILES", "talos");
      const folder = path === "checkpoint" ? "c" : path.includes(".p/") ? "p" : "f";
      const found = await bucket.get(`${folder}/${tenant}/${path}`);
      return found === null ? undefined : new Uint8Array(await found.arrayBuffer());
    },
    bucket: async (binding) => {
      const bucket = await miniflare.getR2Bucket(binding, "talos");
      const { objects } = await bucket.list({ limit: 1_000 });
      const read = objects.map(async ({ key }): Promise<[string, Buffer]> => {
        const found = (await bucket.get(key))!;
        return [key, Buffer.from(await found.arrayBuffer())];
      });
      return Promise.all(read);
    },
    log: (tenant = "default") => probed(probeUrl, tenant),
    tick: async () => {
      const worker = (await miniflare.getWorker("talos")) as unknown as {
        scheduled(options: object): Promise<{ outcome: string }>;
      };
      return (await worker.scheduled({ cron: "* * * * *" })).outcome;
    },
    edges,
    memory: async () => {
      const statuses = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/status`, "utf8")));
      return statuses.reduce((sum, text) => sum + Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)![1]) * 1_024, 0);
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

function probed(url: string, tenant: string): LogStub {
  const call = async (method: string, ...args: unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ tenant, method, args });
    // A connection of its own: one that was kept is closed by the other side while a test computes for seconds.
    const response = await fetch(url, { method: "POST", headers: { connection: "close" }, body });
    if (!response.ok) throw new Error(`the log cannot be asked: ${response.status}`);
    return ((await response.json()) as { value: unknown }).value;
  };
  return {
    append: (ask) => call("append", ask) as Promise<Appended>,
    get: (eventId) => call("get", eventId) as Promise<LoggedEvent | null>,
    status: () => call("status") as Promise<LogStatus>,
    flush: () => call("flush") as Promise<void>,
  };
}

function variables(options: TalosOptions, origin: string, keysets: Keysets): Record<string, string> {
  const all: Record<string, string | undefined> = {
    TALOS_MODE: options.mode ?? "development",
    TALOS_ORIGIN: origin,
    TALOS_TENANTS: (options.tenants ?? ["default"]).join(","),
    TALOS_PUBLISHERS: JSON.stringify(options.publishers ?? {}),
    TALOS_KEYSETS: JSON.stringify(keysets),
    // Without a database: an address where nobody listens, so that nothing is reached by accident.
    DATABASE_URL: options.database?.url ?? "postgresql://nobody:nothing@127.0.0.1:9/none",
    TALOS_DATABASE_ENDPOINT: options.database?.endpoint ?? "http://127.0.0.1:9",
    ...options.env,
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Processes whose parent is this one (Linux). */
export async function childPids(): Promise<number[]> {
  const tasks = await readdir("/proc/self/task");
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/self/task/${task}/children`, "utf8").catch(() => "")),
  );
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
}
