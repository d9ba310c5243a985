import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { type AuditEventV2, type Keysets, validate } from "@talos/contracts";
import { b64uDecode, publicKey } from "@talos/core";
import * as tree from "@talos/core/log";
import { beforeEach, describe, expect, it } from "vitest";
import { auditEvent, outcome } from "../test/durable-objects/events.ts";
import { rebind, rowsOf } from "../test/durable-objects/inside.ts";
import { testDatabase } from "../test/durable-objects/projector.ts";
import type { AuditLog } from "./audit-log.ts";
import type { AppendEvent, LogEpoch, MetaAdded, MetaHead } from "./types.ts";

const shared = globalThis as unknown as { talosLogBounds: Record<string, object> };

let count = 0;
let name: string;
let log: DurableObjectStub<AuditLog>;
let handed: MetaHead[];
let appended: AppendEvent[];

const meta = {
  add: async (head: MetaHead): Promise<MetaAdded> => ({ ok: true, index: handed.push(head) - 1 }),
};
const bind = (more: object = {}) => rebind(log, { META_LOG: { getByName: () => meta }, ...more });

beforeEach(async () => {
  count += 1;
  name = `epochs-${count}`;
  shared.talosLogBounds = { [name]: { entries: 300 } };
  log = env.AUDIT_LOGS.getByName(name);
  handed = [];
  appended = [];
  await bind();
});

const epochs = async (): Promise<LogEpoch[]> => log.log();

async function append(many: number): Promise<void> {
  const events = Array.from({ length: many }, () => auditEvent(name));
  expect(await log.append({ events, promises: 0 })).toMatchObject({ ok: true });
  appended.push(...events);
}
const utf8 = (text: string) => new TextEncoder().encode(text);
const seed = () =>
  b64uDecode((JSON.parse(env.TALOS_KEYSETS!) as Keysets).purposes.head.find(({ status }) => status === "primary")!.key);
const keyOf = (origin: string) => tree.verifierKey({ name: origin, publicKey: publicKey(seed()) });
const policyOf = (origin: string) => utf8(`log ${keyOf(origin)}\nquorum none\n`);
const rows = (sql: string) => rowsOf(log, sql);

/** An event's proof, verified as anybody would. @returns its index and the tree's name */
async function proved(event: {
  event_id: string;
  body: string;
}): Promise<{ index: number; origin: string; size: number }> {
  const proof = await log.proof({ event_id: event.event_id });
  if (!proof.ok) throw new Error(proof.code);
  expect(proof.event).toBe(event.body);
  const leaf = tree.leafHash(utf8(event.body));
  const said = await tree.verifyProof({ file: utf8(proof.log_proof), leaf, policy: policyOf(proof.origin) });
  expect(said).toMatchObject({ origin: proof.origin, size: proof.size });
  expect(tree.readProofFile(utf8(proof.log_proof)).index).toBe(proof.index);
  return { index: proof.index, origin: proof.origin, size: proof.size };
}

/** What a tree has published, verified: its head, every tile and every bundle. */
async function audited({ origin, size, first_seq }: LogEpoch): Promise<void> {
  const note = utf8((await log.checkpoint(origin))!);
  const head = await tree.verifyCheckpoint({ note, policy: policyOf(origin) });
  expect(head).toMatchObject({ origin, size });
  const file = async (path: string) => (await log.tile(path, origin))!;
  expect(await tree.treeRoot(size, file)).toEqual(head.root);
  const folder = (await log.folder(origin))!;
  expect(folder).toBe(first_seq === 0 ? name : `${name}/@${first_seq}`);
  for (let index = 0; ; index += 1) {
    const path = tree.tileAt("entries", index, size);
    if (path === undefined) break;
    const there = await env.AUDIT_TILES.get(`${path.includes(".p/") ? "p" : "f"}/${folder}/${path}`);
    const bytes = new Uint8Array(await there!.arrayBuffer());
    expect(bytes).toEqual(await file(path));
    expect(tree.bundleLeaves(bytes)).toEqual(await file(tree.tileAt(0, index, size)!));
  }
}

