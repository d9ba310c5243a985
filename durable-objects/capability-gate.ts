/**
 * The atom: what all chains below one root link of a tenant may draw together.
 * Reached by: `<tenant>/<root link id>`, so delegating to fresh keys multiplies nothing.
 * Rows: `buckets` (class and link id; a full bucket has no row), `leases` (bucket and lease; what isolates may still
 * spend, until it ends), `nonces` (key and nonce, until the proof has expired), `slots` (calls in flight, until their
 * time is over). Each is bounded: gate_buckets, gate_leases, gate_nonces, concurrency.
 * Atomic: `admit` reads, decides and writes without awaiting, so no two requests or leases spend one token or use one
 * nonce, and writes in one transaction, so a request takes everything or nothing, and a lease is on every bucket of its
 * chain or on none. The output gate holds the answer back until the rows are durable. A refused request takes nothing;
 * slots that it gives back are free all the same.
 * Eviction loses: counters of rows, which are counted again. Nothing that a decision depends on.
 * Source: contracts/spec/admission.md.
 */
import { DurableObject } from "cloudflare:workers";
import { LIMITS, TalosError } from "@talos/contracts";
import { type Bucket, type Draw, drawAll, flowAt, fullAt, MILLI } from "./bucket.ts";
import type { Env } from "./env.ts";
import { type LeaseAsk, type LeaseRow, living, settle, takenBy } from "./lease.ts";
import type { Admitted, AdmitAsk, Charge } from "./types.ts";

type Row = Record<string, SqlStorageValue>;

/** How often rows that say nothing any more are looked for. */
const SWEEP_MS = 60_000;
/** With the rows at their bound, a scan for reclaimable ones at most this often, so that a flood cannot buy scans. */
const SCAN_MS = 1_000;
/** Nonces outlive their proof and buckets their use by this, should a new host's clock be behind the old one's. */
const CLOCK_MARGIN_MS = LIMITS.proof_skew_seconds * 1000;
/** Slots that one call gives back. */
const FREED_MOST = 256;

/** One bucket of the chain and everything its rows say of it. */
interface Line extends Draw {
  key: string;
  rows: LeaseRow[];
}

/** One bucket as it is to be written. */
interface Entry {
  line: Line;
  bucket: Bucket;
  /** leases that have not ended, the one that was asked for included */
  leases: LeaseRow[];
}

interface Counts extends Record<string, SqlStorageValue> {
  buckets: number;
  leases: number;
  nonces: number;
}

const refuse = (code: (Admitted & { ok: false })["code"], retry_after_ms = 0): Admitted => ({
  ok: false,
  code,
  retry_after_ms,
});

