/**
 * The record arrives: a receiver that verifies with the `standardwebhooks` package, and one that checks Ed25519 with
 * Node's own, get every event in order by log index, whatever fails between them and us; what they got proves it.
 * Source: contracts/spec/webhooks.md.
 */
import { createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Sink, SinkAttempt } from "@talos/contracts";
import { validate } from "@talos/contracts";
import { Client, GatewayError, Key } from "@talos/sdk";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../workers/db/client.ts";
import { grant, person, root, rpc, send, signed } from "../fixtures.ts";
import { Canaries } from "../support/canaries.ts";
import { projected, readLedger } from "../support/ledger.ts";
import { type Received, type Receiver, startReceiver } from "../support/receiver.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { MCP_HEADERS } from "../support/world.ts";

const PATIENCE = { timeout: 60_000, interval: 100 };
const sinksGrant = () => grant("talos/sinks", { classes: ["read", "write", "destructive"] });

let scene: Scene;
let client: Client;

beforeAll(async () => {
  scene = await startScene({
    more: { servers: {}, tools: [], grants: [sinksGrant()] },
    env: { TALOS_LOOPBACK_RECEIVERS: "allow" },
  });
  client = new Client({ chain: scene.chain, key: new Key(scene.agent.seed) });
});
afterAll(() => scene?.stop());

/** A call of a tool: an intent and an outcome in the record. */
async function act(n: string): Promise<void> {
  const body = rpc("tools/call", { name: "act", arguments: { n } });
  const answer = await send(
    signed(scene.agent, scene.chain, { aud: scene.aud, path: "/mcp/tools", headers: MCP_HEADERS, body }),
  );
  expect(answer.status, await answer.text()).toBe(200);
}

const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof GatewayError ? error.problem.code : String(error)),
  );

const leafOf = (text: string): string => createHash("sha256").update(`\0${text}`).digest("base64url");
const dataOf = ({ text }: Received): string => text.slice(text.indexOf('"data":') + 7, -1);
const logEnd = async (): Promise<number> => (await scene.talos.log().status()).next_seq;

/** Every event of the log from 0 on, each first delivered after all before it. @returns first deliveries */
function firsts(receiver: Receiver): Received[] {
  const seen = new Set<string>();
  return receiver.received.filter(({ id }) => !seen.has(id) && seen.add(id));
}

/** Everything until `end` is there. */
const arrived = (receiver: Receiver, end: number) =>
  expect.poll(() => Number(receiver.received.at(-1)?.body.logindex ?? -1), PATIENCE).toBeGreaterThanOrEqual(end - 1);

