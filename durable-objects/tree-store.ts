/**
 * The rows of a log's tree, whatever its entries are. `tiles` holds every tile of hashes under its full name (a partial one is its
 * beginning), but for full ones of leaf hashes that were let go: the hash over each stays in the tile above. `tree` holds
 * the sealed head, `published` the newest head that is known to be in the bucket.
 * Sealing is the commit point of an index: leaves, tiles and head in one transaction, computed without awaiting.
 * Source: contracts/spec/audit.md#sealing-and-publication.
 */
import { LIMITS } from "@talos/contracts";
import { b64uDecode } from "@talos/core";
import {
  append,
  concat,
  edgeRoot,
  edgeTiles,
  fullTileRoot,
  HASH_BYTES,
  type Head,
  parseTile,
  TILE_WIDTH,
  tileAt,
} from "@talos/core/log";

const schemaOf = (suffix: string): string => `
  CREATE TABLE IF NOT EXISTS tiles${suffix} (path TEXT PRIMARY KEY, hashes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS tree${suffix} (id INTEGER PRIMARY KEY CHECK (id = 0), origin TEXT NOT NULL, size INTEGER NOT NULL,
    root BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS published${suffix} (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL, root BLOB NOT NULL,
    note TEXT NOT NULL, etag TEXT NOT NULL);`;

/** Where a tree's entries lie. They are numbered from 0 without gaps, and never change. */
export interface EntrySource {
  /** Entries from `first` on, before `end`, in order: what is hashed (UTF-8), and its leaf hash, base64url. */
  entries(first: number, end: number): Iterable<{ body: string; leaf_hash: string }>;
}

export interface SealedHead extends Head {
  /** what the log calls itself; kept from the first seal on, whatever the deployment's address becomes */
  origin: string;
}

export interface PublishedHead extends Head {
  /** the signed checkpoint */
  note: string;
  /** the bucket's name for these bytes */
  etag: string;
}

type Blob<T> = { [K in keyof T]: T[K] extends Uint8Array ? ArrayBuffer : T[K] } & Record<string, SqlStorageValue>;

export class TreeStore {
  readonly #storage: DurableObjectStorage;
  readonly #source: EntrySource;
  readonly #suffix: "" | `_${number}`;

  /** @param suffix of the names of the tables, where an object has more trees than one */
  constructor(storage: DurableObjectStorage, source: EntrySource, suffix: "" | `_${number}` = "") {
    this.#storage = storage;
    this.#source = source;
    this.#suffix = suffix;
    storage.sql.exec(schemaOf(suffix));
  }

  /** Undefined before the first seal. */
  sealed(): SealedHead | undefined {
    const sql = `SELECT origin, size, root FROM tree${this.#suffix}`;
    const row = this.#storage.sql.exec<Blob<SealedHead>>(sql).toArray()[0];
    return row === undefined ? undefined : { ...row, root: new Uint8Array(row.root) };
  }

  published(): PublishedHead | undefined {
    const sql = `SELECT size, root, note, etag FROM published${this.#suffix}`;
    const row = this.#storage.sql.exec<Blob<PublishedHead>>(sql).toArray()[0];
    return row === undefined ? undefined : { ...row, root: new Uint8Array(row.root) };
  }

  setPublished({ size, root, note, etag }: PublishedHead): void {
    const sql = `INSERT OR REPLACE INTO published${this.#suffix} VALUES (0, ?, ?, ?, ?)`;
    this.#storage.sql.exec(sql, size, bytesOf(root), note, etag);
  }

  /** A tile as a tree has it that ends in it or goes on behind it. */
  tile(path: string): Uint8Array {
    const bytes = parseTile(path).width * HASH_BYTES;
    const sql = `SELECT hashes FROM tiles${this.#suffix} WHERE path = ?`;
    const row = this.#storage.sql.exec<{ hashes: ArrayBuffer }>(sql, fullName(path)).toArray()[0];
    if (row === undefined || row.hashes.byteLength < bytes) throw new Error(`the tile ${path} is not stored`);
    return new Uint8Array(row.hashes, 0, bytes);
  }

  hasTile(path: string): boolean {
    const sql = `SELECT 1 FROM tiles${this.#suffix} WHERE path = ?`;
    return this.#storage.sql.exec(sql, fullName(path)).toArray().length > 0;
  }

  /** Whether the tile of leaf hashes at `index`, as far as `leaves` goes, is this: by its row, or by the hash over it. */
  hasLeaves(index: number, leaves: Uint8Array): boolean {
    const size = this.sealed()?.size ?? 0;
    const path = tileAt(0, index, size);
    const above = tileAt(1, Math.floor(index / TILE_WIDTH), size);
    if (path === undefined || leaves.length === 0) return false;
    if (this.hasTile(path)) return equal(this.tile(path).subarray(0, leaves.length), leaves);
    if (above === undefined || leaves.length !== TILE_WIDTH * HASH_BYTES) return false;
    const at = (index % TILE_WIDTH) * HASH_BYTES;
    return equal(this.tile(above).subarray(at, at + HASH_BYTES), fullTileRoot(leaves));
  }

  /** Let go of the full tiles of leaf hashes from `first`, where one begins, up to `end`. */
  dropLeaves(first: number, end: number): void {
    const sql = `DELETE FROM tiles${this.#suffix} WHERE path = ?`;
    for (let index = first / TILE_WIDTH; (index + 1) * TILE_WIDTH <= end; index += 1)
      this.#storage.sql.exec(sql, tileAt(0, index, end)!);
  }

  entries(first: number, end: number): Iterable<{ body: string; leaf_hash: string }> {
    return this.#source.entries(first, end);
  }

  /**
   * Make leaves of the entries up to `next`, at most `audit_seal_events` of them, whole or not at all.
   * @param origin gives what the log calls itself; asked at its first seal alone
   * @returns how many entries became leaves
   */
  seal(next: number, origin: () => string): number {
    return this.#storage.transactionSync(() => {
      if (next === 0) return 0;
      const before = this.sealed() ?? { origin: origin(), size: 0, root: edgeRoot(0, new Uint8Array(0)) };
      const { size } = before;
      const end = Math.min(next, size + LIMITS.audit_seal_events);
      if (end <= size) return 0;
      const edge = concat(edgeTiles(size).map((path) => this.tile(path)));
      // What is stored must be what was sealed: a tree that grows from other tiles would be another log.
      if (!equal(edgeRoot(size, edge), before.root))
        throw new Error("the stored tiles are not those of the sealed head");
      const leaves = new Uint8Array((end - size) * HASH_BYTES);
      let count = 0;
      for (const { leaf_hash } of this.entries(size, end)) leaves.set(b64uDecode(leaf_hash), HASH_BYTES * count++);
      if (count !== end - size) throw new Error("the entries are not every number once");
      const { root, tiles } = append({ size, edge, leaves });
      for (const { path, hashes } of tiles) {
        const sql = `INSERT OR REPLACE INTO tiles${this.#suffix} VALUES (?, ?)`;
        this.#storage.sql.exec(sql, fullName(path), bytesOf(hashes));
      }
      const sql = `INSERT OR REPLACE INTO tree${this.#suffix} VALUES (0, ?, ?, ?)`;
      this.#storage.sql.exec(sql, before.origin, end, bytesOf(root));
      return count;
    });
  }
}

/** The name that a tile has once it is full. */
const fullName = (path: string) => path.split(".p/")[0]!;

/** A copy: the view may be on the module's or a row's memory. */
const bytesOf = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer;

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