export class CapabilityGate extends DurableObject<Env> {
  /** number of rows; undefined when it must be counted */
  #rows: Counts | undefined;
  #scannedMs = 0;
  #alarmMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      ctx.storage.sql.exec(`
        CREATE TABLE IF NOT EXISTS buckets (key TEXT PRIMARY KEY, milli INTEGER NOT NULL, at_ms INTEGER NOT NULL,
          full_at_ms INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS leases (key TEXT NOT NULL, id TEXT NOT NULL, granted INTEGER NOT NULL,
          spent INTEGER NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS nonces (jkt TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER NOT NULL,
          PRIMARY KEY (jkt, value)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS slots (id TEXT PRIMARY KEY, class TEXT NOT NULL, until_ms INTEGER NOT NULL)
          WITHOUT ROWID;`);
      this.#alarmMs = await ctx.storage.getAlarm();
    });
  }

  /**
   * Replay, buckets, concurrency and the lease of one request, decided together.
   * @returns the first refusal in the order of the specification, or what is left
   * @throws `internal` for an ask that no authenticated request can lead to
   */
  admit(ask: AdmitAsk): Admitted {
    const charges = merge(ask);
    check(ask, charges);
    const nowMs = Date.now();

    const { nonce, slot, freed = [] } = ask;
    if (freed.length > 0) this.release(...freed);
    if (nonce !== undefined) {
      const aheadMs = nonce.expires * 1000 - nowMs;
      if (aheadMs <= 0 || aheadMs > LIMITS.gate_expires_ahead_seconds * 1000) return refuse("PROOF_INVALID");
      if (this.#used(nonce.jkt, nonce.value)) return refuse("REPLAY");
    }

    const lines = charges.flatMap((charge) => this.#lines(ask.links, charge));
    const drawn = drawAll(lines, nowMs);
    if (!drawn.ok) return refuse(drawn.code, drawn.retry_after_ms);
    const fresh = lines.filter((line) => line.bucket === undefined).length;
    const room = { buckets: fresh, leases: 0, nonces: nonce === undefined ? 0 : 1 };
    if (!this.#room(room, nowMs)) return refuse("rate.exhausted", SCAN_MS);

    if (slot !== undefined) {
      const freeMs = this.#slotFreeMs(slot.id, ask.rate.name, ask.rate.concurrency, nowMs);
      if (freeMs > nowMs) return refuse("concurrency.exhausted", Math.min(freeMs - nowMs, SCAN_MS));
    }

    const entries = lines.map((line, i) => ({
      ...{ line, bucket: drawn.buckets[i]!, leases: living(line.rows, nowMs) },
    }));
    const lease = ask.lease === undefined ? undefined : this.#lease(ask.lease, entries, nowMs);
    this.#write(ask, entries, nowMs);
    const held = lease === undefined ? {} : { lease: { granted: lease.granted, until_ms: lease.until_ms } };
    return { ok: true, remaining: drawn.remaining, ...held };
  }

  /**
   * Keep the slot of a call that still runs.
   * @returns false when its time was over: it may be another's by now, and the call goes on without one
   */
  keep(slotId: string, ttlMs: number): boolean {
    const nowMs = Date.now();
    const until = nowMs + Math.min(ttlMs, LIMITS.gate_slot_ttl_ms);
    const sql = "UPDATE slots SET until_ms = max(until_ms, ?) WHERE id = ? AND until_ms > ? RETURNING id";
    return this.ctx.storage.sql.exec(sql, until, slotId, nowMs).toArray().length > 0;
  }

  /** Free slots before their time is over. One that is free already, or never was, is no error. */
  release(...slotIds: string[]): void {
    if (slotIds.length > FREED_MOST) throw new TalosError("internal", { why: "too many slots at once" });
    const sql = "DELETE FROM slots WHERE id IN (SELECT value FROM json_each(?))";
    this.ctx.storage.sql.exec(sql, JSON.stringify(slotIds));
  }

  /** Delete what says nothing any more; come again while rows are left. */
  override async alarm(): Promise<void> {
    this.#alarmMs = null;
    try {
      this.#sweep(Date.now());
    } finally {
      const { buckets, leases, nonces } = this.#counted();
      const slots = this.#one<{ n: number }>("SELECT count(*) AS n FROM slots").n;
      if (buckets + leases + nonces + slots > 0) this.#arm(Date.now());
    }
  }

  #lines(links: readonly string[], { rate, cost }: Charge): Line[] {
    const { sql } = this.ctx.storage;
    const leased = this.#counted().leases > 0;
    return links.map((link, depth) => {
      const key = `${rate.name}/${link}`;
      const buckets = sql.exec<{ milli: number; at_ms: number }>("SELECT milli, at_ms FROM buckets WHERE key = ?", key);
      const rows = leased
        ? sql.exec<LeaseRow & Row>("SELECT id, granted, spent, until_ms FROM leases WHERE key = ?", key).toArray()
        : [];
      return { key, bucket: buckets.toArray()[0], flow: flowAt(rate, depth), cost, rows, leases: takenBy(rows) };
    });
  }

  /** Settle the isolate's lease and top it up from every bucket of the chain; `entries` become what is to be written. */
  #lease(ask: LeaseAsk, entries: Entry[], nowMs: number): LeaseRow | undefined {
    const known = entries.every(({ leases }) => leases.some(({ id }) => id === ask.id));
    const room = { buckets: 0, leases: entries.length, nonces: 0 };
    if (!known && !this.#room(room, nowMs)) return undefined;
    const buckets = entries.map(({ line, bucket, leases }) => ({ bucket, flow: line.flow, living: leases }));
    const { row, added } = settle(buckets, ask, nowMs);
    for (const entry of entries) {
      const others = entry.leases.filter(({ id }) => id !== ask.id);
      entry.bucket = { ...entry.bucket, milli: entry.bucket.milli - added * MILLI };
      entry.leases = row === undefined ? others : [...others, row];
    }
    return row;
  }

  #used(jkt: string, value: string): boolean {
    const sql = "SELECT 1 AS n FROM nonces WHERE jkt = ? AND value = ?";
    return this.ctx.storage.sql.exec(sql, jkt, value).toArray().length > 0;
  }

  /** Whether that many new rows fit; reclaims what it can before it says no. */
  #room(more: Counts, nowMs: number): boolean {
    const fits = () => {
      const { buckets, leases, nonces } = this.#counted();
      return (
        buckets + more.buckets <= LIMITS.gate_buckets &&
        leases + more.leases <= LIMITS.gate_leases &&
        nonces + more.nonces <= LIMITS.gate_nonces
      );
    };
    if (fits()) return true;
    if (nowMs - this.#scannedMs < SCAN_MS && nowMs >= this.#scannedMs) return false;
    this.#sweep(nowMs);
    return fits();
  }

  /** Unix ms at which a slot of the class is free: not after `nowMs` when one is free now. */
  #slotFreeMs(id: string, rateName: string, concurrency: number, nowMs: number): number {
    this.ctx.storage.sql.exec("DELETE FROM slots WHERE until_ms <= ?", nowMs);
    const held = this.#one<{ n: number; first_ms: number | null }>(
      "SELECT count(*) AS n, min(until_ms) AS first_ms FROM slots WHERE class = ? AND id <> ?",
      rateName,
      id,
    );
    return held.n < concurrency ? nowMs : (held.first_ms ?? nowMs);
  }

  #write(ask: AdmitAsk, entries: readonly Entry[], nowMs: number): void {
    const { sql } = this.ctx.storage;
    const rows = { ...this.#counted() };
    this.#rows = undefined; // counted again if the transaction throws
    this.ctx.storage.transactionSync(() => {
      for (const { line, bucket, leases } of entries) {
        const { key, flow } = line;
        const values = [key, bucket.milli, bucket.at_ms, fullAt(bucket, flow, takenBy(leases))];
        sql.exec("INSERT OR REPLACE INTO buckets (key, milli, at_ms, full_at_ms) VALUES (?, ?, ?, ?)", ...values);
        this.#writeLeases(line, leases);
      }
      const { nonce, slot } = ask;
      if (nonce !== undefined) {
        sql.exec("INSERT INTO nonces (jkt, value, expires) VALUES (?, ?, ?)", nonce.jkt, nonce.value, nonce.expires);
      }
      if (slot !== undefined) {
        const until = nowMs + slot.ttl_ms;
        sql.exec("INSERT OR REPLACE INTO slots (id, class, until_ms) VALUES (?, ?, ?)", slot.id, ask.rate.name, until);
      }
    });
    for (const { line, leases } of entries) {
      rows.buckets += line.bucket === undefined ? 1 : 0;
      rows.leases += leases.length - line.rows.length;
    }
    rows.nonces += ask.nonce === undefined ? 0 : 1;
    if (this.#scannedMs !== nowMs) this.#rows = rows; // a sweep deleted some of what was read: counted again
    if (this.#alarmMs === null || this.#alarmMs < nowMs - SWEEP_MS) this.#arm(nowMs);
  }

  /** The bucket's time has passed the end of leases that are gone, so their rows go with it. */
  #writeLeases({ key, rows }: Line, leases: readonly LeaseRow[]): void {
    const { sql } = this.ctx.storage;
    const kept = new Set(leases.map(({ id }) => id));
    for (const { id } of rows) if (!kept.has(id)) sql.exec("DELETE FROM leases WHERE key = ? AND id = ?", key, id);
    for (const lease of leases) {
      if (rows.includes(lease)) continue;
      const { id, granted, spent, until_ms } = lease;
      sql.exec(
        "INSERT OR REPLACE INTO leases (key, id, granted, spent, until_ms) VALUES (?, ?, ?, ?, ?)",
        ...[key, id, granted, spent, until_ms],
      );
    }
  }

  #sweep(nowMs: number): void {
    const { sql } = this.ctx.storage;
    this.#scannedMs = nowMs;
    this.#rows = undefined;
    this.ctx.storage.transactionSync(() => {
      sql.exec("DELETE FROM buckets WHERE full_at_ms <= ?", nowMs - CLOCK_MARGIN_MS);
      // What a bucket could not hold beside a lease must not flow in once the lease's row is gone. How much that was
      // only a request's rate class can tell, so such a bucket fills from the end of the lease: later than it might.
      sql.exec(
        `UPDATE buckets SET at_ms = max(at_ms, ended.at) FROM
          (SELECT key, max(until_ms) AS at FROM leases WHERE until_ms <= ? GROUP BY key) AS ended
          WHERE buckets.key = ended.key`,
        nowMs,
      );
      sql.exec("DELETE FROM leases WHERE until_ms <= ?", nowMs);
    });
    sql.exec("DELETE FROM nonces WHERE expires * 1000 <= ?", nowMs - CLOCK_MARGIN_MS);
    sql.exec("DELETE FROM slots WHERE until_ms <= ?", nowMs);
  }

  /** Not awaited: the output gate waits for it like for any other write, and fails the object if it fails. */
  #arm(nowMs: number): void {
    this.#alarmMs = nowMs + SWEEP_MS;
    void this.ctx.storage.setAlarm(this.#alarmMs);
  }

  #counted(): Counts {
    this.#rows ??= this.#one<Counts>(`SELECT (SELECT count(*) FROM buckets) AS buckets,
      (SELECT count(*) FROM leases) AS leases, (SELECT count(*) FROM nonces) AS nonces`);
    return this.#rows;
  }

  #one<T extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): T {
    return this.ctx.storage.sql.exec<T>(query, ...values).one();
  }
}

/** One charge a class: a batch may name a class more than once. */
function merge(ask: AdmitAsk): Charge[] {
  const charges = new Map<string, Charge>();
  for (const { rate, cost } of [ask, ...(ask.more ?? [])]) {
    charges.set(rate.name, { rate, cost: cost + (charges.get(rate.name)?.cost ?? 0) });
  }
  return [...charges.values()];
}

/** Rows are made of what is asked, so its size is bounded here, whatever the callers check. */
function check(ask: AdmitAsk, charges: readonly Charge[]): void {
  const text = (value: unknown) => typeof value === "string" && value.length > 0 && value.length <= 128;
  const count = (value: unknown, max: number) =>
    Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= max;
  const { links, nonce, slot, lease, freed = [] } = ask;
  const plain = nonce === undefined && slot === undefined && ask.more === undefined;
  const sound =
    links.length >= 1 &&
    links.length <= LIMITS.chain_links &&
    new Set(links).size === links.length &&
    links.every(text) &&
    charges.length <= LIMITS.batch_items &&
    charges.every(
      ({ rate, cost }) =>
        text(rate.name) &&
        (count(cost, LIMITS.rate_cost * LIMITS.batch_items) || (cost === 0 && lease !== undefined)) &&
        count(rate.capacity, LIMITS.rate_capacity) &&
        count(rate.refill_per_second, LIMITS.rate_refill_per_second) &&
        count(rate.link_share_percent, 100) &&
        count(rate.concurrency, LIMITS.rate_concurrency),
    ) &&
    (nonce === undefined || (text(nonce.jkt) && text(nonce.value) && Number.isSafeInteger(nonce.expires))) &&
    (slot === undefined || (text(slot.id) && count(slot.ttl_ms, LIMITS.gate_slot_ttl_ms))) &&
    freed.every(text) &&
    (lease === undefined ||
      (plain && text(lease.id) && count(lease.spent + 1, Number.MAX_SAFE_INTEGER) && Number.isSafeInteger(lease.want)));
  if (!sound) throw new TalosError("internal", { why: "admission was asked for something that no request asks" });
}
