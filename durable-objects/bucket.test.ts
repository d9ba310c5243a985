import type { RateClass } from "@talos/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Bucket, drawAll, type Flow, flowAt, fullAt, MILLI, reaches, refill } from "./bucket.ts";

const rateClass = fc.record({
  name: fc.constant("read"),
  capacity: fc.integer({ min: 1, max: 1_000_000 }),
  refill_per_second: fc.integer({ min: 1, max: 1_000_000 }),
  link_share_percent: fc.integer({ min: 1, max: 100 }),
  concurrency: fc.constant(1),
});
const depth = fc.integer({ min: 0, max: 7 });
const small = fc.record({
  name: fc.constant("read"),
  capacity: fc.integer({ min: 1, max: 50 }),
  refill_per_second: fc.integer({ min: 1, max: 20 }),
  link_share_percent: fc.integer({ min: 1, max: 100 }),
  concurrency: fc.constant(1),
});

/** Thousandths that flow in during `ms`, rounded down. */
const inflow = (flow: Flow, ms: number): number => Number((BigInt(ms) * flow.num) / flow.den);

/** Whether a millisecond makes another number of it: beyond 285,000 years, as of 10^-14 tokens a second, it does not. */
const isTold = (ms: number): boolean => Number.isSafeInteger(ms);

function take(bucket: Bucket | undefined, flow: Flow, cost: number, nowMs: number) {
  return drawAll([{ bucket, flow, cost }], nowMs);
}

describe("a bucket", () => {
  it("never gives more than its capacity and what flowed in, however it is asked", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 5 })), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(small, depth, steps, (rate: RateClass, d, asks) => {
        const flow = flowAt(rate, d);
        let now = 1_000_000;
        const start = now;
        let bucket: Bucket | undefined;
        let given = 0;
        for (const [wait, cost] of asks) {
          now += wait;
          const drawn = take(bucket, flow, cost, now);
          if (drawn.ok) {
            bucket = drawn.buckets[0];
            given += cost * MILLI;
          }
          expect(given).toBeLessThanOrEqual(flow.capacity_milli + inflow(flow, now - start));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("says a wait after which the same draw succeeds, and one millisecond less does not", () => {
    fc.assert(
      fc.property(
        rateClass,
        depth,
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.integer({ min: 1, max: 3 }),
        (rate, d, ago, cost) => {
          const flow = flowAt(rate, d);
          const now = 10_000_000;
          const bucket = { milli: 0, at_ms: now - ago };
          const drawn = take(bucket, flow, cost, now);
          if (drawn.ok || drawn.code === "LIMIT_EXCEEDED") return;
          fc.pre(isTold(now + drawn.retry_after_ms));
          expect(take(bucket, flow, cost, now + drawn.retry_after_ms).ok).toBe(true);
          expect(take(bucket, flow, cost, now + drawn.retry_after_ms - 1).ok).toBe(false);
        },
      ),
    );
  });

  it("stays within 0 and its capacity, in whole thousandths, and its time never passes the clock", () => {
    fc.assert(
      fc.property(rateClass, depth, fc.nat({ max: 2 ** 40 }), (rate, d, elapsed) => {
        const flow = flowAt(rate, d);
        const filled = refill({ milli: 0, at_ms: 5 }, flow, 5 + elapsed);
        expect(Number.isSafeInteger(filled.milli)).toBe(true);
        expect(filled.milli).toBeGreaterThanOrEqual(0);
        expect(filled.milli).toBeLessThanOrEqual(flow.capacity_milli);
        expect(filled.at_ms).toBeLessThanOrEqual(5 + elapsed);
      }),
    );
  });

  it("is full at the time it says, and not before", () => {
    fc.assert(
      fc.property(rateClass, depth, fc.nat({ max: 999 }), (rate, d, milli) => {
        const flow = flowAt(rate, d);
        const bucket = { milli: Math.min(milli, flow.capacity_milli - 1), at_ms: 0 };
        const at = fullAt(bucket, flow);
        fc.pre(isTold(at));
        expect(refill(bucket, flow, at).milli).toBe(flow.capacity_milli);
        expect(refill(bucket, flow, at - 1).milli).toBeLessThan(flow.capacity_milli);
        expect(reaches(bucket, flow, bucket.milli)).toBe(0);
      }),
    );
  });

  it("gains nothing when the clock goes back", () => {
    const flow = flowAt(
      { name: "read", capacity: 10, refill_per_second: 1000, link_share_percent: 50, concurrency: 1 },
      0,
    );
    const drawn = take({ milli: 500, at_ms: 5_000 }, flow, 1, 1_000);
    expect(drawn).toEqual({ ok: false, code: "rate.exhausted", retry_after_ms: 4_001 });
    // Neither is anything taken, nor a moment given twice once the clock is where it was.
    expect(refill({ milli: 500, at_ms: 5_000 }, flow, 1_000)).toEqual({ milli: 500, at_ms: 5_000 });
    expect(refill({ milli: 10_000, at_ms: 5_000 }, flow, 1_000)).toEqual({ milli: 10_000, at_ms: 5_000 });
  });

  it("gives no more to who asks every millisecond", () => {
    const flow: Flow = { capacity_milli: 1_000_000, num: 3n, den: 2n };
    let bucket: Bucket = { milli: 0, at_ms: 0 };
    for (let now = 1; now <= 1_000; now += 1) bucket = refill(bucket, flow, now);
    expect(bucket.milli).toBeLessThanOrEqual(1_500);
    expect(bucket.milli).toBeGreaterThan(900);
  });

  it("has share^depth of the root's capacity and inflow, but never less than one token", () => {
    const rate = { name: "read", capacity: 40, refill_per_second: 8, link_share_percent: 50, concurrency: 1 };
    expect([0, 1, 2, 3].map((d) => flowAt(rate, d).capacity_milli)).toEqual([40_000, 20_000, 10_000, 5_000]);
    expect(flowAt(rate, 7).capacity_milli).toBe(1_000);
    expect([0, 1, 3].map((d) => inflow(flowAt(rate, d), 1_000))).toEqual([8_000, 4_000, 1_000]);
  });
});

describe("several buckets", () => {
  const flow = (capacity: number): Flow => ({ capacity_milli: capacity * MILLI, num: 1n, den: 1n });

  it("are all debited or none is, and the longest wait is named", () => {
    const now = 1_000;
    const refused = drawAll(
      [
        { bucket: undefined, flow: flow(5), cost: 1 },
        { bucket: { milli: 400, at_ms: now }, flow: flow(5), cost: 1 },
        { bucket: { milli: 100, at_ms: now }, flow: flow(5), cost: 1 },
      ],
      now,
    );
    expect(refused).toEqual({ ok: false, code: "rate.exhausted", retry_after_ms: 900 });
  });

  it("refuse for good what no waiting can give", () => {
    const drawn = drawAll([{ bucket: undefined, flow: flow(5), cost: 6 }], 0);
    expect(drawn).toEqual({ ok: false, code: "LIMIT_EXCEEDED", retry_after_ms: 0 });
  });

  it("report what is left in the tightest", () => {
    const drawn = drawAll(
      [
        { bucket: undefined, flow: flow(9), cost: 2 },
        { bucket: undefined, flow: flow(4), cost: 1 },
      ],
      0,
    );
    expect(drawn).toMatchObject({ ok: true, remaining: 3 });
  });
});
