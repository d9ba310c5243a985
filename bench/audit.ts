/** `bench audit`: what appending costs, how far sealing and publishing lag, proofs, projection, and what a call pays for it. */
import { verifyBundle } from "@talos/core/verify";
import { migrate } from "../scripts/migrate.ts";
import { startNeonEndpoint } from "../scripts/neon-endpoint.ts";
import type { LogStatus } from "../durable-objects/types.ts";
import { grant, type Proven, root, rpc, send, signed } from "../test/fixtures.ts";
import { Cable } from "../test/support/cable.ts";
import type { ProbeAsk } from "./audit/probe.ts";
import { type Stack, startStack } from "./http/stack.ts";
import { type Options, percentile, ratio, type Report, row } from "./measure.ts";
import { agent, operator } from "./scene.ts";

/** What an append may hold; a log is filled fastest with these. */
const FULL = 256;
const AT_ONCE = 16;
/** The tenant whose log the proofs are of: the one that has surfaces. Entries with `--full`, and without. */
const LARGE = "default";
const LARGE_LOG = [1_000_000, 100_000] as const;
const PROGRESS = 50_000;

const TOOL_CALL = rpc("tools/call", {
  name: "read_file",
  arguments: { encoding: "utf8", limit: 100, path: "/desk/notes/today.txt" },
});
const MCP_HEADERS = { accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25" };

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const utf8 = new TextEncoder();

class Probe {
  readonly #url: string;

  constructor(stack: Stack) {
    this.#url = stack.beside.probe!;
  }

  async ask<T = number>(ask: ProbeAsk): Promise<T> {
    const response = await fetch(this.#url, { method: "POST", body: JSON.stringify(ask) });
    if (!response.ok) throw new Error(await response.text());
    return ((await response.json()) as { value: T }).value;
  }

  status = (log: string) => this.ask<LogStatus>({ op: "status", log });

  /** Publish what there is. @throws when it makes no way for a minute */
  async published(log: string): Promise<void> {
    let untilMs = 0;
    for (let farthest = -1; ; ) {
      await this.ask({ op: "flush", log });
      const { published_size, next_seq } = await this.status(log);
      if (published_size === next_seq) return;
      if (published_size > farthest) [farthest, untilMs] = [published_size, Date.now() + 60_000];
      else if (Date.now() > untilMs) throw new Error(`published ${published_size} of ${next_seq}`);
    }
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

class Samples {
  readonly values = new Map<string, number[]>();

  note(name: string, value: number): void {
    this.values.set(name, [...(this.values.get(name) ?? []), value]);
  }

  spread(name: string, ms: readonly number[]): void {
    for (const share of [50, 99]) this.note(`${name}.p${share}_ms`, percentile(ms, share / 100));
  }
}

/** Events a second in batches and alone, `AT_ONCE` appends on their way, each answered with all of its promises. */
async function appends(probe: Probe, samples: Samples, { smoke }: Options): Promise<void> {
  const cases = [
    { name: "append.batch50", of: 50, batches: smoke ? 4 : 200, promises: 50 },
    { name: "append.batch50.no_promise", of: 50, batches: smoke ? 4 : 200, promises: 0 },
    { name: "append.single", of: 1, batches: smoke ? 16 : 600, promises: 1 },
    { name: "append.single.c256", of: 1, batches: smoke ? 16 : 3_000, promises: 1, at_once: 256 },
    { name: "append.single.c256.intake4", of: 1, batches: smoke ? 16 : 3_000, promises: 1, at_once: 256, doors: 4 },
  ];
  for (const { name, of, batches, promises, at_once = AT_ONCE, doors } of cases) {
    await probe.ask({ op: "make", log: "appended", batches, of });
    const spread = doors === undefined ? {} : { doors };
    const ms = await timed(() => probe.ask({ op: "append", log: "appended", at_once, promises, ...spread }));
    samples.note(name, (batches * of * 1_000) / ms);
  }
}

/** One event each, over HTTP to the script that asks the log: its hop is in the time. */
async function acknowledged(probe: Probe, samples: Samples, { smoke }: Options): Promise<void> {
  const count = smoke ? 32 : 600;
  await probe.ask({ op: "make", log: "appended", batches: count, of: 1 });
  const ms: number[] = [];
  let left = count;
  const caller = async (): Promise<void> => {
    while (left-- > 0) ms.push(await timed(() => probe.ask({ op: "one", log: "appended" })));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
  samples.spread("a1", ms);
}

/** From the acknowledgement of a batch until a sealed, and a published, head covers it; looked at every few ms. */
async function lags(probe: Probe, samples: Samples, { smoke }: Options): Promise<void> {
  const [batches, everyMs] = smoke ? [3, 20] : [120, 50];
  const log = "lagging";
  await probe.ask({ op: "make", log, batches, of: 50 });
  const waiting: { seq: number; atMs: number; sealed: boolean }[] = [];
  const lag = { seal: [] as number[], publish: [] as number[] };
  let sent = 0;
  const send = (async () => {
    for (; sent < batches; sent += 1) {
      const seq = await probe.ask({ op: "one", log });
      waiting.push({ seq, atMs: performance.now(), sealed: false });
      await pause(everyMs);
    }
  })();
  const watch = (async () => {
    while (sent < batches || waiting.length > 0) {
      const { sealed_size, published_size } = await probe.status(log);
      const nowMs = performance.now();
      for (const one of waiting) {
        if (!one.sealed && one.seq < sealed_size) {
          one.sealed = true;
          lag.seal.push(nowMs - one.atMs);
        }
      }
      while (waiting[0] !== undefined && waiting[0].seq < published_size)
        lag.publish.push(nowMs - waiting.shift()!.atMs);
      await pause(5);
    }
  })();
  await Promise.all([send, watch]);
  samples.spread("seal_lag", lag.seal);
  samples.spread("publish_lag", lag.publish);
}

/** A log of `size` entries, published; says how far it is. */
async function fill(probe: Probe, log: string, size: number): Promise<number> {
  let next = PROGRESS;
  return timed(async () => {
    for (let done = 0; done < size; ) {
      const batches = Math.min(64, Math.ceil((size - done) / FULL));
      await probe.ask({ op: "make", log, batches, of: FULL });
      // Not faster than it is published: what waits would be published after the clock has stopped.
      await Promise.all([probe.ask({ op: "append", log, at_once: 4, promises: 0 }), probe.published(log)]);
      done += batches * FULL;
      if (done >= next) {
        process.stderr.write(`a log of ${done} entries …\n`);
        next += PROGRESS;
      }
    }
    await probe.published(log);
  });
}

/** The proof of one event over HTTP, as its surface gives it; each is verified by a file and a policy, outside of the time. */
async function proofs(stack: Stack, probe: Probe, samples: Samples, options: Options): Promise<void> {
  const { aud } = stack;
  const auditor = root(operator, agent, { aud: [aud], grants: [grant("talos/audit.events")] });
  const get = (path: string) => signed(agent, auditor, { aud, path: `/audit/${path}`, method: "GET" });
  const textOf = async (request: Proven): Promise<string> => {
    const response = await send(request);
    const text = await response.text();
    if (!response.ok) throw new Error(`${request.url}: ${response.status} ${text}`);
    return text;
  };
  const { policy } = JSON.parse(await textOf(get("log"))) as { policy: string };
  const { published_size: size } = await probe.status(LARGE);
  const proof: number[] = [];
  const verify: number[] = [];
  for (let i = 0; i < (options.smoke ? 5 : 100); i += 1) {
    const index = Math.floor(Math.random() * size);
    const { event_id } = JSON.parse(await probe.ask<string>({ op: "leaf", log: LARGE, index })) as { event_id: string };
    const request = get(`events/${event_id}/proof`);
    let text = "";
    proof.push(
      await timed(async () => {
        text = await textOf(request);
      }),
    );
    const [file, known] = [utf8.encode(text), utf8.encode(policy)];
    verify.push(
      await timed(async () => {
        const verdict = await verifyBundle({ file, policy: known });
        if (!verdict.ok) throw new Error(`event ${index} of ${size}: ${JSON.stringify(verdict)}`);
      }),
    );
    samples.note("proof.bytes", text.length);
  }
  samples.spread("proof", proof);
  samples.note("verify.ms", percentile(verify, 0.5));
  samples.note("verify.p99_ms", percentile(verify, 0.99));
}

/** What the same call takes with the record and without it; the log generator's connections are one. */
async function calls(stack: Stack, samples: Samples, options: Options): Promise<void> {
  for (const [name, origin] of [
    ["unaudited", stack.beside.unaudited!],
    ["audited", stack.origin],
  ] as const) {
    for (let count = options.smoke ? 8 : 200; ; count = Math.ceil(count / 4)) {
      const order = {
        ...{ origin, connections: 1, count, form: "session_mac" as const, chain: stack.chain },
        ...{ holder: { ...agent, seed: [...agent.seed] } as never, session: await stack.session(count) },
        ask: { aud: stack.aud, path: "/mcp/files", body: TOOL_CALL, headers: MCP_HEADERS },
      };
      try {
        samples.spread(`mcp_call.${name}`, (await stack.load(order)).ms);
        break;
      } catch (error) {
        // Proofs that were made before the clock ran are good for half a minute, which a busy machine may take for fewer calls.
        if (count < 4 || !String(error).includes("PROOF_INVALID")) throw error;
      }
    }
  }
}

/** Rows a second from the log into Postgres (embedded), which was away while they were appended. */
async function projection(samples: Samples, { smoke }: Options): Promise<void> {
  const endpoint = await startNeonEndpoint({ backend: { kind: "pglite" } });
  const cable = new Cable(endpoint.port);
  await cable.mend();
  const url = "postgresql://talos:embedded@127.0.0.1/postgres";
  let stack: Stack | undefined;
  try {
    await migrate({ databaseUrl: url, endpoint: endpoint.url });
    stack = await startStack({ database: { url, endpoint: cable.url }, beside: { probe: "bench/audit/probe.ts" } });
    const probe = new Probe(stack);
    const log = "default";
    for (let round = 0; round < (smoke ? 1 : 5); round += 1) {
      await cable.cut();
      await probe.ask({ op: "make", log, batches: smoke ? 2 : 40, of: FULL });
      await probe.ask({ op: "append", log, promises: 0 });
      const before = await probe.status(log);
      await cable.mend();
      let rows = 0;
      const ms = await timed(async () => {
        for (let untilMs = Date.now() + 120_000; ; ) {
          await probe.ask({ op: "flush", log });
          const { projected_seq, next_seq } = await probe.status(log);
          rows = projected_seq - before.projected_seq;
          if (projected_seq === next_seq) return;
          if (Date.now() > untilMs) throw new Error(`projected ${projected_seq} of ${next_seq}`);
        }
      });
      samples.note("projector", (rows * 1_000) / ms);
    }
  } finally {
    await stack?.stop();
    await cable.cut();
    await endpoint.close();
  }
}

const UNITS: [string, string][] = [
  ["_ms", "ms"],
  ["verify", "ms"],
  ["bytes", "bytes"],
  ["append", "events/s"],
  ["fill", "events/s"],
  ["projector", "rows/s"],
];

export async function benchAudit(report: Report, options: Options): Promise<void> {
  const samples = new Samples();
  const wanted = (name: string): boolean => options.only.split(",").some((only) => name.startsWith(only));
  const stack = await startStack({
    beside: { probe: "bench/audit/probe.ts", unaudited: "bench/worker/unaudited.ts" },
  });
  try {
    const probe = new Probe(stack);
    for (let round = 0; round < options.rounds; round += 1) {
      if (wanted("append")) await appends(probe, samples, options);
      if (wanted("a1")) await acknowledged(probe, samples, options);
      if (wanted("mcp_call")) await calls(stack, samples, options);
      if (wanted("lag")) await lags(probe, samples, options);
    }
    if (wanted("proof") || wanted("verify")) {
      const before = (await probe.status(LARGE)).next_seq;
      const ms = await fill(probe, LARGE, options.smoke ? 600 : LARGE_LOG[options.full ? 0 : 1]);
      const size = (await probe.status(LARGE)).published_size;
      samples.note("fill", ((size - before) * 1_000) / ms);
      for (let round = 0; round < options.rounds; round += 1) await proofs(stack, probe, samples, options);
      report.machine.proof_log_entries = size;
    }
  } finally {
    await stack.stop();
  }
  if (wanted("projector")) await projection(samples, options);
  for (const [name, values] of samples.values) {
    report.rows.push(row(name, UNITS.find(([part]) => name.includes(part))?.[1] ?? "", values));
  }
  const [audited, unaudited] = ["audited", "unaudited"].map((name) => samples.values.get(`mcp_call.${name}.p50_ms`));
  if (audited !== undefined && unaudited !== undefined) {
    report.ratios["mcp_call.audited.p50_ms / mcp_call.unaudited.p50_ms"] = ratio(audited, unaudited);
  }
}
