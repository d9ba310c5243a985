import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { type Keysets, LIMITS } from "@talos/contracts";
import { b64uDecode, publicKey } from "@talos/core";
import * as tree from "@talos/core/log";
import { beforeEach, describe, expect, it } from "vitest";
import type { AuditLog } from "./audit-log.ts";
import { auditEvent } from "../test/durable-objects/events.ts";
import { rebind } from "../test/durable-objects/inside.ts";
import { entriesIn } from "./log-rows.ts";
import { Publisher } from "./publisher.ts";
import { TreeStore } from "./tree-store.ts";
import type { AppendEvent } from "./types.ts";

let count = 0;
let name: string;
let log: DurableObjectStub<AuditLog>;
/** Leaf hashes of everything that was acknowledged, in order: what every head must be a tree over. */
let acknowledged: Uint8Array[];

beforeEach(() => {
  count += 1;
  name = `tree-${count}`;
  log = env.AUDIT_LOGS.getByName(name);
  acknowledged = [];
});

const bucket = () => env.AUDIT_TILES;
/** What the log calls itself: drawn at its first seal. */
const origin = async () => ((await sql("SELECT origin FROM tree"))[0] as { origin: string }).origin;
const utf8 = (text: string) => new TextEncoder().encode(text);
const seed = () =>
  b64uDecode((JSON.parse(env.TALOS_KEYSETS!) as Keysets).purposes.head.find(({ status }) => status === "primary")!.key);

const event = (): AppendEvent => auditEvent(name, { meta: { text: "é" } });

async function append(many: number): Promise<void> {
  for (let left = many; left > 0; left -= 100) {
    const events = Array.from({ length: Math.min(left, 100) }, event);
    const answer = await log.append({ events });
    if (!answer.ok) throw new Error(answer.code);
    expect(answer.seqs[0]).toBe(acknowledged.length);
    acknowledged.push(...events.map(({ leaf_hash }) => b64uDecode(leaf_hash)));
  }
}

const rootOf = (size: number) => {
  const leaves = new Uint8Array(size * 32);
  for (const [i, leaf] of acknowledged.slice(0, size).entries()) leaves.set(leaf, i * 32);
  return tree.extend({ size: 0, subtrees: new Uint8Array(0) }, leaves).root;
};

async function file(path: string): Promise<Uint8Array> {
  const found = await bucket().get(`${path.includes(".p/") ? "p" : "f"}/${name}/${path}`);
  if (found === null) throw new Error(`${path} is not published`);
  return new Uint8Array(await found.arrayBuffer());
}

/** The published head, verified as anybody would: signature, and a tree over what was acknowledged. */
async function published(): Promise<tree.Head & { origin: string }> {
  const note = utf8(await (await bucket().get(`c/${name}/checkpoint`))!.text());
  const named = await origin();
  const policy = utf8(`log ${tree.verifierKey({ name: named, publicKey: publicKey(seed()) })}\nquorum none\n`);
  const head = await tree.verifyCheckpoint({ note, policy });
  expect(head.origin).toBe(named);
  expect(head.root).toEqual(rootOf(head.size));
  expect(await tree.treeRoot(head.size, file)).toEqual(head.root);
  for (let index = 0; ; index += 1) {
    const path = tree.tileAt("entries", index, head.size);
    if (path === undefined) break;
    expect(tree.bundleLeaves(await file(path))).toEqual(await file(tree.tileAt(0, index, head.size)!));
  }
  return head;
}

type Put = Parameters<R2Bucket["put"]>;
/** Put something else in the bucket's place, for this instance of the object only. */
const replace = (AUDIT_TILES: Pick<R2Bucket, "get" | "put">) => rebind(log, { AUDIT_TILES });
const down = { get: dead, put: dead } as unknown as R2Bucket;
async function dead(): Promise<never> {
  throw new Error("the bucket is down (test)");
}
const sql = (statement: string, ...values: SqlStorageValue[]) =>
  runInDurableObject(log, (_, { storage }) => storage.sql.exec(statement, ...values).toArray());