describe("a log that has grown large", () => {
  it("is rotated: a last event and a last head, then a tree of another name; numbers go on, and all proofs hold", async () => {
    const early: { index: number; origin: string }[] = [];
    for (let i = 0; i < 8; i += 1) {
      await append(100);
      await log.flush();
      if (i === 1) early.push(await proved(appended[0]!));
    }
    const epochs = await log.log();
    expect(epochs.map(({ first_seq, size, frozen }) => ({ first_seq, size, frozen }))).toEqual([
      { first_seq: 0, size: 301, frozen: true },
      { first_seq: 301, size: 301, frozen: true },
      { first_seq: 602, size: 200, frozen: false },
    ]);
    expect(new Set(epochs.map(({ origin }) => origin)).size).toBe(3);
    for (const epoch of epochs) {
      expect(epoch.keys).toEqual([keyOf(epoch.origin)]);
      expect(epoch.published).toBe(epoch.size);
      await audited(epoch);
    }
    const last = (await log.read(300, 1)).rows[0]!;
    const frozen = JSON.parse(last.body) as AuditEventV2;
    expect(validate("audit/event-v2", frozen).ok).toBe(true);
    expect(frozen).toMatchObject({ kind: "frozen", meta: { first_seq: 0, origin: epochs[0]!.origin } });
    expect(await proved(last)).toEqual({ index: 300, origin: epochs[0]!.origin, size: 301 });
    for (const [at, event] of appended.entries()) {
      if (at % 37 !== 0) continue;
      const found = (await log.get(event.event_id))!;
      const epoch = epochs.findLast(({ first_seq }) => first_seq <= found.seq)!;
      expect(await proved(event)).toMatchObject({ index: found.seq - epoch.first_seq, origin: epoch.origin });
    }
    expect((await proved(appended[0]!)).origin).toBe(early[0]!.origin);
    expect(await log.status()).toMatchObject({
      next_seq: 802,
      sealed_size: 802,
      published_size: 802,
      handed_size: 802,
    });
    // Every tree's last head reached the meta-log.
    for (const { origin, size } of epochs)
      expect(handed.filter((head) => head.origin === origin).at(-1)!.size).toBe(size);
    expect(testDatabase().rows.get(name)).toHaveLength(802);
  });

  it("is rotated when it is old, by the clock of its first event, and an empty tree is not", async () => {
    shared.talosLogBounds[name] = { ms: 1_000_000 };
    await evictDurableObject(log);
    await bind();
    await append(2);
    await log.flush();
    await rows("UPDATE batches SET time_ms = time_ms - 1000001");
    await log.flush();
    await log.flush();
    expect((await log.log()).map(({ size, frozen }) => ({ size, frozen }))).toEqual([{ size: 3, frozen: true }]);
    // The tree that was begun has no name yet: the log is what its last one says.
    const [{ origin }] = (await epochs()) as [LogEpoch];
    expect(await log.facts()).toEqual({ origin, appended: 3, sealed: 3, published: 3, forked: false });
    await append(1);
    await log.flush();
    expect((await log.log()).map(({ first_seq, size }) => ({ first_seq, size }))).toEqual([
      { first_seq: 0, size: 3 },
      { first_seq: 3, size: 1 },
    ]);
  });

  it("seals in the new tree while the bucket is down, and publishes the old one's last head before the new one's first", async () => {
    await append(200);
    await log.flush();
    const dead = async () => {
      throw new Error("the bucket is down (test)");
    };
    await bind({ AUDIT_TILES: { get: dead, put: dead } });
    for (let i = 0; i < 2; i += 1) {
      await append(150);
      await log.flush();
    }
    expect(await log.status()).toMatchObject({ sealed_size: 501, published_size: 200, forked: false });
    // Only the new tree's files could be written: its head would stand before the old one's last.
    const half = (...args: Parameters<R2Bucket["put"]>) =>
      args[0].includes("@") ? env.AUDIT_TILES.put(...args) : dead();
    await bind({ AUDIT_TILES: { get: (key: string) => env.AUDIT_TILES.get(key), put: half } });
    await log.flush();
    expect(await env.AUDIT_TILES.head(`c/${name}/@351/checkpoint`)).toBeNull();
    const heads: string[] = [];
    const put = (...args: Parameters<R2Bucket["put"]>) => {
      if (args[0].startsWith("c/")) heads.push(args[0]);
      return env.AUDIT_TILES.put(...args);
    };
    handed = [];
    await bind({ AUDIT_TILES: { get: (key: string) => env.AUDIT_TILES.get(key), put } });
    await log.flush();
    const [old, current] = (await epochs()) as [LogEpoch, LogEpoch];
    expect(heads).toEqual([`c/${name}/checkpoint`, `c/${name}/@351/checkpoint`]);
    expect(new Map(handed.map(({ origin, size }) => [origin, size]))).toEqual(
      new Map([old, current].map(({ origin, size }) => [origin, size])),
    );
    await audited(old);
    await audited(current);
  });

  it("comes to the same, wherever it dies: at each transaction and each write to the bucket of a rotation", async () => {
    for (const kind of ["transaction", "put"] as const) {
      for (const after of [false, true]) {
        for (let at = 0; ; at += 1) {
          await append(250);
          let steps = 0;
          const died = <T>(run: () => T): T => {
            const mine = steps++;
            if (mine === at && !after) throw new Error("died before a step (test)");
            const done = run();
            if (mine === at && after) throw new Error("died after a step (test)");
            return done;
          };
          await runInDurableObject(log, async (instance, { storage }) => {
            const real = storage.transactionSync.bind(storage);
            if (kind === "transaction") {
              (storage as unknown as { transactionSync: typeof real }).transactionSync = (run) => died(() => real(run));
            } else {
              const inside = instance as unknown as { env: object };
              const bucket = env.AUDIT_TILES;
              const put = async (...args: Parameters<R2Bucket["put"]>) => {
                const mine = steps++;
                if (mine === at && !after) throw new Error("died before a put (test)");
                const done = await bucket.put(...args);
                if (mine === at && after) throw new Error("died after a put (test)");
                return done;
              };
              inside.env = { ...inside.env, AUDIT_TILES: { get: (key: string) => bucket.get(key), put } };
            }
            await instance.flush();
            storage.transactionSync = real;
          });
          await evictDurableObject(log);
          await bind();
          await log.flush();
          await log.flush();
          const status = await log.status();
          expect(status).toMatchObject({
            sealed_size: status.next_seq,
            published_size: status.next_seq,
            forked: false,
          });
          if (steps <= at) break;
        }
      }
    }
    const epochs = await log.log();
    expect(epochs.length).toBeGreaterThan(3);
    let next = 0;
    for (const epoch of epochs) {
      expect(epoch.first_seq).toBe(next);
      next += epoch.size;
      await audited(epoch);
      const last = (await log.read(next - 1, 1)).rows[0]!;
      expect((JSON.parse(last.body) as AuditEventV2).kind === "frozen").toBe(epoch.frozen);
    }
    expect(next).toBe((await log.status()).next_seq);
    const { rows: all } = { rows: testDatabase().rows.get(name)! };
    expect(all).toHaveLength(next);
    expect(new Set(all).size).toBe(next);
  }, 120_000);

  it("stops when the rows were restored to before a rotation", async () => {
    await append(200);
    await append(99);
    await log.flush();
    await log.flush();
    const [{ size, published }] = (await epochs()) as [LogEpoch];
    expect([size, published]).toEqual([300, 300]);
    await append(5);
    await log.flush();
    expect(await log.log()).toHaveLength(2);
    // As the storage stood when the new tree was begun: it would draw another name for events that are published already.
    await rows("DELETE FROM tree_300");
    await rows("DELETE FROM tiles_300");
    await rows("DELETE FROM published_300");
    await evictDurableObject(log);
    expect(await log.append({ events: [auditEvent(name)] })).toEqual({ ok: false, code: "audit.forked" });
  });
});

