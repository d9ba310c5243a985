/**
 * The rows of a log's events. A batch is a row of facts and a row of text; what its events are found by is a third table. When a
 * batch's text went to the bucket alone (`row-keeping.ts`) its facts stay, and its leaf hashes are the tree's: promises are made
 * of these. What of it all is old lies in archives (`archiving.ts`).
 * What stays is small: ids are 16 bytes, and what promises of many batches share is one row. Text is a table of its own, because
 * pages are given back when rows go, not when they shrink.
 * Source: contracts/spec/audit.md#promise, #rows.
 */
import type { BatchFacts, Offered } from "./batch.ts";
import { decodeBatch, encodeBatch, type Entry } from "./batch.ts";
import type { HeadMark, LastHead } from "./types.ts";
import { isUuidV7 } from "./uuid.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS batches (first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    terms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS texts (first_seq INTEGER PRIMARY KEY, events TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS terms (id INTEGER PRIMARY KEY, kid TEXT NOT NULL, max_delay_seconds INTEGER NOT NULL,
    UNIQUE (kid, max_delay_seconds));
  CREATE TABLE IF NOT EXISTS event_ids (event_id BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS projection (id INTEGER PRIMARY KEY CHECK (id = 0), next_seq INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS last_head (id INTEGER PRIMARY KEY CHECK (id = 0), rev_seq INTEGER NOT NULL,
    rev_hash TEXT NOT NULL, policy_version INTEGER NOT NULL, policy_hash TEXT NOT NULL, event_id TEXT NOT NULL);
  INSERT OR IGNORE INTO projection (id, next_seq) VALUES (0, 0);`;

/** What is known of an event that lies in the log: enough for its promise. */
export interface Stored {
  facts: BatchFacts;
  event_id: string;
  /** base64url, RFC 6962 */
  leaf_hash: string;
  /** absent when it lies in the bucket alone */
  body?: string;
  seq: number;
}

/** What archives said of ids that were asked for, undefined of one that none has (`archive-search.ts`). */
export type Archived = ReadonlyMap<string, Stored | undefined>;
const NONE: Archived = new Map();

/** Decoded batches by their first number; an empty list is one whose text lies in the bucket alone. */
type Batches = Map<number, Entry[]>;

/** What a row has of an id that is written as `isUuidV7` demands; of no other spelling, which would be another id in a promise. */
export const ID_BYTES = "unhex(replace(value, '-', ''))";

export class LogStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #leafHash: (seq: number) => string;

  /** @param leafHash of a sealed event, by its number, out of the tree */
  constructor(storage: DurableObjectStorage, leafHash: (seq: number) => string) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#leafHash = leafHash;
    this.#sql.exec(SCHEMA);
  }

  /** The number after the log's last event. */
  next(): number {
    const sql = "SELECT first_seq + count AS next FROM batches ORDER BY first_seq DESC LIMIT 1";
    return this.#sql.exec<{ next: number }>(sql).toArray()[0]?.next ?? 0;
  }

  /** Unix ms of the append of the event at `seq`, if there is one. */
  timeMs(seq: number): number | undefined {
    const sql =
      "SELECT first_seq + count AS next, time_ms FROM batches WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1";
    const row = this.#sql.exec<{ next: number; time_ms: number }>(sql, seq).toArray()[0];
    return row === undefined || row.next <= seq ? undefined : row.time_ms;
  }

  /** The batch that begins at `seq`, with the number after its last event. */
  batchAt(seq: number): { end: number; time_ms: number } | undefined {
    const sql = "SELECT first_seq + count AS end, time_ms FROM batches WHERE first_seq = ?";
    return this.#sql.exec<{ end: number; time_ms: number }>(sql, seq).toArray()[0];
  }

  /** Whether the text of the event at `seq`, which the log has, lies in a row: those that do are the log's end. */
  hasRow(seq: number): boolean {
    return this.#sql.exec("SELECT 1 FROM texts WHERE first_seq <= ? LIMIT 1", seq).toArray().length > 0;
  }

  /** The end of the last batch from `from` on that ends at `end` or before it, without one that is younger than `ms`. */
  batchesUntil(from: number, end: number, ms: number): number {
    const sql =
      "SELECT first_seq + count AS next, time_ms FROM batches WHERE first_seq >= ? AND first_seq < ? ORDER BY first_seq";
    let until = from;
    for (const { next, time_ms } of this.#sql.exec<{ next: number; time_ms: number }>(sql, from, end)) {
      if (next > end || time_ms > ms) break;
      until = next;
    }
    return until;
  }

  /** Forget the text of the batches from `from` on, before `end`. @param more what else becomes durable with that */
  letGo(from: number, end: number, more: () => void): void {
    this.#storage.transactionSync(() => {
      this.#sql.exec("DELETE FROM texts WHERE first_seq >= ? AND first_seq < ?", from, end);
      more();
    });
  }

  lastHead(): LastHead | null {
    const sql = "SELECT rev_seq, rev_hash, policy_version, policy_hash, event_id FROM last_head";
    const row = this.#sql.exec<LastHead & Record<string, SqlStorageValue>>(sql).toArray()[0];
    return row === undefined ? null : { ...row };
  }

  /**
   * All rows of one append. A list goes into SQLite as one value: a statement for each event costs more than its row.
   * @param more what else becomes durable with them, or not at all
   */
  write(events: readonly Offered[], facts: BatchFacts, head: HeadMark | undefined, more: () => void): void {
    const sql = this.#sql;
    this.#storage.transactionSync(() => {
      const { first_seq, time_ms, max_delay_seconds, kid } = facts;
      const terms = this.#terms(kid, max_delay_seconds);
      sql.exec("INSERT INTO batches VALUES (?, ?, ?, ?)", first_seq, events.length, time_ms, terms);
      sql.exec("INSERT INTO texts VALUES (?, ?)", first_seq, encodeBatch(events));
      const ids = JSON.stringify(events.map(({ event_id }) => event_id));
      sql.exec(`INSERT INTO event_ids SELECT ${ID_BYTES}, ? + key FROM json_each(?)`, first_seq, ids);
      if (head !== undefined) {
        const { rev_seq, rev_hash, policy_version, policy_hash } = head;
        const mark = [rev_seq, rev_hash, policy_version, policy_hash, events.at(-1)!.event_id];
        sql.exec("INSERT OR REPLACE INTO last_head VALUES (0, ?, ?, ?, ?, ?)", ...mark);
      }
      more();
    });
  }

  /** Forget what was archived: these ids, and the batches that end by `end`, but for the last one and that at `keep`. */
  remove(ids: readonly string[], end: number, keep: number): void {
    const gone = `DELETE FROM event_ids WHERE event_id IN (SELECT ${ID_BYTES} FROM json_each(?))`;
    this.#sql.exec(gone, JSON.stringify(ids));
    const batches = `DELETE FROM batches WHERE first_seq < ? AND first_seq + count <= ? AND first_seq <> ?
      AND first_seq < (SELECT max(first_seq) FROM batches)`;
    this.#sql.exec(batches, end, end, keep);
  }

  /** What the promises of the events from `first` on, before `end`, were made with: a row for each batch, cut at both. */
  facts(first: number, end: number): (Omit<BatchFacts, "first_seq"> & { count: number })[] {
    const sql = `SELECT max(first_seq, ?1) AS first_seq, min(first_seq + count, ?2) - max(first_seq, ?1) AS count, time_ms,
      max_delay_seconds, kid FROM batches JOIN terms ON id = terms WHERE first_seq < ?2
      AND first_seq >= (SELECT max(first_seq) FROM batches WHERE first_seq <= ?1) ORDER BY 1`;
    type Row = BatchFacts & { count: number } & Record<string, SqlStorageValue>;
    let next = first;
    const rows = this.#sql.exec<Row>(sql, first, end).toArray();
    for (const { first_seq, count } of rows) if (first_seq === next) next += count;
    if (next !== end) throw new Error("the batches are not every number once");
    return rows.map(({ first_seq: _, ...facts }) => facts);
  }

  /** Which of these ids the log's rows have, or archives that were asked. */
  known(ids: readonly string[], archived: Archived = NONE): Map<string, number> {
    const here = this.#here(ids);
    for (const id of ids) {
      const seq = here.get(id) ?? archived.get(id)?.seq;
      if (seq !== undefined) here.set(id, seq);
    }
    return here;
  }

  #here(ids: readonly string[]): Map<string, number> {
    const sql = `SELECT value AS id, seq FROM json_each(?) CROSS JOIN event_ids ON event_id = ${ID_BYTES}`;
    const rows = this.#sql.exec<{ id: string; seq: number }>(sql, JSON.stringify(ids.filter(isUuidV7)));
    return new Map(rows.toArray().map(({ id, seq }) => [id, seq]));
  }

  /** What is known of these ids; each batch that they lie in is read once. */
  find(ids: readonly string[], archived: Archived = NONE): Map<string, Stored> {
    const found = new Map<string, Stored>();
    const batches: Batches = new Map();
    for (const event_id of ids) {
      const old = archived.get(event_id);
      if (old !== undefined) found.set(event_id, old);
    }
    for (const [event_id, seq] of this.#here(ids)) {
      const at = `SELECT first_seq, time_ms, max_delay_seconds, kid FROM batches JOIN terms ON id = terms
        WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1`;
      const facts = this.#sql.exec<BatchFacts & Record<string, SqlStorageValue>>(at, seq).one();
      const entry = this.#entries(facts.first_seq, batches)[seq - facts.first_seq];
      const leaf = entry ?? { leaf_hash: this.#leafHash(seq) };
      found.set(event_id, { ...leaf, facts, event_id, seq });
    }
    return found;
  }

  /** Which events are new, each once, and what is known of the others; or the two that have one id. */
  sort<E extends Offered>(events: readonly E[], archived: Archived): Sorted<E> | Conflict<E> {
    const fresh = new Map<string, E>();
    const ids = events.map(({ event_id }) => event_id);
    const known = this.find(ids, archived);
    for (const event of events) {
      const { event_id, leaf_hash } = event;
      const first = known.get(event_id) ?? fresh.get(event_id);
      if (first === undefined) fresh.set(event_id, event);
      else if (first.leaf_hash !== leaf_hash) return { conflict: event, first };
    }
    return { fresh: [...fresh.values()], known };
  }

  /** The row of what promises are made under, which changes with the key. */
  #terms(kid: string, max_delay_seconds: number): number {
    const sql = "SELECT id FROM terms WHERE kid = ? AND max_delay_seconds = ?";
    const known = this.#sql.exec<{ id: number }>(sql, kid, max_delay_seconds).toArray()[0];
    if (known !== undefined) return known.id;
    const add = "INSERT INTO terms (kid, max_delay_seconds) VALUES (?, ?) RETURNING id";
    return this.#sql.exec<{ id: number }>(add, kid, max_delay_seconds).one().id;
  }

  #entries(first_seq: number, batches: Batches): Entry[] {
    let entries = batches.get(first_seq);
    if (entries === undefined) {
      const sql = "SELECT events FROM texts WHERE first_seq = ?";
      const text = this.#sql.exec<{ events: string }>(sql, first_seq).toArray()[0];
      entries = text === undefined ? [] : decodeBatch(text.events);
      batches.set(first_seq, entries);
    }
    return entries;
  }
}

export interface Sorted<E> {
  fresh: E[];
  known: Map<string, Stored>;
}

export interface Conflict<E> {
  conflict: E;
  /** the event that has the id */
  first: Stored | E;
}
