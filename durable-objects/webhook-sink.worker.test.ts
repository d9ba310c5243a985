import { createHmac, createPublicKey, verify } from "node:crypto";
import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { type Keysets, LIMITS, type SinkDelivery, validate } from "@talos/contracts";
import { leafHash } from "@talos/core";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { takes, testReceivers } from "../test/durable-objects/courier.ts";
import { auditEvent, intent, outcome } from "../test/durable-objects/events.ts";
import type { SinkState } from "./sink-store.ts";
import type { CreateAsk, Post, Posted, SinkMadeAnswer } from "./sink-types.ts";
import type { AppendEvent } from "./types.ts";
import type { WebhookSink } from "./webhook-sink.ts";

const URL_OF_IT = "https://siem.example.com/in";
let tenant: string;
let sink: DurableObjectStub<WebhookSink>;
let tenants = 0;

beforeEach(() => {
  tenants += 1;
  tenant = `sinks-${tenants}`;
  sink = env.WEBHOOK_SINKS.getByName(`${tenant}/one`);
  testReceivers().posts = [];
  testReceivers().answer = takes;
});

const ask = (more: Partial<CreateAsk> = {}): CreateAsk => ({ tenant, id: "one", url: URL_OF_IT, from_seq: 0, ...more });
const create = async (more: Partial<CreateAsk> = {}): Promise<SinkMadeAnswer> => sink.create(ask(more));
const log = () => env.AUDIT_LOGS.getByName(tenant);
const state = () =>
  runInDurableObject(
    sink,
    (_, { storage }) => JSON.parse(String(storage.sql.exec("SELECT state FROM sink").one().state)) as SinkState,
  );
const shown = async () => {
  const answer = await sink.describe();
  if (!answer.ok) throw new Error(answer.code);
  return answer.sink;
};

/** The intent that the next outcome is of. */
let opened: string | undefined;

/** Append events of these kinds. */
async function append(...kinds: string[]): Promise<AppendEvent[]> {
  const events = kinds.map((kind) => {
    if (kind === "outcome") return outcome(tenant, opened!);
    const event = kind === "intent" ? intent(tenant) : auditEvent(tenant);
    if (kind === "intent") opened = event.event_id;
    return event;
  });
  const answer = await log().append({ events });
  if (!answer.ok) throw new Error(answer.code);
  return events;
}

/** Created, challenged, active; what was posted until then is forgotten. */
async function active(more: Partial<CreateAsk> = {}): Promise<SinkMadeAnswer> {
  const made = await create(more);
  expect(await sink.resume()).toMatchObject({ ok: true, sink: { status: "active" } });
  testReceivers().posts = [];
  return made;
}

/** Run what is due now, until nothing is. */
const run = () => runDurableObjectAlarm(sink);
const bodies = (): SinkDelivery[] => testReceivers().posts.map(({ body }) => JSON.parse(body) as SinkDelivery);
const indexes = () => bodies().map(({ logindex }) => Number(logindex));
const fails =
  (status: number, more: object = {}) =>
  (): Posted => ({ ok: true, status, ms: 1, text: "", ...more });