describe("a stretch of the log", () => {
  it("is of one tree, says where it begins and that more follows, and is verified by itself", async () => {
    for (let i = 0; i < 5; i += 1) {
      await append(100);
      await log.flush();
    }
    const [, current] = (await epochs()) as [LogEpoch, LogEpoch];
    expect(await log.range(250, 400)).toMatchObject({ ok: true, first_seq: 0, to: 301, size: 301, more: true });
    const range = await log.range(310, 400);
    if (!range.ok) throw new Error(range.code);
    expect(range).toMatchObject({ first_seq: 301, to: 400, size: 200, more: true, origin: current.origin });
    const rows = (await log.read(310, 90)).rows;
    const leaves = new Uint8Array(90 * tree.HASH_BYTES);
    for (const [i, { body }] of rows.slice(0, 90).entries()) leaves.set(tree.leafHash(utf8(body)), i * tree.HASH_BYTES);
    const stretch = tree.extend({ size: 9, subtrees: range.subtrees }, leaves);
    const head = await tree.verifyCheckpoint({ note: utf8(range.checkpoint), policy: policyOf(range.origin) });
    tree.checkConsistency({ old: stretch, head, hashes: range.consistency });
    expect(await log.range(490, 900)).toMatchObject({ ok: true, to: 501, more: false });
  });
});

describe("an event of an epoch that is over", () => {
  it("is known: appended again it has its promise, with another leaf it is a conflict, its outcome may still come", async () => {
    await append(200);
    const first = appended[0]!;
    const [{ event_id }] = appended as [AppendEvent];
    const before = await log.append({ events: [first] });
    await append(200);
    await log.flush();
    await append(1);
    await log.flush();
    expect(await log.log()).toHaveLength(2);
    expect(await log.append({ events: [first] })).toEqual(before);
    expect(await log.append({ events: [auditEvent(name, { event_id, meta: { other: true } })] })).toMatchObject({
      code: "audit.event_conflict",
    });
    expect(await log.append({ events: [outcome(name, event_id)] })).toMatchObject({ ok: true });
  });
});
