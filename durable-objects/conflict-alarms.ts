/**
 * An id that comes again with another leaf is refused; the log also tells of it in an event of its own, once for each
 * such id: whoever reads the log learns that somebody tried to say something else. Bounded, because refusals are free.
 * Rows: `conflict_alarms` (one row: the day, and how many events it had).
 * Source: contracts/spec/audit.md#append.
 */
import { LIMITS } from "@talos/contracts";
import type { Archived, Conflict, LogStore } from "./log-store.ts";
import type { Offered } from "./batch.ts";
import { codeOf, warn } from "./log.ts";
import { alarmEvent, alarmId, sameAnswer } from "./own-events.ts";
import type { Place } from "./sweeper.ts";

const SCHEMA = `CREATE TABLE IF NOT EXISTS conflict_alarms (id INTEGER PRIMARY KEY CHECK (id = 0), day INTEGER NOT NULL,
  count INTEGER NOT NULL);`;
const DAY_MS = 86_400_000;

export class ConflictAlarms {
  readonly #sql: SqlStorage;
  readonly #log: string;
  readonly #store: LogStore;

  constructor(sql: SqlStorage, log: string, store: LogStore) {
    this.#sql = sql;
    this.#log = log;
    this.#store = store;
    sql.exec(SCHEMA);
  }

  /** Never throws: what is refused is refused, also where nobody can be told. */
  raise({ conflict, first }: Conflict<Offered>, nowMs: number, place: Place, archived: Archived): void {
    try {
      const id = alarmId(conflict.event_id);
      if (first.body !== undefined && sameAnswer(first.body, conflict.body)) return;
      if (this.#store.known([id], archived).has(id)) return;
      const day = Math.floor(nowMs / DAY_MS);
      const row = this.#sql.exec<{ day: number; count: number }>("SELECT day, count FROM conflict_alarms").toArray()[0];
      const count = row?.day === day ? row.count : 0;
      if (count >= LIMITS.audit_conflict_alarms) return;
      const note = "INSERT OR REPLACE INTO conflict_alarms VALUES (0, ?, ?)";
      place([alarmEvent(conflict.body, nowMs)], nowMs, () => this.#sql.exec(note, day, count + 1));
    } catch (error) {
      warn("audit_log.alarm_failed", { log: this.#log, code: codeOf(error) });
    }
  }
}
