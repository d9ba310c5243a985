import type { Head, PolicySnapshot } from "@talos/contracts";
import { b64uDecode, b64uEncode, filterBuild, headSign, policySign, publicKey } from "@talos/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { developmentKeysets, person, snapshot } from "../../test/fixtures.ts";
import type { Asker } from "./asker.ts";
import { counters } from "./counters.ts";
import { checkOrder, forgetInForce, holdAsked, holdForClass, holdInForce, learnExact } from "./in-force.ts";

const publisher = person("publisher");
const [key] = developmentKeysets().purposes.head;
const seed = b64uDecode(key!.key);

/** One tenant's object and cache, as the gateway sees them. */
function world() {
  const bodies = new Map<string, string>();
  const kv = new Map<string, string>();
  const state = { version: 1, seq: 0, down: false, entries: [] as string[], at: () => Date.now() };
  const policies = new Map<number, { jws: string; hash: string }>();
  const policy = (version: number) => {
    const made =
      policies.get(version) ??
      policySign({ seed: publisher.seed, snapshot: snapshot({ anchors: [person("operator")], version }) });
    policies.set(version, made);
    bodies.set(made.hash, made.jws);
    kv.set(`policy/${made.hash}`, made.jws);
    return made;
  };
  const filter = () => {
    const { body, rev_hash } = filterBuild({ tenant: "default", rev_seq: state.seq, entries: state.entries });
    bodies.set(rev_hash, body);
    kv.set(`rev/${rev_hash}`, body);
    return rev_hash;
  };
  const head = (over: Partial<Head> = {}): string => {
    const payload: Head = {
      as_of_ms: state.at(),
      policy_hash: policy(state.version).hash,
      policy_version: state.version,
      rev_hash: filter(),
      rev_seq: state.seq,
      tenant: "default",
      ...over,
    };
    return headSign({ seed, kid: key!.kid, head: payload });
  };
  const object = {
    head: vi.fn(async () => {
      if (state.down) throw new Error("down");
      return { ok: true, head: head() } as { ok: true; head: string };
    }),
    policy: vi.fn(async (hash: string) => bodies.get(hash) ?? null),
    revocations: vi.fn(async (hash: string) => bodies.get(hash) ?? null),
    lookup: vi.fn(async (items: string[]) => ({
      rev_seq: state.seq,
      items: Object.fromEntries(items.map((item) => [item, []])),
    })),
  };
  const background: Promise<unknown>[] = [];
  const asker = {
    env: {
      TENANT_HEADS: { getByName: () => object },
      SNAPSHOTS: { get: async (name: string) => kv.get(name) ?? null },
    },
    config: {
      mode: "development",
      publishers: { default: [publisher.jwk] },
      head_keys: [{ kid: key!.kid, x: b64uEncode(publicKey(seed)) }],
      log: vi.fn(),
    },
    tenant: "default",
    waitUntil: (work: Promise<unknown>) => void background.push(work),
  } as unknown as Asker;
  return { state, object, kv, asker, head, background };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  forgetInForce();
});
afterEach(() => void vi.useRealTimers());
const later = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

