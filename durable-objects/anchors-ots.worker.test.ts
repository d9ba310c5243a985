/** The calendars' side, inside workerd: what is submitted, what is asked again, and where nothing is asked. */
import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { LIMITS } from "@talos/contracts";
import { checkpointDigest, fromBase64, readOts } from "@talos/core/anchor";
import { checkpointText } from "@talos/core/log";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { testReceivers } from "../test/durable-objects/courier.ts";
import type { Ask, Asked } from "./anchor-types.ts";
import type { Anchors } from "./anchors.ts";

const [A, B, POOL] = ["https://a.calendar.example", "https://b.calendar.example", "https://pool.example"] as const;
const SETTINGS = { calendars: [A, POOL], upgrade_from: [B], interval_seconds: 60 };
const utf8 = (text: string) => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const join = (...parts: (number | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));

/** SHA-256 of the message, pending at an address. */
const promises = (uri: string): Uint8Array =>
  join(8, 0, 0x83, 0xdf, 0xe3, 0x0d, 0x2e, 0xf9, 0x0c, 0x8e, uri.length + 1, uri.length, utf8(uri));
/** SHA-256 of the message, the root of block 300. */
const MINED = join(8, 0, 0x05, 0x88, 0x96, 0x0d, 0x73, 0xd7, 0x19, 0x01, 2, 0xac, 2);

function head(size: number): { size: number; note: string } {
  const text = checkpointText("talos.test/meta", { size, root: new Uint8Array(32).fill(size) });
  return { size, note: `${text}\n— talos.test/meta ${btoa("x".repeat(68))}\n` };
}

let anchors: DurableObjectStub<Anchors>;
let cosigned: { size: number; note: string } | null;
let asks: Ask[];
/** what the calendars have, by the path's last part */
let blocks: boolean;
let down: string[];
let submitted: (url: string) => Uint8Array;

beforeEach(async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  anchors = env.ANCHORS!.getByName("ots");
  cosigned = head(7);
  [asks, blocks, down] = [[], false, []];
  // A pool takes what is submitted, and promises in the name of the calendar behind it.
  submitted = (url) => promises(url.startsWith(A) ? A : B);
  testReceivers().asked = (ask): Asked => {
    asks.push(ask);
    if (down.some((one) => ask.url.startsWith(one))) return { ok: false, code: "unreachable" };
    if (ask.method === "POST") return { ok: true, status: 200, body: submitted(ask.url) };
    return blocks ? { ok: true, status: 200, body: MINED } : { ok: true, status: 404, body: utf8("not yet") };
  };
  await born();
});

afterEach(async () => {
  await runInDurableObject(anchors, (_, { storage }) => {
    for (const table of ["anchored", "stamps", "run"]) storage.sql.exec(`DELETE FROM ${table}`);
  });
  await evictDurableObject(anchors);
  vi.restoreAllMocks();
});

/** A life of the object with these settings and the test's meta-log. */
const born = async (settings: object | string = SETTINGS) =>
  runInDurableObject(anchors, (instance) => {
    const inside = instance as unknown as { env: unknown };
    const TALOS_OTS = typeof settings === "string" ? settings : JSON.stringify(settings);
    inside.env = { ...env, TALOS_OTS, META_LOG: { getByName: () => ({ cosigned: async () => cosigned }) } };
  });
/** Run the alarm as if this much time had passed since the last. */
const alarm = async (ms = 0) =>
  runInDurableObject(anchors, async (instance, { storage }) => {
    storage.sql.exec("UPDATE stamps SET asked_ms = asked_ms - ?", ms);
    storage.sql.exec("UPDATE run SET started_ms = started_ms - ?", ms);
    await instance.alarm();
  });

