import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { LIMITS, type RateClass } from "@talos/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CapabilityGate } from "./capability-gate.ts";
import type { AdmitAsk, Admitted } from "./types.ts";

type Gate = DurableObjectStub<CapabilityGate>;

const ROOT = "root-link";
let gate: Gate;
let names = 0;
let nonces = 0;
let now = Date.UTC(2026, 10, 23);

beforeEach(() => {
  names += 1;
  gate = env.CAPABILITY_GATES.getByName(`acme/${ROOT}-${names}`);
  vi.useFakeTimers({ toFake: ["Date"], now });
});
afterEach(() => {
  now = Date.now() + 3_600_000;
  vi.useRealTimers();
});

const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);
/** Refills one token in 1,000 s, so that nothing flows in while a test runs. */
const slow = (capacity: number, more: Partial<RateClass> = {}): RateClass => ({
  name: "read",
  capacity,
  refill_per_second: 1,
  link_share_percent: 50,
  concurrency: 2,
  ...more,
});
const nonce = (seconds = 60) => {
  nonces += 1;
  return { jkt: "key-1", value: `nonce-${nonces}`, expires: Math.floor(Date.now() / 1000) + seconds };
};
const ask = (more: Partial<AdmitAsk> = {}): AdmitAsk => ({ links: [ROOT], rate: slow(3), cost: 1, ...more });
const admit = async (more: Partial<AdmitAsk> = {}): Promise<Admitted> => gate.admit(ask(more));
const codes = (answers: Admitted[]) => answers.map((answer) => (answer.ok ? "ok" : answer.code));
const rows = (table: string) =>
  runInDurableObject(gate, (_, state) => state.storage.sql.exec(`SELECT count(*) AS n FROM ${table}`).one().n);

