/**
 * The atom: what all chains below one root link of a tenant may draw together.
 * Reached by: `<tenant>/<root link id>`, so delegating to fresh keys multiplies nothing.
 * Rows: `buckets` (class and link id; a full bucket has no row), `nonces` (key and nonce, until the proof has expired),
 * `slots` (calls in flight, until their time is over). Each is bounded: gate_buckets, gate_nonces, concurrency.
 * Atomic: `admit` reads, decides and writes without awaiting, so no two requests spend one token or use one nonce, and
 * writes in one transaction, so a request takes everything or nothing. The output gate holds the answer back until the
 * rows are durable. A refused request writes nothing.
 * Eviction loses: counters of rows, which are counted again. Nothing that a decision depends on.
 * Source: contracts/spec/admission.md.
 */
import { DurableObject } from "cloudflare:workers";
import { LIMITS, TalosError } from "@talos/contracts";
import { type Bucket, type Draw, drawAll, flowAt, fullAt } from "./bucket.ts";
import type { Env } from "./env.ts";
import type { Admitted, AdmitAsk, Charge } from "./types.ts";

/** How often rows that say nothing any more are looked for. */
const SWEEP_MS = 60_000;
/** With the rows at their bound, a scan for reclaimable ones at most this often, so that a flood cannot buy scans. */
const SCAN_MS = 1_000;
/** Nonces outlive their proof by this, should a new host's clock be behind the old one's. */
const CLOCK_MARGIN_MS = LIMITS.proof_skew_seconds * 1000;

interface Line extends Draw {
  key: string;
}

const refuse = (code: (Admitted & { ok: false })["code"], retry_after_ms = 0): Admitted => ({
  ok: false,
  code,
  retry_after_ms,
});

