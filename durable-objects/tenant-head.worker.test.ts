import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { filterLoad, policyLoad } from "@talos/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  delegate,
  headOf,
  person,
  recorded,
  signPolicy,
  signUnchecked,
  snapshot,
  statement,
  audOf,
} from "../test/durable-objects/tenant.ts";
import type { Step, TenantHead } from "./tenant-head.ts";
import type { Published, Revoked } from "./types.ts";

let tenant: string;
let head: DurableObjectStub<TenantHead>;
let tenants = 0;
const anchor = person();
const shared = globalThis as unknown as { talosCrashAt: Step | undefined };

beforeEach(() => {
  tenant = `tenant-${tenants}`;
  tenants += 1;
  head = env.TENANT_HEADS.getByName(tenant);
});
afterEach(() => {
  shared.talosCrashAt = undefined;
});

const context = { request_id: "01900000-0000-7000-8000-000000000001" };
const publish = async (version: number, more = {}): Promise<Published> =>
  head.publish(signPolicy(snapshot(tenant, version, [anchor], more)).jws, context);
const revoke = async (signed: string, chain: string): Promise<Revoked> =>
  head.revoke({ statement: signed, chain, aud: audOf(tenant) });
const sql = (query: string) => runInDurableObject(head, (_, { storage }) => storage.sql.exec(query).toArray());
describe("a policy", () => {
  it("comes into force as the next version, with body, KV and a record of who published it", async () => {
    expect(await headOf(tenant)).toMatchObject({ policy_version: 0, policy_hash: "", rev_seq: 0, tenant });
    const { jws, hash } = signPolicy(snapshot(tenant, 1, [anchor]));
    expect(await head.publish(jws, context)).toEqual({ ok: true, version: 1, hash, repeated: false });
    expect(await headOf(tenant)).toMatchObject({ policy_version: 1, policy_hash: hash });
    expect(await head.policy(hash)).toBe(jws);
    expect(await env.SNAPSHOTS.get(`policy/${hash}`)).toBe(jws);
    const events = await recorded(tenant);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      kind: "policy",
      surface_id: "policy.put",
      request_id: context.request_id,
      principal: { auth_mode: "publisher" },
      head: { policy_version: 1, policy_hash: hash },
      meta: { version: 1 },
    });
  });

  it("published again gets the first answer; any other number is a conflict, and says what is in force", async () => {
    const first = await publish(1);
    expect(await publish(1)).toEqual({ ...first, repeated: true });
    for (const other of [await publish(3), await publish(1, { revoked_keys: [person().jkt] })]) {
      expect(other).toEqual({ ok: false, code: "policy.version_conflict", detail: { policy_version: 1 } });
    }
    expect(await publish(2, { revoked_keys: [person().jkt] })).toMatchObject({ ok: true, version: 2 });
    expect(await publish(1)).toEqual({ ...first, repeated: true });
    expect(await headOf(tenant)).toMatchObject({ policy_version: 2 });
    expect(await recorded(tenant)).toHaveLength(2);
  });

  it("of two that race for one number, one wins", async () => {
    const answers = await Promise.all(
      [person(), person(), person()].map(({ jkt }) => publish(1, { revoked_keys: [jkt] })),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
    expect(answers.filter((answer) => !answer.ok && answer.code === "policy.version_conflict")).toHaveLength(2);
    expect(await headOf(tenant)).toMatchObject({ policy_version: 1 });
  });

  it.each([
    ["signed by somebody else", () => signPolicy(snapshot(tenant, 2, [anchor]), person().seed).jws],
    ["for another tenant", () => signPolicy(snapshot("tenant-99", 2, [anchor])).jws],
    ["that is no JWS", () => "garbage"],
    [
      "without the rate classes that must be there",
      () => signUnchecked({ ...snapshot(tenant, 2, [anchor]), rate_classes: [] }),
    ],
  ])("%s is refused, and the last good one stays", async (_, bad) => {
    await publish(1);
    const before = await headOf(tenant);
    expect(await head.publish(bad(), context)).toMatchObject({ ok: false });
    expect(await headOf(tenant)).toMatchObject({ policy_version: 1, policy_hash: before.policy_hash });
    expect(await recorded(tenant)).toHaveLength(1);
  });

  it("that lets unlisted tools pass is refused in production", async () => {
    await publish(1);
    const answer = await runInDurableObject(head, (instance: TenantHead) => {
      const inside = instance as unknown as { env: object };
      Object.defineProperty(inside.env, "TALOS_MODE", { value: "production", configurable: true, writable: true });
      return instance.publish(signPolicy(snapshot(tenant, 2, [anchor], { unregistered: "destructive" })).jws, context);
    });
    expect(answer).toMatchObject({ ok: false, code: "policy.invalid" });
    await runInDurableObject(head, (instance: TenantHead) => {
      Object.assign((instance as unknown as { env: object }).env, { TALOS_MODE: "development" });
    });
    expect(await publish(2, { unregistered: "destructive" })).toMatchObject({ ok: true });
  });
});