describe("publishing", () => {
  it("gives tiles, bundles and a signed head over everything acknowledged, and each head extends the one before", async () => {
    const heads: tree.Head[] = [];
    for (const many of [1, 254, 1, 1, 600, 3]) {
      await append(many);
      await log.flush();
      heads.push(await published());
      expect(heads.at(-1)!.size).toBe(acknowledged.length);
    }
    const head = heads.at(-1)!;
    for (const old of heads) {
      const hashes = await tree.consistencyProof(old.size, head.size, file);
      tree.checkConsistency({ old, head, hashes });
    }
    for (const index of [0, 255, 256, 511, 859]) {
      const hashes = await tree.inclusionProof(index, head.size, file);
      tree.checkInclusion({ index, leaf: acknowledged[index]!, hashes, head });
    }
    expect(await log.status()).toMatchObject({
      sealed_size: 860,
      published_size: 860,
      publish_failures: 0,
      forked: false,
    });
  });

  it("has a few files at once on their way, however many there are", async () => {
    await append(1_500);
    let [now, most] = [0, 0];
    await replace({
      get: (...args: [string]) => bucket().get(...args),
      put: async (...args: Put) => {
        now += 1;
        most = Math.max(most, now);
        const done = await bucket().put(...args);
        now -= 1;
        return done;
      },
    } as unknown as R2Bucket);
    await log.flush();
    expect((await published()).size).toBe(1_500);
    expect(most).toBe(4);
  });

  it("has a drawn name, which tells nobody whose log it is, and keeps it; one that was named before keeps that", async () => {
    await append(1);
    await log.flush();
    const drawn = await origin();
    expect(drawn).toMatch(/^talos\.test\/log\/[A-Za-z0-9_-]{22}$/);
    await evictDurableObject(log);
    await append(1);
    await log.flush();
    expect([await origin(), (await published()).origin]).toEqual([drawn, drawn]);

    name += "-old";
    log = env.AUDIT_LOGS.getByName(name);
    acknowledged = [];
    await append(1);
    await runInDurableObject(log, (_, { storage }) => {
      const source = { entries: (first: number, end: number) => entriesIn(storage.sql, first, end) };
      new TreeStore(storage, source).seal(1, () => `talos.test/t/${name}/audit`);
    });
    await append(1);
    await log.flush();
    expect((await published()).origin).toBe(`talos.test/t/${name}/audit`);
  });

  it("goes on after an eviction, keeps its name, and writes nothing when there is nothing new", async () => {
    await append(3);
    await log.flush();
    const { etag } = (await bucket().head(`c/${name}/checkpoint`))!;
    await evictDurableObject(log);
    await rebind(log, { TALOS_ORIGIN: "https://elsewhere.example" });
    await log.flush();
    expect((await bucket().head(`c/${name}/checkpoint`))!.etag).toBe(etag);
    await append(2);
    await log.flush();
    expect((await published()).size).toBe(5);
  });

  it("comes to the same, wherever it dies: before or after each write to the bucket", async () => {
    await append(250);
    await log.flush();
    let size = 250;
    let died = 0;
    for (const after of [false, true]) {
      for (let at = 0; ; at += 1) {
        await append(257);
        let puts = 0;
        await replace({
          get: (...args: [string]) => bucket().get(...args),
          put: async (...args: Put) => {
            const mine = puts++;
            if (mine === at && !after) throw new Error("died before a put (test)");
            const done = await bucket().put(...args);
            if (mine === at && after) throw new Error("died after a put (test)");
            return done;
          },
        } as unknown as R2Bucket);
        await log.flush();
        const before = await published();
        expect([size, acknowledged.length]).toContain(before.size);
        await evictDurableObject(log);
        await log.flush();
        const head = await published();
        expect(head.size).toBe(acknowledged.length);
        tree.checkConsistency({ old: before, head, hashes: await tree.consistencyProof(before.size, head.size, file) });
        size = head.size;
        expect((await log.status()).forked).toBe(false);
        if (puts <= at) break; // it died nowhere: every write was tried
        died += 1;
      }
    }
    expect(died).toBeGreaterThanOrEqual(12);
  });

  it("goes on appending while the bucket is down, and catches up", async () => {
    await append(3);
    await replace(down);
    await log.flush();
    await append(300);
    await log.flush();
    expect(await log.status()).toMatchObject({
      sealed_size: 303,
      published_size: 0,
      publish_failures: 2,
      forked: false,
    });
    await replace(bucket());
    await log.flush();
    expect((await published()).size).toBe(303);
  });

  it("refuses by name when what is promised cannot be published in time, and takes events again after", async () => {
    await append(3);
    await sql("UPDATE batches SET time_ms = time_ms - 600001");
    await append(1); // late, but nothing failed: the next alarm publishes
    await replace(down);
    await log.flush();
    expect(await log.append({ events: [event()] })).toEqual({ ok: false, code: "audit.backlogged" });
    await replace(bucket());
    await log.flush();
    await append(1);
  });
});

describe("sealing", () => {
  it("is whole or not at all", async () => {
    await append(300);
    await runInDurableObject(log, (_, { storage }) => {
      const torn = {
        sql: storage.sql,
        transactionSync: (run: () => unknown) => storage.transactionSync(() => tear(run)),
      };
      const source = { entries: (first: number, end: number) => entriesIn(storage.sql, first, end) };
      const origin = () => "talos.test/log/any";
      expect(() => new TreeStore(torn as unknown as DurableObjectStorage, source).seal(300, origin)).toThrow(
        "before the commit",
      );
      const store = new TreeStore(storage, source);
      expect([store.sealed(), storage.sql.exec("SELECT * FROM tiles").toArray()]).toEqual([undefined, []]);
      expect(store.seal(300, origin)).toBe(300);
      expect(store.seal(300, origin)).toBe(0);
    });
    await evictDurableObject(log);
    await log.flush();
    expect((await published()).size).toBe(300);
  });

  it("does not build on tiles that somebody changed", async () => {
    await append(3);
    await log.flush();
    await sql("UPDATE tiles SET hashes = zeroblob(96) WHERE path = 'tile/0/000'");
    await append(1);
    await log.flush();
    expect(await log.append({ events: [event()] })).toEqual({ ok: false, code: "audit.forked" });
    expect(await log.status()).toMatchObject({ sealed_size: 3, published_size: 3, forked: true });
  });
});

