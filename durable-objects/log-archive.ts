/**
 * The atom: an old stretch of one tenant's record: of each event its id, place and leaf hash, and what its promise was made
 * with. Written by the log alone, in order, and never changed.
 * Reached by: `<log>/<n>`, n counting from 0.
 * Rows: `bundles` (one for each bundle of the tree: leaf hashes and facts), `ids` (one for each event: the exact index).
 * Atomic: `put` compares and writes whole bundles in one transaction without awaiting; the output gate holds its answer back
 * until they are durable, and only then does the log let its own rows go.
 * Bounded: the log begins another archive after `audit_archive_events`.
 * Eviction loses: nothing.
 * Source: contracts/spec/audit.md#archive.
 */
import { DurableObject } from "cloudflare:workers";
import {
  ARCHIVE_IDS,
  type ArchiveBundle,
  type ArchivedEvent,
  type ArchiveFound,
  type ArchivePort,
  type ArchivePut,
  type BundleFacts,
} from "./archive-types.ts";
import type { Env } from "./env.ts";
import { warn } from "./log.ts";
import { ID_BYTES } from "./log-store.ts";
import { equal } from "./tree-store.ts";
import { isUuidV7 } from "./uuid.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS bundles (first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, leaves BLOB NOT NULL,
    facts TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS ids (event_id BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;`;

/** What is offered is not what lies there. */
class Contradiction extends Error {
  override readonly name = "Contradiction";
}

interface Row {
  first_seq: number;
  leaves: ArrayBuffer;
  facts: string;
}

export class LogArchive extends DurableObject<Env> implements ArchivePort {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(SCHEMA);
  }

  /**
   * Take bundles that follow on what is there, or are there already: the same bundle again changes nothing.
   * @returns `audit.forked` for another bundle in its place, a gap, or an id that stands elsewhere; then nothing of the ask
   * was taken
   */
  async put(bundles: ArchiveBundle[]): Promise<ArchivePut> {
    try {
      this.ctx.storage.transactionSync(() => {
        for (const bundle of bundles) this.#take(bundle);
      });
      return { ok: true, end_seq: this.#span().end_seq };
    } catch (error) {
      if (!(error instanceof Contradiction)) throw error;
      warn("log_archive.forked", { archive: this.ctx.id.name ?? "", why: error.message });
      return { ok: false, code: "audit.forked" };
    }
  }

  /** Which of these ids lie here. */
  async find(ids: string[]): Promise<ArchiveFound> {
    if (ids.length > ARCHIVE_IDS) throw new Error("more ids than one look-up takes");
    const sql = `SELECT value AS event_id, seq FROM json_each(?) CROSS JOIN ids ON ids.event_id = ${ID_BYTES}`;
    const asked = JSON.stringify(ids.filter(isUuidV7));
    const known = this.ctx.storage.sql.exec<{ event_id: string; seq: number }>(sql, asked).toArray();
    const bundles = new Map<number, Row>();
    const events = known.flatMap(({ event_id, seq }): ArchivedEvent[] => {
      const row = this.#bundleOf(seq, bundles);
      // Without its bundle the archive lost rows, which the log sees by what the archive says that it holds.
      return row === undefined ? [] : [{ event_id, seq, ...factsAt(row, seq) }];
    });
    const found = [...bundles.values()].map(({ first_seq, leaves }) => ({ first_seq, leaves: new Uint8Array(leaves) }));
    return { ...this.#span(), events, bundles: found };
  }

  #take({ first_seq, ids, leaves, facts }: ArchiveBundle): void {
    const { sql } = this.ctx.storage;
    const { count } = sql.exec<{ count: number }>("SELECT count(*) AS count FROM json_each(?)", ids).one();
    const row = this.#bundleAt(first_seq);
    if (row === undefined) {
      const { end_seq } = this.#span();
      if (end_seq !== 0 && end_seq !== first_seq) throw new Contradiction("a gap, or a bundle over the end of others");
      sql.exec("INSERT INTO bundles VALUES (?, ?, ?, ?)", first_seq, count, leaves.slice().buffer, facts);
      sql.exec(`INSERT OR IGNORE INTO ids SELECT ${ID_BYTES}, ? + key FROM json_each(?)`, first_seq, ids);
    } else if (!equal(new Uint8Array(row.leaves), leaves) || row.facts !== facts) {
      throw new Contradiction("another bundle in its place");
    }
    const there = `SELECT count(*) AS n FROM json_each(?) CROSS JOIN ids ON event_id = ${ID_BYTES} WHERE seq = ? + key`;
    if (sql.exec<{ n: number }>(there, ids, first_seq).one().n !== count) throw new Contradiction("an id elsewhere");
  }

  #span(): { first_seq: number; end_seq: number } {
    const sql = `SELECT coalesce((SELECT min(first_seq) FROM bundles), 0) AS first_seq,
      coalesce((SELECT first_seq + count FROM bundles ORDER BY first_seq DESC LIMIT 1), 0) AS end_seq`;
    return this.ctx.storage.sql.exec<{ first_seq: number; end_seq: number }>(sql).one();
  }

  #bundleAt(first_seq: number): Row | undefined {
    const sql = "SELECT first_seq, leaves, facts FROM bundles WHERE first_seq = ?";
    return this.ctx.storage.sql.exec<Row & Record<string, SqlStorageValue>>(sql, first_seq).toArray()[0];
  }

  #bundleOf(seq: number, read: Map<number, Row>): Row | undefined {
    const sql = "SELECT first_seq FROM bundles WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1";
    const at = this.ctx.storage.sql.exec<{ first_seq: number }>(sql, seq).toArray()[0];
    const row = at && (read.get(at.first_seq) ?? this.#bundleAt(at.first_seq));
    if (row !== undefined) read.set(row.first_seq, row);
    return row;
  }
}

function factsAt({ first_seq, facts }: Row, seq: number): Omit<ArchivedEvent, "event_id" | "seq"> {
  const { terms, runs } = JSON.parse(facts) as BundleFacts;
  let end = first_seq;
  for (const [count, time_ms, of] of runs) {
    end += count;
    if (seq < end) return { time_ms, ...terms[of]! };
  }
  throw new Error("an event of no batch");
}
