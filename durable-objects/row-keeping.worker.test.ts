import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import * as tree from "@talos/core/log";
import { beforeEach, describe, expect, it } from "vitest";
import { auditEvent, intent, outcome } from "../test/durable-objects/events.ts";
import { rebind, rowsOf } from "../test/durable-objects/inside.ts";
import { testDatabase } from "../test/durable-objects/projector.ts";
import type { AuditLog } from "./audit-log.ts";
import type { AppendEvent } from "./types.ts";

const shared = globalThis as unknown as { talosLogBounds: Record<string, object> };

let count = 0;
let name: string;
let log: DurableObjectStub<AuditLog>;
let appended: AppendEvent[];
let promises: string[];

beforeEach(() => {
  count += 1;
  name = `rows-${count}`;
  shared.talosLogBounds = { [name]: { rows_keep_ms: 0 } };
  log = env.AUDIT_LOGS.getByName(name);
  appended = [];
  promises = [];
  testDatabase().fault = () => "none";
});

async function append(many: number, make: () => AppendEvent = () => auditEvent(name)): Promise<void> {
  const events = Array.from({ length: many }, make);
  const answer = await log.append({ events });
  if (!answer.ok) throw new Error(answer.code);
  appended.push(...events);
  promises.push(...answer.promises);
}
const rows = (sql: string) => rowsOf(log, sql);
/** The first number whose text is in a row. */
const kept = async () => Number((await rows("SELECT coalesce(min(first_seq), -1) AS first FROM texts"))[0]!.first);
const bind = (more: object) => rebind(log, more);
/** Twice: what is published by the first run may go with the second. */
const settle = async () => {
  await log.flush();
  await evictDurableObject(log);
  await log.flush();
};

