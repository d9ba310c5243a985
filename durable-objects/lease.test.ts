import { LIMITS, type RateClass } from "@talos/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { drawAll, flowAt, fullAt, type Leased, MILLI, reaches, refill } from "./bucket.ts";
import { type Leasable, type LeaseRow, living, settle, takenBy } from "./lease.ts";

const NOW = 1_000_000;
const rate = (capacity: number, refill_per_second = 10): RateClass => ({
  ...{ name: "read", capacity, refill_per_second, link_share_percent: 50, concurrency: 1 },
});
const row = (over: Partial<LeaseRow> = {}): LeaseRow => ({
  ...{ id: "a", granted: 50, spent: 0, until_ms: NOW + 5_000 },
  ...over,
});
const bucket = (capacity: number, tokens: number, rows: LeaseRow[] = []): Leasable => ({
  ...{ bucket: { milli: tokens * MILLI, at_ms: NOW }, flow: flowAt(rate(capacity), 0), living: rows },
});
const ask = (want: number, spent = 0, id = "a") => ({ id, spent, want });

describe("a bucket with leases", () => {
  const flow = flowAt(rate(100), 0);
  const leased: Leased[] = [
    { milli: 20_000, until_ms: NOW + 2_000 },
    { milli: 30_000, until_ms: NOW + 4_000 },
  ];
  const at = (ms: number, from = 45_000) => refill({ milli: from, at_ms: NOW }, flow, NOW + ms, leased).milli;

  it("fills up to its capacity without what is leased, and beyond only from the moment a lease ends", () => {
    expect([0, 500, 1_999].map((ms) => at(ms))).toEqual([45_000, 50_000, 50_000]);
    expect([2_000, 3_000, 3_999].map((ms) => at(ms))).toEqual([50_000, 60_000, 69_990]);
    expect([4_000, 5_000, 20_000].map((ms) => at(ms))).toEqual([70_000, 80_000, 100_000]);
  });

  it("is full again only after the last lease has ended, whatever it holds", () => {
    expect(fullAt({ milli: 50_000, at_ms: NOW }, flow, leased)).toBeGreaterThanOrEqual(NOW + 4_000);
    const full = fullAt({ milli: 45_000, at_ms: NOW }, flow, leased);
    expect(at(full - NOW)).toBe(100_000);
    const fast = flowAt(rate(100, 1_000), 0);
    expect(fullAt({ milli: 50_000, at_ms: NOW }, fast, leased)).toBeGreaterThanOrEqual(NOW + 4_000);
    // Leased before a policy made the bucket smaller: what it holds then is less than what it held.
    const more: Leased[] = [{ milli: 80_000, until_ms: NOW + 4_000 }];
    const held = { milli: 50_000, at_ms: NOW };
    expect(refill(held, flow, fullAt(held, flow, more), more).milli).toBe(100_000);
  });

  it("says when it will hold an amount, the ends of leases included", () => {
    for (const milli of [46_000, 50_000, 60_000, 70_000, 99_000]) {
      const wait = reaches({ milli: 45_000, at_ms: NOW }, flow, milli, leased) - NOW;
      expect(at(wait), `${milli} after ${wait} ms`).toBeGreaterThanOrEqual(milli);
      expect(at(wait - 1), `${milli} before ${wait} ms`).toBeLessThan(milli);
    }
  });

  it("gives an amount at the moment it says and not before, whatever ends in between", () => {
    const span = fc.integer({ min: 0, max: 3_000 });
    const fraction = fc.record({ num: fc.bigInt({ min: 1n, max: 40n }), den: fc.bigInt({ min: 1n, max: 9n }) });
    const two = fc.tuple(fc.tuple(fc.nat(5_000), span), fc.tuple(fc.nat(5_000), span));
    fc.assert(
      fc.property(fraction, two, fc.nat(10_000), fc.nat(20_000), (part, parts, held, milli) => {
        const odd = { capacity_milli: 20_000, ...part };
        let until_ms = NOW;
        const leases = parts.map(([taken, ms]) => {
          until_ms += ms;
          return { milli: taken, until_ms };
        });
        const from = { milli: held, at_ms: NOW };
        const wait = reaches(from, odd, milli, leases) - NOW;
        const given = (ms: number) => refill(from, odd, NOW + ms, leases).milli;
        expect(given(wait)).toBeGreaterThanOrEqual(milli);
        if (wait > 0) expect(given(wait - 1)).toBeLessThan(milli);
      }),
      {
        examples: [
          [
            { num: 15n, den: 8n },
            [
              [342, 651],
              [3_460, 573],
            ],
            1_207,
            5_225,
          ],
        ],
      }, // rounded twice on the way
    );
  });

  it("draws from what is not leased alone", () => {
    const free = (cost: number) => drawAll([{ bucket: undefined, flow, cost, leases: leased }], NOW);
    expect(free(50)).toMatchObject({ ok: true, remaining: 0 });
    expect(free(51)).toMatchObject({ ok: false, code: "rate.exhausted" });
  });

  it("holds nothing, and no less, when a policy made it smaller than what it has leased", () => {
    const small = flowAt(rate(40), 0);
    expect(refill({ milli: 5_000, at_ms: NOW }, small, NOW + 1_000, leased).milli).toBe(0);
    expect(refill(undefined, small, NOW, leased).milli).toBe(0);
  });
});

