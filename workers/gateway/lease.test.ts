import { LIMITS } from "@talos/contracts";
import { beforeEach, describe, expect, it } from "vitest";
import { type Asking, leaseKey, Leases } from "./lease.ts";

const KEY = leaseKey("acme", "read", ["root", "leaf"]);
const MARGIN = LIMITS.lease_margin_ms;
const LIFE = LIMITS.lease_life_ms;

let now = 1_000_000;
let ids = 0;
let leases: Leases;
beforeEach(() => {
  now = 1_000_000;
  ids = 0;
  leases = new Leases(() => `id-${ids++}`);
});

const spend = (cost = 1) => leases.spend(KEY, cost, now);
const OK = { ok: true, remaining: 0 } as const;
const grant = (asking: Asking, tokens: number, cost = 0, until_ms = now + LIFE) =>
  leases.answered(KEY, cost, asking, { ...OK, lease: { granted: tokens, until_ms } }, now);
/** A read that the gate admitted without a lease. */
const admitted = () => leases.answered(KEY, 1, undefined, OK, now);
const refuse = (cost: number, retry_after_ms: number) =>
  leases.answered(KEY, cost, undefined, { ok: false, code: "rate.exhausted", retry_after_ms }, now);

/** Reads that asked the gate, until the next one asks for a lease; that ask. */
function asksForOne(): Asking {
  for (let i = 0; i < LIMITS.lease_min_tokens; i += 1) {
    expect(spend()).toEqual({ do: "ask" });
    admitted();
  }
  const step = spend();
  if (step.do !== "ask" || step.lease === undefined) throw new Error("no lease was asked for");
  return step.lease;
}

/** A lease of so many tokens. */
function leased(tokens: number): void {
  grant(asksForOne(), tokens, 1);
}

describe("an isolate", () => {
  it("asks for a lease once it has read often enough, for as much as it has just read", () => {
    expect(asksForOne().ask).toEqual({ id: expect.any(String), spent: 0, want: LIMITS.lease_min_tokens });
  });

  it("that reads seldom never asks for one", () => {
    for (let i = 0; i < 50; i += 1) {
      expect(spend()).toEqual({ do: "ask" });
      admitted();
      now += 1_200; // seven in the longest time that counts
    }
  });

  it("spends its lease to the last token and then asks", () => {
    leased(4);
    expect([spend(2), spend(), spend()].map((step) => step.do)).toEqual(["spent", "spent", "spent"]);
    expect(spend().do).toBe("ask");
  });

  it("asks for the whole cost when the rest is less", () => {
    leased(4);
    expect(spend(5).do).toBe("ask");
    expect(spend(4).do).toBe("spent");
  });

  it("asks for more behind a read at half of it, once, and says what was spent", () => {
    leased(10);
    for (let i = 0; i < 5; i += 1) expect(spend()).toEqual({ do: "spent" });
    const step = spend();
    expect(step).toMatchObject({ do: "spent", renew: { ask: { spent: 6 } } });
    expect(spend()).toEqual({ do: "spent" }); // one ask at a time
    if (step.do !== "spent" || step.renew === undefined) throw new Error("no renewal");
    grant(step.renew, 30); // 30 since it began, 7 of them spent
    for (let i = 0; i < 23; i += 1) expect(spend().do).toBe("spent");
    expect(spend().do).toBe("ask");
  });

  it("asks for more when its lease is nearly over", () => {
    leased(100);
    now += LIFE - 2 * MARGIN;
    expect(spend()).toEqual({ do: "spent" });
    now += 1;
    expect(spend()).toMatchObject({ do: "spent", renew: { ask: { spent: 2 } } });
  });

  it("does not ask again for a while when asking gave nothing, and reads on", () => {
    leased(10);
    for (let i = 0; i < 5; i += 1) spend();
    const step = spend();
    if (step.do !== "spent" || step.renew === undefined) throw new Error("no renewal");
    grant(step.renew, 10);
    expect(spend()).toEqual({ do: "spent" });
    now += LIMITS.lease_refusal_ms;
    expect(spend(2)).toMatchObject({ do: "spent", renew: {} });
  });

  it("of another chain, class or tenant has another lease", () => {
    leased(10);
    for (const key of [
      leaseKey("acme", "read", ["root"]),
      leaseKey("acme", "read", ["root", "leaf", "x"]),
      leaseKey("acme", "list", ["root", "leaf"]),
      leaseKey("other", "read", ["root", "leaf"]),
    ])
      expect(leases.spend(key, 1, now), key).toEqual({ do: "ask" });
    expect(spend().do).toBe("spent");
    expect(leaseKey("acme", "read", ["ab", "c"])).not.toBe(leaseKey("acme", "read", ["a", "bc"]));
  });

  it("keeps a bounded number of them and forgets the one longest unused", () => {
    leased(100);
    for (let i = 0; i < LIMITS.lease_keys - 1; i += 1) leases.spend(`other/${i}`, 1, now);
    expect(spend().do).toBe("spent");
    leases.spend("other/new", 1, now); // in place of other/0
    expect(spend().do).toBe("spent");
    for (let i = 0; i < LIMITS.lease_keys; i += 1) leases.spend(`more/${i}`, 1, now);
    expect(spend()).toEqual({ do: "ask" });
  });
});