describe("rows of events", () => {
  it("go with the batches that lie whole in published full bundles, and everything is answered as before", async () => {
    for (let i = 0; i < 9; i += 1) await append(100);
    await settle();
    // 900 events: three full bundles of 256; the batch that reaches beyond them stays.
    expect(await kept()).toBe(700);
    expect(await log.status()).toMatchObject({ rows_from: 700, next_seq: 900, projected_seq: 900 });
    await evictDurableObject(log);
    for (const at of [0, 255, 256, 699, 700, 899]) {
      const event = appended[at]!;
      expect(await log.get(event.event_id)).toEqual({ body: event.body, seq: at, promise: promises[at] });
      expect(await log.append({ events: [event] })).toEqual({ ok: true, promises: [promises[at]], seqs: [at] });
      const proof = await log.proof({ event_id: event.event_id });
      expect(proof).toMatchObject({ ok: true, index: at, event: event.body });
    }
    const read: string[] = [];
    for (;;) {
      const slice = await log.read(read.length, 64);
      if (slice.rows.length === 0) break;
      for (const row of slice.rows) {
        expect(row).toEqual({ seq: read.length, ...entryOf(appended[read.length]!) });
        read.push(row.event_id);
      }
    }
    expect(read).toHaveLength(900);
    const other = auditEvent(name, { event_id: appended[3]!.event_id, meta: { other: true } });
    expect(await log.append({ events: [other] })).toMatchObject({ code: "audit.event_conflict" });
    for (const path of ["tile/entries/000", "tile/entries/001.p/7", "tile/0/002"]) {
      const { index, width, level } = tree.parseTile(path);
      const leaves = appended.slice(index * 256, index * 256 + width).map(({ body }) => new TextEncoder().encode(body));
      const want =
        level === "entries" ? tree.bundle(leaves) : Uint8Array.from(leaves.flatMap((leaf) => [...tree.leafHash(leaf)]));
      expect(await log.tile(path)).toEqual(want);
    }
  });

  it("are not needed to build the projection anew, or to go on publishing", async () => {
    for (let i = 0; i < 6; i += 1) await append(100);
    await settle();
    expect(await kept()).toBe(500);
    testDatabase().cursors.set(name, 0);
    testDatabase().rows.set(name, []);
    await append(100);
    await settle();
    expect(testDatabase().rows.get(name)).toEqual(appended.map(({ event_id }) => event_id));
    expect(await log.status()).toMatchObject({ published_size: 700, forked: false });
  });

  it("stay as long as they are to be kept anyway", async () => {
    shared.talosLogBounds[name] = { rows_keep_ms: 3_600_000 };
    for (let i = 0; i < 6; i += 1) await append(100);
    await settle();
    expect(await kept()).toBe(0);
    const at = await runInDurableObject(log, (_, { storage }) => storage.getAlarm());
    expect(at! - Date.now()).toBeGreaterThan(3_500_000);
    await rows("UPDATE batches SET time_ms = time_ms - 3600000 WHERE first_seq < 300");
    await log.flush();
    expect(await kept()).toBe(300);
  });

  it("stay until they are projected", async () => {
    testDatabase().fault = () => "down";
    for (let i = 0; i < 6; i += 1) await append(100);
    await settle();
    expect(await kept()).toBe(0);
    testDatabase().fault = () => "none";
    await settle();
    expect(await kept()).toBe(500);
  });

  it("stay while an intent among them may still be closed", async () => {
    await append(99);
    const one = intent(name);
    await append(1, () => one);
    for (let i = 0; i < 5; i += 1) await append(100);
    await settle();
    expect(await kept()).toBe(99);
    await append(1, () => outcome(name, one.event_id));
    await settle();
    expect(await kept()).toBe(500);
  });

  it.each([
    ["is gone", async (file: string) => env.AUDIT_TILES.delete(file)],
    [
      "has another byte",
      async (file: string) => {
        const bytes = new Uint8Array(await (await env.AUDIT_TILES.get(file))!.arrayBuffer());
        bytes[40] = bytes[40]! ^ 1;
        await env.AUDIT_TILES.put(file, bytes);
      },
    ],
  ] as const)("stay, all of them, when a bundle in the bucket %s", async (_, damage) => {
    shared.talosLogBounds[name] = { rows_keep_ms: 3_600_000 };
    for (let i = 0; i < 6; i += 1) await append(100);
    await log.flush();
    await damage(`f/${name}/tile/entries/001`);
    shared.talosLogBounds[name] = { rows_keep_ms: 0 };
    await evictDurableObject(log);
    await log.flush();
    expect(await kept()).toBe(0);
    expect((await log.get(appended[300]!.event_id))!.body).toBe(appended[300]!.body);
  });

  it("that went are not answered from a bundle that somebody changed", async () => {
    for (let i = 0; i < 6; i += 1) await append(100);
    await settle();
    const [mine, other] = [appended[0]!, appended[1]!].map(({ body }) => new TextEncoder().encode(body));
    const bundle = (await env.AUDIT_TILES.get(`f/${name}/tile/entries/000`))!;
    const entries = tree.bundleEntries(new Uint8Array(await bundle.arrayBuffer()));
    await env.AUDIT_TILES.put(`f/${name}/tile/entries/000`, tree.bundle([other!, mine!, ...entries.slice(2)]));
    await runInDurableObject(log, async (instance: AuditLog) => {
      await expect(instance.get(appended[0]!.event_id)).rejects.toThrow("not what was sealed");
      await expect(instance.read(0, 1)).rejects.toThrow("not what was sealed");
    });
    // What needs no text is answered all the same.
    expect(await log.append({ events: [appended[0]!] })).toMatchObject({ promises: [promises[0]] });
  });

  it("go whole or not at all, wherever the log dies, and appending goes on while the bucket is down", async () => {
    for (let i = 0; i < 6; i += 1) await append(100);
    await log.flush();
    for (const after of [false, true]) {
      await evictDurableObject(log);
      await runInDurableObject(log, async (instance, { storage }) => {
        const real = storage.transactionSync.bind(storage);
        const gone = () => storage.sql.exec("SELECT 1 FROM texts WHERE first_seq = 0").toArray().length === 0;
        const torn = storage as unknown as { transactionSync: (run: () => unknown) => unknown };
        torn.transactionSync = (run) => {
          if (after) return [real(run as () => void), gone() && died()];
          return real(() => [run(), gone() && died()]);
        };
        await instance.flush();
        storage.transactionSync = real;
      });
      expect(await kept()).toBe(after ? 500 : 0);
      expect((await rows("SELECT from_seq FROM kept"))[0]!.from_seq).toBe(after ? 500 : 0);
    }
    const dead = async () => {
      throw new Error("the bucket is down (test)");
    };
    await evictDurableObject(log);
    await bind({ AUDIT_TILES: { get: dead, put: dead } });
    await append(10);
    expect(await log.append({ events: [appended[0]!] })).toMatchObject({ promises: [promises[0]] });
    await bind({ AUDIT_TILES: env.AUDIT_TILES });
    await log.flush();
    expect((await log.get(appended[0]!.event_id))!.body).toBe(appended[0]!.body);
  });

  it("of an epoch that is over go whole, its partial bundle too", async () => {
    shared.talosLogBounds[name] = { rows_keep_ms: 0, entries: 300 };
    for (let i = 0; i < 3; i += 1) await append(100);
    await log.flush(); // 300 events and the last one of the tree
    await append(10);
    await settle();
    expect(await kept()).toBe(301);
    expect((await log.get(appended[299]!.event_id))!.body).toBe(appended[299]!.body);
    expect((await log.read(290, 64)).rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 11 }, (_, i) => 290 + i));
  });
});

function died(): never {
  throw new Error("died (test)");
}
const entryOf = ({ event_id, body, leaf_hash }: AppendEvent) => ({ event_id, body, leaf_hash });