describe("the head", () => {
  const base: Head = { as_of_ms: 1, policy_hash: "p", policy_version: 3, rev_hash: "r", rev_seq: 5, tenant: "t" };
  it.each([
    ["a lower revocation number", { rev_seq: 4 }],
    ["a lower policy version", { policy_version: 2 }],
    ["another revocation hash under the same number", { rev_hash: "x" }],
    ["another policy hash under the same version", { policy_hash: "x" }],
    ["a higher number with a lower other", { rev_seq: 9, policy_version: 2 }],
  ])("with %s than was seen is refused", (_what, over) => {
    expect(() => checkOrder({ ...base, ...over }, base)).toThrow(/not consistent/);
  });
  it("that goes on is taken", () => {
    expect(() => checkOrder({ ...base, rev_seq: 6, rev_hash: "y" }, base)).not.toThrow();
    expect(() => checkOrder(base, undefined)).not.toThrow();
  });

  it("of another tenant, from the future, or signed by another key is refused", async () => {
    const { object, asker, head } = world();
    object.head.mockImplementationOnce(async () => ({ ok: true, head: head({ tenant: "other" }) }));
    await expect(holdInForce(asker)).rejects.toMatchObject({ code: "head.inconsistent" });
    object.head.mockImplementationOnce(async () => ({ ok: true, head: head({ as_of_ms: Date.now() + 6_000 }) }));
    await expect(holdInForce(asker)).rejects.toMatchObject({ code: "head.inconsistent" });
    const forged = headSign({
      seed: person("forger").seed,
      kid: key!.kid,
      head: {
        as_of_ms: Date.now(),
        policy_hash: "",
        policy_version: 0,
        rev_hash: "A".repeat(43),
        rev_seq: 0,
        tenant: "default",
      },
    });
    object.head.mockImplementationOnce(async () => ({ ok: true, head: forged }));
    await expect(holdInForce(asker)).rejects.toMatchObject({ code: "head.inconsistent" });
  });

  it("signed by a retired key counts until that key's time is over, and not a moment longer", async () => {
    const { asker } = world();
    const [known] = asker.config.head_keys;
    const until = Math.floor(Date.now() / 1_000) + 3;
    asker.config.head_keys = [{ ...known!, until }];
    (await holdInForce(asker)).release();
    forgetInForce();
    vi.setSystemTime(until * 1_000 - 1);
    (await holdInForce(asker)).release();
    forgetInForce();
    vi.setSystemTime(until * 1_000);
    await expect(holdInForce(asker)).rejects.toMatchObject({ code: "head.inconsistent" });
  });

  it("that is newer binds from its arrival: while its bodies do not come, nothing older is acted on or believed", async () => {
    const { state, asker, object, kv, head } = world();
    (await holdInForce(asker)).release();
    state.version = 2;
    const served = object.policy.getMockImplementation()!;
    (asker.env as unknown as { SNAPSHOTS: object }).SNAPSHOTS = {
      get: async (name: string) => (name.startsWith("policy/") ? null : (kv.get(name) ?? null)),
    };
    object.policy.mockImplementation(async () => Promise.reject(new Error("down")));
    later(31_000);
    (await holdInForce(asker)).release(); // it began before the newer head was seen
    await expect(holdInForce(asker)).rejects.toMatchObject({ code: "policy.unavailable" });
    object.head.mockImplementationOnce(async () => ({ ok: true, head: head({ ...older(), as_of_ms: Date.now() }) }));
    await expect(holdInForce(asker)).rejects.toMatchObject({ code: "head.inconsistent" });
    object.policy.mockImplementation(served);
    expect((await holdInForce(asker)).head.policy_version).toBe(2);

    function older(): Partial<Head> {
      const { hash } = policySign({
        seed: publisher.seed,
        snapshot: snapshot({ anchors: [person("operator")], version: 1 }),
      });
      return { policy_version: 1, policy_hash: hash };
    }
  });

  it("rolled back after it was seen stops everything until the object is consistent again", async () => {
    const { state, asker } = world();
    state.version = 2;
    (await holdInForce(asker)).release();
    later(31_000);
    state.version = 1;
    const old = await holdInForce(asker); // what is at hand serves this one
    expect(old.head.policy_version).toBe(2);
    old.release();
    await expect(holdInForce(asker)).rejects.toMatchObject({ code: "head.inconsistent" });
    state.version = 3;
    expect((await holdInForce(asker)).head.policy_version).toBe(3);
  });
});

