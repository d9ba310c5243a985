/**
 * The record as it grows, over a real Worker: whatever interrupts a stream, its reader ends with every event once, in
 * order; and a stream lives no longer than the right to it, nor does a reader that takes nothing keep it.
 * Source: contracts/spec/audit.md#stream.
 */
import { connect, type Socket } from "node:net";
import { type AuditEventV2, type AuditRecord, LIMITS, validate } from "@talos/contracts";
import { b64uEncode, sha256 } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readEvents, type ServerSentEvent } from "../../sdk/sse.ts";
import { grant, newUuid, nowSeconds, type Person, person, root, send, signed, statement } from "../fixtures.ts";
import { startScene, type Scene } from "../support/scene.ts";

let scene: Scene;
const READ = grant("talos/audit.events");
const WRITE = grant("talos/audit.append", { classes: ["write"] });
const service = person("service");
let serviceChain: string;

interface Got {
  seq: number;
  record: AuditRecord;
}

const chainOf = (who: Person, over: { exp?: number } = {}) =>
  root(scene.operator, who, { aud: [scene.aud], grants: [READ], ...over });
const open = (query = "", headers: Record<string, string> = {}, who = scene.agent, chain = scene.chain) =>
  send(signed(who, chain, { aud: scene.aud, path: `/audit/stream${query}`, method: "GET", headers }));

/** Events of a stream until `enough`; the stream is left then. */
async function* events(response: Response): AsyncGenerator<ServerSentEvent> {
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  yield* readEvents(response.body!, 1_048_576);
}
async function take(response: Response, count: number): Promise<Got[]> {
  const got: Got[] = [];
  if (count === 0) return got;
  for await (const event of events(response)) {
    if (event.event !== "audit") throw new Error(`${event.event} ${event.data}`);
    const record = JSON.parse(event.data) as AuditRecord;
    expect(validate("audit/record", record)).toMatchObject({ ok: true });
    expect(event.id).toBe(String(record.seq));
    got.push({ seq: record.seq, record });
    if (got.length >= count) break;
  }
  return got;
}
const seqs = (got: readonly Got[]) => got.map(({ seq }) => seq);
const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
const next = async () => (await scene.talos.log().status()).next_seq;

async function append(count: number, meta: Record<string, string> = {}): Promise<void> {
  const ts = new Date().toISOString();
  const list = Array.from({ length: count }, () => ({
    event_id: newUuid(),
    ts,
    kind: "decision",
    audit_action: "note",
    meta,
  }));
  const answer = await send(
    signed(service, serviceChain, { aud: scene.aud, path: "/audit/events", body: JSON.stringify({ events: list }) }),
  );
  expect(answer.status, await answer.text()).toBe(200);
}

/** The operator takes back a capability that it gave. */
function revoke(chain: string): Promise<Response> {
  const claims = { kind: "link", link: b64uEncode(sha256(new TextEncoder().encode(chain.split("~").at(-1)))) };
  const body = JSON.stringify({ statement: statement(scene.operator, scene.aud, claims), chain });
  const headers = { "content-type": "application/json" };
  return fetch(`${scene.aud}/v1/revocations`, { method: "POST", headers, body });
}

beforeAll(async () => {
  scene = await startScene();
  serviceChain = root(scene.operator, service, { aud: [scene.aud], grants: [WRITE] });
});
afterAll(() => scene?.stop());