export class CapabilityGate extends DurableObject<Env> {
  /** number of rows; undefined when it must be counted */
  #rows: { buckets: number; nonces: number } | undefined;
  #scannedMs = 0;
  #alarmMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      ctx.storage.sql.exec(`
        CREATE TABLE IF NOT EXISTS buckets (key TEXT PRIMARY KEY, milli INTEGER NOT NULL, at_ms INTEGER NOT NULL,
          full_at_ms INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS nonces (jkt TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER NOT NULL,
          PRIMARY KEY (jkt, value)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS slots (id TEXT PRIMARY KEY, class TEXT NOT NULL, until_ms INTEGER NOT NULL)
          WITHOUT ROWID;`);
      this.#alarmMs = await ctx.storage.getAlarm();
    });
  }

  /**
   * Replay, buckets and concurrency of one request, decided together.
   * @returns the first refusal in the order of the specification, or what is left
   * @throws `internal` for an ask that no authenticated request can lead to
   */
  admit(ask: AdmitAsk): Admitted {
    const charges = merge(ask);
    check(ask, charges);
    const nowMs = Date.now();

    const { nonce, slot } = ask;
    if (nonce !== undefined) {
      const aheadMs = nonce.expires * 1000 - nowMs;
      if (aheadMs <= 0 || aheadMs > LIMITS.gate_expires_ahead_seconds * 1000) return refuse("PROOF_INVALID");
      if (this.#used(nonce.jkt, nonce.value)) return refuse("REPLAY");
    }

    const lines = charges.flatMap((charge) => this.#lines(ask.links, charge));
    const drawn = drawAll(lines, nowMs);
    if (!drawn.ok) return refuse(drawn.code, drawn.retry_after_ms);
    const fresh = lines.filter((line) => line.bucket === undefined).length;
    if (!this.#room(fresh, nonce === undefined ? 0 : 1, nowMs)) return refuse("rate.exhausted", SCAN_MS);

    if (slot !== undefined) {
      const freeMs = this.#slotFreeMs(slot.id, ask.rate.name, ask.rate.concurrency, nowMs);
      if (freeMs > nowMs) return refuse("concurrency.exhausted", Math.min(freeMs - nowMs, SCAN_MS));
    }

    this.#write(ask, lines, drawn.buckets, fresh, nowMs);
    return { ok: true, remaining: drawn.remaining };
  }

  /** Free a slot before its time is over. One that is free already, or never was, is no error. */
  release(slotId: string): void {
    this.ctx.storage.sql.exec("DELETE FROM slots WHERE id = ?", slotId);
  }

  /** Delete what says nothing any more; come again while rows are left. */
  override async alarm(): Promise<void> {
    this.#alarmMs = null;
    try {
      this.#sweep(Date.now());
    } finally {
      const { buckets, nonces } = this.#counted();
      const slots = this.#one<{ n: number }>("SELECT count(*) AS n FROM slots").n;
      if (buckets + nonces + slots > 0) this.#arm(Date.now());
    }
  }

  #lines(links: readonly string[], { rate, cost }: Charge): Line[] {
    return links.map((link, depth) => {
      const key = `${rate.name}/${link}`;
      const rows = this.ctx.storage.sql.exec<{ milli: number; at_ms: number }>(
        "SELECT milli, at_ms FROM buckets WHERE key = ?",
        key,
      );
      return { key, bucket: rows.toArray()[0], flow: flowAt(rate, depth), cost };
    });
  }

  #used(jkt: string, value: string): boolean {
    const sql = "SELECT 1 AS n FROM nonces WHERE jkt = ? AND value = ?";
    return this.ctx.storage.sql.exec(sql, jkt, value).toArray().length > 0;
  }

  /** Whether that many new rows fit; reclaims what it can before it says no. */
  #room(buckets: number, nonces: number, nowMs: number): boolean {
    const fits = () =>
      this.#counted().buckets + buckets <= LIMITS.gate_buckets && this.#counted().nonces + nonces <= LIMITS.gate_nonces;
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

  #write(ask: AdmitAsk, lines: readonly Line[], buckets: readonly Bucket[], fresh: number, nowMs: number): void {
    const { sql } = this.ctx.storage;
    const rows = this.#counted();
    this.#rows = undefined; // counted again if the transaction throws
    this.ctx.storage.transactionSync(() => {
      lines.forEach(({ key, flow }, i) => {
        const { milli, at_ms } = buckets[i]!;
        const values = [key, milli, at_ms, fullAt(buckets[i]!, flow)];
        sql.exec("INSERT OR REPLACE INTO buckets (key, milli, at_ms, full_at_ms) VALUES (?, ?, ?, ?)", ...values);
      });
      const { nonce, slot } = ask;
      if (nonce !== undefined) {
        sql.exec("INSERT INTO nonces (jkt, value, expires) VALUES (?, ?, ?)", nonce.jkt, nonce.value, nonce.expires);
      }
      if (slot !== undefined) {
        const until = nowMs + slot.ttl_ms;
        sql.exec("INSERT OR REPLACE INTO slots (id, class, until_ms) VALUES (?, ?, ?)", slot.id, ask.rate.name, until);
      }
    });
    this.#rows = { buckets: rows.buckets + fresh, nonces: rows.nonces + (ask.nonce === undefined ? 0 : 1) };
    if (this.#alarmMs === null || this.#alarmMs < nowMs - SWEEP_MS) this.#arm(nowMs);
  }

  #sweep(nowMs: number): void {
    const { sql } = this.ctx.storage;
    this.#scannedMs = nowMs;
    this.#rows = undefined;
    sql.exec("DELETE FROM buckets WHERE full_at_ms <= ?", nowMs);
    sql.exec("DELETE FROM nonces WHERE expires * 1000 <= ?", nowMs - CLOCK_MARGIN_MS);
    sql.exec("DELETE FROM slots WHERE until_ms <= ?", nowMs);
  }

  /** Not awaited: the output gate waits for it like for any other write, and fails the object if it fails. */
  #arm(nowMs: number): void {
    this.#alarmMs = nowMs + SWEEP_MS;
    void this.ctx.storage.setAlarm(this.#alarmMs);
  }

  #counted(): { buckets: number; nonces: number } {
    this.#rows ??= this.#one<{ buckets: number; nonces: number }>(
      "SELECT (SELECT count(*) FROM buckets) AS buckets, (SELECT count(*) FROM nonces) AS nonces",
    );
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
  const { links, nonce, slot } = ask;
  const sound =
    links.length >= 1 &&
    links.length <= LIMITS.chain_links &&
    new Set(links).size === links.length &&
    links.every(text) &&
    charges.length <= LIMITS.batch_items &&
    charges.every(
      ({ rate, cost }) =>
        text(rate.name) &&
        count(cost, LIMITS.rate_cost * LIMITS.batch_items) &&
        count(rate.capacity, LIMITS.rate_capacity) &&
        count(rate.refill_per_second, LIMITS.rate_refill_per_second) &&
        count(rate.link_share_percent, 100) &&
        count(rate.concurrency, LIMITS.rate_concurrency),
    ) &&
    (nonce === undefined || (text(nonce.jkt) && text(nonce.value) && Number.isSafeInteger(nonce.expires))) &&
    (slot === undefined || (text(slot.id) && count(slot.ttl_ms, LIMITS.gate_slot_ttl_ms)));
  if (!sound) throw new TalosError("internal", { why: "admission was asked for something that no request asks" });
}
