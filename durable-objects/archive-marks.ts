/**
 * What of a log lies in archives: one row for each archive, with the numbers that it has and the times of their ids. The
 * log's own rows of what a mark covers are gone, or go in the transaction that sets it.
 * Ids carry their time, so an id is looked for where that time is, and an id that is younger than all of them nowhere.
 * Source: contracts/spec/audit.md#archive.
 */
import { idMs } from "./uuid.ts";

const SCHEMA = `CREATE TABLE IF NOT EXISTS archives (n INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL,
  end_seq INTEGER NOT NULL, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL);`;

export interface Mark {
  n: number;
  first_seq: number;
  end_seq: number;
  /** unix ms: the earliest and the latest time that an id among them has */
  min_ms: number;
  max_ms: number;
  /** unix ms of the append of the first event */
  since_ms: number;
}

const NONE: readonly Mark[] = [];

export class ArchiveMarks {
  readonly #sql: SqlStorage;
  /** as the rows have them; undefined until they were asked, and after each change, which may yet be rolled back */
  #marks: Mark[] | undefined;
  /** unix ms of the latest id that is archived: whatever is younger needs no look at the list */
  #untilMs = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  /** Oldest first. */
  all(): readonly Mark[] {
    const sql = "SELECT n, first_seq, end_seq, min_ms, max_ms, since_ms FROM archives ORDER BY n";
    if (this.#marks === undefined) {
      this.#marks = this.#sql.exec<Mark & Record<string, SqlStorageValue>>(sql).toArray();
      this.#untilMs = this.#marks.reduce((latest, { max_ms }) => Math.max(latest, max_ms), 0);
    }
    return this.#marks;
  }

  /** The number after the last event that is archived. */
  end(): number {
    return this.all().at(-1)?.end_seq ?? 0;
  }

  /** The archives that would have this id, if the log has it and its rows do not. */
  covering(id: string): readonly Mark[] {
    const ms = idMs(id);
    const marks = this.all();
    if (ms > this.#untilMs) return NONE;
    return marks.filter(({ min_ms, max_ms }) => ms >= min_ms && ms <= max_ms);
  }

  /** Unix ms: an archived event is not older than that. */
  sinceMs(seq: number): number | undefined {
    return this.all().find(({ first_seq, end_seq }) => seq >= first_seq && seq < end_seq)?.since_ms;
  }

  /** In the transaction that lets the rows go. */
  set({ n, first_seq, end_seq, min_ms, max_ms, since_ms }: Mark): void {
    this.#marks = undefined;
    const sql = "INSERT OR REPLACE INTO archives VALUES (?, ?, ?, ?, ?, ?)";
    this.#sql.exec(sql, n, first_seq, end_seq, min_ms, max_ms, since_ms);
  }
}
