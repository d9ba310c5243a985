/**
 * Carries batches from the log to the projector, in order, exactly once: the projector moves its cursor and inserts in
 * one statement, and says where the cursor stands; the outbox goes on from there, forwards after a lost answer,
 * backwards after a restored database. It deletes nothing.
 * Source: contracts/spec/audit.md#projection-and-cursors.
 */
import { LIMITS } from "@talos/contracts";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import { withinMs } from "./deadline.ts";
import { codeOf, warn } from "./log.ts";
import type { EventReader } from "./event-reader.ts";
import type { LogStore } from "./log-store.ts";
import type { ProjectorPort } from "./types.ts";

/** One run works at most this long, well below an alarm's 15 minutes; the rest is the next run's. */
const RUN_MS = 20_000;
/** How long an attempt may take; a connection that hangs must not stop the projection for good. */
const ATTEMPT_MS = 15_000;

export class Outbox {
  /** attempts that failed since the last one that did not */
  failures = 0;
  readonly #sql: SqlStorage;
  readonly #log: string;
  readonly #reader: () => Pick<EventReader, "rows">;
  readonly #store: Pick<LogStore, "next" | "timeMs">;
  readonly #one = new OneRun();

  /** @param reader gives the events; also long after they were appended, should the projection be built anew */
  constructor(
    sql: SqlStorage,
    log: string,
    store: Pick<LogStore, "next" | "timeMs">,
    reader: () => Pick<EventReader, "rows">,
  ) {
    this.#sql = sql;
    this.#log = log;
    this.#store = store;
    this.#reader = reader;
  }

  /** The number of the first event that is not projected. */
  position(): number {
    return this.#sql.exec<{ next_seq: number }>("SELECT next_seq FROM projection").one().next_seq;
  }

  /** Unix ms of the oldest event that is not projected, or null. */
  oldestMs(): number | null {
    return this.#store.timeMs(this.position()) ?? null;
  }

  /** How long to wait before the next run, in ms: doubling while it fails; null when nothing is left to do. */
  waitMs(): number | null {
    if (this.position() >= this.#store.next()) return null;
    if (this.failures === 0) return 1;
    return backoffMs(this.failures, LIMITS.audit_project_ms, LIMITS.audit_project_retry_ms);
  }

  /** Project until nothing is left, an attempt fails, or the time of a run is over. One run at a time. */
  run(projector: ProjectorPort): Promise<void> {
    return this.#one.run(() => this.#run(projector));
  }

  async #run(projector: ProjectorPort): Promise<void> {
    const untilMs = Date.now() + RUN_MS;
    try {
      while (this.position() < this.#store.next() && Date.now() < untilMs) {
        await this.#step(projector);
        this.failures = 0;
      }
    } catch (error) {
      this.failures += 1;
      warn("audit_log.projection_failed", { log: this.#log, failures: this.failures, code: codeOf(error) });
    }
  }

  async #step(projector: ProjectorPort): Promise<void> {
    const from = this.position();
    const rows = await this.#reader().rows(from, LIMITS.audit_project_rows);
    const ask = { log_id: this.#log, from_seq: from, next_seq: from + rows.length, rows };
    const { moved, next_seq } = await withinMs(projector.project(ask), ATTEMPT_MS, "projecting");
    if (moved && next_seq !== ask.next_seq) throw new Error("the cursor moved to where nobody sent it");
    if (!moved && next_seq === from) throw new Error("the cursor did not move");
    if (!(Number.isSafeInteger(next_seq) && next_seq >= 0 && next_seq <= this.#store.next())) {
      // The projection knows events that this log does not: the log was restored, or two share a name. Never overwrite.
      throw new Error("the cursor is ahead of the log");
    }
    this.#sql.exec("UPDATE projection SET next_seq = ?", next_seq);
  }
}