describe("the end of a lease", () => {
  const lastUse = (until_ms: number): number => {
    leased(0);
    leases = new Leases(() => `id-${ids++}`);
    grant(asksForOne(), 1_000, 1, until_ms);
    const from = now;
    for (; spend().do === "spent"; now += 10);
    return now - from;
  };

  it("is the margin before the object's", () => {
    expect(lastUse(now + LIFE)).toBe(LIFE - MARGIN);
  });
  it("is the object's when its clock is behind ours", () => {
    expect(lastUse(now + LIFE - 3_000)).toBe(LIFE - MARGIN - 3_000);
  });
  it("is ours, from when we asked, when its clock is ahead", () => {
    expect(lastUse(now + LIFE + 3_600_000)).toBe(LIFE - MARGIN);
  });
  it("is counted from the ask, however late the answer comes", () => {
    const asking = asksForOne();
    now += 3_000;
    grant(asking, 100, 1, now + LIFE);
    now += LIFE - MARGIN - 3_000 - 1;
    expect(spend().do).toBe("spent");
    now += 1;
    expect(spend().do).toBe("ask");
  });

  it("makes the next one a new one, and a late answer about the old one is nothing", () => {
    leased(10);
    for (let i = 0; i < 5; i += 1) spend();
    const late = spend();
    if (late.do !== "spent" || late.renew === undefined) throw new Error("no renewal");
    now += LIFE;
    for (let i = 0; i < LIMITS.lease_min_tokens; i += 1) admitted();
    const next = spend();
    expect(next).toMatchObject({ do: "ask", lease: { ask: { spent: 0 } } });
    grant(late.renew, 5_000);
    expect(spend().do).toBe("ask");
  });

  it("makes the answer to an old one nothing, also where that one would still live by its ask", () => {
    grant(asksForOne(), 10, 1, now + MARGIN + 100);
    const late = spend();
    if (late.do !== "spent" || late.renew === undefined) throw new Error("no renewal");
    now += LIMITS.object_timeout_ms;
    for (let i = 0; i < LIMITS.lease_min_tokens; i += 1) admitted();
    expect(spend()).toMatchObject({ do: "ask", lease: { ask: { spent: 0 } } });
    grant(late.renew, 5_000);
    expect(spend().do).toBe("ask");
  });

  it("is now, when the gate knows nothing of it", () => {
    leased(10);
    for (let i = 0; i < 5; i += 1) spend();
    const step = spend();
    if (step.do !== "spent" || step.renew === undefined) throw new Error("no renewal");
    leases.answered(KEY, 0, step.renew, OK, now);
    expect(spend().do).toBe("ask");
  });
});

describe("a gate that", () => {
  it("cannot be asked leaves what is leased, and is not asked for more for a while", () => {
    leased(10);
    for (let i = 0; i < 5; i += 1) spend();
    const step = spend();
    if (step.do !== "spent" || step.renew === undefined) throw new Error("no renewal");
    leases.failed(KEY, step.renew, now);
    for (let i = 0; i < 4; i += 1) expect(spend()).toEqual({ do: "spent" });
    expect(spend()).toEqual({ do: "ask" });
    now += LIMITS.lease_refusal_ms;
    expect(spend()).toMatchObject({ do: "ask", lease: {} });
  });

  it("refuses is not asked again within its wait, for as much or more, and at most for a second", () => {
    refuse(3, 400);
    expect(spend(3)).toEqual({ do: "refused", retry_after_ms: 400 });
    expect(spend(4).do).toBe("refused");
    expect(spend(2).do).toBe("ask");
    now += 400;
    expect(spend(3).do).toBe("ask");
    refuse(3, 60_000);
    now += LIMITS.lease_refusal_ms;
    expect(spend(3).do).toBe("ask");
  });

  it("refuses is asked again once it admitted something", () => {
    refuse(3, 400);
    admitted();
    expect(spend(3).do).toBe("ask");
  });

  it("refuses a top-up, or for another reason than its buckets, says nothing about the next read", () => {
    refuse(0, 400);
    expect(spend().do).toBe("ask");
    leases.answered(KEY, 3, undefined, { ok: false, code: "concurrency.exhausted", retry_after_ms: 400 }, now);
    expect(spend(3).do).toBe("ask");
  });

  it("refuses does not refuse what is leased already", () => {
    leased(10);
    refuse(1, 400);
    expect(spend(5).do).toBe("spent");
  });
});
