import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { LIMITS } from "@talos/contracts";
import { filterLoad } from "@talos/core";
import { beforeEach, describe, expect, it } from "vitest";
import {
  audOf,
  delegate,
  headOf,
  type Person,
  person,
  recorded,
  signPolicy,
  snapshot,
  statement,
} from "../test/durable-objects/tenant.ts";
import type { TenantHead } from "./tenant-head.ts";
import type { Published, Revoked } from "./types.ts";

let tenant: string;
let head: DurableObjectStub<TenantHead>;
let tenants = 50; // tenant-head.worker.test.ts takes those below
const anchor = person();

beforeEach(() => {
  tenant = `tenant-${tenants}`;
  tenants += 1;
  head = env.TENANT_HEADS.getByName(tenant);
});

const publish = async (version: number): Promise<Published> =>
  head.publish(signPolicy(snapshot(tenant, version, [anchor])).jws, {
    request_id: "01900000-0000-7000-8000-000000000001",
  });
const revoke = async (signed: string, chain: string): Promise<Revoked> =>
  head.revoke({ statement: signed, chain, aud: audOf(tenant) });

describe("a revocation", () => {
  const [b, c, d] = [person(), person(), person()];
  const stranger = person();

  it("by whoever stands above the link is in force when it is answered, with look-up, body and record", async () => {
    await publish(1);
    const { chain, ids } = delegate(tenant, [anchor, b, c, d]);
    for (const signer of [anchor, b, c]) {
      const { chain: other, ids: links } = delegate(tenant, [anchor, b, c, d]);
      expect(await revoke(statement(tenant, signer, { kind: "link", link: links[2]! }), other)).toMatchObject({
        ok: true,
      });
    }
    const answer = await revoke(statement(tenant, b, { kind: "link", link: ids[2]! }), chain);
    expect(answer).toMatchObject({ ok: true, rev_seq: 4, entries: [`link:${ids[2]}`], repeated: false });
    const inForce = await headOf(tenant);
    expect(inForce.rev_seq).toBe(4);
    const items = [`link:${ids[2]}`, `link:${ids[1]}`];
    expect(await head.lookup(items)).toEqual({ rev_seq: 4, items: { [items[0]!]: [items[0]], [items[1]!]: [] } });
    const body = (await head.revocations(inForce.rev_hash))!;
    expect(filterLoad({ body, tenant, expected_hash: inForce.rev_hash }).rev_seq).toBe(4);
    expect(await env.SNAPSHOTS.get(`rev/${inForce.rev_hash}`)).toBe(body);
    expect((await recorded(tenant)).at(-1)).toMatchObject({
      kind: "key",
      surface_id: "revocations.create",
      principal: { auth_mode: "statement", did: b.did, jkt: b.jkt },
      capability: { links: ids },
      revocation: { entries: [`link:${ids[2]}`] },
      head: { rev_seq: 4, rev_hash: inForce.rev_hash },
    });
  }, 30_000);

  it("without authority changes nothing", async () => {
    await publish(1);
    const { chain, ids } = delegate(tenant, [anchor, b, c, d]);
    const last = ids[2]!;
    const refused: [Person, Parameters<typeof statement>[2]][] = [
      [d, { kind: "link", link: last }], // its holder
      [stranger, { kind: "link", link: last }],
      [c, { kind: "link", link: ids[0]! }], // above itself, and not the chain's last
      [d, { kind: "key", jkt: b.jkt }], // another's key
      [c, { kind: "key", jkt: b.jkt, under: last }], // not the holder of the last link
      [b, { kind: "key", jkt: stranger.jkt, anchor: anchor.did }], // not the anchor
      [d, { kind: "epoch", jkt: b.jkt, epoch: 5 }],
      [stranger, { kind: "key", jkt: stranger.jkt }], // occurs nowhere in the chain
    ];
    for (const [signer, what] of refused) {
      expect(await revoke(statement(tenant, signer, what), chain), JSON.stringify(what)).toMatchObject({
        code: "revocation.not_authorized",
      });
    }
    expect(await headOf(tenant)).toMatchObject({ rev_seq: 0 });
    expect(await recorded(tenant)).toHaveLength(1);
    expect((await head.lookup([`key:${b.jkt}`])).items).toEqual({ [`key:${b.jkt}`]: [] });
  });

  it("of a key by itself, by a granter below his link, and by an anchor stand beside each other", async () => {
    await publish(1);
    const { chain, ids } = delegate(tenant, [anchor, b, c]);
    const item = `key:${c.jkt}`;
    await Promise.all([
      revoke(statement(tenant, c, { kind: "key", jkt: c.jkt }), chain),
      revoke(statement(tenant, c, { kind: "key", jkt: d.jkt, under: ids[1]! }), chain),
      revoke(statement(tenant, anchor, { kind: "key", jkt: c.jkt, anchor: anchor.did }), chain),
    ]);
    const { items } = await head.lookup([item, `key:${d.jkt}`]);
    expect(items[item]).toEqual([item, `${item}:anchor:${anchor.did}`]);
    expect(items[`key:${d.jkt}`]).toEqual([`key:${d.jkt}:under:${ids[1]}`]);
  });

  it("of an epoch never goes down", async () => {
    await publish(1);
    const { chain } = delegate(tenant, [anchor, b, c]);
    const epoch = (n: number) => revoke(statement(tenant, b, { kind: "epoch", jkt: b.jkt, epoch: n }), chain);
    expect(await epoch(5)).toMatchObject({ ok: true, rev_seq: 1, repeated: false });
    expect(await epoch(3)).toMatchObject({ ok: true, rev_seq: 1, repeated: true });
    expect(await epoch(7)).toMatchObject({ ok: true, rev_seq: 2, repeated: false });
    expect((await head.lookup([`epoch:${b.jkt}`])).items).toEqual({ [`epoch:${b.jkt}`]: [`epoch:${b.jkt}:7`] });
  });

  it("said again gets the first answer and makes no second head", async () => {
    await publish(1);
    const { chain, ids } = delegate(tenant, [anchor, b, c]);
    const signed = statement(tenant, anchor, { kind: "link", link: ids[1]! });
    const first = await revoke(signed, chain);
    expect(await revoke(signed, chain)).toEqual({ ...first, repeated: true });
    await evictDurableObject(head);
    expect(await revoke(signed, chain)).toEqual({ ...first, repeated: true });
    expect(await headOf(tenant)).toMatchObject({ rev_seq: 1 });
    expect(await recorded(tenant)).toHaveLength(2);
  });

  it("said again later keeps the entry longer, without a new head", async () => {
    await publish(1);
    const { chain } = delegate(tenant, [anchor, b, c]);
    const own = () => revoke(statement(tenant, c, { kind: "key", jkt: c.jkt }), chain);
    await own();
    const soon = Math.floor(Date.now() / 1000) + 100;
    const expires = "SELECT expires_at FROM entries";
    await runInDurableObject(head, (_, { storage }) => storage.sql.exec("UPDATE entries SET expires_at = ?", soon));
    expect(await own()).toMatchObject({ ok: true, rev_seq: 1, repeated: true });
    const [row] = await runInDurableObject(head, (_, { storage }) => storage.sql.exec(expires).toArray());
    expect(row!.expires_at).toBeGreaterThan(soon + LIMITS.capability_life_seconds / 2);
  });

  it("is never looked up in part: an item with more entries than an answer holds gets none", async () => {
    await publish(1);
    const item = `key:${c.jkt}`;
    await runInDurableObject(head, async (instance: TenantHead, { storage }) => {
      for (let i = 0; i <= LIMITS.lookup_entries; i += 1) {
        storage.sql.exec("INSERT INTO entries VALUES (?, ?, 'root', 9999999999, 0)", `${item}:under:${i}`, item);
      }
      await expect(instance.lookup([item])).rejects.toMatchObject({ code: "head.inconsistent" });
      const many = Array.from({ length: LIMITS.lookup_items + 1 }, (_, i) => `link:${i}`);
      await expect(instance.lookup(many)).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    });
  });

  it("shares one head with those that come within a second, and each answer comes after it", async () => {
    await publish(1);
    const began = Date.now();
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { chain, ids } = delegate(tenant, [anchor, b, person()]);
        const answer = await revoke(statement(tenant, b, { kind: "link", link: ids[1]! }), chain);
        const { items } = await head.lookup([`link:${ids[1]}`]);
        expect(items[`link:${ids[1]}`]).toHaveLength(1);
        return answer;
      }),
    );
    expect(answers.every(({ ok }) => ok)).toBe(true);
    const { rev_seq } = await headOf(tenant);
    expect(rev_seq).toBeLessThanOrEqual(1 + Math.ceil((Date.now() - began) / LIMITS.head_advance_ms));
    expect(rev_seq).toBeLessThan(5);
  });

  it("waits until a second has passed since the last head", async () => {
    await publish(1);
    const times = [Date.now()];
    for (let i = 0; i < 2; i += 1) {
      const { chain, ids } = delegate(tenant, [anchor, b, person()]);
      await revoke(statement(tenant, b, { kind: "link", link: ids[1]! }), chain);
      times.push(Date.now());
    }
    expect(await headOf(tenant)).toMatchObject({ rev_seq: 2 });
    expect(times[2]! - times[0]!).toBeGreaterThan(2 * LIMITS.head_advance_ms - 200);
  });

  it("is refused beyond what a root may have, but not for those above who need room", async () => {
    await publish(1);
    const { chain, ids } = delegate(tenant, [anchor, b, c]);
    const other = (i: number) => `${String(i).padStart(42, "x")}A`;
    await runInDurableObject(head, (_, { storage }) => {
      for (let i = 0; i < LIMITS.revocations_per_root - 150; i += 1) {
        storage.sql.exec(
          "INSERT INTO entries VALUES (?, ?, ?, ?, 0)",
          `link:${other(i)}`,
          `link:${other(i)}`,
          ids[0]!,
          Date.now(),
        );
      }
    });
    const what = { kind: "link", link: ids[1]! } as const;
    expect(await revoke(statement(tenant, b, what), chain)).toEqual({ ok: false, code: "revocation.limit" });
    expect(await revoke(statement(tenant, b, { kind: "epoch", jkt: b.jkt, epoch: 1 }), chain)).toMatchObject({
      ok: true,
    });
    expect(await revoke(statement(tenant, anchor, what), chain)).toMatchObject({ ok: true });
  });

  it("needs a policy, since nobody is an anchor without one", async () => {
    const { chain, ids } = delegate(tenant, [anchor, b]);
    const answer = await revoke(statement(tenant, anchor, { kind: "link", link: ids[0]! }), chain);
    expect(answer).toMatchObject({ ok: false, code: "policy.unavailable" });
  });

  it("forgets entries that no living chain can meet, with the next head", async () => {
    await publish(1);
    await runInDurableObject(head, (_, { storage }) => {
      storage.sql.exec("INSERT INTO entries VALUES ('link:old', 'link:old', 'root', 1, 0)");
    });
    const { chain, ids } = delegate(tenant, [anchor, b]);
    await revoke(statement(tenant, anchor, { kind: "link", link: ids[0]! }), chain);
    expect(
      await runInDurableObject(head, (_, { storage }) => storage.sql.exec("SELECT entry FROM entries").toArray()),
    ).toEqual([{ entry: `link:${ids[0]}` }]);
  });
});
