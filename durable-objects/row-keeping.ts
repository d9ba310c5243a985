/**
 * Lets go of the text of batches that the bucket has: published in full tiles and full bundles, read back and compared
 * with the tree, old enough and projected, and of no intent that may still be closed. What promises are made of stays: the
 * batch's facts, the exact index of ids, the tree's hashes. Oldest first, so that what went is the beginning of the log.
 * When the object holds much, neither age nor the projection keeps text: sinks, streams and the projector read what is older
 * out of the bucket anyway (`event-reader.ts`), so Postgres may be away for as long as it likes without filling the log.
 * Rows: `kept` (one row: the number from which on all batches have their text).
 * Source: contracts/spec/audit.md#rows.
 */
import { TILE_WIDTH } from "@talos/core/log";
import { OneRun } from "./one-run.ts";
import { atOnce } from "./at-once.ts";
import type { Epoch, Epochs } from "./epochs.ts";
import type { EventReader } from "./event-reader.ts";
import { codeOf, warn } from "./log.ts";
import type { LogStore } from "./log-store.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY CHECK (id = 0), from_seq INTEGER NOT NULL);
  INSERT OR IGNORE INTO kept VALUES (0, 0);`;

/** Bundles that one run reads back; the next run follows. */
const BUNDLES = 32;
/** Of these so many at once: publishing has four files under way, and the platform opens six connections for an alarm. */
const READS = 2;
/** Between two runs while there is more, the same where the object holds much, and while the bucket does not give what it should have. */
const NEXT_MS = 1_000;
const SOON_MS = 100;
const AGAIN_MS = 60_000;

export interface RowBounds {
  /** how long text stays anyway, while the object holds at most so much */
  rows_keep_ms: number;
  rows_soft_bytes: number;
}

export interface RowKeepingPorts {
  log: string;
  store: LogStore;
  epochs: Epochs;
  reader: EventReader;
  /** the number of the first event that is not projected */
  projected(): number;
  /** the number of the oldest event that the log itself may still need */
  needed(): number;
  bounds: RowBounds;
  /** size of the object's database */
  bytes(): number;
}

export class RowKeeping {
  readonly #sql: SqlStorage;
  readonly #ports: RowKeepingPorts;
  #pausedUntilMs = 0;
  readonly #one = new OneRun();

  constructor(sql: SqlStorage, ports: RowKeepingPorts) {
    this.#sql = sql;
    this.#ports = ports;
    sql.exec(SCHEMA);
  }

  /** The number from which on the rows have everything. */
  from(): number {
    return this.#sql.exec<{ from_seq: number }>("SELECT from_seq FROM kept").one().from_seq;
  }

  /** How long until a batch may go, in ms; null while the next one waits for something else than time. */
  waitMs(nowMs: number): number | null {
    const { store, epochs } = this.#ports;
    const next = store.batchAt(this.from());
    if (epochs.forked || next === undefined || next.end > this.#limit()) return null;
    // A bundle's worth at a time: each run reads whole bundles, so one event a run would read the same one again and again.
    const last = Math.min(this.#limit(), this.from() + TILE_WIDTH) - 1;
    const lastMs = Math.max(next.time_ms, store.timeMs(last) ?? 0);
    return Math.max(1, this.#pausedUntilMs - nowMs, lastMs + this.#keepMs() - nowMs);
  }

  /** Let go of what may go. One run at a time; never throws for the bucket. */
  run(nowMs: number): Promise<void> {
    const waitMs = this.waitMs(nowMs);
    if (waitMs === null || waitMs > 1) return Promise.resolve();
    return this.#one.run(() => this.#run(nowMs));
  }

  async #run(nowMs: number): Promise<void> {
    const { store, epochs, reader, log } = this.#ports;
    try {
      const from = this.from();
      const most = Math.min(this.#limit(), from + BUNDLES * TILE_WIDTH);
      const end = store.batchesUntil(from, most, nowMs - this.#keepMs());
      await atOnce(READS, this.#bundles(from, end), async ([epoch, index]) => void (await reader.bundle(epoch, index)));
      // Nothing of what was looked at can have changed meanwhile: full files never do, and only this lets rows go.
      if (end > from && !epochs.forked)
        store.letGo(from, end, () => this.#sql.exec("UPDATE kept SET from_seq = ?", end));
      this.#pausedUntilMs = nowMs + (end === from ? AGAIN_MS : this.#crowded() ? SOON_MS : NEXT_MS);
    } catch (error) {
      this.#pausedUntilMs = nowMs + AGAIN_MS;
      warn("audit_log.rows_kept", { log, code: codeOf(error) });
    }
  }

  /** Those that the events from `from` on, before `end`, lie in. */
  *#bundles(from: number, end: number): Generator<[Epoch, number]> {
    for (let seq = from; seq < end; ) {
      const { epoch, index, end_seq } = this.#ports.epochs.bundleAt(seq);
      yield [epoch, index];
      seq = end_seq;
    }
  }

  #limit(): number {
    const { epochs, projected, needed } = this.#ports;
    return Math.min(epochs.settled(), needed(), this.#crowded() ? Number.MAX_SAFE_INTEGER : projected());
  }

  #keepMs(): number {
    return this.#crowded() ? 0 : this.#ports.bounds.rows_keep_ms;
  }

  #crowded(): boolean {
    return this.#ports.bytes() > this.#ports.bounds.rows_soft_bytes;
  }
}
