/**
 * Rows of the anchors, one kind an object. `anchored`: each checkpoint that is anchored, with its evidence, never changed;
 * `flight` and `sent`: the one checkpoint that is under way to a chain, and every transaction that was signed for it, all of
 * one nonce; `stamps`: files that wait for their blocks; `run`: when to come again, and what failed.
 * Source: contracts/spec/anchors.md#anchoring.
 */
import type { ErrorCode } from "@talos/contracts";
import type { Anchored } from "./anchor-types.ts";
import type { Hex } from "./evm-node.ts";
import type { Anchor } from "./types.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS anchored (size INTEGER PRIMARY KEY, note TEXT NOT NULL, anchor TEXT NOT NULL,
    block TEXT, done_ms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS flight (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL, note TEXT NOT NULL,
    state TEXT NOT NULL, nonce INTEGER, block_number INTEGER, block_hash TEXT, anchor TEXT, time_seconds INTEGER);
  CREATE TABLE IF NOT EXISTS sent (n INTEGER PRIMARY KEY, tx TEXT NOT NULL, raw TEXT NOT NULL, max_fee TEXT NOT NULL,
    tip TEXT NOT NULL, sent_ms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS stamps (size INTEGER PRIMARY KEY, note TEXT NOT NULL, nonce BLOB NOT NULL, file BLOB,
    asked_ms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY CHECK (id = 0), started_ms INTEGER NOT NULL,
    failures INTEGER NOT NULL, code TEXT, refused_size INTEGER NOT NULL);`;

export interface Flight {
  size: number;
  note: string;
  /** `pending`: nothing was signed; `sent`: a block may take it any time; `mined`: a block has it */
  state: "pending" | "sent" | "mined";
  nonce: number | null;
  block_number: number | null;
  block_hash: Hex | null;
  /** JSON of the evidence at that block, verified */
  anchor: string | null;
  time_seconds: number | null;
}

export interface Sent {
  n: number;
  tx: Hex;
  raw: Hex;
  /** decimal: a unit's price has more digits than a safe integer */
  max_fee: string;
  tip: string;
  sent_ms: number;
}

export interface Stamp {
  size: number;
  note: string;
  nonce: Uint8Array;
  /** absent until enough calendars answered */
  file: Uint8Array | null;
  asked_ms: number;
}

export interface Run {
  /** when the last checkpoint was taken */
  started_ms: number;
  /** in a row */
  failures: number;
  code: ErrorCode | null;
  /** of the checkpoint that the registry refused; what is not larger is not tried */
  refused_size: number;
}

type Rows<T> = {
  [K in keyof T]: T[K] extends Uint8Array ? ArrayBuffer : T[K] extends Uint8Array | null ? ArrayBuffer | null : T[K];
} & Record<string, SqlStorageValue>;
interface AnchoredRow extends Record<string, SqlStorageValue> {
  size: number;
  note: string;
  anchor: string;
  block: string | null;
  done_ms: number;
}

const NOTHING: Run = { started_ms: 0, failures: 0, code: null, refused_size: 0 };

export class AnchorStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(SCHEMA);
  }

  atomically<T>(work: () => T): T {
    return this.#storage.transactionSync(work);
  }

  run(): Run {
    return this.#all<Rows<Run>>("SELECT started_ms, failures, code, refused_size FROM run")[0] ?? NOTHING;
  }

  saveRun({ started_ms, failures, code, refused_size }: Run): void {
    this.#all("INSERT OR REPLACE INTO run VALUES (0, ?, ?, ?, ?)", started_ms, failures, code, refused_size);
  }

  // What is anchored.

  keep({ size, note, anchor, block, done_ms }: Anchored): void {
    const sql = "INSERT OR REPLACE INTO anchored VALUES (?, ?, ?, ?, ?)";
    const of = block === undefined ? null : JSON.stringify(block);
    this.#all(sql, size, note, JSON.stringify(anchor), of, done_ms);
  }

  newest(): Anchored | undefined {
    return this.list(Number.MAX_SAFE_INTEGER, 1)[0];
  }

  covering(size: number): Anchored | undefined {
    const sql = "SELECT * FROM anchored WHERE size >= ? ORDER BY size LIMIT 1";
    return this.#all<AnchoredRow>(sql, size).map(anchoredOf)[0];
  }

  /** Newest first, below `before`. */
  list(before: number, limit: number): Anchored[] {
    const sql = "SELECT * FROM anchored WHERE size < ? ORDER BY size DESC LIMIT ?";
    return this.#all<AnchoredRow>(sql, before, limit).map(anchoredOf);
  }

  // What is under way to a chain.

  flight(): Flight | undefined {
    return this.#all<Rows<Flight>>("SELECT * FROM flight")[0] as Flight | undefined;
  }

  saveFlight({ size, note, state, nonce, block_number, block_hash, anchor, time_seconds }: Flight): void {
    const sql = "INSERT OR REPLACE INTO flight VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?)";
    this.#all(sql, size, note, state, nonce, block_number, block_hash, anchor, time_seconds);
  }

  /** Oldest first. */
  sent(): Sent[] {
    return this.#all<Rows<Sent>>("SELECT * FROM sent ORDER BY n") as unknown as Sent[];
  }

  addSent({ n, tx, raw, max_fee, tip, sent_ms }: Sent): void {
    this.#all("INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?)", n, tx, raw, max_fee, tip, sent_ms);
  }

  forgetSent(): void {
    this.#all("DELETE FROM sent");
  }

  land(): void {
    this.#all("DELETE FROM flight");
    this.forgetSent();
  }

  // What waits for its block.

  /** Oldest first. */
  stamps(): Stamp[] {
    return this.#all<Rows<Stamp>>("SELECT * FROM stamps ORDER BY size").map((row) => ({
      ...row,
      nonce: new Uint8Array(row.nonce),
      file: row.file === null ? null : new Uint8Array(row.file),
    }));
  }

  saveStamp({ size, note, nonce, file, asked_ms }: Stamp): void {
    const bytes = (of: Uint8Array) => of.slice().buffer;
    const sql = "INSERT OR REPLACE INTO stamps VALUES (?, ?, ?, ?, ?)";
    this.#all(sql, size, note, bytes(nonce), file === null ? null : bytes(file), asked_ms);
  }

  dropStamp(size: number): void {
    this.#all("DELETE FROM stamps WHERE size = ?", size);
  }

  #all<T extends Record<string, SqlStorageValue>>(sql: string, ...values: SqlStorageValue[]): T[] {
    return this.#storage.sql.exec<T>(sql, ...values).toArray();
  }
}

function anchoredOf({ size, note, anchor, block, done_ms }: AnchoredRow): Anchored {
  const of = block === null ? {} : { block: JSON.parse(block) as NonNullable<Anchored["block"]> };
  return { size, note, anchor: JSON.parse(anchor) as Anchor, ...of, done_ms };
}
