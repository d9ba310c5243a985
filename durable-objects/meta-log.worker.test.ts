import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import type { Keysets } from "@talos/contracts";
import { b64uDecode, publicKey } from "@talos/core";
import * as tree from "@talos/core/log";
import { beforeEach, describe, expect, it } from "vitest";
import { headKeys, metaKeys, metaOrigin } from "./meta-key.ts";
import type { MetaLog } from "./meta-log.ts";
import type { MetaHead } from "./types.ts";

const keysets = () => JSON.parse(env.TALOS_KEYSETS!) as Keysets;
const primary = () => keysets().purposes.head.find(({ status }) => status === "primary")!.key;
const utf8 = (text: string) => new TextEncoder().encode(text);
const ORIGIN = metaOrigin("talos.test");

/** The deployment has one; a name for each test keeps their rows apart. */
let meta: DurableObjectStub<MetaLog>;
let count = 0;
beforeEach(() => {
  count += 1;
  meta = env.META_LOG.getByName(`meta-${count}`);
});

async function sign(text: string, name: string, seed: string): Promise<string> {
  const der = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20, ...b64uDecode(seed)];
  const key = await crypto.subtle.importKey("pkcs8", Uint8Array.from(der), "Ed25519", false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key, utf8(text)));
  return tree.note(text, [tree.signatureLine({ name, publicKey: publicKey(b64uDecode(seed)) }, signature)]);
}

/** A head that a tenant's log published. */
async function head(size: number, more: Partial<MetaHead> & { seed?: string } = {}): Promise<MetaHead> {
  const origin = more.origin ?? `talos.test/log/one-${count}`;
  const root = more.root ?? new Uint8Array(32).fill(size % 256);
  const note = more.note ?? (await sign(tree.checkpointText(origin, { size, root }), origin, more.seed ?? primary()));
  return { log: "tenant-1", origin, size, root, note };
}

const rows = () =>
  runInDurableObject(meta, (_, { storage }) => storage.sql.exec("SELECT * FROM heads ORDER BY leaf").toArray());

async function policy(quorum = "none"): Promise<Uint8Array> {
  const keys = await metaKeys(keysets(), ORIGIN);
  return utf8(`${keys.map((key) => `log ${key}\n`).join("")}quorum ${quorum}\n`);
}

describe("adding", () => {
  it("numbers heads as they come, gives the same head the same index, and a leaf is the text of its checkpoint", async () => {
    const heads = [await head(3), await head(5), await head(2, { origin: `talos.test/log/two-${count}` })];
    for (const [index, each] of heads.entries()) expect(await meta.add(each)).toEqual({ ok: true, index });
    await evictDurableObject(meta);
    for (const [index, each] of heads.entries()) expect(await meta.add(each)).toEqual({ ok: true, index });
    await meta.flush();
    const note = utf8(await (await env.AUDIT_TILES.get(`c/@meta-${count}/checkpoint`))!.text());
    const verdict = await tree.verifyCheckpoint({ note, policy: await policy() });
    expect(verdict).toMatchObject({ origin: ORIGIN, size: 3 });
    const leaves = heads.map(({ origin, size, root }) =>
      tree.leafHash(utf8(tree.checkpointText(origin, { size, root }))),
    );
    const all = new Uint8Array(96);
    for (const [i, leaf] of leaves.entries()) all.set(leaf, i * 32);
    expect(verdict.root).toEqual(tree.extend({ size: 0, subtrees: new Uint8Array(0) }, all).root);
    expect(await meta.status()).toMatchObject({ origin: ORIGIN, heads: 3, sealed_size: 3, published_size: 3 });
  });

  it("keeps the order of calls that are under way at once", async () => {
    const heads = await Promise.all(Array.from({ length: 20 }, (_, i) => head(i + 1)));
    const answers = await Promise.all(heads.map((each) => meta.add(each)));
    expect(answers).toEqual(heads.map((_, index) => ({ ok: true, index })));
  });

  it.each([
    ["a smaller head than its origin's newest", () => head(4), "audit.forked"],
    ["another root at the newest size", () => head(7, { root: new Uint8Array(32) }), "audit.forked"],
    ["another root at an earlier size", () => head(3, { root: new Uint8Array(32) }), "audit.forked"],
    ["a key that is not of this deployment", () => head(9, { seed: "A".repeat(43) }), "log.signature_invalid"],
    [
      "a note of another root",
      async () => ({ ...(await head(9)), root: new Uint8Array(32) }),
      "log.checkpoint_malformed",
    ],
    ["a note of another size", async () => ({ ...(await head(9)), size: 10 }), "log.checkpoint_malformed"],
    ["a note of another origin", async () => ({ ...(await head(9)), origin: "else" }), "log.origin_unknown"],
    [
      "a signature that does not hold",
      async () => {
        const good = await head(9);
        return { ...good, note: good.note.replace(/.{6}=\n$/, "AAAAAA=\n") };
      },
      "log.",
    ],
    [
      "a further line, which the leaf would not hold",
      async () => {
        const text = `${tree.checkpointText("x", { size: 9, root: new Uint8Array(32) })}more\n`;
        return head(9, { origin: "x", root: new Uint8Array(32), note: await sign(text, "x", primary()) });
      },
      "log.checkpoint_malformed",
    ],
    ["no size", async () => ({ ...(await head(9)), size: 0 }), "contract.invalid"],
    ["half a root", async () => ({ ...(await head(9)), root: new Uint8Array(16) }), "contract.invalid"],
  ] as [string, () => Promise<MetaHead>, string][])("refuses %s, and stores nothing", async (_, made, code) => {
    for (const size of [3, 7]) expect((await meta.add(await head(size))).ok).toBe(true);
    const before = await rows();
    const answer = await meta.add(await made());
    expect(answer).toMatchObject({ ok: false, code: expect.stringContaining(code) });
    expect(await rows()).toEqual(before);
  });

  it("takes a head that a staged key signed, as a deployment that rolls out may", async () => {
    const staged = keysets().purposes.head.find(({ status }) => status === "staged")!.key;
    expect(await meta.add(await head(1, { seed: staged }))).toEqual({ ok: true, index: 0 });
    expect(headKeys(keysets(), "x")).toHaveLength(2);
  });
});