describe("bodies", () => {
  it("are fetched once, and compiled once for requests that come together", async () => {
    const { asker } = world();
    const before = { ...counters };
    const all = await Promise.all([holdInForce(asker), holdInForce(asker), holdInForce(asker)]);
    expect(counters.policy_compiles - before.policy_compiles).toBe(1);
    expect(counters.filter_loads - before.filter_loads).toBe(1);
    expect(new Set(all.map((one) => one.policy.handle)).size).toBe(1);
    for (const one of all) one.release();
    for (let i = 0; i < 10; i += 1) (await holdInForce(asker)).release();
    expect(counters.head_asks - before.head_asks).toBe(3);
  });

  it("that a poisoned or empty cache holds are taken from the object instead", async () => {
    const { kv, asker, object, head } = world();
    head();
    for (const name of kv.keys())
      kv.set(
        name,
        name.startsWith("policy/")
          ? policySign({ seed: publisher.seed, snapshot: snapshot({ anchors: [person("evil")] }) as PolicySnapshot })
              .jws
          : "{}",
      );
    const poison = new Map(kv);
    const generation = await (async () => {
      const env = asker.env as unknown as { SNAPSHOTS: { get: (name: string) => Promise<string | null> } };
      env.SNAPSHOTS.get = async (name) => poison.get(name) ?? null;
      return holdInForce(asker);
    })();
    expect(generation.policy.snapshot.anchors[0]?.did).toBe(person("operator").did);
    expect(object.policy).toHaveBeenCalledOnce();
    expect(object.revocations).toHaveBeenCalledOnce();
  });

  it("keep a generation usable for who holds it while a newer one takes over", async () => {
    const { state, asker } = world();
    const held = await holdInForce(asker);
    state.version = 2;
    later(31_000);
    const next = await holdInForce(asker);
    expect(next.head.policy_version).toBe(2);
    expect(held.policy.snapshot.version).toBe(1);
    expect(() => held.answers([])).not.toThrow();
    held.release();
    next.release();
  });
});

describe("age", () => {
  it("up to 5 s asks nothing; beyond refreshes behind the request; beyond 30 s before it", async () => {
    const { asker, object, background } = world();
    (await holdInForce(asker)).release();
    later(4_900);
    (await holdInForce(asker)).release();
    expect(object.head).toHaveBeenCalledTimes(1);
    later(200);
    (await holdInForce(asker)).release();
    (await holdInForce(asker)).release();
    expect(object.head).toHaveBeenCalledTimes(2);
    await Promise.all(background);
    later(30_100);
    const fresh = await holdInForce(asker);
    expect(object.head).toHaveBeenCalledTimes(3);
    expect(Date.now() - fresh.asOfMs).toBeLessThan(100);
  });

  it("makes a write wait beyond 5 s and a read not", async () => {
    const { asker, object } = world();
    const held = await holdInForce(asker);
    later(6_000);
    await holdForClass(asker, held, "read");
    expect(object.head).toHaveBeenCalledTimes(1);
    const fresh = await holdForClass(asker, held, "write");
    expect(object.head).toHaveBeenCalledTimes(2);
    expect(Date.now() - fresh.asOfMs).toBeLessThan(100);
  });

  it("lets what is at hand serve while the object is down, and destructive calls not at all", async () => {
    const { asker, state } = world();
    const held = await holdInForce(asker);
    state.down = true;
    later(40_000);
    const old = await holdInForce(asker); // its age goes to the core, which judges by class
    expect(Date.now() - old.asOfMs).toBeGreaterThan(39_000);
    await expect(holdAsked(asker, held)).rejects.toMatchObject({ code: "REVOCATION_STALE" });
  });

  it("is never younger than the moment a head arrived, whatever the head says", async () => {
    const { asker, state } = world();
    state.at = () => Date.now() + 4_000;
    const held = await holdInForce(asker);
    expect(held.asOfMs).toBeLessThanOrEqual(Date.now());
  });
});

describe("exact answers", () => {
  it("are asked once for a revocation number, and again for the next", async () => {
    const { asker, object, state } = world();
    const held = await holdInForce(asker);
    expect(await learnExact(asker, held, ["key:a", "key:b"])).toBe(true);
    expect(await learnExact(asker, held, ["key:a"])).toBe(true);
    expect(object.lookup).toHaveBeenCalledTimes(1);
    state.seq = 1;
    expect(await learnExact(asker, held, ["key:c"])).toBe(false);
    state.seq = 0;
    object.lookup.mockRejectedValueOnce(new Error("down"));
    await expect(learnExact(asker, held, ["key:d"])).rejects.toMatchObject({ code: "REVOCATION_STALE" });
  });
});
