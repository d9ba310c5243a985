/**
 * Closes intents that nobody closed: a gateway that died in the middle leaves no silence behind. An intent whose outcome
 * comes with it costs nothing; another has a row until its outcome comes, or until it is closed as unknown, in the
 * transaction that writes so. From then on an outcome of it is refused.
 * Rows: `open_intents` (one for each), `sweep` (one row: how far events were looked through that were appended before
 * this was kept; nothing is closed before all were).
 * Source: contracts/spec/audit.md#order.
 */
import { type ErrorCode, LIMITS } from "@talos/contracts";
import { newId } from "./change-events.ts";
import type { Checked, Flaw } from "./event-check.ts";
import { codeOf, warn } from "./log.ts";
import { rowsFrom } from "./log-rows.ts";
import type { Archived, LogStore } from "./log-store.ts";
import { closingEvent, closingId } from "./own-events.ts";
import type { AppendEvent } from "./types.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS open_intents (intent TEXT PRIMARY KEY, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL)
    WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS sweep (id INTEGER PRIMARY KEY CHECK (id = 0), scanned INTEGER NOT NULL, done INTEGER NOT NULL);`;

/** Slices that one run looks through, 1 MiB each; the next run follows at once. */
const SLICES = 16;
/** While closing fails, for a key that is missing or a log that is full. */
const AGAIN_MS = 60_000;

/** Give events a place in the log, with what else becomes durable in that transaction. */
export type Place = (events: AppendEvent[], nowMs: number, more: (firstSeq: number) => void) => void;

export class Sweeper {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #log: string;
  readonly #store: LogStore;
  /** when the oldest open intent is due: null without one, undefined until the rows were asked */
  #dueMs: number | null | undefined;

  constructor(storage: DurableObjectStorage, log: string, store: LogStore) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#log = log;
    this.#store = store;
    this.#sql.exec(SCHEMA);
    this.#sql.exec("INSERT OR IGNORE INTO sweep VALUES (0, 0, ?)", store.next() === 0 ? 1 : 0);
  }

  /** Why events may not be appended: an outcome of what was closed, or of no intent of this log. */
  refusal(
    fresh: readonly Checked[],
    archived: Archived,
  ): { code: ErrorCode; event_id: string; flaw?: Flaw } | undefined {
    const own = new Set(fresh.filter(({ kind }) => kind === "intent").map(({ event_id }) => event_id));
    const others = fresh.filter(({ kind, correlation }) => kind === "outcome" && !own.has(correlation!));
    if (others.length === 0) return undefined;
    const open = this.#open(others.map(({ correlation }) => correlation!));
    const rest = others.filter(({ correlation }) => !open.has(correlation!));
    if (rest.length === 0) return undefined;
    const ids = rest.flatMap(({ correlation }) => [correlation!, closingId(correlation!)]);
    const known = this.#store.known(ids, archived);
    for (const { event_id, correlation } of rest) {
      if (known.has(closingId(correlation!))) return { code: "outcome.late", event_id };
      if (!known.has(correlation!)) return { code: "contract.invalid", event_id, flaw: "correlation" };
    }
    return undefined;
  }

  /** Keep in mind what was opened and closed; in the transaction that appends it. */
  note(fresh: readonly Checked[], firstSeq: number, nowMs: number): void {
    const closed = new Set(fresh.filter(({ kind }) => kind === "outcome").map(({ correlation }) => correlation!));
    for (const [i, { kind, event_id }] of fresh.entries()) {
      if (kind !== "intent" || closed.delete(event_id)) continue;
      this.#sql.exec("INSERT OR IGNORE INTO open_intents VALUES (?, ?, ?)", event_id, firstSeq + i, nowMs);
      const dueMs = nowMs + LIMITS.audit_sweep_ms;
      if (this.#dueMs !== undefined) this.#dueMs = Math.min(this.#dueMs ?? dueMs, dueMs);
    }
    if (closed.size === 0) return;
    const sql = "DELETE FROM open_intents WHERE intent IN (SELECT value FROM json_each(?))";
    this.#sql.exec(sql, JSON.stringify([...closed]));
  }

  /** How long until there is something to do, in ms; null while no intent is open. */
  waitMs(nowMs: number): number | null {
    if (!this.#done()) return 1;
    const dueMs = this.#due();
    return dueMs === null ? null : Math.max(1, dueMs - nowMs);
  }

  /** The number of the oldest event that an intent may still be closed by; rows from there on are needed. */
  oldest(): number {
    if (!this.#done()) return 0;
    const sql = "SELECT min(seq) AS seq FROM open_intents";
    return this.#sql.exec<{ seq: number | null }>(sql).one().seq ?? Number.MAX_SAFE_INTEGER;
  }

  /** Look through what is old, then close what is due. Never throws: a run that fails is made again. */
  run(nowMs: number, place: Place, archived: Archived): void {
    try {
      for (let slice = 0; !this.#done() && slice < SLICES; slice += 1) this.#scan();
      if (this.#done() && (this.#due() ?? Number.POSITIVE_INFINITY) <= nowMs) this.#close(nowMs, place, archived);
    } catch (error) {
      this.postpone(nowMs);
      warn("audit_log.sweep_failed", { log: this.#log, code: codeOf(error) });
    }
  }

  /** Ids of the events that would close what is due. */
  closing(nowMs: number): string[] {
    return this.#overdue(nowMs).map(closingId);
  }

  #overdue(nowMs: number): string[] {
    const sql = "SELECT intent FROM open_intents WHERE at_ms <= ? ORDER BY intent LIMIT ?";
    const due = this.#sql.exec<{ intent: string }>(sql, nowMs - LIMITS.audit_sweep_ms, LIMITS.audit_sweep_events);
    return due.toArray().map(({ intent }) => intent);
  }

  /** Nothing is closed for a while. */
  postpone(nowMs: number): void {
    this.#dueMs = nowMs + AGAIN_MS;
  }

  #close(nowMs: number, place: Place, archived: Archived): void {
    const intents = this.#overdue(nowMs);
    this.#dueMs = undefined;
    if (intents.length === 0) return;
    const stored = this.#store.find(intents);
    const taken = this.#store.known(intents.map(closingId), archived);
    const events = intents.map((intent) => {
      const { body } = stored.get(intent)!;
      // Whoever took the id for something else hides nothing: the row alone says that the intent is open.
      const id = taken.has(closingId(intent)) ? newId(nowMs) : closingId(intent);
      return closingEvent(body!, id, nowMs);
    });
    const gone = "DELETE FROM open_intents WHERE intent IN (SELECT value FROM json_each(?))";
    place(events, nowMs, () => this.#sql.exec(gone, JSON.stringify(intents)));
    warn("audit_log.intents_closed", { log: this.#log, count: intents.length });
  }

  /**
   * One slice of what was appended before this was kept. What comes in meanwhile is looked through again, up to the end:
   * an intent that was closed while its row was not there yet finds its outcome behind it.
   */
  #scan(): void {
    this.#storage.transactionSync(() => {
      const { scanned } = this.#sql.exec<{ scanned: number }>("SELECT scanned FROM sweep").one();
      const rows = rowsFrom(this.#sql, scanned, LIMITS.audit_batch_events);
      for (const { body, event_id, seq } of rows) {
        const kind = /"kind":"(intent|outcome)"/.exec(body)?.[1];
        if (kind === undefined) continue;
        const event = JSON.parse(body) as Checked;
        const checked = { ...event, event_id };
        this.note([checked], seq, this.#store.timeMs(seq)!);
      }
      const next = scanned + rows.length;
      this.#sql.exec("UPDATE sweep SET scanned = ?, done = ?", next, next >= this.#store.next() ? 1 : 0);
      this.#dueMs = undefined;
    });
  }

  #open(intents: readonly string[]): Set<string> {
    const sql = "SELECT intent FROM open_intents WHERE intent IN (SELECT value FROM json_each(?))";
    const rows = this.#sql.exec<{ intent: string }>(sql, JSON.stringify(intents)).toArray();
    return new Set(rows.map(({ intent }) => intent));
  }

  #due(): number | null {
    if (this.#dueMs === undefined) {
      const { at } = this.#sql.exec<{ at: number | null }>("SELECT min(at_ms) AS at FROM open_intents").one();
      this.#dueMs = at === null ? null : at + LIMITS.audit_sweep_ms;
    }
    return this.#dueMs;
  }

  #done(): boolean {
    return this.#sql.exec<{ done: number }>("SELECT done FROM sweep").one().done === 1;
  }
}
