/**
 * The rows of a log's events. A batch is one row; what its events are found by is another table. When a batch's text
 * went to the bucket alone (`row-keeping.ts`) its facts stay, and its leaf hashes are the tree's: promises are made of these.
 * Source: contracts/spec/audit.md#promise.
 */
import type { BatchFacts, Offered } from "./batch.ts";
import { decodeBatch, encodeBatch, type Entry } from "./batch.ts";
import type { HeadMark, LastHead } from "./types.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS batches (first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    max_delay_seconds INTEGER NOT NULL, kid TEXT NOT NULL, events TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS event_ids (event_id TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
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

/** Decoded batches by their first number; an empty list is one whose text lies in the bucket alone. */
type Batches = Map<number, Entry[]>;

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

  /** Whether the text of the event at `seq`, which the log has, lies in a row. */
  hasRow(seq: number): boolean {
    const sql = "SELECT length(events) AS length FROM batches WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1";
    return (this.#sql.exec<{ length: number }>(sql, seq).toArray()[0]?.length ?? 0) > 0;
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
      this.#sql.exec("UPDATE batches SET events = '' WHERE first_seq >= ? AND first_seq < ?", from, end);
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
      const row = [first_seq, events.length, time_ms, max_delay_seconds, kid, encodeBatch(events)];
      sql.exec("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", ...row);
      const ids = JSON.stringify(events.map(({ event_id }) => event_id));
      sql.exec("INSERT INTO event_ids SELECT value, ? + key FROM json_each(?)", first_seq, ids);
      if (head !== undefined) {
        const { rev_seq, rev_hash, policy_version, policy_hash } = head;
        const mark = [rev_seq, rev_hash, policy_version, policy_hash, events.at(-1)!.event_id];
        sql.exec("INSERT OR REPLACE INTO last_head VALUES (0, ?, ?, ?, ?, ?)", ...mark);
      }
      more();
    });
  }

  /** Which of these ids the log has. */
  known(ids: readonly string[]): Map<string, number> {
    const sql = "SELECT event_id, seq FROM event_ids WHERE event_id IN (SELECT value FROM json_each(?))";
    const rows = this.#sql.exec<{ event_id: string; seq: number }>(sql, JSON.stringify(ids));
    return new Map(rows.toArray().map(({ event_id, seq }) => [event_id, seq]));
  }

  /** What is known of these ids; each batch that they lie in is read once. */
  find(ids: readonly string[]): Map<string, Stored> {
    const found = new Map<string, Stored>();
    const batches: Batches = new Map();
    for (const [event_id, seq] of this.known(ids)) {
      const at = `SELECT first_seq, time_ms, max_delay_seconds, kid FROM batches
        WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1`;
      const facts = this.#sql.exec<BatchFacts & Record<string, SqlStorageValue>>(at, seq).one();
      const entry = this.#entries(facts.first_seq, batches)[seq - facts.first_seq];
      const leaf = entry ?? { leaf_hash: this.#leafHash(seq) };
      found.set(event_id, { ...leaf, facts, event_id, seq });
    }
    return found;
  }

  /** Which events are new, each once, and what is known of the others; or the two that have one id. */
  sort<E extends Offered>(events: readonly E[]): Sorted<E> | Conflict<E> {
    const fresh = new Map<string, E>();
    const known = this.find(events.map(({ event_id }) => event_id));
    for (const event of events) {
      const { event_id, leaf_hash } = event;
      const first = known.get(event_id) ?? fresh.get(event_id);
      if (first === undefined) fresh.set(event_id, event);
      else if (first.leaf_hash !== leaf_hash) return { conflict: event, first };
    }
    return { fresh: [...fresh.values()], known };
  }

  #entries(first_seq: number, batches: Batches): Entry[] {
    let entries = batches.get(first_seq);
    if (entries === undefined) {
      const sql = "SELECT events FROM batches WHERE first_seq = ?";
      const { events } = this.#sql.exec<{ events: string }>(sql, first_seq).one();
      entries = events === "" ? [] : decodeBatch(events);
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
