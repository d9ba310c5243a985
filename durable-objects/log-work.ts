/**
 * What a log does behind its appends, and when: it closes intents, seals, publishes and hands over, projects, tells sinks, hands
 * salts over, and lets rows go. One alarm drives all of it; it is set again in `finally`, and an alarm that was lost is noticed
 * by the next append or by the Worker's clock.
 * Source: contracts/spec/audit.md#sealing-and-publication, #order.
 */
import { LIMITS } from "@talos/contracts";
import { doneWithinMs } from "./deadline.ts";
import { codeOf, warn } from "./log.ts";
import type { LogAppend } from "./log-append.ts";
import type { LogParts } from "./log-parts.ts";
import type { ProjectorPort } from "./types.ts";

/** An alarm this long overdue was lost, and is set again. */
const LOST_ALARM_MS = 5_000;

export interface LogWorkPorts {
  log: string;
  storage: DurableObjectStorage;
  parts: LogParts;
  append: Pick<LogAppend, "closed" | "place">;
  projector(): ProjectorPort;
}

export class LogWork {
  readonly #ports: LogWorkPorts;
  #alarmMs: number | null = null;
  /** When projecting is due: while Postgres is down it waits longer than sealing does. */
  #projectAtMs = 0;
  /** Whether the next alarm is to project, and not only to seal and publish. */
  #projects = true;

  constructor(ports: LogWorkPorts) {
    this.#ports = ports;
  }

  /** Before anything is promised. */
  async start(): Promise<void> {
    const { storage, parts } = this.#ports;
    this.#alarmMs = await storage.getAlarm();
    // Nothing is promised before the bucket was seen, if it can be: rows that somebody restored would be promised anew.
    await parts.epochs.check();
    if (parts.handover.refused()) parts.epochs.stop();
  }

  /** Something was appended. */
  arm(nowMs: number): void {
    const dueMs = nowMs + LIMITS.audit_project_ms;
    if (this.#alarmMs !== null && this.#alarmMs >= nowMs - LOST_ALARM_MS && this.#alarmMs <= dueMs) return;
    this.#set(dueMs);
    this.#projects = this.#projectAtMs <= dueMs;
  }

  /** The Worker's clock calls, so that an alarm that was lost stops nothing. An alarm that is to come is left alone. */
  async poke(): Promise<void> {
    const atMs = await this.#ports.storage.getAlarm();
    const nowMs = Date.now();
    if (atMs === null || atMs < nowMs - LOST_ALARM_MS) this.#armAgain(nowMs);
  }

  /** @param force also what is not due yet */
  async run(force: boolean): Promise<void> {
    const { epochs, outbox, followers, salts, keeping, archiving } = this.#ports.parts;
    this.#alarmMs = null;
    try {
      const nowMs = Date.now();
      const swept = this.#sweep(nowMs);
      this.#seal(nowMs);
      const project = force || this.#projects || nowMs >= this.#projectAtMs;
      const slow = Promise.all([
        epochs.run(nowMs, force).then(() => this.#hand(force)),
        project ? outbox.run(this.#ports.projector()) : undefined,
        followers.tell(),
        salts.run(),
        keeping.run(nowMs).then(() => archiving.run(nowMs)),
        swept,
      ]);
      // Whoever answers late holds up neither sealing nor publishing: no other alarm comes before this one has ended.
      while (!(await doneWithinMs(slow, LIMITS.audit_project_ms))) {
        this.#seal(Date.now());
        void epochs.run(Date.now());
      }
      if (project) this.#projectAtMs = Date.now() + (outbox.waitMs() ?? 0);
    } finally {
      this.#armAgain(Date.now());
    }
  }

  /** At once, unless archives have to be asked first. */
  async #sweep(nowMs: number): Promise<void> {
    const { log, parts, append } = this.#ports;
    const { sweeper, search } = parts;
    const dueMs = sweeper.waitMs(nowMs);
    if (dueMs === null || dueMs > 1) return;
    try {
      if (append.closed(nowMs) !== undefined) return;
    } catch {
      return; // it stays open until the log is configured
    }
    try {
      await search.decide((found) => {
        if (append.closed(nowMs) !== undefined) return undefined;
        const unasked = search.open(sweeper.closing(nowMs), found);
        return unasked ?? sweeper.run(nowMs, append.place, found.events);
      });
    } catch (error) {
      sweeper.postpone(nowMs);
      warn("audit_log.sweep_failed", { log, code: codeOf(error) });
    }
  }

  /** Hand what was published to the meta-log. Another head of ours there stops the log. */
  async #hand(force: boolean): Promise<void> {
    const { handover, epochs } = this.#ports.parts;
    await handover.run(Date.now(), force);
    if (handover.refused()) epochs.stop();
  }

  /**
   * Make leaves of what was appended, and begin a new tree when this one is large or old. Rows that contradict each
   * other stop the log: nothing is added to them.
   */
  #seal(nowMs: number): void {
    const { log, parts } = this.#ports;
    const { epochs, store } = parts;
    if (epochs.forked) return;
    try {
      epochs.seal(store.next());
    } catch (error) {
      const code = codeOf(error);
      if (code !== "config.incomplete") epochs.stop();
      warn("audit_log.seal_failed", { log, code });
      return;
    }
    if (epochs.isDue(nowMs)) this.#freeze(nowMs);
  }

  #freeze(nowMs: number): void {
    const { log, parts, append } = this.#ports;
    try {
      parts.epochs.freeze(nowMs, (event, more) => append.place([event], nowMs, more));
      parts.epochs.seal(parts.store.next());
    } catch (error) {
      warn("audit_log.freeze_failed", { log, code: codeOf(error) }); // the next run tries again
    }
  }

  /** Come again while anything is left to do. */
  #armAgain(nowMs: number): void {
    const { store, epochs, outbox, handover, sweeper, keeping, archiving, salts, followers } = this.#ports.parts;
    const projectMs = outbox.waitMs() === null ? null : this.#projectAtMs - nowMs;
    const unsealed = !epochs.forked && epochs.sealed() < store.next();
    const waits = [
      projectMs,
      unsealed ? LIMITS.audit_project_ms : epochs.waitMs(nowMs),
      handover.waitMs(nowMs),
      epochs.forked ? null : sweeper.waitMs(nowMs),
      keeping.waitMs(nowMs),
      archiving.waitMs(nowMs),
      salts.waitMs(),
      followers.waitMs(),
    ].filter((ms) => ms !== null);
    if (waits.length === 0) return;
    const waitMs = Math.min(...waits);
    this.#set(nowMs + Math.max(1, waitMs));
    this.#projects = projectMs !== null && projectMs <= waitMs;
  }

  /** Not awaited: the output gate waits for it like for any other write, and fails the object if it fails. */
  #set(atMs: number): void {
    this.#alarmMs = atMs;
    void this.#ports.storage.setAlarm(atMs);
  }
}