describe("buckets", () => {
  it("allow the burst, then refuse, and still refuse after the object was evicted", async () => {
    expect(codes([await admit(), await admit(), await admit(), await admit()])).toEqual([
      "ok",
      "ok",
      "ok",
      "rate.exhausted",
    ]);
    await evictDurableObject(gate);
    expect(await admit()).toEqual({ ok: false, code: "rate.exhausted", retry_after_ms: 1_000 });
    pass(1_000);
    expect(codes([await admit(), await admit()])).toEqual(["ok", "rate.exhausted"]);
  });

  it("never spend one token for two requests at once", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => admit({ rate: slow(7) })));
    expect(answers.filter((answer) => answer.ok)).toHaveLength(7);
  });

  it("give a hundred fresh sub-agents of one root together no more than the root's bucket", async () => {
    const rate = slow(20, { link_share_percent: 100 });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => admit({ links: [ROOT, `agent-${i}`], rate })),
    );
    expect(answers.filter((answer) => answer.ok)).toHaveLength(20);
  });

  it("give all agents below one link together no more than its share, and starve no sibling", async () => {
    const rate = slow(20);
    const below = await Promise.all(Array.from({ length: 60 }, (_, i) => admit({ links: [ROOT, "a", `a${i}`], rate })));
    expect(below.filter((answer) => answer.ok)).toHaveLength(10);
    const sibling = await Promise.all(Array.from({ length: 20 }, () => admit({ links: [ROOT, "b"], rate })));
    expect(sibling.filter((answer) => answer.ok)).toHaveLength(10);
  });

  it("debit every class of a batch or none", async () => {
    const write = slow(1, { name: "write" });
    expect(await admit({ cost: 2, more: [{ rate: write, cost: 1 }] })).toMatchObject({ ok: true, remaining: 0 });
    expect(await admit({ cost: 1, more: [{ rate: write, cost: 1 }] })).toMatchObject({ code: "rate.exhausted" });
    expect(codes([await admit({ cost: 1 })])).toEqual(["ok"]); // the refused batch took nothing of `read`
  });

  it("add up a class that a batch names twice", async () => {
    expect(await admit({ cost: 2, more: [{ rate: slow(3), cost: 2 }] })).toMatchObject({ code: "LIMIT_EXCEEDED" });
  });

  it("refuse for good a cost above their capacity", async () => {
    expect(await admit({ cost: 4 })).toEqual({ ok: false, code: "LIMIT_EXCEEDED", retry_after_ms: 0 });
    expect(await rows("buckets")).toBe(0);
  });

  it("have no row once they are full again", async () => {
    await admit({ links: [ROOT, "a"] });
    expect(await rows("buckets")).toBe(2);
    expect(await runDurableObjectAlarm(gate)).toBe(true);
    expect(await rows("buckets")).toBe(2);
    pass(2_000); // the link's inflow is half the root's
    pass(LIMITS.proof_skew_seconds * 1000); // and another host's clock may be behind
    expect(await runDurableObjectAlarm(gate)).toBe(true);
    expect(await rows("buckets")).toBe(0);
    expect(await runDurableObjectAlarm(gate)).toBe(false); // nothing left to come again for
  });

  it("that were just full are not full for a host whose clock is behind", async () => {
    await admit({ cost: 3 });
    pass(3_000);
    expect(await runDurableObjectAlarm(gate)).toBe(true);
    await evictDurableObject(gate);
    pass(-2_000);
    expect(await admit({ cost: 2 })).toEqual({ ok: false, code: "rate.exhausted", retry_after_ms: 1_000 });
    expect(codes([await admit({ cost: 1 })])).toEqual(["ok"]);
  });

  it("are bounded in number, and make room when they can", async () => {
    const rate = slow(1_000_000, { link_share_percent: 100, refill_per_second: 1_000 });
    await admit({ rate });
    await runInDurableObject(gate, (_, { storage }) => {
      for (let i = 1; i < LIMITS.gate_buckets; i += 1) {
        storage.sql.exec("INSERT INTO buckets VALUES (?, 0, ?, ?)", `read/x${i}`, Date.now(), Date.now() + 10_000);
      }
    });
    await evictDurableObject(gate); // counts again
    expect(await admit({ links: [ROOT, "new"], rate })).toMatchObject({ ok: false, code: "rate.exhausted" });
    expect(await rows("buckets")).toBe(LIMITS.gate_buckets);
    expect(codes([await admit({ rate })])).toEqual(["ok"]); // a bucket that has a row needs no room
    pass(20_000);
    expect(codes([await admit({ links: [ROOT, "new"], rate })])).toEqual(["ok"]);
    expect(await rows("buckets")).toBeLessThan(3);
  });
});