describe("a lease", () => {
  it("is what the isolate wants, if it is a small part of capacity, of what is left, and of what may be leased", () => {
    expect(settle([bucket(1_000, 1_000)], ask(50), NOW).added).toBe(50);
    expect(settle([bucket(1_000, 1_000)], ask(5_000), NOW).added).toBe((1_000 * LIMITS.lease_share_percent) / 100);
    expect(settle([bucket(1_000, 100)], ask(5_000), NOW).added).toBe((100 * LIMITS.lease_draw_percent) / 100);
    const others = [row({ id: "b", granted: 240 }), row({ id: "c", granted: 240 })];
    expect(settle([bucket(1_000, 520, others)], ask(5_000), NOW).added).toBe(20);
  });

  it("counts what it holds once, in its own share and in all of them", () => {
    const own = row({ granted: 60 });
    const others = (held: number) => [row({ id: "b", granted: held / 2 }), row({ id: "c", granted: held / 2 })];
    expect(settle([bucket(1_000, 900, [own])], ask(5_000), NOW).added).toBe(60);
    expect(settle([bucket(1_000, 900, [own, ...others(380)])], ask(5_000), NOW).added).toBe(60);
    expect(settle([bucket(1_000, 900, [own, ...others(400)])], ask(5_000), NOW).added).toBe(40);
  });

  it("is what the tightest bucket of the chain can give", () => {
    const chain = [bucket(10_000, 10_000), bucket(5_000, 5_000), bucket(1_000, 60)];
    expect(settle(chain, ask(5_000), NOW).added).toBe(15);
  });

  it("is not given below the least: under scarcity, or of a small bucket, everybody asks", () => {
    expect(settle([bucket(1_000, 31)], ask(500), NOW)).toEqual({ added: 0 });
    expect(settle([bucket(1_000, 32)], ask(500), NOW).added).toBe(8);
    expect(settle([bucket(66, 66)], ask(500), NOW)).toEqual({ added: 0 });
    expect(settle([bucket(67, 67)], ask(500), NOW).added).toBe(8);
    expect(settle([bucket(1_000, 1_000)], ask(7), NOW)).toEqual({ added: 0 });
  });

  it("is topped up by what was spent, and keeps its numbers growing", () => {
    const { row: next, added } = settle([bucket(1_000, 900, [row({ granted: 60 })])], ask(60, 45), NOW);
    expect(added).toBe(45);
    expect(next).toEqual({ id: "a", granted: 105, spent: 45, until_ms: NOW + LIMITS.lease_life_ms });
  });

  it("lives on without new tokens where there are none, and ends at once when nothing of it is left", () => {
    const scarce = bucket(1_000, 10, [row()]);
    expect(settle([scarce], ask(500, 20), NOW)).toMatchObject({ added: 0, row: { granted: 50, spent: 20 } });
    expect(settle([scarce], ask(500, 50), NOW)).toEqual({ added: 0 });
  });

  it("does not change by a report that comes twice, late, or says more than there was", () => {
    const standing = bucket(1_000, 10, [row({ spent: 40 })]);
    expect(settle([standing], ask(500, 40), NOW).row).toMatchObject({ granted: 50, spent: 40 });
    expect(settle([standing], ask(500, 3), NOW).row).toMatchObject({ granted: 50, spent: 40 });
    expect(settle([standing], ask(500, 900), NOW)).toEqual({ added: 0 });
    // What is given to one that spent too much is given beyond that: it can be spent, and no more.
    const { row: next } = settle([bucket(1_000, 1_000, [row()])], ask(50, 900), NOW);
    expect(next).toMatchObject({ granted: 950, spent: 900 });
  });

  it("of which no row is left has nothing but what is given now", () => {
    const { row: next } = settle([bucket(1_000, 1_000)], ask(50, 400), NOW);
    expect(next).toMatchObject({ granted: 450, spent: 400 });
  });

  it("never ends earlier than was said before, should the clock go back", () => {
    const said = row({ until_ms: NOW + 60_000 });
    expect(settle([bucket(1_000, 1_000, [said])], ask(100), NOW).row?.until_ms).toBe(NOW + 60_000);
  });

  it("counts until its end, and in thousandths of what is left of it", () => {
    const rows = [row({ id: "b", until_ms: NOW + 9_000 }), row({ spent: 20 })];
    expect(takenBy(rows)).toEqual([
      { milli: 30_000, until_ms: NOW + 5_000 },
      { milli: 50_000, until_ms: NOW + 9_000 },
    ]);
    expect(living(rows, NOW + 4_999)).toHaveLength(2);
    expect(living(rows, NOW + 5_000).map(({ id }) => id)).toEqual(["b"]);
  });
});