describe("proving", () => {
  it("shows the first head that covers an event, at every earlier and later size of the meta-log", async () => {
    const origin = `talos.test/log/one-${count}`;
    expect(await meta.prove({ origin, index: 0, level: "published" })).toMatchObject({
      ok: false,
      code: "audit.proof_pending",
    });
    const heads = [await head(3), await head(8)];
    for (const each of heads) {
      await meta.add(each);
      await meta.flush();
      for (let i = 0; i < 300; i += 1) await meta.add(await head(i + 1, { origin: `other-${count}-${each.size}` }));
    }
    await meta.flush();
    for (const [index, covers] of [
      [0, 0],
      [2, 0],
      [3, 1],
      [7, 1],
    ] as const) {
      const answer = await meta.prove({ origin, index, level: "published" });
      if (!answer.ok) throw new Error(answer.code);
      expect(answer.head).toEqual({ size: heads[covers]!.size, note: heads[covers]!.note });
      const { size, root } = heads[covers]!;
      const leaf = tree.leafHash(utf8(tree.checkpointText(origin, { size, root })));
      const verdict = await tree.verifyProof({ file: utf8(answer.proof), leaf, policy: await policy() });
      expect(verdict).toMatchObject({ origin: ORIGIN, size: 602 });
    }
    expect(await meta.prove({ origin, index: 8, level: "published" })).toMatchObject({
      ok: false,
      code: "audit.proof_pending",
    });
    expect(await meta.prove({ origin: "nobody", index: 0, level: "published" })).toMatchObject({ ok: false });
  });

  it("prefers what is anchored, demands it where it is asked for, and needs no anchors where less will do", async () => {
    const origin = `talos.test/log/one-${count}`;
    await meta.add(await head(3));
    await meta.flush();
    const old = await runInDurableObject(meta, (instance) => instance.checkpoint()!);
    for (const size of [4, 5]) await meta.add(await head(size));
    await meta.flush();
    const bind = (covering: (size: number) => Promise<unknown>) =>
      runInDurableObject(meta, (instance) => {
        const inside = instance as unknown as { env: object };
        const ots = { covering, list: async () => ({ anchors: [] }), status: async () => ({}) };
        const none = { ...ots, covering: async () => null };
        inside.env = { ...inside.env, ANCHORS: { getByName: (kind: string) => (kind === "ots" ? ots : none) } };
      });
    const anchor = { kind: "ots", file: "AAAA" };
    await bind(async (size) => (size <= 1 ? { size: 1, note: old, anchor, done_ms: 1 } : null));
    for (const level of ["published", "witnessed", "anchored"] as const) {
      const answer = await meta.prove({ origin, index: 2, level });
      if (!answer.ok) throw new Error(answer.code);
      expect(answer).toMatchObject({ level: "anchored", anchors: [anchor], head: { size: 3 } });
      const leaf = tree.leafHash(utf8(`${answer.head.note.split("\n\n")[0]!}\n`));
      expect(await tree.verifyProof({ file: utf8(answer.proof), leaf, policy: await policy() })).toMatchObject({
        size: 1,
      });
    }
    expect(await meta.prove({ origin, index: 3, level: "anchored" })).toMatchObject({ code: "audit.proof_pending" });
    expect(await meta.prove({ origin, index: 3, level: "published" })).toMatchObject({
      level: "published",
      anchors: [],
    });
    // Anchors that say a head of before we ever had it, or do not answer, change nothing of what we know ourselves.
    await bind(async () => ({ size: 9, note: old, anchor, done_ms: 1 }));
    expect(await meta.prove({ origin, index: 3, level: "published" })).toMatchObject({ level: "published" });
    await bind(async () => ({ size: 2, note: old.replace("\n1\n", "\n2\n"), anchor, done_ms: 1 }));
    expect(await meta.prove({ origin, index: 3, level: "published" })).toMatchObject({ level: "published" });
    expect(await meta.prove({ origin, index: 3, level: "anchored" })).toMatchObject({ code: "audit.proof_pending" });
    await bind(() => new Promise(() => undefined));
    expect(await meta.prove({ origin, index: 3, level: "published" })).toMatchObject({ level: "published" });
  });

  it("says how far a log has come: the newest of its heads under what is anchored, and nothing that is not known", async () => {
    const origin = `talos.test/log/one-${count}`;
    const anchor = { kind: "ots", file: "AAAA" };
    const bind = (state: string, list: () => Promise<object>) =>
      runInDurableObject(meta, (instance) => {
        const inside = instance as unknown as { env: object };
        const none = { list: async () => ({ anchors: [] }), status: async () => ({ state: "off" }) };
        const ots = { list, status: async () => ({ state }) };
        inside.env = { ...inside.env, ANCHORS: { getByName: (kind: string) => (kind === "ots" ? ots : none) } };
      });
    const keeps = (size: number, note: string) => bind("idle", async () => ({ anchors: [{ size, note, anchor }] }));
    const checkpoint = () => runInDurableObject(meta, (instance) => instance.checkpoint()!);
    await bind("off", async () => ({ anchors: [] }));
    expect(await meta.reached(origin)).toEqual({});
    await bind("idle", async () => ({ anchors: [] }));
    expect(await meta.reached(origin)).toEqual({ anchored: 0 });
    const notes: string[] = [];
    for (const size of [3, 8, 9]) {
      await meta.add(await head(size));
      await meta.add(await head(size, { origin: `other-${count}` }));
      await meta.flush();
      notes.push(await checkpoint());
    }
    await keeps(4, notes[1]!);
    expect(await meta.reached(origin)).toEqual({ anchored: 8 });
    expect(await meta.reached("nobody")).toEqual({ anchored: 0 });
    await keeps(6, notes[2]!);
    expect(await meta.reached(origin)).toEqual({ anchored: 9 });
    // Another tree's checkpoint, one of before storage was put back, and anchors that are silent or broken say nothing.
    await keeps(4, notes[2]!.replace("\n6\n", "\n4\n"));
    expect(await meta.reached(origin)).toEqual({});
    await keeps(7, notes[2]!.replace("\n6\n", "\n7\n"));
    expect(await meta.reached(origin)).toEqual({});
    await bind("idle", () => new Promise(() => undefined));
    expect(await meta.reached(origin)).toEqual({});
    await bind("idle", () => Promise.reject(new Error("down (test)")));
    expect(await meta.reached(origin)).toEqual({});
  });

  it("shows its heads page by page", async () => {
    const heads: MetaHead[] = [];
    for (let size = 1; size <= 300; size += 1) heads.push(await head(size, { origin: `many-${count}` }));
    for (const each of heads) await meta.add(each);
    const first = await meta.page(0);
    const second = await meta.page(first.next);
    expect([first.heads.length, first.next, second.heads.length, second.next]).toEqual([256, 256, 44, 300]);
    const shown = [...first.heads, ...second.heads].map(({ index, size, note }) => [index, size, note]);
    expect(shown).toEqual(heads.map(({ size, note }, index) => [index, size, note]));
    expect(await meta.page(300)).toEqual({ heads: [], next: 300 });
  });
});