describe("bodies", () => {
  it("are the object's own, whatever KV holds", async () => {
    const { jws, hash } = signPolicy(snapshot(tenant, 1, [anchor]));
    await head.publish(jws, context);
    const { rev_hash } = await headOf(tenant);
    await env.SNAPSHOTS.put(`policy/${hash}`, "poison");
    await env.SNAPSHOTS.delete(`rev/${rev_hash}`);
    expect(
      policyLoad({
        jws: (await head.policy(hash))!,
        tenant,
        publishers: [JSON.parse(env.TEST_PUBLISHER_JWK)],
        expected_hash: hash,
      }).version,
    ).toBe(1);
    expect(filterLoad({ body: (await head.revocations(rev_hash))!, tenant, expected_hash: rev_hash }).rev_seq).toBe(0);
    expect(await head.policy("A".repeat(43))).toBeNull();
    expect(await head.revocations("A".repeat(43))).toBeNull();
  });
});

describe("a crash", () => {
  it.each<[Step, number]>([
    ["pending", 0],
    ["cached", 0],
    ["recorded", 0],
    ["in_force", 1],
  ])("after %s leaves a head that the next start brings into force, recorded once", async (step, versionAtCrash) => {
    await publish(1);
    shared.talosCrashAt = step;
    const { jws, hash } = signPolicy(snapshot(tenant, 2, [anchor]));
    expect(await head.publish(jws, context)).toMatchObject({ ok: false });
    expect(await headOf(tenant)).toMatchObject({ policy_version: 1 + versionAtCrash });
    shared.talosCrashAt = undefined;
    await evictDurableObject(head);
    expect(await headOf(tenant)).toMatchObject({ policy_version: 2, policy_hash: hash });
    expect(await sql("SELECT count(*) AS n FROM pending")).toEqual([{ n: 0 }]);
    expect(await recorded(tenant)).toHaveLength(2);
    expect(await head.publish(jws, context)).toMatchObject({ ok: true, version: 2, repeated: true });
  });

  it("while a revocation is pending does not lose it, and the alarm completes it if nobody asks", async () => {
    await publish(1);
    const [b, c] = [person(), person()];
    const { chain, ids } = delegate(tenant, [anchor, b, c]);
    shared.talosCrashAt = "recorded";
    expect(await revoke(statement(tenant, b, { kind: "link", link: ids[1]! }), chain)).toMatchObject({ ok: false });
    shared.talosCrashAt = undefined;
    await evictDurableObject(head);
    expect(await runDurableObjectAlarm(head)).toBe(true);
    expect(await sql("SELECT rev_seq FROM in_force")).toEqual([{ rev_seq: 1 }]);
    expect((await head.lookup([`link:${ids[1]}`])).items).toEqual({ [`link:${ids[1]}`]: [`link:${ids[1]}`] });
    expect(await recorded(tenant)).toHaveLength(2);
  });
});