describe("anchors by OpenTimestamps", () => {
  it("submits under a nonce, asks again later, and keeps the file that names a block", async () => {
    await alarm();
    expect(asks.map(({ method, url }) => `${method} ${url}`)).toEqual([`POST ${A}/digest`, `POST ${POOL}/digest`]);
    const digest = checkpointDigest(cosigned!.note.slice(0, cosigned!.note.indexOf("\n\n") + 1));
    for (const { body } of asks) {
      expect(body!.length).toBe(32);
      expect(hex(body!)).not.toBe(hex(digest));
    }
    expect(await anchors.status()).toMatchObject({ state: "working", waiting: 1, anchored_size: 0 });
    await alarm();
    expect(asks).toHaveLength(2);

    await evictDurableObject(anchors);
    await born();
    await alarm(LIMITS.anchoring_upgrade_ms);
    expect(asks.slice(2).map(({ url }) => new URL(url).origin)).toEqual([A, B]);
    expect(await anchors.covering(1)).toBeNull();
    blocks = true;
    await alarm(LIMITS.anchoring_upgrade_ms);
    const kept = await anchors.covering(1);
    expect(kept).toMatchObject({ size: 7, note: cosigned!.note, anchor: { kind: "ots" } });
    const file = readOts(fromBase64((kept!.anchor as { file: string }).file));
    expect(hex(file.digest)).toBe(hex(digest));
    expect(file.attestations.map((made) => made.kind === "bitcoin" && made.height)).toEqual([300]);
    expect(await anchors.status()).toMatchObject({ state: "idle", waiting: 0, anchored_size: 7 });
  });

  it("needs two calendars, and says so until they answer", async () => {
    down = [POOL];
    for (let failures = 1; failures <= 2; failures += 1) {
      await alarm();
      expect(await anchors.status()).toMatchObject({ state: "failing", code: "anchor.unavailable", failures });
    }
    const bodies = asks.map(({ body }) => hex(body!));
    expect(new Set(bodies).size).toBe(1);
    down = [];
    await alarm();
    expect(await anchors.status()).toMatchObject({ state: "working", failures: 0, waiting: 1 });
  });

  it("takes nonsense for no answer", async () => {
    submitted = (url) => (url.startsWith(A) ? promises(A) : utf8("<html>"));
    await alarm();
    expect(await anchors.status()).toMatchObject({ state: "failing", code: "anchor.unavailable" });
  });

  it("asks nobody whom the settings do not name, whatever a calendar promises", async () => {
    const elsewhere = "https://elsewhere.example";
    submitted = (url) => promises(url.startsWith(A) ? A : elsewhere);
    await alarm();
    await alarm(LIMITS.anchoring_upgrade_ms);
    expect(asks.filter(({ method }) => method === "GET").map(({ url }) => new URL(url).origin)).toEqual([A]);
  });

  it("goes on with a newer checkpoint while an older one waits, and gives up the oldest beyond the bound", async () => {
    for (let size = 1; size <= LIMITS.anchoring_pending + 2; size += 1) {
      cosigned = head(size);
      await alarm(60_000);
    }
    expect((await anchors.status()).waiting).toBe(LIMITS.anchoring_pending);
    await alarm(60_000);
    expect((await anchors.status()).waiting).toBe(LIMITS.anchoring_pending);
    blocks = true;
    for (let turns = 0; turns < 20; turns += 1) await alarm(LIMITS.anchoring_upgrade_ms);
    expect((await anchors.covering(1))?.size).toBe(3);
    const first = await anchors.list({});
    expect(first.anchors).toHaveLength(LIMITS.anchoring_page);
    expect((await anchors.list({ before: first.before! })).anchors).toEqual([]);
  });

  it("is off without settings, and names settings that it cannot read", async () => {
    await born("");
    await alarm();
    expect(await anchors.status()).toMatchObject({ state: "off", failures: 0 });
    for (const wrong of ["{", '{"calendars":["https://one.example"],"interval_seconds":60}', '{"interval":1}']) {
      await born(wrong);
      await alarm();
      expect(await anchors.status()).toMatchObject({ state: "failing", code: "config.incomplete" });
    }
    expect(asks).toEqual([]);
  });

  it("sets an alarm that was lost", async () => {
    const due = async () => runInDurableObject(anchors, (_, { storage }) => storage.getAlarm());
    await anchors.poke();
    expect(await due()).not.toBeNull();
    await alarm();
    await runInDurableObject(anchors, (_, { storage }) => storage.deleteAlarm());
    await evictDurableObject(anchors);
    await born();
    await anchors.poke();
    expect(await due()).not.toBeNull();
  });
});
