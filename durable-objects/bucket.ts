/**
 * Token buckets in whole thousandths of a token, pure. Rates are exact fractions, so that nothing is rounded in the
 * caller's favour: over any time t a bucket gives at most its capacity and what flows in during t.
 * Source: contracts/spec/admission.md.
 */
import type { RateClass } from "@talos/contracts";

/** Thousandths of a token. */
export const MILLI = 1000;

/** What a bucket held at a moment. No bucket means a full one. */
export interface Bucket {
  milli: number;
  at_ms: number;
}

/** Size and inflow of one bucket; the inflow is `num/den` thousandths per millisecond, which is tokens per second. */
export interface Flow {
  capacity_milli: number;
  num: bigint;
  den: bigint;
}

/**
 * The bucket of a link at `depth` below the root: share^depth of the root's, but never less than one token.
 * @param depth 0 for the root
 */
export function flowAt(rate: RateClass, depth: number): Flow {
  const num = BigInt(rate.link_share_percent) ** BigInt(depth);
  const den = 100n ** BigInt(depth);
  const shared = Number((BigInt(rate.capacity) * num) / den);
  const capacity = depth === 0 ? rate.capacity : Math.max(1, shared);
  return { capacity_milli: capacity * MILLI, num: BigInt(rate.refill_per_second) * num, den };
}

/** What the bucket holds at `nowMs`. A clock that went back adds nothing. */
export function refill(bucket: Bucket | undefined, flow: Flow, nowMs: number): Bucket {
  if (bucket === undefined) return { milli: flow.capacity_milli, at_ms: nowMs };
  const elapsed = BigInt(Math.max(0, nowMs - bucket.at_ms));
  const added = (elapsed * flow.num) / flow.den;
  const milli = BigInt(bucket.milli) + added;
  if (milli >= BigInt(flow.capacity_milli)) return { milli: flow.capacity_milli, at_ms: Math.max(nowMs, bucket.at_ms) };
  // Only the time that `added` took is used up; a remainder below a thousandth keeps flowing.
  return { milli: Number(milli), at_ms: bucket.at_ms + Number(ceilDiv(added * flow.den, flow.num)) };
}

/** Unix ms at which the bucket holds `milli`, if nobody draws on it. */
export function reaches(bucket: Bucket, flow: Flow, milli: number): number {
  const lacking = BigInt(Math.max(0, milli - bucket.milli));
  return bucket.at_ms + Number(ceilDiv(lacking * flow.den, flow.num));
}

/** Unix ms at which the bucket is full again, and its row of no more use. */
export function fullAt(bucket: Bucket, flow: Flow): number {
  return reaches(bucket, flow, flow.capacity_milli);
}

/** One bucket and the whole tokens to be taken from it. */
export interface Draw {
  bucket: Bucket | undefined;
  flow: Flow;
  cost: number;
}

/** The buckets after the draws, in order, and the whole tokens left in the tightest. */
export type Drawn =
  | { ok: true; buckets: Bucket[]; remaining: number }
  | { ok: false; code: "LIMIT_EXCEEDED" | "rate.exhausted"; retry_after_ms: number };

/**
 * Take from all buckets or from none.
 * @returns `LIMIT_EXCEEDED` when a cost is above a capacity, so that waiting is no help; `rate.exhausted` with the
 * longest wait of any bucket
 */
export function drawAll(draws: readonly Draw[], nowMs: number): Drawn {
  if (draws.some((draw) => draw.cost * MILLI > draw.flow.capacity_milli)) {
    return { ok: false, code: "LIMIT_EXCEEDED", retry_after_ms: 0 };
  }
  const filled = draws.map((draw) => refill(draw.bucket, draw.flow, nowMs));
  // From what is stored, not from what was refilled: a refusal stores nothing, so no remainder is lost.
  const waits = draws.map(({ bucket, flow, cost }, i) => reaches(bucket ?? filled[i]!, flow, cost * MILLI) - nowMs);
  const short = draws.some((draw, i) => filled[i]!.milli < draw.cost * MILLI);
  if (short) return { ok: false, code: "rate.exhausted", retry_after_ms: Math.max(1, ...waits) };
  const buckets = draws.map((draw, i) => ({ ...filled[i]!, milli: filled[i]!.milli - draw.cost * MILLI }));
  return { ok: true, buckets, remaining: Math.floor(Math.min(...buckets.map((bucket) => bucket.milli)) / MILLI) };
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}
