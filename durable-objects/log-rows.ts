/** Reading a log in order: rows of the write-ahead batches, from any number on. Source: contracts/spec/audit.md. */
import { LIMITS } from "@talos/contracts";
import { decodeBatch, type Entry } from "./batch.ts";

export type LogRow = Entry & { seq: number };

/** Events from `first` on, before `end`. */
export function* entriesIn(sql: SqlStorage, first: number, end: number): Generator<LogRow> {
  const text = `SELECT first_seq, events FROM texts WHERE first_seq < ? AND first_seq >=
    (SELECT max(first_seq) FROM texts WHERE first_seq <= ?) ORDER BY first_seq`;
  for (const { first_seq, events } of sql.exec<{ first_seq: number; events: string }>(text, end, first)) {
    for (const [i, entry] of decodeBatch(events).entries()) {
      const seq = first_seq + i;
      if (seq >= first && seq < end) yield { ...entry, seq };
    }
  }
}

/** Events from `from` on, from whole batches but for the first, at most `most` of them (or one batch) and 1 MiB. */
export function rowsFrom(sql: SqlStorage, from: number, most: number): LogRow[] {
  const rows: LogRow[] = [];
  const text = `SELECT first_seq, events FROM texts WHERE first_seq >=
    (SELECT max(first_seq) FROM texts WHERE first_seq <= ?) ORDER BY first_seq LIMIT ?`;
  let bytes = 0;
  for (const { first_seq, events } of sql.exec<{ first_seq: number; events: string }>(text, from, most)) {
    const entries = decodeBatch(events);
    bytes += events.length;
    const full = rows.length + entries.length > most || bytes > LIMITS.audit_batch_bytes;
    if (rows.length > 0 && full) break;
    const all = entries.map((entry, i) => ({ seq: first_seq + i, ...entry }));
    rows.push(...all.filter((row) => row.seq >= from));
  }
  return rows;
}