describe("the record as a stream", () => {
  it("gives what is there from a place on, then what comes, each once and in order", async () => {
    await append(200);
    const there = await next();
    const response = await open("?from=0");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reading = take(response, there + 300);
    for (let i = 0; i < 10; i += 1) await append(30);
    expect(seqs(await reading)).toEqual(range(0, there + 300));
  });

  it("resumes behind the last event by header, by parameter, and the header wins", async () => {
    await append(20);
    expect(seqs(await take(await open("", { "last-event-id": "4" }), 3))).toEqual([5, 6, 7]);
    expect(seqs(await take(await open("?last_event_id=6"), 2))).toEqual([7, 8]);
    expect(seqs(await take(await open("?last_event_id=6&from=1", { "last-event-id": "9" }), 1))).toEqual([10]);
  });

  it("begins with what comes next when nothing else is said, and hears of it soon", async () => {
    const response = await open();
    const reading = take(response, 5);
    await append(5);
    const got = await reading;
    const at = got[0]!.seq;
    expect(seqs(got)).toEqual(range(at, at + 5));
    expect(at).toBeGreaterThan(200);
  });

  it("shows only the kinds that are asked for, and says with its heartbeat how far it passed", async () => {
    const from = await next();
    const response = await open(`?kinds=policy,intent&from=${from}`);
    await append(10);
    const last = await next();
    const reader = response.body!.getReader();
    let text = "";
    const passed = () => Number(/:\nid: (\d+)\n\n$/.exec(text)?.[1] ?? -1);
    while (passed() < last - 1) {
      const { value, done } = await reader.read();
      if (done) throw new Error(text);
      text += new TextDecoder().decode(value);
    }
    await reader.cancel();
    expect(text).not.toContain("data:");
    const kinds = new Set(
      (await take(await open("?from=0&kinds=policy"), 1)).map(({ record }) => (record.event as AuditEventV2).kind),
    );
    expect([...kinds]).toEqual(["policy"]);
  });

  it("refuses what is no place in the log, no kind, or twice the same", async () => {
    const bad = [
      "?from=-1",
      "?from=1.5",
      "?from=x",
      "?kinds=all",
      "?kinds=key,key",
      "?from=1&from=2",
      "?x=1",
      "?from=9007199254740991",
      `?from=${(await next()) + 1_000}`,
    ];
    for (const query of bad) {
      const answer = await open(query);
      expect(answer.status, query).toBe(400);
      expect(await answer.json()).toMatchObject({ code: "contract.invalid" });
    }
    expect((await open("", { "last-event-id": "no" })).status).toBe(400);
  });

  it("needs the grant, is recorded once, and shows nothing of another tenant", async () => {
    const blind = person("blind");
    const chain = root(scene.operator, blind, { aud: [scene.aud], grants: [WRITE] });
    expect((await open("", {}, blind, chain)).status).toBe(403);
    expect((await fetch(`${scene.aud}/audit/stream`)).status).toBe(401);
    const from = await next();
    const reader = person("recorded reader");
    await take(await open(`?from=0`, {}, reader, chainOf(reader)), 150);
    await new Promise((resolve) => setTimeout(resolve, 300)); // decisions are buffered for a moment
    const seen = await take(await open(`?from=${from}`), (await next()) - from);
    const own = seen.filter(({ record }) => (record.event as AuditEventV2).principal.did === reader.did);
    expect(own.map(({ record }) => (record.event as AuditEventV2).audit_action)).toEqual(["audit.stream"]);
    expect(seen.every(({ record }) => (record.event as AuditEventV2).tenant === "default")).toBe(true);
  });

  it("goes on where it was after the Worker died, nothing dropped and nothing doubled", async () => {
    const from = await next();
    const got: Got[] = [];
    const reading = (async () => {
      const want = from + 120;
      for (;;) {
        try {
          const query = `?from=${from}`;
          const headers: Record<string, string> = got.length === 0 ? {} : { "last-event-id": String(got.at(-1)!.seq) };
          for await (const event of events(await open(query, headers))) {
            if (event.event !== "audit") break;
            const record = JSON.parse(event.data) as AuditRecord;
            got.push({ seq: record.seq, record });
            if (record.seq >= want) return;
          }
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 200)); // nobody is there: again
        }
      }
    })();
    await append(40);
    await scene.talos.kill();
    await scene.restart();
    await append(85);
    await reading;
    expect(seqs(got)).toEqual(range(from, from + 121));
  });

  it("ends by name when its capability expires", async () => {
    const brief = person("brief");
    const response = await open("?from=0", {}, brief, chainOf(brief, { exp: nowSeconds() + 3 }));
    let last: ServerSentEvent | undefined;
    for await (const event of events(response)) last = event;
    expect(last?.event).toBe("error");
    expect(JSON.parse(last!.data)).toMatchObject({ code: "EXPIRED", retryable: false });
  });

  it("ends by name within the head's period when its capability is revoked", async () => {
    const gone = person("gone");
    const chain = chainOf(gone);
    const response = await open(`?from=${await next()}`, {}, gone, chain);
    const ended = (async () => {
      let last: ServerSentEvent | undefined;
      for await (const event of events(response)) last = event;
      return { last, ms: performance.now() };
    })();
    expect((await revoke(chain)).status).toBe(200);
    const { last } = await ended;
    expect(last?.event).toBe("error");
    expect(JSON.parse(last!.data)).toMatchObject({ code: "REVOKED" });
    expect((await open("", {}, gone, chain)).status).toBe(401);
  });

  it("lets a reader go that takes nothing, tells it why, and frees its place", async () => {
    // 12 MB: a kernel keeps over 4 MiB for a reader that takes nothing (tcp_wmem), and what fits there is no stall.
    const meta = Object.fromEntries(range(0, 8).map((i) => [`filler${i}`, "x".repeat(1_000)]));
    for (let i = 0; i < 15; i += 1) await append(100, meta);
    const silent = person("silent");
    const { socket, received } = await silently(silent, chainOf(silent));
    await new Promise((resolve) => setTimeout(resolve, LIMITS.audit_stream_stall_ms + 3_000));
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    const text = Buffer.concat(received).toString();
    expect(text).toContain('event: error\ndata: {"code":"audit.stream_slow"');
    expect((text.match(/^id: /gm) ?? []).length).toBeLessThan((await next()) - 1);
  }, 120_000);

  it("is given to so many at a time, of a holder and of a tenant, and again when one leaves", async () => {
    const opened: Response[] = [];
    const hold = async (who: Person) => {
      const answer = await open("", {}, who, chainOf(who));
      if (answer.status === 200) opened.push(answer);
      return answer;
    };
    const settled = { timeout: 40_000, interval: 1_000 }; // those whom other tests left are noticed at their next heartbeat
    const holds = (who: Person) => expect.poll(async () => (await hold(who)).status, settled).toBe(200);
    const greedy = person("greedy");
    for (let i = 0; i < LIMITS.audit_streams_holder; i += 1) await holds(greedy);
    const refused = await hold(greedy);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ code: "concurrency.exhausted" });
    for (let i = LIMITS.audit_streams_holder; i < LIMITS.audit_streams; i += 1) {
      const who = person(`reader ${Math.floor(i / LIMITS.audit_streams_holder)}`);
      await holds(who);
    }
    expect((await hold(person("late"))).status).toBe(429);
    await Promise.all(opened.map((response) => response.body!.cancel()));
    await holds(person("late"));
    await Promise.all(opened.slice(LIMITS.audit_streams).map((response) => response.body!.cancel()));
  }, 120_000);

  it("needs no Postgres", async () => {
    await scene.cable.cut();
    const from = await next();
    const reader = person("without Postgres");
    const reading = take(await open(`?from=${from}`, {}, reader, chainOf(reader)), 10);
    await append(10);
    expect(seqs(await reading)).toEqual(range(from, from + 10));
    await scene.cable.mend();
  });
});

/** A reader that sends its request and reads nothing until it is resumed. */
async function silently(who: Person, chain: string): Promise<{ socket: Socket; received: Buffer[] }> {
  const request = signed(who, chain, { aud: scene.aud, path: "/audit/stream?from=0", method: "GET" });
  const url = new URL(request.url);
  const socket = connect({ host: url.hostname, port: Number(url.port) });
  const received: Buffer[] = [];
  socket.on("data", (chunk) => received.push(chunk));
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.pause();
  const headers = Object.entries({ host: url.host, ...request.headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\n${headers.join("")}\r\n`);
  return { socket, received };
}