describe("nonces", () => {
  it("serve once, also after the object was evicted", async () => {
    const used = nonce();
    expect(codes([await admit({ nonce: used }), await admit({ nonce: used })])).toEqual(["ok", "REPLAY"]);
    await evictDurableObject(gate);
    expect(await admit({ nonce: used })).toEqual({ ok: false, code: "REPLAY", retry_after_ms: 0 });
    expect(codes([await admit({ nonce: { ...used, jkt: "key-2" } })])).toEqual(["ok"]);
  });

  it("serve once for two requests at once", async () => {
    const used = nonce();
    const answers = await Promise.all(Array.from({ length: 20 }, () => admit({ nonce: used, rate: slow(100) })));
    expect(codes(answers).filter((code) => code === "ok")).toHaveLength(1);
    expect(codes(answers).filter((code) => code === "REPLAY")).toHaveLength(19);
  });

  it("of a refused request are not kept: it had no effect and may be sent again", async () => {
    const refused = nonce();
    await admit({ cost: 3 });
    expect(codes([await admit({ nonce: refused })])).toEqual(["rate.exhausted"]);
    expect(await rows("nonces")).toBe(0);
    pass(1_000);
    expect(codes([await admit({ nonce: refused })])).toEqual(["ok"]);
  });

  it("are refused when past or too far ahead by the object's clock", async () => {
    const at = (expires: number) => admit({ nonce: { ...nonce(), expires }, rate: slow(100) });
    const seconds = Math.floor(Date.now() / 1000);
    const ahead = LIMITS.gate_expires_ahead_seconds;
    expect(codes([await at(seconds - 1), await at(seconds), await at(seconds + ahead + 1)])).toEqual([
      "PROOF_INVALID",
      "PROOF_INVALID",
      "PROOF_INVALID",
    ]);
    expect(codes([await at(seconds + 1), await at(seconds + ahead)])).toEqual(["ok", "ok"]);
  });

  it("are forgotten only when their proof has expired for everybody's clock", async () => {
    await admit({ nonce: nonce(10) });
    pass(10_001);
    await runDurableObjectAlarm(gate);
    expect(await rows("nonces")).toBe(1);
    pass(LIMITS.proof_skew_seconds * 1000);
    await runDurableObjectAlarm(gate);
    expect(await rows("nonces")).toBe(0);
  });

  it("are bounded in number", async () => {
    const expires = Math.floor(Date.now() / 1000) + 60;
    await admit();
    await runInDurableObject(gate, (_, { storage }) => {
      storage.sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${LIMITS.gate_nonces})
         INSERT INTO nonces SELECT 'flood', 'n' || i, ${expires} FROM n`,
      );
    });
    await evictDurableObject(gate);
    expect(codes([await admit({ nonce: nonce() }), await admit()])).toEqual(["rate.exhausted", "ok"]);
    expect(await rows("nonces")).toBe(LIMITS.gate_nonces);
  });
});

describe("slots", () => {
  const slot = (id: string, ttl_ms = 60_000) => ({ slot: { id, ttl_ms }, rate: slow(100) });

  it("are as many as the class says, and a released one is free", async () => {
    expect(codes([await admit(slot("a")), await admit(slot("b")), await admit(slot("c"))])).toEqual([
      "ok",
      "ok",
      "concurrency.exhausted",
    ]);
    await evictDurableObject(gate);
    expect(codes([await admit(slot("c"))])).toEqual(["concurrency.exhausted"]);
    await gate.release("a");
    await gate.release("a");
    expect(codes([await admit(slot("c")), await admit(slot("d"))])).toEqual(["ok", "concurrency.exhausted"]);
  });

  it("come back with an admission before it is decided, and also when it is refused", async () => {
    await admit(slot("a"));
    await admit(slot("b"));
    expect(codes([await admit({ ...slot("c"), freed: ["a", "never"] })])).toEqual(["ok"]);
    const ended = { nonce: { jkt: "key", value: "late", expires: 0 } };
    expect(codes([await admit({ ...slot("d"), ...ended, freed: ["b"] })])).toEqual(["PROOF_INVALID"]);
    expect(codes([await admit(slot("d")), await admit(slot("e"))])).toEqual(["ok", "concurrency.exhausted"]);
  });

  it("free themselves when their time is over", async () => {
    await admit(slot("a", 5_000));
    await admit(slot("b", 9_000));
    pass(4_999);
    expect(codes([await admit(slot("c"))])).toEqual(["concurrency.exhausted"]);
    pass(1);
    expect(codes([await admit(slot("c")), await admit(slot("d"))])).toEqual(["ok", "concurrency.exhausted"]);
  });

  it("are kept while the call runs, and once their time is over they are nobody's to keep", async () => {
    const ttl = LIMITS.gate_slot_ttl_ms;
    await admit(slot("a"));
    await admit(slot("b"));
    for (let i = 0; i < 5; i += 1) {
      pass(LIMITS.slot_keep_ms);
      expect(await gate.keep("a", ttl)).toBe(true);
    }
    expect(codes([await admit(slot("c")), await admit(slot("d"))])).toEqual(["ok", "concurrency.exhausted"]);
    expect(await gate.keep("b", ttl)).toBe(false); // its place is c's
    await gate.release("a");
    expect(await gate.keep("a", ttl)).toBe(false);
    expect(codes([await admit(slot("d"))])).toEqual(["ok"]);
    expect(await gate.keep("d", 1_000 * ttl)).toBe(true); // no longer than any
    pass(ttl);
    expect(codes([await admit(slot("e")), await admit(slot("f"))])).toEqual(["ok", "ok"]);
  });

  it("of one class do not count for another", async () => {
    await admit(slot("a"));
    await admit(slot("b"));
    expect(codes([await admit({ ...slot("c"), rate: slow(100, { name: "write" }) })])).toEqual(["ok"]);
  });

  it("refused take no token and no nonce", async () => {
    await admit(slot("a"));
    await admit(slot("b"));
    const refused = nonce();
    for (let i = 0; i < 200; i += 1) await admit({ ...slot(`x${i}`), nonce: refused });
    expect(await rows("nonces")).toBe(0);
    expect(await admit({ rate: slow(100) })).toMatchObject({ ok: true, remaining: 97 });
  });

  it("are never taken twice at once", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => admit(slot(`s${i}`))));
    expect(answers.filter((answer) => answer.ok)).toHaveLength(2);
  });
});

describe("leases", () => {
  const rate = slow(1_000);
  const lease = (id: string, want = 50, spent = 0) => ({ rate, lease: { id, want, spent } });
  const life = LIMITS.lease_life_ms;

  it("come with a read's own admission, debit every bucket of the chain, and survive eviction", async () => {
    const links = [ROOT, "a"];
    const got = await admit({ ...lease("one"), links });
    expect(got).toEqual({
      ...{ ok: true, remaining: 499 },
      lease: { granted: 50, until_ms: Date.now() + life },
    });
    await evictDurableObject(gate);
    expect(await admit({ rate, links })).toMatchObject({ ok: true, remaining: 500 - 1 - 50 - 1 });
    expect(await admit({ rate, cost: 1_000 - 52 })).toMatchObject({ ok: true, remaining: 0 });
    expect(await rows("leases")).toBe(2);
  });

  it("and what is available are never more than the capacity: nothing flows into what is leased", async () => {
    const fast = slow(1_000, { refill_per_second: 1_000 });
    await admit({ ...lease("one", 100), rate: fast });
    pass(life - 1);
    expect(await admit({ rate: fast, cost: 1_000 })).toMatchObject({ code: "rate.exhausted", retry_after_ms: 101 });
    expect(await admit({ rate: fast, cost: 900 })).toMatchObject({ ok: true, remaining: 0 });
    pass(900);
    expect(codes([await admit({ rate: fast, cost: 901 })])).toEqual(["rate.exhausted"]);
    pass(1);
    expect(codes([await admit({ rate: fast, cost: 901 })])).toEqual(["ok"]);
    expect(await rows("leases")).toBe(0); // it ended, and the bucket has counted that
  });

  it("are topped up by what was spent, alone or with a read, and gone when nothing is left", async () => {
    await admit(lease("one"));
    const more = await admit({ ...lease("one", 50, 30), cost: 0 });
    expect(more).toMatchObject({ ok: true, lease: { granted: 80 } });
    expect(await admit({ rate, cost: 1_000 - 81 })).toMatchObject({ ok: true, remaining: 0 });
    expect(await admit({ ...lease("one", 50, 80), cost: 0 })).toEqual({ ok: true, remaining: 0 });
    expect(await rows("leases")).toBe(0);
  });

  it("asked for twice with one report are one lease: the second adds nothing", async () => {
    await admit(lease("one"));
    expect(await admit({ ...lease("one"), cost: 0 })).toMatchObject({ remaining: 949, lease: { granted: 50 } });
    expect(await admit({ ...lease("one"), cost: 0 })).toMatchObject({ remaining: 949, lease: { granted: 50 } });
  });

  it("leave half of a bucket to those who ask, however many isolates there are", async () => {
    for (let i = 0; i < 30; i += 1) await admit({ ...lease(`isolate-${i}`, 1_000), cost: 0 });
    const { sum } = await runInDurableObject(gate, (_, { storage }) =>
      storage.sql.exec<{ sum: number }>("SELECT sum(granted) AS sum FROM leases").one(),
    );
    expect(sum).toBeGreaterThan(400);
    expect(sum).toBeLessThanOrEqual(500);
    expect(codes([await admit({ rate, cost: 500 })])).toEqual(["ok"]);
  });

  it("are not given of small buckets, nor beside a nonce, a slot or another class", async () => {
    const got = await admit({ ...lease("one"), rate: slow(60) });
    expect(got).toEqual({ ok: true, remaining: 59 });
    for (const beside of [
      { nonce: nonce() },
      { slot: { id: "s", ttl_ms: 1_000 } },
      { more: [{ rate: slow(9, { name: "write" }), cost: 1 }] },
    ])
      await expect(admit({ ...lease("one"), ...beside })).rejects.toThrow();
    expect(await rows("leases")).toBe(0);
  });

  it("are bounded in number, and the read itself is admitted without one", async () => {
    await admit({ rate });
    await runInDurableObject(gate, (_, { storage }) => {
      for (let i = 0; i < LIMITS.gate_leases; i += 1)
        storage.sql.exec("INSERT INTO leases VALUES ('read/x', ?, 10, 0, ?)", `l${i}`, Date.now() + 5_000);
    });
    await evictDurableObject(gate);
    expect(await admit(lease("one"))).toEqual({ ok: true, remaining: 998 });
    expect(await rows("leases")).toBe(LIMITS.gate_leases);
    pass(5_000);
    expect(await admit(lease("one"))).toMatchObject({ ok: true, lease: { granted: 50 } });
    expect(await rows("leases")).toBe(1);
  });

  it("that ended are swept, and the bucket gets nothing for the time that they held its room", async () => {
    const fast = slow(1_000, { refill_per_second: 50 });
    await admit({ ...lease("one", 100), rate: fast, links: [ROOT, "idle"] });
    pass(life);
    expect(await runDurableObjectAlarm(gate)).toBe(true);
    expect(await rows("leases")).toBe(0);
    // Full but for the lease all the time: what the lease had starts to flow in only now.
    expect(await admit({ rate: fast, cost: 1_000 })).toMatchObject({ code: "rate.exhausted" });
    pass(2_020);
    expect(await admit({ rate: fast, cost: 1_000 })).toMatchObject({ ok: true });
  });
});

describe("an ask that no request leads to", () => {
  it.each([
    ["no link", { links: [] }],
    ["more links than a chain has", { links: Array.from({ length: 9 }, (_, i) => `l${i}`) }],
    ["one link twice, which would debit it once", { links: [ROOT, ROOT] }],
    ["a cost of nothing", { cost: 0 }],
    ["a cost below a token", { cost: 0.5 }],
    ["a negative cost", { cost: -1 }],
    ["a lease without a name", { lease: { id: "", spent: 0, want: 9 } }],
    ["a lease of which less than nothing was spent", { lease: { id: "l", spent: -1, want: 9 } }],
    ["a lease of no number", { lease: { id: "l", spent: 0, want: Number.NaN } }],
    ["a slot without end", { slot: { id: "s", ttl_ms: Number.POSITIVE_INFINITY } }],
    ["a nonce longer than any", { nonce: { jkt: "k", value: "n".repeat(200), expires: 0 } }],
  ])("is refused: %s", async (_, more) => {
    await runInDurableObject(gate, (instance: CapabilityGate) => expect(() => instance.admit(ask(more))).toThrow());
    expect(await rows("buckets")).toBe(0);
  });
});