describe("when others are down", () => {
  /** Give the running instance other bindings, until it is evicted. */
  const rebind = (bindings: object) =>
    runInDurableObject(head, (instance: TenantHead) => {
      const inside = instance as unknown as { env: object };
      inside.env = { ...inside.env, ...bindings };
    });
  const dead = () => Promise.reject(new Error("down"));
  const deadLog = { AUDIT_LOGS: { getByName: () => ({ append: dead, lastHead: dead }) } };

  it("without the log, a start answers nothing, and asks again", async () => {
    await publish(1);
    await evictDurableObject(head);
    await rebind(deadLog);
    expect(await head.head()).toEqual({ ok: false, code: "head.unavailable" });
    expect(await publish(2)).toEqual({ ok: false, code: "head.unavailable" });
    await rebind({ AUDIT_LOGS: env.AUDIT_LOGS });
    expect(await headOf(tenant)).toMatchObject({ policy_version: 1 });
  });

  it("without the log, nothing new is in force, and what was asked for is completed later", async () => {
    await publish(1);
    await rebind(deadLog);
    expect(await publish(2)).toMatchObject({ ok: false, code: "audit.unavailable" });
    expect(await headOf(tenant)).toMatchObject({ policy_version: 1 });
    await rebind({ AUDIT_LOGS: env.AUDIT_LOGS });
    expect(await publish(2)).toMatchObject({ ok: true, version: 2, repeated: true });
    expect(await headOf(tenant)).toMatchObject({ policy_version: 2 });
    expect(await recorded(tenant)).toHaveLength(2);
  });

  it("what the log refuses for good is dropped, and blocks nobody", async () => {
    await publish(1);
    const append = () => Promise.resolve({ ok: false, code: "contract.invalid" });
    await rebind({ AUDIT_LOGS: { getByName: () => ({ append }) } });
    expect(await publish(2, { revoked_keys: [person().jkt] })).toMatchObject({ ok: false, code: "contract.invalid" });
    expect(await sql("SELECT count(*) AS n FROM pending")).toEqual([{ n: 0 }]);
    await rebind({ AUDIT_LOGS: env.AUDIT_LOGS });
    expect(await publish(2)).toMatchObject({ ok: true, version: 2, repeated: false });
  });

  it("without KV everything goes on, and the object serves the body", async () => {
    await rebind({ SNAPSHOTS: { put: dead } });
    const { jws, hash } = signPolicy(snapshot(tenant, 1, [anchor]));
    expect(await head.publish(jws, context)).toMatchObject({ ok: true });
    expect(await head.policy(hash)).toBe(jws);
    expect(await env.SNAPSHOTS.get(`policy/${hash}`)).toBeNull();
  });
});

describe("storage that the log contradicts", () => {
  const restore = async (set: string) => {
    await sql(`UPDATE in_force SET ${set}`);
    await evictDurableObject(head);
  };
  const refusesEverything = async (code: string) => {
    expect(await head.head()).toEqual({ ok: false, code });
    expect(await publish(9)).toEqual({ ok: false, code });
    expect(await revoke("statement", "chain")).toEqual({ ok: false, code });
    expect(await head.policy("hash")).toBeNull();
    expect(await head.revocations("hash")).toBeNull();
    await runInDurableObject(head, (instance: TenantHead) => expect(instance.lookup([])).rejects.toThrow());
  };

  it("is refused when it is older: what was revoked must not come back", async () => {
    await publish(1);
    const { chain, ids } = delegate(tenant, [anchor, person()]);
    await revoke(statement(tenant, anchor, { kind: "link", link: ids[0]! }), chain);
    await restore("rev_seq = 0");
    await refusesEverything("head.rolled_back");
    await evictDurableObject(head);
    await refusesEverything("head.rolled_back");
  });

  it("is refused when it is empty", async () => {
    await publish(1);
    await sql("DELETE FROM in_force");
    await sql("DELETE FROM versions");
    await sql("DELETE FROM bodies");
    await evictDurableObject(head);
    await refusesEverything("head.rolled_back");
  });

  it("is refused when it is ahead, or has another hash", async () => {
    await publish(1);
    await restore("policy_version = 2");
    await refusesEverything("head.inconsistent");
    await restore("policy_version = 1, policy_hash = 'another'");
    await refusesEverything("head.inconsistent");
  });
});

it("heads never go down while policies and revocations race", async () => {
  await publish(1);
  let running = true;
  const seen: [number, number][] = [];
  const watch = (async () => {
    while (running) {
      const { rev_seq, policy_version } = await headOf(tenant);
      seen.push([rev_seq, policy_version]);
      await scheduler.wait(20);
    }
  })();
  const b = person();
  await Promise.all([
    ...Array.from({ length: 5 }, async () => {
      const { chain, ids } = delegate(tenant, [anchor, b, person()]);
      await revoke(statement(tenant, b, { kind: "link", link: ids[1]! }), chain);
    }),
    publish(2).then(() => publish(3)),
  ]);
  running = false;
  await watch;
  for (let i = 1; i < seen.length; i += 1) {
    expect(seen[i]![0]).toBeGreaterThanOrEqual(seen[i - 1]![0]);
    expect(seen[i]![1]).toBeGreaterThanOrEqual(seen[i - 1]![1]);
  }
  const signed = await head.head();
  expect(signed.ok && jwsVerifyHeader(signed.head)).toMatchObject({ alg: "EdDSA", typ: "talos-head+jwt" });
});

function jwsVerifyHeader(jws: string): object {
  return JSON.parse(atob(jws.slice(0, jws.indexOf(".")).replaceAll("-", "+").replaceAll("_", "/")));
}