describe("a delivery", () => {
  it("is the leaf with its place, its hash and its predecessor, under the event's own id", async () => {
    await active();
    const events = await append("intent", "outcome");
    await run();
    expect(indexes()).toEqual([0, 1]);
    const [first, second] = bodies();
    for (const body of bodies()) expect(validate("sinks/delivery", body)).toMatchObject({ ok: true });
    expect(second).toMatchObject({
      ...{ specversion: "1.0", id: events[1]!.event_id, source: `http://talos.test/t/${tenant}` },
      ...{ type: "dev.talos.audit.outcome.v2", leafhash: events[1]!.leaf_hash, previndex: "0" },
    });
    expect(first).not.toHaveProperty("previndex");
    // Byte for byte: who hashes what stands there gets the leaf's hash.
    const text = testReceivers().posts[1]!.body;
    expect(leafHash(text.slice(text.indexOf('"data":') + 7, -1))).toBe(events[1]!.leaf_hash);
    expect(testReceivers().posts[1]!.headers["webhook-id"]).toBe(events[1]!.event_id);
  });

  it("is signed by Ed25519 unless HMAC was asked for; the HMAC secret is shown, the seed never", async () => {
    const made = await active();
    expect(made).not.toHaveProperty("secret");
    await append("intent");
    await run();
    const { headers, body } = testReceivers().posts[0]!;
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const [key] = (await shown()).keys;
    const x = Buffer.from(key!.public_key!.slice(5), "base64").toString("base64url");
    const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const [scheme, signature] = headers["webhook-signature"]!.split(",");
    expect(scheme).toBe("v1a");
    expect(verify(null, Buffer.from(signed), publicKey, Buffer.from(signature!, "base64"))).toBe(true);
    expect(verify(null, Buffer.from(`${signed} `), publicKey, Buffer.from(signature!, "base64"))).toBe(false);
  });

  it("carries a signature of each secret while they overlap, and of the new one alone afterwards", async () => {
    const made = await active({ algorithm: "v1" });
    const old = made.ok ? made.secret! : "";
    const rotated = await sink.rotate({ algorithm: "v1", overlap_seconds: 60 });
    const fresh = rotated.ok ? rotated.secret! : "";
    const mac = ({ headers, body }: Post, secret: string) =>
      `v1,${createHmac("sha256", Buffer.from(secret.slice(6), "base64"))
        .update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`)
        .digest("base64")}`;
    await append("intent");
    await run();
    const post = testReceivers().posts[0]!;
    expect(post.headers["webhook-signature"]).toBe(`${mac(post, fresh)} ${mac(post, old)}`);
    expect((await shown()).keys).toHaveLength(2);
    await sink.rotate({ overlap_seconds: 0 });
    expect((await shown()).keys).toHaveLength(1);
    await sink.rotate({});
    await sink.rotate({});
    expect(await sink.rotate({})).toEqual({ ok: false, code: "sink.limit" });
  });

  it("leaves out kinds that were not asked for, and says so by the predecessor", async () => {
    await active({ kinds: ["outcome"] });
    await append("intent", "outcome", "decision", "intent", "outcome");
    await run();
    expect(indexes()).toEqual([1, 4]);
    expect(bodies()[1]).toMatchObject({ previndex: "1" });
    expect((await shown()).cursor).toBe(5);
  });
});

describe("creation", () => {
  it("is the same sink and the same secret when it is repeated, and a conflict with other settings or later", async () => {
    const first = await create({ algorithm: "v1" });
    expect(await create({ algorithm: "v1" })).toEqual(first);
    expect(await create({ algorithm: "v1", url: `${URL_OF_IT}2` })).toEqual({ ok: false, code: "sink.conflict" });
    await sink.sendTest();
    expect(await create({ algorithm: "v1" })).toEqual({ ok: false, code: "sink.conflict" });
  });

  it("sends nothing before the receiver answered its challenge", async () => {
    await create();
    await append("intent");
    testReceivers().answer = fails(200);
    expect(await sink.resume()).toEqual({ ok: false, code: "sink.unverified" });
    await run();
    expect(bodies().map(({ type }) => type)).toEqual(["dev.talos.sink.challenge.v1"]);
    expect(await shown()).toMatchObject({ status: "unverified" });
    const { deliveries } = (await sink.deliveries(Number.MAX_SAFE_INTEGER, 10)) as { deliveries: object[] };
    expect(deliveries).toMatchObject([{ what: "challenge", ok: false, code: "challenge", status: 200 }]);
    testReceivers().answer = takes;
    expect(await sink.resume()).toMatchObject({ ok: true });
    await run();
    expect(indexes().at(-1)).toBe(0);
    expect(await sink.update({ url: `${URL_OF_IT}2`, kinds: [] })).toMatchObject({ sink: { status: "unverified" } });
  });

  it("keeps the secret sealed: no row holds it, and rows of another sink cannot be opened", async () => {
    const made = await create({ algorithm: "v1" });
    const secret = made.ok ? made.secret!.slice(6) : "";
    const rows = await runInDurableObject(sink, (_, { storage }) =>
      JSON.stringify(storage.sql.exec("SELECT * FROM keys").toArray()),
    );
    expect(rows).not.toContain(secret);
    expect(rows).not.toContain(Buffer.from(secret, "base64").toString("base64url"));
    const other = env.WEBHOOK_SINKS.getByName(`${tenant}/two`);
    await other.create(ask({ id: "two", algorithm: "v1" }));
    const [key] = JSON.parse(rows) as { kid: string; sealed: string; id: string }[];
    await runInDurableObject(
      other,
      (_, { storage }) => void storage.sql.exec("UPDATE keys SET id = ?, sealed = ?", key!.id, key!.sealed),
    );
    const sent = runInDurableObject(other, (object) =>
      object.sendTest().then(
        () => "sent",
        (error: Error) => error.name,
      ),
    );
    expect(await sent).toBe("OperationError");
    expect(testReceivers().posts).toEqual([]);
  });

  it("is sealed again under a new primary, and switched off when the old key went before that", async () => {
    await active();
    await append("intent");
    const before = env.TALOS_KEYSETS!;
    const keysets = JSON.parse(before) as Keysets;
    const [primary, staged] = keysets.purposes.sink;
    const change = (keys: Keysets["purposes"]["sink"]) =>
      runInDurableObject(sink, (object) => {
        (object as unknown as { env: { TALOS_KEYSETS: string } }).env.TALOS_KEYSETS = JSON.stringify({
          ...keysets,
          purposes: { ...keysets.purposes, sink: keys },
        });
      });
    const accepted = { ...primary!, status: "accept" as const, not_after: Math.floor(Date.now() / 1_000) + 600 };
    await evictDurableObject(sink);
    await change([accepted, { ...staged!, status: "primary" }]);
    await run();
    expect(indexes()).toEqual([0]);
    const kids = await runInDurableObject(sink, (_, { storage }) => storage.sql.exec("SELECT kid FROM keys").toArray());
    expect(kids).toEqual([{ kid: staged!.kid }]);
    await evictDurableObject(sink);
    await change([primary!]);
    await append("intent");
    await sink.wake();
    await run();
    expect(await shown()).toMatchObject({ status: "disabled", reason: "secret_lost", cursor: 1 });
    await change(keysets.purposes.sink);
  });
});

describe("failure", () => {
  it("is tried again by the schedule, in order; after the last attempt it is a dead letter and the rest goes on", async () => {
    await active();
    await append("intent", "outcome");
    const bad = (await log().read(0, 1)).rows[0]!.event_id;
    testReceivers().answer = (post) => (post.headers["webhook-id"] === bad ? fails(500)() : takes(post));
    const waits: number[] = [];
    for (let n = 0; n < LIMITS.sink_attempts; n++) {
      await run();
      const { next_attempt_ms, cursor } = await state();
      if (cursor === 0) waits.push((next_attempt_ms! - Date.now()) / 1_000);
      await runInDurableObject(sink, (_, { storage }) => {
        const now = JSON.parse(String(storage.sql.exec("SELECT state FROM sink").one().state)) as SinkState;
        delete now.next_attempt_ms;
        delete now.breaker_until_ms;
        storage.sql.exec("UPDATE sink SET state = ?", JSON.stringify(now));
        return storage.setAlarm(Date.now() + 60_000);
      });
    }
    const schedule = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    expect(waits).toHaveLength(schedule.length);
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeGreaterThan(schedule[i]! * 0.8 - 2);
      expect(wait).toBeLessThan(schedule[i]! * 1.2 + 2);
    }
    await run();
    expect(indexes()).toEqual([...Array<number>(LIMITS.sink_attempts).fill(0), 1]);
    // The gap can be seen: what comes next names the event that did not arrive.
    expect(bodies().at(-1)).toMatchObject({ previndex: "0" });
    expect(await sink.deadLetters(-1, 10)).toMatchObject({
      dead_letters: [{ seq: 0, event_id: bad, attempts: LIMITS.sink_attempts, status: 500, requested: false }],
    });

    expect(await sink.redeliver([7])).toEqual({ ok: true, count: 0 });
    expect(await sink.redeliver([0])).toEqual({ ok: true, count: 1 });
    await run();
    expect(await sink.deadLetters(-1, 10)).toMatchObject({
      dead_letters: [{ attempts: LIMITS.sink_attempts + 1, requested: false }],
    });
    testReceivers().answer = takes;
    expect(await sink.redeliver(undefined)).toEqual({ ok: true, count: 1 });
    await run();
    expect(await shown()).toMatchObject({ dead_letters: 0, cursor: 2 });
    expect(testReceivers().posts.at(-1)!.headers["webhook-id"]).toBe(bad);
  });

  it("waits as long as the receiver asks, but no longer than a day", async () => {
    await active();
    await append("intent");
    testReceivers().answer = fails(429, { retry_after_s: 3_600 });
    await run();
    const { next_attempt_ms } = await state();
    expect(next_attempt_ms! - Date.now()).toBeGreaterThan(3_590_000);
    testReceivers().answer = fails(503, { retry_after_s: 999_999_999 });
    await sink.resume();
    await run();
    expect((await state()).next_attempt_ms! - Date.now()).toBeLessThanOrEqual(86_400_000);
  });

  it("of 410 switches the sink off at once; it can be resumed, and has lost nothing", async () => {
    await active();
    await append("intent", "outcome");
    testReceivers().answer = fails(410);
    await run();
    expect(await shown()).toMatchObject({ status: "disabled", reason: "gone", cursor: 0 });
    await run();
    expect(testReceivers().posts).toHaveLength(1);
    testReceivers().answer = takes;
    await sink.resume();
    await run();
    expect(indexes()).toEqual([0, 0, 1]);
    expect(await shown()).not.toHaveProperty("reason");
  });

  it("opens the breaker after ten in a row, and one success closes it", async () => {
    await active();
    await append("intent");
    testReceivers().answer = () => ({ ok: false, code: "timeout", ms: 15_000 });
    await runInDurableObject(sink, (_, { storage }) => {
      const now = JSON.parse(String(storage.sql.exec("SELECT state FROM sink").one().state)) as SinkState;
      storage.sql.exec(
        "UPDATE sink SET state = ?",
        JSON.stringify({ ...now, failures: LIMITS.sink_breaker_failures - 1, failing_since_ms: Date.now() }),
      );
    });
    await run();
    const open = await shown();
    expect(open).toMatchObject({ failures: LIMITS.sink_breaker_failures });
    expect(open.breaker_open_until_ms! - Date.now()).toBeGreaterThan(LIMITS.sink_breaker_ms - 2_000);
    testReceivers().answer = takes;
    await sink.resume();
    await run();
    expect(await shown()).toMatchObject({ failures: 0, cursor: 1 });
  });

  it("without a success for five days switches the sink off; full dead letters do too, instead of skipping", async () => {
    await active();
    await append("intent");
    testReceivers().answer = fails(500);
    const set = (more: Partial<SinkState>) =>
      runInDurableObject(sink, (_, { storage }) => {
        const now = JSON.parse(String(storage.sql.exec("SELECT state FROM sink").one().state)) as SinkState;
        storage.sql.exec("UPDATE sink SET state = ?", JSON.stringify({ ...now, ...more }));
      });
    await set({ failures: 3, failing_since_ms: Date.now() - LIMITS.sink_give_up_seconds * 1_000 - 1 });
    await run();
    expect(await shown()).toMatchObject({ status: "disabled", reason: "failing", cursor: 0 });

    await sink.resume();
    await set({ attempts: LIMITS.sink_attempts - 1 });
    await runInDurableObject(sink, (_, { storage }) => {
      storage.sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${LIMITS.sink_dead_letters})
         INSERT INTO dead_letters SELECT i + 1000, 0, '{}' FROM n`,
      );
    });
    await run();
    expect(await shown()).toMatchObject({ status: "disabled", reason: "dead_letters_full", cursor: 0 });
  });
});

