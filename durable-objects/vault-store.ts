/**
 * Rows of a subject's vault. Deleting a row leaves its bytes on a free page, and this runtime lets nobody set
 * `secure_delete`, so what must not be read again is overwritten in place first: the wrapped key. What was sealed under
 * it is noise from then on. Source: contracts/spec/erasure.md.
 */
import type { Erasure, Principal } from "@talos/contracts";
import { LIMITS } from "@talos/contracts";
import { firstIdAfter } from "./subject.ts";
import type { WrappedKey } from "./value-keys.ts";
import type { ValueName } from "./vault-types.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS vault (id INTEGER PRIMARY KEY CHECK (id = 0), generation INTEGER NOT NULL,
    erased_ms INTEGER NOT NULL, held INTEGER NOT NULL, checked_ms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS keys (generation INTEGER PRIMARY KEY, kid TEXT NOT NULL, wrapped TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS salts (event_id TEXT PRIMARY KEY, generation INTEGER NOT NULL, sealed TEXT NOT NULL)
    WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS kept (event_id TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
    state TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (event_id, name)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS erasures (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL);
  INSERT OR IGNORE INTO vault VALUES (0, 0, -1, 0, 0);`;

/** Rows that one step deletes. */
const CHUNK = 5_000;

export interface Vault {
  /** erasures so far: names the data key in use */
  generation: number;
  /** calls that began by then were erased; -1: none ever */
  erased_ms: number;
  held: boolean;
  /** when the wrap was last looked at */
  checked_ms: number;
}

export type KeptState = "expected" | "kept" | "too_large";

/** An erasure as it lies in its row. */
export interface ErasureRow extends Omit<Erasure, "state"> {
  state: Erasure["state"];
  /** of the key that it destroyed */
  generation: number;
  principal: Principal;
  request_id: string;
  /** when everything was gone, for its event; set with the state `recording` */
  recorded_ms?: number;
  /** when it was done; the folder is looked at once more some time after that */
  done_ms?: number;
  swept?: true;
}

type Row<T> = T & Record<string, SqlStorageValue>;

export class VaultStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(SCHEMA);
  }

  get bytes(): number {
    return this.#storage.sql.databaseSize;
  }

  atomically<T>(write: () => T): T {
    return this.#storage.transactionSync(write);
  }

  vault(): Vault {
    const sql = "SELECT generation, erased_ms, held, checked_ms FROM vault";
    const row = this.#storage.sql.exec<Row<Omit<Vault, "held"> & { held: number }>>(sql).one();
    return { ...row, held: row.held === 1 };
  }

  hold(held: boolean): void {
    this.#storage.sql.exec("UPDATE vault SET held = ?", held ? 1 : 0);
  }

  checked(nowMs: number): void {
    this.#storage.sql.exec("UPDATE vault SET checked_ms = ?", nowMs);
  }

  key(generation: number): WrappedKey | undefined {
    const sql = "SELECT kid, wrapped FROM keys WHERE generation = ?";
    return this.#storage.sql.exec<Row<WrappedKey>>(sql, generation).toArray()[0];
  }

  addKey(generation: number, { kid, wrapped }: WrappedKey): void {
    this.#storage.sql.exec("INSERT INTO keys VALUES (?, ?, ?)", generation, kid, wrapped);
  }

  /** Only where the row is still the one that was read. */
  rewrap(generation: number, before: WrappedKey, { kid, wrapped }: WrappedKey): void {
    const sql = "UPDATE keys SET kid = ?, wrapped = ? WHERE generation = ? AND kid = ? AND wrapped = ?";
    this.#storage.sql.exec(sql, kid, wrapped, generation, before.kid, before.wrapped);
  }

  salt(eventId: string, generation: number): string | undefined {
    const sql = "SELECT sealed FROM salts WHERE event_id = ? AND generation = ?";
    return this.#storage.sql.exec<{ sealed: string }>(sql, eventId, generation).toArray()[0]?.sealed;
  }

  addSalts(generation: number, rows: { event_id: string; sealed: string; kept: string }[]): void {
    const { sql } = this.#storage;
    for (const { event_id, sealed, kept } of rows) {
      sql.exec("INSERT OR IGNORE INTO salts VALUES (?, ?, ?)", event_id, generation, sealed);
      const expected = "INSERT OR IGNORE INTO kept VALUES (?, ?, ?, 'expected', 0)";
      for (const name of kept.split(",").filter(Boolean)) sql.exec(expected, event_id, name, generation);
    }
  }

  value(eventId: string, name: ValueName, generation: number): KeptState | undefined {
    return this.values(eventId, generation).find((one) => one.name === name)?.state;
  }

  values(eventId: string, generation: number): { name: ValueName; state: KeptState }[] {
    const sql = "SELECT name, state FROM kept WHERE event_id = ? AND generation = ? ORDER BY name";
    return this.#storage.sql.exec<Row<{ name: ValueName; state: KeptState }>>(sql, eventId, generation).toArray();
  }

  setValue(eventId: string, name: ValueName, generation: number, state: KeptState, bytes: number): void {
    const sql = "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)";
    this.#storage.sql.exec(sql, eventId, name, generation, state, bytes);
  }

  /** What there is of one key; values that were to come by `dueMs` and did not are `unsealed`. */
  counts(generation: number, dueMs: number) {
    const { sql } = this.#storage;
    const { commitments } = sql
      .exec<{ commitments: number }>("SELECT count(*) AS commitments FROM salts WHERE generation = ?", generation)
      .one();
    const counted = `SELECT count(*) FILTER (WHERE state = 'kept') AS "values",
      coalesce(sum(bytes) FILTER (WHERE state = 'kept'), 0) AS bytes,
      count(*) FILTER (WHERE state = 'too_large') AS too_large,
      count(*) FILTER (WHERE state = 'expected' AND event_id < ?) AS unsealed FROM kept WHERE generation = ?`;
    type Counted = Row<{ values: number; bytes: number; too_large: number; unsealed: number }>;
    return { commitments, ...sql.exec<Counted>(counted, firstIdAfter(dueMs), generation).one() };
  }

  /**
   * The point of no return, one transaction: the key's bytes overwritten, its row gone, the erasure written, and the next
   * key is another one.
   */
  destroy(erasure: ErasureRow): void {
    const { sql } = this.#storage;
    this.atomically(() => {
      sql.exec("UPDATE keys SET wrapped = replace(hex(zeroblob(length(wrapped))), '00', '0')");
      sql.exec("DELETE FROM keys");
      sql.exec("UPDATE vault SET generation = generation + 1, erased_ms = ?", erasure.requested_ms);
      this.#addErasure(erasure);
    });
  }

  /** @returns whether rows of that key are left */
  clear(generation: number): boolean {
    const { sql } = this.#storage;
    for (const [table, key] of [
      ["salts", "event_id"],
      ["kept", "event_id, name"],
    ]) {
      const some = `SELECT ${key} FROM ${table} WHERE generation <= ? LIMIT ${CHUNK}`;
      const gone = sql.exec(`DELETE FROM ${table} WHERE (${key}) IN (${some})`, generation).rowsWritten;
      if (gone > 0) return true;
    }
    return false;
  }

  /**
   * Write more than the write-ahead file holds before SQLite starts it anew (1,000 pages of 4 KiB): done twice, the frames
   * of before, which still have the wrapped key, are written over.
   */
  scrub(): void {
    const { sql } = this.#storage;
    sql.exec("CREATE TABLE IF NOT EXISTS scrub (noise BLOB NOT NULL)");
    for (let i = 0; i < 3; i += 1) sql.exec("INSERT INTO scrub VALUES (zeroblob(1900000))");
    sql.exec("DELETE FROM scrub");
  }

  #addErasure(erasure: ErasureRow): void {
    const { sql } = this.#storage;
    sql.exec("INSERT INTO erasures (id, state) VALUES (?, ?)", erasure.id, JSON.stringify(erasure));
    // The newest are remembered; the log remembers all.
    const old = "DELETE FROM erasures WHERE n <= (SELECT max(n) FROM erasures) - ?";
    sql.exec(old, LIMITS.vault_erasures);
  }

  saveErasure(erasure: ErasureRow): void {
    this.#storage.sql.exec("UPDATE erasures SET state = ? WHERE id = ?", JSON.stringify(erasure), erasure.id);
  }

  erasure(id: string): ErasureRow | undefined {
    return this.#erasures("WHERE id = ?", id)[0];
  }

  /** The newest one; those before it are done. */
  newest(): ErasureRow | undefined {
    return this.#erasures("ORDER BY n DESC LIMIT 1")[0];
  }

  #erasures(where: string, ...values: SqlStorageValue[]): ErasureRow[] {
    const rows = this.#storage.sql.exec<{ state: string }>(`SELECT state FROM erasures ${where}`, ...values).toArray();
    return rows.map(({ state }) => JSON.parse(state) as ErasureRow);
  }
}