describe("a receiver with the standardwebhooks package", () => {
  let receiver: Receiver;
  let webhook: Webhook | undefined;
  let sink: Sink;
  let secret: string;

  beforeAll(async () => {
    receiver = await startReceiver((text, headers) => webhook!.verify(text, headers));
    const made = await client.sinks.create({ url: receiver.url, algorithm: "v1", from_seq: 0 });
    sink = made.sink;
    secret = made.secret!;
    webhook = new Webhook(secret);
  });
  afterAll(() => receiver?.off());

  it("is challenged before anything is delivered", async () => {
    receiver.mood = "mute";
    expect(await refusal(client.sinks.resume(sink.id))).toBe("sink.unverified");
    expect(receiver.received).toEqual([]);
    receiver.mood = "well";
    expect(await client.sinks.resume(sink.id)).toMatchObject({ status: "active" });
  });

  it("gets every event in order across outages of its own, kills of workerd and replays", async () => {
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 4; n++) await act(`${round}-${n}`);
      if (round % 2 === 0) await receiver.off();
      else receiver.mood = "failing";
      for (let n = 4; n < 8; n++) await act(`${round}-${n}`);
      await scene.talos.kill();
      await scene.restart();
      if (round % 2 === 0) await receiver.on();
      else receiver.mood = "well";
      for (let n = 8; n < 10; n++) await act(`${round}-${n}`);
      await client.sinks.resume(sink.id);
      if (round === 2) await client.sinks.replay(sink.id, { from_seq: 3, to_seq: 9 });
    }
    const end = await logEnd();
    await arrived(receiver, end);
    expect(receiver.refused).toEqual([]);
    const once = firsts(receiver).slice(0, end);
    expect(once.map(({ body }) => Number(body.logindex))).toEqual(Array.from({ length: end }, (_, seq) => seq));
    const { leaves } = await readLedger(scene.talos);
    for (const [seq, one] of once.entries()) {
      expect(validate("sinks/delivery", one.body)).toMatchObject({ ok: true });
      expect(one).toMatchObject({ id: leaves[seq]!.event_id, body: { id: leaves[seq]!.event_id, source: scene.aud } });
      expect(one.body.leafhash).toBe(leaves[seq]!.leaf);
      expect(leafOf(dataOf(one))).toBe(leaves[seq]!.leaf);
    }
    // Nothing is missing, and the receiver can tell without us: each names the one before it.
    for (const { body } of receiver.received.filter((one) => one.body.previndex !== undefined)) {
      expect(Number(body.previndex)).toBe(Number(body.logindex) - 1);
    }
    const again = receiver.received.filter(({ id }) => id === leaves[5]!.event_id);
    expect(again.length).toBeGreaterThanOrEqual(2);
    console.log(`${end} events, ${receiver.received.length} deliveries, ${receiver.hits} requests, 4 kills`);
  }, 180_000);

  it("that redirects, floods or asks to wait is counted and backed off, and its dead letters come when asked for", async () => {
    const before = (await client.sinks.get(sink.id)).dead_letters;
    const moods = ["redirecting", "flooding", "busy", "failing"] as const;
    receiver.mood = "redirecting";
    await arrivedAt(sink, await logEnd());
    await act("bad");
    const seen: string[] = [];
    for (let n = 0; (await client.sinks.get(sink.id)).dead_letters === before; n++) {
      expect(n).toBeLessThan(20);
      receiver.mood = moods[n % moods.length]!;
      const { hits } = receiver;
      await client.sinks.resume(sink.id);
      await expect.poll(() => receiver.hits, PATIENCE).toBeGreaterThan(hits);
      await expect.poll(async () => (await last(sink)).n, PATIENCE).toBeGreaterThan(0);
      seen.push((await last(sink)).code ?? "");
    }
    receiver.mood = "well";
    const { deliveries } = await client.sinks.deliveries(sink.id, { limit: 100 });
    const codes = new Set(deliveries.map(({ code, status }) => `${code} ${status}`));
    for (const code of ["redirect 307", "too_large 200", "status 429", "status 500"]) expect(codes).toContain(code);
    const { dead_letters } = await client.sinks.deadLetters(sink.id);
    expect(dead_letters.length).toBeGreaterThan(0);
    const wanted = dead_letters[0]!;
    expect(wanted.attempts).toBe(10);
    await client.sinks.resume(sink.id);
    await arrived(receiver, wanted.seq + 2);
    expect(firsts(receiver).some(({ id }) => id === wanted.event_id)).toBe(false);
    // The gap can be proven: the next delivery names the one that did not come.
    const next = receiver.received.find(({ body }) => Number(body.logindex) === wanted.seq + 1)!;
    expect(next.body.previndex).toBe(String(wanted.seq));
    expect(await client.sinks.redeliver(sink.id, [wanted.seq])).toBe(1);
    await expect.poll(() => receiver.received.some(({ id }) => id === wanted.event_id), PATIENCE).toBe(true);
    await expect.poll(async () => (await client.sinks.get(sink.id)).dead_letters, PATIENCE).toBe(before);
  }, 120_000);

  it("that asks to wait is left alone that long; one that is gone is left alone for good", async () => {
    receiver.mood = "busy";
    await act("busy");
    await expect
      .poll(async () => ((await client.sinks.get(sink.id)).next_attempt_ms ?? 0) - Date.now(), PATIENCE)
      .toBeGreaterThan(1_700_000);
    receiver.mood = "gone";
    await client.sinks.resume(sink.id);
    await expect.poll(async () => (await client.sinks.get(sink.id)).status, PATIENCE).toBe("disabled");
    expect(await client.sinks.get(sink.id)).toMatchObject({ reason: "gone" });
    receiver.mood = "well";
    await client.sinks.resume(sink.id);
    await arrived(receiver, await logEnd());
  }, 120_000);

  it("never finds its secret in the record, a log line, an answer, the disk or Postgres", async () => {
    const canaries = new Canaries();
    const bytes = Buffer.from(secret.slice(6), "base64");
    canaries.watch("secret", secret);
    canaries.key("secret bytes", bytes);
    for (const { key } of scene.talos.keysets.purposes.sink) canaries.key("sealing key", Buffer.from(key, "base64url"));
    const said = [
      ...scene.talos.logs,
      JSON.stringify(await client.sinks.list()),
      JSON.stringify(await client.sinks.get(sink.id)),
      JSON.stringify(await client.sinks.deliveries(sink.id, { limit: 100 })),
      ...receiver.received.map(({ text, headers }) => text + JSON.stringify(headers)),
      ...(await readLedger(scene.talos)).leaves.map(({ body }) => body),
    ];
    for (const text of said) expect(canaries.in(text), text).toEqual([]);
    const files = await readdir(scene.state, { recursive: true, withFileTypes: true });
    for (const file of files.filter((one) => one.isFile())) {
      const content = await readFile(join(file.parentPath, file.name), "latin1");
      expect(canaries.in(content), file.name).toEqual([]);
    }
    await projected(scene.talos);
    const { sql } = connect({
      TALOS_MODE: "development",
      DATABASE_URL: scene.database.url,
      TALOS_DATABASE_ENDPOINT: scene.database.endpoint,
    });
    const rows = await sql`SELECT body FROM audit_event`;
    expect(rows.length).toBeGreaterThan(50);
    for (const { body } of rows) expect(canaries.in(body as string)).toEqual([]);
  }, 60_000);

  /** The newest attempt. */
  const last = async ({ id }: Sink): Promise<SinkAttempt> =>
    (await client.sinks.deliveries(id, { limit: 1 })).deliveries[0]!;
  /** The sink stands at the end of what the log then had. */
  const arrivedAt = ({ id }: Sink, end: number) =>
    expect.poll(async () => (await client.sinks.get(id)).cursor, PATIENCE).toBeGreaterThanOrEqual(end - 1);
});

