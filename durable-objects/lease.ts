/**
 * Leases, pure: tokens that an isolate may spend on reads without asking, taken from every bucket of a chain at once.
 * How much an isolate may hold; what the rows say after an ask. Source: contracts/spec/admission.md#leases.
 */
import { LIMITS } from "@talos/contracts";
import { type Bucket, type Flow, type Leased, leasedMilli, MILLI } from "./bucket.ts";

/** A lease in one bucket's eyes: whole tokens, both numbers only ever growing. */
export interface LeaseRow {
  id: string;
  granted: number;
  spent: number;
  until_ms: number;
}

/** What an isolate says of its lease and asks for. */
export interface LeaseAsk {
  /** chosen by the isolate, another one once a lease has ended */
  id: string;
  /** whole tokens spent of it since it began */
  spent: number;
  /** whole tokens that the isolate wants to hold, in all */
  want: number;
}

/** What the isolate may spend of its lease since it began, and when the object's clock ends it. */
export interface LeaseGrant {
  granted: number;
  until_ms: number;
}

/** What can still be spent of a lease. */
export const unspent = ({ granted, spent }: Pick<LeaseRow, "granted" | "spent">): number =>
  Math.max(0, granted - spent);

/** What leases take of their bucket's capacity, those that have ended too; the earliest end first. */
export const takenBy = (rows: readonly LeaseRow[]): Leased[] =>
  rows.map((row) => ({ milli: unspent(row) * MILLI, until_ms: row.until_ms })).sort((a, b) => a.until_ms - b.until_ms);

export const living = (rows: readonly LeaseRow[], nowMs: number): LeaseRow[] =>
  rows.filter(({ until_ms }) => until_ms > nowMs);

/** A bucket as it stands after the request's own draw, and the leases on it that have not ended. */
export interface Leasable {
  bucket: Bucket;
  flow: Flow;
  living: readonly LeaseRow[];
}

/**
 * The lease after an ask, one for all buckets of the chain.
 *
 * What was spent counts no more, also when nothing is added. A report that comes late or twice changes nothing, since
 * both numbers only grow; an answer that was lost is made up for by the next one.
 * @returns the row to keep and the tokens to take from each bucket; no row when the isolate has nothing to spend
 */
export function settle(buckets: readonly Leasable[], ask: LeaseAsk, nowMs: number): { row?: LeaseRow; added: number } {
  const before = buckets[0]?.living.find(({ id }) => id === ask.id);
  // Of an unknown lease nothing is left, whatever the isolate thinks: it goes on from what it has spent.
  const granted = before?.granted ?? ask.spent;
  const spent = Math.max(before?.spent ?? 0, ask.spent);
  const held = unspent({ granted, spent });
  const added = Math.min(ask.want - held, ...buckets.map((one) => spare(one, ask.id, held)));
  const more = added >= LIMITS.lease_min_tokens ? added : 0;
  if (held + more === 0) return { added: 0 };
  const until_ms = Math.max(before?.until_ms ?? 0, nowMs + LIMITS.lease_life_ms);
  return { row: { id: ask.id, granted: Math.max(granted, spent) + more, spent, until_ms }, added: more };
}

/** Whole tokens that a bucket can add to a lease that holds `held`. Small buckets have none. */
function spare({ bucket, flow, living: rows }: Leasable, id: string, held: number): number {
  const part = (milli: number, percent: number): number => Math.floor((milli * percent) / 100);
  const others = leasedMilli(takenBy(rows.filter((row) => row.id !== id)));
  const own = part(flow.capacity_milli, LIMITS.lease_share_percent) - held * MILLI;
  const all = part(flow.capacity_milli, LIMITS.lease_total_percent) - others - held * MILLI;
  return Math.floor(Math.min(own, all, part(bucket.milli, LIMITS.lease_draw_percent)) / MILLI);
}
