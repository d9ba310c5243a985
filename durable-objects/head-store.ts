/**
 * The rows of a TenantHead. Every method is synchronous; those that write more than one row do so in one transaction.
 * Rows: `in_force` (one: numbers and hashes of the head), `pending` (at most one: the next head with what it changes),
 * `entries` (revocations that stand), `versions` (hashes of the last policies), `bodies` (what KV holds, by hash).
 */
import { LIMITS } from "@talos/contracts";
import type { Live, Revocation } from "./revocations.ts";
import { itemOf } from "./revocations.ts";
import type { AppendEvent, HeadMark } from "./types.ts";

/** Bodies and versions kept of each kind: isolates may ask for the body of a head that is two minutes old. */
const KEEP = 8;
const KEEP_VERSIONS = 64;
/** Expired entries dropped with one head, so that an advance stays short. */
const DROP_AT_ONCE = 1_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS in_force (id INTEGER PRIMARY KEY CHECK (id = 0), rev_seq INTEGER NOT NULL,
    rev_hash TEXT NOT NULL, policy_version INTEGER NOT NULL, policy_hash TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS pending (id INTEGER PRIMARY KEY CHECK (id = 0), change TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS entries (entry TEXT PRIMARY KEY, item TEXT NOT NULL, root_link TEXT NOT NULL,
    expires_at INTEGER NOT NULL, rev_seq INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_by_item ON entries (item);
  CREATE INDEX IF NOT EXISTS entries_by_root ON entries (root_link);
  CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY, hash TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS bodies (kind TEXT NOT NULL, hash TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, hash)) WITHOUT ROWID;`;

export type BodyKind = "policy" | "rev";

export interface Body {
  kind: BodyKind;
  hash: string;
  /** version or rev_seq */
  number: number;
  body: string;
}

/** A head that is written but not in force, with all that brings it into force again after a crash. */
export interface Change {
  next: HeadMark;
  add: Revocation[];
  /** entries that go */
  drop: string[];
  /** what the log has to record first */
  events: AppendEvent[];
}

export class HeadStore {
  readonly #storage: DurableObjectStorage;
  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(SCHEMA);
  }

  /** The head in force, or null before the first start. */
  inForce(): HeadMark | null {
    const row = this.#all<HeadMark & Row>("SELECT rev_seq, rev_hash, policy_version, policy_hash FROM in_force")[0];
    return row === undefined ? null : { ...row };
  }

  /** A tenant begins without policy and without revocations. */
  begin(empty: Body): void {
    this.#storage.transactionSync(() => {
      this.#run("INSERT INTO in_force VALUES (0, 0, ?, 0, '')", empty.hash);
      this.#putBody(empty);
    });
  }

  pending(): Change | null {
    const row = this.#all<{ change: string }>("SELECT change FROM pending")[0];
    return row === undefined ? null : (JSON.parse(row.change) as Change);
  }

  /** Write the next head and its bodies; nothing of it is in force yet. */
  propose(change: Change, bodies: readonly Body[]): void {
    this.#storage.transactionSync(() => {
      this.#run("INSERT INTO pending VALUES (0, ?)", JSON.stringify(change));
      for (const body of bodies) this.#putBody(body);
    });
  }

  /** Bring a pending head into force. */
  apply({ next, add, drop }: Change): void {
    this.#storage.transactionSync(() => {
      for (const entry of drop) this.#run("DELETE FROM entries WHERE entry = ?", entry);
      for (const { entry, root_link, expires_at } of add) {
        const row = [entry, itemOf(entry), root_link, expires_at, next.rev_seq];
        this.#run("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", ...row);
      }
      const { rev_seq, rev_hash, policy_version, policy_hash } = next;
      const head = [rev_seq, rev_hash, policy_version, policy_hash];
      this.#run("UPDATE in_force SET rev_seq = ?, rev_hash = ?, policy_version = ?, policy_hash = ?", ...head);
      if (policy_version > 0) this.#run("INSERT OR REPLACE INTO versions VALUES (?, ?)", policy_version, policy_hash);
      this.#run("DELETE FROM versions WHERE version <= ?", policy_version - KEEP_VERSIONS);
      this.#run("DELETE FROM bodies WHERE kind = 'policy' AND number <= ?", policy_version - KEEP);
      this.#run("DELETE FROM bodies WHERE kind = 'rev' AND number <= ?", rev_seq - KEEP);
      this.#run("DELETE FROM pending");
    });
  }

  /** Forget a pending head that the log refused for good: it was never recorded, so it was never in force. */
  discard(): void {
    this.#run("DELETE FROM pending");
  }

  body(kind: BodyKind, hash: string): string | null {
    const sql = "SELECT body FROM bodies WHERE kind = ? AND hash = ?";
    return this.#all<{ body: string }>(sql, kind, hash)[0]?.body ?? null;
  }

  /** The hash that was published under a version, as far back as they are kept. */
  hashOf(version: number): string | undefined {
    return this.#all<{ hash: string }>("SELECT hash FROM versions WHERE version = ?", version)[0]?.hash;
  }

  /** Entries of one item; one more than `lookup_entries` when there are more, which admission of entries rules out. */
  entriesOf(item: string): string[] {
    const sql = "SELECT entry FROM entries WHERE item = ? ORDER BY entry LIMIT ?";
    return this.#all<{ entry: string }>(sql, item, LIMITS.lookup_entries + 1).map(({ entry }) => entry);
  }

  /** Number of the first head that an entry was part of. */
  since(entry: string): number | undefined {
    return this.#all<{ rev_seq: number }>("SELECT rev_seq FROM entries WHERE entry = ?", entry)[0]?.rev_seq;
  }

  /** A later statement keeps an entry longer; when it expires is no part of the body. */
  extend(entry: string, expiresAt: number): void {
    this.#run("UPDATE entries SET expires_at = max(expires_at, ?) WHERE entry = ?", expiresAt, entry);
  }

  /** What counts against the bounds at `nowSeconds`. */
  live(rootLink: string, item: string, nowSeconds: number): Live {
    return this.#storage.sql
      .exec<Live & Row>(
        `SELECT (SELECT count(*) FROM entries WHERE root_link = ? AND expires_at > ?) AS root,
           (SELECT count(*) FROM entries) AS tenant, (SELECT count(*) FROM entries WHERE item = ?) AS item`,
        rootLink,
        nowSeconds,
        item,
      )
      .one();
  }

  /** Entries that no living chain can meet any more. */
  expired(nowSeconds: number): string[] {
    const sql = "SELECT entry FROM entries WHERE expires_at <= ? LIMIT ?";
    return this.#all<{ entry: string }>(sql, nowSeconds, DROP_AT_ONCE).map(({ entry }) => entry);
  }

  allEntries(): string[] {
    return this.#all<{ entry: string }>("SELECT entry FROM entries").map(({ entry }) => entry);
  }

  #putBody({ kind, hash, number, body }: Body): void {
    this.#run("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?)", kind, hash, number, body);
  }

  #run(sql: string, ...values: SqlStorageValue[]): void {
    this.#storage.sql.exec(sql, ...values);
  }

  #all<T extends Row>(sql: string, ...values: SqlStorageValue[]): T[] {
    return this.#storage.sql.exec<T>(sql, ...values).toArray();
  }
}

type Row = Record<string, SqlStorageValue>;