describe("a receiver with Ed25519", () => {
  it("verifies with the public key alone, gets only the kinds it asked for, and both signatures while secrets overlap", async () => {
    const keys: string[] = [];
    const check = (text: string, headers: Record<string, string>): number => {
      const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${text}`;
      const signatures = headers["webhook-signature"]!.split(" ").map((one) => one.split(","));
      const good = keys.filter((key) => {
        const x = Buffer.from(key.slice(5), "base64").toString("base64url");
        const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
        const holds = (value: string) =>
          verifySignature(null, Buffer.from(signed), publicKey, Buffer.from(value, "base64"));
        return signatures.some(([scheme, value]) => scheme === "v1a" && holds(value!));
      });
      if (good.length === 0) throw new Error("no signature of a known key");
      return good.length;
    };
    const counts: number[] = [];
    const receiver = await startReceiver((text, headers) => counts.push(check(text, headers)));
    try {
      const made = await client.sinks.create({ url: receiver.url, kinds: ["intent"], description: "ed25519" });
      expect(made).not.toHaveProperty("secret");
      const { id } = made.sink;
      keys.push(made.sink.keys[0]!.public_key!);
      await client.sinks.resume(id);
      await act("one");
      await expect.poll(() => receiver.received.length, PATIENCE).toBe(1);
      const rotated = await client.sinks.rotate(id, { overlap_seconds: 600 });
      keys.push(rotated.sink.keys[0]!.public_key!);
      await act("two");
      await expect.poll(() => receiver.received.length, PATIENCE).toBe(2);
      expect(counts.at(-1)).toBe(2);
      expect(receiver.received.map(({ body }) => body.type)).toEqual(Array(2).fill("dev.talos.audit.intent.v2"));
      const [first, second] = receiver.received;
      expect(second!.body.previndex).toBe(first!.body.logindex);
      await client.sinks.rotate(id, { overlap_seconds: 0 });
      expect(await client.sinks.test(id)).toMatchObject({ ok: false, code: "status", status: 401 });
      expect(receiver.refused).toEqual(["no signature of a known key"]);
      await client.sinks.pause(id);
      const { received } = receiver;
      const before = received.length;
      await act("three");
      await expect.poll(logEnd).toBeGreaterThan(0);
      expect(received.length).toBe(before);
      expect(await client.sinks.delete(id)).toMatchObject({ id, status: "paused" });
      expect(await refusal(client.sinks.get(id))).toBe("sink.unknown");
      expect((await client.sinks.list()).map((sink) => sink.id)).not.toContain(id);
    } finally {
      await receiver.off();
    }
  }, 90_000);
});

describe("the surfaces", () => {
  it("refuse what may not be called, before anything is made", async () => {
    const count = (await client.sinks.list()).length;
    const bad = ["http://10.0.0.1/", "https://0xa.1/", "https://169.254.169.254/", "https://[::ffff:127.0.0.1]/"];
    bad.push(
      "http://example.com/",
      "https://u:p@example.com/",
      "https://example.com:22/",
      `${scene.talos.origin}/t/default/v1/head`,
    );
    for (const url of bad) expect(await refusal(client.sinks.create({ url })), url).toBe("sink.url_refused");
    // No resolver is configured here: what a name resolves to cannot be known, so it is not called.
    expect(await refusal(client.sinks.create({ url: "https://example.com/" }))).toBe("sink.unavailable");
    expect(await client.sinks.list()).toHaveLength(count);
  });

  it("record every change before it is made, with the sink's id, and make the same sink for the same key", async () => {
    const settings = { url: "http://127.0.0.1:9/", algorithm: "v1" as const };
    const made = await client.sinks.create(settings, "the same key");
    expect(await client.sinks.create(settings, "the same key")).toEqual(made);
    expect(await refusal(client.sinks.create({ ...settings, url: "http://127.0.0.1:8/" }, "the same key"))).toBe(
      "sink.conflict",
    );
    const { id } = made.sink;
    expect(await client.sinks.update(id, { url: "http://127.0.0.1:9/x", kinds: ["key"] })).toMatchObject({
      kinds: ["key"],
    });
    expect(await client.sinks.test(id)).toMatchObject({ ok: false, code: "unreachable" });
    await client.sinks.delete(id);
    const { leaves } = await readLedger(scene.talos);
    const changes = leaves.map(({ event }) => event).filter((event) => event.meta?.id === id);
    expect(changes.map((event) => event.audit_action)).toEqual(["sink.update", "sink.test", "sink.delete"]);
    for (const event of changes) expect(event).toMatchObject({ kind: "decision", decision: { allow: true } });
    for (let n = (await client.sinks.list()).length; n < 16; n++) await client.sinks.create(settings);
    expect(await refusal(client.sinks.create(settings))).toBe("sink.limit");
  }, 60_000);

  it("need the class that they have: who may read cannot write, who may write cannot delete", async () => {
    const reader = person("reader of sinks");
    const classes = (...of: ("read" | "write")[]) => grant("talos/sinks", { classes: of });
    const chain = root(scene.operator, reader, { aud: [scene.aud], grants: [classes("read")] });
    const reading = new Client({ chain, key: new Key(reader.seed) });
    const [first] = await reading.sinks.list();
    expect(await refusal(reading.sinks.pause(first!.id))).toBe("CLASS_MISMATCH");
    const writer = person("writer of sinks");
    const wide = root(scene.operator, writer, { aud: [scene.aud], grants: [classes("read", "write")] });
    const writing = new Client({ chain: wide, key: new Key(writer.seed) });
    expect(await refusal(writing.sinks.delete(first!.id))).toBe("CLASS_MISMATCH");
    expect(await refusal(writing.sinks.replay(first!.id, { from_seq: 0 }))).toBe("none");
    expect(await refusal(client.sinks.get("AAAAAAAAAAAAAAAAAAAAAA"))).toBe("sink.unknown");
    expect(await refusal(client.sinks.get("no-id"))).toBe("contract.invalid");
  });
});

describe("with a resolver", () => {
  it("a name is called only while every address that it has is public", async () => {
    let addresses = ["93.184.216.34"];
    const asked: string[] = [];
    const doh = createServer((request, response) => {
      const { searchParams } = new URL(request.url!, "http://doh");
      asked.push(`${searchParams.get("name")} ${searchParams.get("type")}`);
      const data = searchParams.get("type") === "A" ? addresses.map((address) => ({ type: 1, data: address })) : [];
      response.end(JSON.stringify({ Status: 0, Answer: data }));
    });
    await new Promise<void>((resolve) => doh.listen(0, "127.0.0.1", resolve));
    const other = await startScene({
      more: { servers: {}, tools: [], grants: [sinksGrant()] },
      env: { TALOS_DOH_URL: `http://127.0.0.1:${(doh.address() as AddressInfo).port}/dns-query` },
    });
    try {
      const mine = new Client({ chain: other.chain, key: new Key(other.agent.seed) });
      expect(await refusal(mine.sinks.create({ url: "http://127.0.0.1:9/" }))).toBe("sink.url_refused");
      addresses = ["93.184.216.34", "10.1.2.3"];
      expect(await refusal(mine.sinks.create({ url: "https://siem.example.com/" }))).toBe("sink.url_refused");
      addresses = ["93.184.216.34"];
      const { sink } = await mine.sinks.create({ url: "https://siem.example.com/" });
      expect(asked).toContain("siem.example.com AAAA");
      addresses = ["127.0.0.1"];
      expect(await mine.sinks.test(sink.id)).toMatchObject({ ok: false, code: "refused_url" });
      expect(await refusal(mine.sinks.resume(sink.id))).toBe("sink.url_refused");
      addresses = [];
      expect(await mine.sinks.test(sink.id)).toMatchObject({ ok: false, code: "unresolved" });
    } finally {
      await other.stop();
      doh.closeAllConnections();
      doh.close();
    }
  }, 90_000);
});