function tear(run: () => unknown): never {
  run();
  throw new Error("died before the commit (test)");
}

describe("what is not the published log", () => {
  const forked = async () => {
    await evictDurableObject(log);
    expect(await log.append({ events: [event()] })).toEqual({ ok: false, code: "audit.forked" });
    const { etag } = (await bucket().head(`c/${name}/checkpoint`)) ?? { etag: "" };
    await log.flush();
    expect(((await bucket().head(`c/${name}/checkpoint`)) ?? { etag: "" }).etag).toBe(etag);
    expect((await log.status()).forked).toBe(true);
  };
  const checkpoint = async () => (await bucket().get(`c/${name}/checkpoint`))!.text();

  beforeEach(async () => {
    await append(5);
    await log.flush();
  });

  it("a bucket that is ahead of the rows: they were restored", async () => {
    const old = await sql("SELECT * FROM tree");
    const tile = await sql("SELECT hashes FROM tiles WHERE path = 'tile/0/000'");
    await append(2);
    await log.flush();
    const { size, root } = old[0] as { size: number; root: ArrayBuffer };
    await sql("UPDATE tree SET size = ?, root = ?", size, root);
    await sql("UPDATE tiles SET hashes = ? WHERE path = 'tile/0/000'", tile[0]!.hashes as ArrayBuffer);
    await sql("DELETE FROM published");
    await sql("DELETE FROM batches WHERE first_seq >= 5");
    await forked();
  });

  it("a head of the same size over another tree", async () => {
    const text = await checkpoint();
    const other = tree.checkpointText(await origin(), { size: 5, root: new Uint8Array(32) });
    await bucket().put(`c/${name}/checkpoint`, text.replace(/^(?:.*\n){3}/, other));
    await forked();
  });

  it("a head that is older than what was published", async () => {
    const text = await checkpoint();
    await append(2);
    await log.flush();
    await bucket().put(`c/${name}/checkpoint`, text);
    await forked();
  });

  it("an empty bucket", async () => {
    await bucket().delete(`c/${name}/checkpoint`);
    await forked();
  });

  it("a file that is there with other bytes", async () => {
    await append(251);
    await bucket().put(`f/${name}/tile/entries/000`, "other");
    await log.flush();
    expect(await log.status()).toMatchObject({ published_size: 5, forked: true });
  });

  it("a stored event that was changed after it was sealed", async () => {
    await append(2);
    await replace(down);
    await log.flush();
    await sql("UPDATE texts SET events = replace(events, 'é', 'e') WHERE first_seq = 5");
    await replace(bucket());
    await log.flush();
    expect(await log.status()).toMatchObject({ sealed_size: 7, published_size: 5, forked: true });
  });

  it("a tile that was changed after it was sealed", async () => {
    await append(2);
    await replace(down);
    await log.flush();
    await sql("UPDATE tiles SET hashes = zeroblob(224) WHERE path = 'tile/0/000'");
    await replace(bucket());
    await log.flush();
    expect(await log.status()).toMatchObject({ sealed_size: 7, published_size: 5, forked: true });
  });

  it("is not a bucket that cannot be read at a start: appending goes on, nothing is signed until it was seen", async () => {
    await append(2);
    await replace(down);
    await log.flush();
    await append(1);
    expect((await log.status()).forked).toBe(false);
    await replace(bucket());
    await log.flush();
    expect((await published()).size).toBe(8);
  });
});

describe("the pace of publishing", () => {
  it("is quicker while a whole slice and more is behind, and the ordinary one otherwise", () => {
    const behindBy = (size: number): number | null => {
      const head = (of: number) => ({ origin: "log.example", size: of, root: new Uint8Array(32), note: "", etag: "" });
      const tree = { sealed: () => head(100_000), published: () => head(100_000 - size) } as unknown as TreeStore;
      const names = { full: "f/x", partial: "p/x", checkpoint: "c/x" };
      return new Publisher({ log: "x", tree, bucket, names, seed: () => "" }).waitMs(0);
    };
    expect(behindBy(0)).toBeNull();
    expect(behindBy(1)).toBe(LIMITS.audit_publish_ms);
    expect(behindBy(LIMITS.audit_publish_events - 1)).toBe(LIMITS.audit_publish_ms);
    expect(behindBy(LIMITS.audit_publish_events)).toBe(LIMITS.audit_publish_soon_ms);
  });
});