describe("the cursor", () => {
  it("can be set: from there on, or for a range and back; ids stay the same", async () => {
    await active();
    const events = await append("intent", "outcome", "intent", "outcome");
    await run();
    testReceivers().posts = [];
    expect(await sink.replay({ from_seq: 1, to_seq: 1 })).toEqual({ ok: false, code: "contract.invalid" });
    expect(await sink.replay({ from_seq: 1, to_seq: 3 })).toMatchObject({ sink: { cursor: 1, replaying_to: 3 } });
    await run();
    expect(indexes()).toEqual([1, 2]);
    expect(bodies()[0]).not.toHaveProperty("previndex");
    expect(await shown()).toMatchObject({ cursor: 4 });
    await append("intent");
    await sink.wake();
    await run();
    expect(bodies().at(-1)).toMatchObject({ logindex: "4", previndex: "3" });
    testReceivers().posts = [];
    await sink.replay({ from_seq: 0 });
    await run();
    expect(
      bodies()
        .map(({ id }) => id)
        .slice(0, 4),
    ).toEqual(events.map(({ event_id }) => event_id));
    expect(indexes()).toEqual([0, 1, 2, 3, 4]);
  });

  it("does not move for an attempt during which somebody changed the sink", async () => {
    await active();
    await append("intent");
    let paused = false;
    testReceivers().answer = async (post) => {
      while (!paused) await scheduler.wait(5);
      return takes(post);
    };
    const running = run();
    await vi.waitFor(() => expect(testReceivers().posts).toHaveLength(1));
    await sink.pause();
    paused = true;
    await running;
    expect(await shown()).toMatchObject({ status: "paused", cursor: 0 });
    testReceivers().answer = takes;
    await sink.resume();
    await run();
    expect(indexes()).toEqual([0, 0]);
    expect((await shown()).cursor).toBe(1);
  });

  it("survives eviction, and more events than are read at once", async () => {
    await active();
    for (let n = 0; n < 5; n++) await append(...Array<string>(40).fill("intent"));
    await run();
    await evictDurableObject(sink);
    await append("outcome");
    await sink.wake();
    await run();
    expect(indexes()).toEqual(Array.from({ length: 201 }, (_, i) => i));
  });
});

describe("the log and its sinks", () => {
  it("tells those who listen, forgets those who are gone, and has a bound", async () => {
    await active();
    expect(await log().sinks()).toEqual(["one"]);
    await append("intent");
    await vi.waitFor(() => expect(indexes()).toEqual([0]), { timeout: 10_000 });
    await sink.remove();
    expect(await sink.describe()).toEqual({ ok: false, code: "sink.unknown" });
    await append("intent");
    await vi.waitFor(async () => expect(await log().sinks()).toEqual([]), { timeout: 10_000 });
    for (let n = 0; n < LIMITS.sinks; n++) expect(await log().follow(`s${n}`)).toBe(2);
    expect(await log().follow("one more")).toBeNull();
    expect(await log().follow("s0")).toBe(2);
    expect(testReceivers().posts).toHaveLength(1);
  });
});
