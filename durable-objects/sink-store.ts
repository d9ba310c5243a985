/** Rows of a sink: its state, its secrets, what was attempted, what was given up. Every table is bounded. */
import { type Sink, type SinkAttempt, type SinkDeadLetter, LIMITS } from "@talos/contracts";
import type { StoredKey } from "./sink-secrets.ts";

/** The one row of a sink. Times are unix ms. */
export interface SinkState {
  tenant: string;
  id: string;
  url: string;
  /** the URL that answered a challenge */
  verified_url?: string;
  kinds: Sink["kinds"];
  description?: string;
  status: Sink["status"];
  reason?: NonNullable<Sink["reason"]>;
  /** the next event of the log that is looked at */
  cursor: number;
  /** the event that was selected before */
  prev?: number;
  /** a range that is replayed: where it ends, and where to go on afterwards */
  range?: { to: number; back: number; back_prev?: number };
  /** attempts of the event at the cursor */
  attempts: number;
  next_attempt_ms?: number;
  /** failed attempts in a row, of whatever */
  failures: number;
  failing_since_ms?: number;
  breaker_until_ms?: number;
  last_success_ms?: number;
  created_ms: number;
  /** number of the next attempt in the delivery log */
  next_n: number;
  /** counts what people change, so that an attempt under way notices */
  epoch: number;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS sink (id INTEGER PRIMARY KEY CHECK (id = 0), state TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, algorithm TEXT NOT NULL, kid TEXT NOT NULL,
    sealed TEXT NOT NULL, public_key TEXT, created_ms INTEGER NOT NULL, expires_ms INTEGER) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS deliveries (n INTEGER PRIMARY KEY, attempt TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS dead_letters (seq INTEGER PRIMARY KEY, requested INTEGER NOT NULL, letter TEXT NOT NULL);`;

type Letter = Omit<SinkDeadLetter, "requested">;

export class SinkStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  open(): void {
    this.#storage.sql.exec(SCHEMA);
  }

  /** Everything goes, tables too. */
  async drop(): Promise<void> {
    await this.#storage.deleteAlarm();
    await this.#storage.deleteAll();
    this.open();
  }

  /** Several writes as one. */
  atomically<T>(write: () => T): T {
    return this.#storage.transactionSync(write);
  }

  state(): SinkState | undefined {
    const row = this.#storage.sql.exec<{ state: string }>("SELECT state FROM sink").toArray()[0];
    return row === undefined ? undefined : (JSON.parse(row.state) as SinkState);
  }

  save(state: SinkState): void {
    this.#storage.sql.exec("INSERT OR REPLACE INTO sink VALUES (0, ?)", JSON.stringify(state));
  }

  /** Secrets that sign at `nowMs`, newest first; those whose time is over are removed. */
  keys(nowMs: number): StoredKey[] {
    this.#storage.sql.exec("DELETE FROM keys WHERE expires_ms <= ?", nowMs);
    const sql = "SELECT * FROM keys ORDER BY expires_ms IS NOT NULL, created_ms DESC, id";
    return this.#storage.sql.exec<StoredKey & Record<string, SqlStorageValue>>(sql).toArray();
  }

  addKey(key: StoredKey): void {
    const { id, algorithm, kid, sealed, public_key, created_ms, expires_ms } = key;
    const row = [id, algorithm, kid, sealed, public_key, created_ms, expires_ms];
    this.#storage.sql.exec("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", ...row);
  }

  rewrap(id: string, { kid, sealed }: Pick<StoredKey, "kid" | "sealed">): void {
    this.#storage.sql.exec("UPDATE keys SET kid = ?, sealed = ? WHERE id = ?", kid, sealed, id);
  }

  /** No secret signs beyond this time, unless its own end comes first. */
  expireKeys(atMs: number): void {
    this.#storage.sql.exec("UPDATE keys SET expires_ms = min(coalesce(expires_ms, ?), ?)", atMs, atMs);
  }

  /** The attempt gets its number; the oldest make room. */
  log(state: SinkState, attempt: Omit<SinkAttempt, "n">): SinkAttempt {
    const numbered = { n: state.next_n, ...attempt };
    state.next_n += 1;
    const { sql } = this.#storage;
    sql.exec("INSERT INTO deliveries VALUES (?, ?)", numbered.n, JSON.stringify(numbered));
    sql.exec("DELETE FROM deliveries WHERE n <= ?", numbered.n - LIMITS.sink_deliveries);
    return numbered;
  }

  /** Newest first, before `cursor`. */
  deliveries(cursor: number, limit: number): SinkAttempt[] {
    const sql = "SELECT attempt FROM deliveries WHERE n < ? ORDER BY n DESC LIMIT ?";
    const rows = this.#storage.sql.exec<{ attempt: string }>(sql, cursor, limit).toArray();
    return rows.map(({ attempt }) => JSON.parse(attempt) as SinkAttempt);
  }

  bury(letter: Letter): void {
    const row = [letter.seq, JSON.stringify(letter)];
    this.#storage.sql.exec("INSERT OR REPLACE INTO dead_letters VALUES (?, 0, ?)", ...row);
  }

  unbury(seq: number): void {
    this.#storage.sql.exec("DELETE FROM dead_letters WHERE seq = ?", seq);
  }

  deadCount(): number {
    return this.#storage.sql.exec<{ count: number }>("SELECT count(*) AS count FROM dead_letters").one().count;
  }

  /** In the order of the log, after `cursor`. */
  dead(cursor: number, limit: number): SinkDeadLetter[] {
    const sql = "SELECT requested, letter FROM dead_letters WHERE seq > ? ORDER BY seq LIMIT ?";
    const rows = this.#storage.sql.exec<{ requested: number; letter: string }>(sql, cursor, limit).toArray();
    return rows.map(({ requested, letter }) => ({ ...(JSON.parse(letter) as Letter), requested: requested === 1 }));
  }

  /** The first dead letter that somebody asked for. */
  requested(): Letter | undefined {
    const sql = "SELECT letter FROM dead_letters WHERE requested = 1 ORDER BY seq LIMIT 1";
    const row = this.#storage.sql.exec<{ letter: string }>(sql).toArray()[0];
    return row === undefined ? undefined : (JSON.parse(row.letter) as Letter);
  }

  /** @param seqs all when absent @returns how many are waiting for another attempt now */
  request(seqs: readonly number[] | undefined): number {
    const { sql } = this.#storage;
    if (seqs === undefined) sql.exec("UPDATE dead_letters SET requested = 1");
    // One by one: a statement takes a hundred parameters at most.
    for (const seq of seqs ?? []) sql.exec("UPDATE dead_letters SET requested = 1 WHERE seq = ?", seq);
    return sql.exec<{ count: number }>("SELECT count(*) AS count FROM dead_letters WHERE requested = 1").one().count;
  }

  /** What anybody may see of the sink. */
  describe(state: SinkState, nowMs: number): Sink {
    const { id, url, kinds, description, status, reason, cursor, range, failures, created_ms } = state;
    const open = state.breaker_until_ms !== undefined && state.breaker_until_ms > nowMs;
    const optional = {
      ...{ description, reason, replaying_to: range?.to, last_success_ms: state.last_success_ms },
      next_attempt_ms: state.next_attempt_ms,
      breaker_open_until_ms: open ? state.breaker_until_ms : undefined,
    };
    const keys = this.keys(nowMs).map((key) => ({
      ...{ id: key.id, algorithm: key.algorithm, created_ms: key.created_ms },
      ...(key.public_key === null ? {} : { public_key: key.public_key }),
      ...(key.expires_ms === null ? {} : { expires_ms: key.expires_ms }),
    }));
    const set = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
    return { id, url, kinds, status, keys, cursor, dead_letters: this.deadCount(), failures, created_ms, ...set };
  }
}
