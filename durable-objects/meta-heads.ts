/**
 * The rows of the meta-log's leaves: one for each head of a tenant's log that was taken, numbered as they came. A leaf is the
 * text of that head's checkpoint, and follows from the row. The index by origin and size is unique, so two heads of one size
 * cannot be stored, whatever the code before it does.
 * Source: contracts/spec/log.md#meta-log.
 */
import { b64uEncode } from "@talos/core";
import { checkpointText, type Head, leafHash } from "@talos/core/log";
import { equal, type EntrySource } from "./tree-store.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS heads (leaf INTEGER PRIMARY KEY, origin TEXT NOT NULL, size INTEGER NOT NULL,
    root BLOB NOT NULL, note TEXT NOT NULL, time_ms INTEGER NOT NULL);
  CREATE UNIQUE INDEX IF NOT EXISTS heads_by_origin ON heads (origin, size);`;

export interface HeadRow extends Head {
  /** its place in the meta-log */
  leaf: number;
  origin: string;
  /** the signed checkpoint */
  note: string;
  time_ms: number;
}

type Stored = Omit<HeadRow, "root"> & { root: ArrayBuffer } & Record<string, SqlStorageValue>;

export class MetaHeads implements EntrySource {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  /** How many there are, and the number that the next one gets. */
  next(): number {
    return this.#sql.exec<{ next: number }>("SELECT coalesce(max(leaf) + 1, 0) AS next FROM heads").one().next;
  }

  /**
   * Whether a head may be taken: one that is there already (its number), one beyond all of its origin (`undefined`), or one
   * that contradicts what was taken: smaller than the newest, or of its size with another root.
   */
  judge(origin: string, head: Head): number | "fork" | undefined {
    const known = this.#one("origin = ? AND size = ?", origin, head.size);
    if (known !== undefined) return equal(known.root, head.root) ? known.leaf : "fork";
    const newest = this.#one("origin = ? ORDER BY size DESC LIMIT 1", origin);
    return newest !== undefined && newest.size > head.size ? "fork" : undefined;
  }

  add({ leaf, origin, size, root, note, time_ms }: HeadRow): void {
    const values = [leaf, origin, size, root.slice().buffer, note, time_ms];
    this.#sql.exec("INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?)", ...values);
  }

  /** The first head of a log that covers its entry `index`. */
  covering(origin: string, index: number): HeadRow | undefined {
    return this.#one("origin = ? AND size > ? ORDER BY size LIMIT 1", origin, index);
  }

  /** Leaves of a log's newest head among the first `end` ones; 0 where it has none there. */
  within(origin: string, end: number): number {
    return this.#one("origin = ? AND leaf < ? ORDER BY size DESC LIMIT 1", origin, end)?.size ?? 0;
  }

  /** Heads from a leaf on, at most `most`. */
  page(from: number, most: number): HeadRow[] {
    return this.#all("leaf >= ? ORDER BY leaf LIMIT ?", from, most);
  }

  *entries(first: number, end: number): Generator<{ body: string; leaf_hash: string }> {
    for (const row of this.#all("leaf >= ? AND leaf < ? ORDER BY leaf", first, end)) {
      const body = checkpointText(row.origin, row);
      yield { body, leaf_hash: b64uEncode(leafHash(new TextEncoder().encode(body))) };
    }
  }

  #one(where: string, ...values: SqlStorageValue[]): HeadRow | undefined {
    return this.#all(where, ...values)[0];
  }

  #all(where: string, ...values: SqlStorageValue[]): HeadRow[] {
    const sql = `SELECT leaf, origin, size, root, note, time_ms FROM heads WHERE ${where}`;
    return this.#sql
      .exec<Stored>(sql, ...values)
      .toArray()
      .map((row) => ({ ...row, root: new Uint8Array(row.root) }));
  }
}
