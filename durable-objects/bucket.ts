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

/** Thousandths of a bucket that a lease took and that may still be spent until it ends. */
export interface Leased {
  milli: number;
  until_ms: number;
}

export const leasedMilli = (leases: readonly Leased[]): number => leases.reduce((sum, { milli }) => sum + milli, 0);

/**
 * What the bucket holds at `nowMs`. What is leased is still the bucket's: the rest fills up to its capacity without it,
 * else a full bucket and a full lease could be spent at one moment. A clock that went back adds nothing.
 * @param leases those of the bucket that the row may not have outlived, the earliest end first
 */
export function refill(bucket: Bucket | undefined, flow: Flow, nowMs: number, leases: readonly Leased[] = []): Bucket {
  let room = flow.capacity_milli - leasedMilli(leases);
  if (bucket === undefined) return { milli: Math.max(0, room), at_ms: nowMs };
  let filled = bucket;
  for (const { milli, until_ms } of leases) {
    if (until_ms > nowMs) break;
    filled = fill(filled, flow, room, until_ms);
    room += milli;
  }
  return fill(filled, flow, room, nowMs);
}

function fill(bucket: Bucket, flow: Flow, room: number, nowMs: number): Bucket {
  const elapsed = BigInt(Math.max(0, nowMs - bucket.at_ms));
  const added = (elapsed * flow.num) / flow.den;
  const milli = BigInt(bucket.milli) + added;
  // `room` is below 0 when a policy made the bucket smaller than what it had leased.
  if (milli >= BigInt(room)) return { milli: Math.max(0, room), at_ms: Math.max(nowMs, bucket.at_ms) };
  // Only the time that `added` took is used up; a remainder below a thousandth keeps flowing.
  return { milli: Number(milli), at_ms: bucket.at_ms + Number(ceilDiv(added * flow.den, flow.num)) };
}

/** Unix ms at which the bucket holds `milli`, if nobody draws on it and no lease is topped up. */
export function reaches(bucket: Bucket, flow: Flow, milli: number, leases: readonly Leased[] = []): number {
  const at = ({ milli: held, at_ms }: Bucket): number =>
    at_ms + Number(ceilDiv(BigInt(Math.max(0, milli - held)) * flow.den, flow.num));
  let filled = bucket;
  let room = flow.capacity_milli - leasedMilli(leases);
  for (const lease of leases) {
    if (milli <= room && at(filled) <= lease.until_ms) return at(filled);
    filled = fill(filled, flow, room, lease.until_ms);
    room += lease.milli;
  }
  return at(filled);
}

/** Unix ms from which the bucket is full with nothing leased, and its row of no more use; never too early. */
export function fullAt(bucket: Bucket, flow: Flow, leases: readonly Leased[] = []): number {
  const last = leases.at(-1);
  if (last === undefined) return reaches(bucket, flow, flow.capacity_milli);
  return reaches({ milli: 0, at_ms: Math.max(bucket.at_ms, last.until_ms) }, flow, flow.capacity_milli);
}

/** One bucket, what it has leased (the earliest end first), and the whole tokens to be taken from it. */
export interface Draw {
  bucket: Bucket | undefined;
  flow: Flow;
  cost: number;
  leases?: readonly Leased[];
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
  const filled = draws.map((draw) => refill(draw.bucket, draw.flow, nowMs, draw.leases));
  // From what is stored, not from what was refilled: a refusal stores nothing, so no remainder is lost.
  const waits = draws.map(
    ({ bucket, flow, cost, leases }, i) => reaches(bucket ?? filled[i]!, flow, cost * MILLI, leases) - nowMs,
  );
  const short = draws.some((draw, i) => filled[i]!.milli < draw.cost * MILLI);
  if (short) return { ok: false, code: "rate.exhausted", retry_after_ms: Math.max(1, ...waits) };
  const buckets = draws.map((draw, i) => ({ ...filled[i]!, milli: filled[i]!.milli - draw.cost * MILLI }));
  return { ok: true, buckets, remaining: Math.floor(Math.min(...buckets.map((bucket) => bucket.milli)) / MILLI) };
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}
