/**
 * The atom: the record of one tenant, in one order.
 * Reached by: the tenant's name, which is also the log's name in promises and in the projection.
 * Rows: `batches` (one for each append: what its promises were made with), `texts` (its events), `event_ids` (one for each
 * event: the exact index), `projection` (one row: how far Postgres is), `last_head` (one row: the newest head that was
 * recorded), all in `log-store.ts`; others in `epochs.ts`, `tree-store.ts`, `handover.ts`, `sweeper.ts`, `salt-outbox.ts`,
 * `conflict-alarms.ts`, `row-keeping.ts`, `archive-marks.ts`, `followers.ts`. What is old lies in archives (`log-archive.ts`).
 * Atomic: `append` compares ids, numbers the events and writes all rows in one transaction without awaiting; the output
 * gate holds the promises back until the rows are durable, and the platform commits concurrent appends together. The
 * alarm makes leaves of what was appended (one transaction), publishes them, and projects them.
 * Eviction loses: when the next alarm is due (read again), and how often projecting failed. No event, no promise.
 * Source: contracts/spec/audit.md.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env.ts";
import { IntakeLoad } from "./intake-load.ts";
import { codeOf, warn } from "./log.ts";
import { LogAppend } from "./log-append.ts";
import { LOG_BOUNDS, type LogBounds } from "./log-bounds.ts";
import { type LogParts, partsOf } from "./log-parts.ts";
import type { Consistency, LogFacts, ProofAsk, Proved, Range } from "./log-reads.ts";
import type { Stored } from "./log-store.ts";
import type { StreamAsk, Streamed } from "./log-streams.ts";
import { LogWork } from "./log-work.ts";
import type { LogSlice } from "./sink-types.ts";
import type { AppendAsk, Appended, LastHead, LoggedEvent, LogEpoch, LogStatus, ProjectorPort } from "./types.ts";

export class AuditLog extends DurableObject<Env> {
  readonly #parts: LogParts;
  readonly #append: LogAppend;
  readonly #work: LogWork;
  readonly #load = new IntakeLoad();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { storage, id } = ctx;
    const { name: log } = id;
    if (log === undefined) throw new Error("an audit log is reached by its tenant's name");
    const parts = partsOf(storage, () => this.env, log, this.bounds());
    this.#parts = parts;
    const arm = (nowMs: number) => this.#work.arm(nowMs);
    const append = new LogAppend({ log, env: () => this.env, sql: storage.sql, parts, arm });
    this.#append = append;
    // The Worker's own entrypoint, by its name: the object needs no database binding and imports nothing of a service.
    const projector = () => (ctx.exports as unknown as { Projector: ProjectorPort }).Projector;
    this.#work = new LogWork({ log, storage, parts, append, projector });
    ctx.blockConcurrencyWhile(() => this.#work.start());
  }

  /** A test of what these bound has smaller ones. */
  protected bounds(): LogBounds {
    return LOG_BOUNDS;
  }

  /**
   * Make events durable. Appending the same events again gives the same promises, byte for byte.
   * @returns `audit.event_conflict` when an id is known with another leaf, `head.rolled_back` when a head does not
   * follow the last one, `contract.invalid`, `LIMIT_EXCEEDED`, `audit.unavailable` (log full, or an archive that had to be
   * asked cannot be), `audit.forked` and
   * `audit.backlogged` (contracts/spec/audit.md#sealing-and-publication), `config.incomplete`;
   * then nothing of the whole ask was appended, or, without the key of an old promise, all of it without a promise
   */
  async append(ask: AppendAsk): Promise<Appended> {
    const intake = this.#load.count(Date.now());
    try {
      const written = await this.#append.write(ask);
      if (!written.ok) return written;
      // From here on nothing is read or written that another call could change: the rows stand, promises follow from them.
      const promises = await Promise.all(
        written.stored.slice(0, ask.promises).map((found) => this.#append.promise(found)),
      );
      const seqs = written.stored.map(({ seq }) => seq);
      return { ok: true, promises, seqs, ...(intake === 0 ? {} : { intake }) };
    } catch (error) {
      const code = codeOf(error);
      warn("audit_log.append_failed", { log: this.ctx.id.name ?? "", code });
      return { ok: false, code: code === "config.incomplete" || code === "audit.forked" ? code : "audit.unavailable" };
    }
  }

  /** Appends that an intake object gathered: in their order, each answered by itself, all durable in one commit. */
  appendEach(asks: AppendAsk[]): Promise<Appended[]> {
    return Promise.all(asks.map((ask) => this.append(ask)));
  }

  /**
   * An event with its promise, or null when the log has none of that id. An event outlives the key that promised it:
   * once that key was pruned there is no promise to repeat, and the event is given without.
   */
  async get(eventId: string): Promise<LoggedEvent | null> {
    return (await this.known([eventId]))[eventId] ?? null;
  }

  /** Those of these ids that the log has, each with its event, place and promise. */
  async known(ids: string[]): Promise<Record<string, LoggedEvent>> {
    const found = [...(await this.#parts.search.find(ids)).values()];
    return Object.fromEntries(await Promise.all(found.map(async (one) => [one.event_id, await this.#logged(one)])));
  }

  async #logged(found: Stored): Promise<LoggedEvent> {
    const { seq, event_id } = found;
    const body = found.body ?? (await this.#parts.reader.body(seq, event_id));
    return { body, seq, ...(this.#append.canPromise(found) ? { promise: await this.#append.promise(found) } : {}) };
  }

  /** The newest head that was recorded; TenantHead compares its storage with it. */
  lastHead(): LastHead | null {
    return this.#parts.store.lastHead();
  }

  /** Events in order from `from` on, at most `most`, and where the log ends. */
  async read(from: number, most: number): Promise<LogSlice> {
    return { rows: await this.#parts.reader.rows(from, most), next_seq: this.#parts.store.next() };
  }

  /** A sink wants to hear of news. @returns where the log ends, or null when it has as many sinks as it may have */
  follow(sinkId: string): number | null {
    return this.#parts.followers.add(sinkId) ? this.#parts.store.next() : null;
  }

  unfollow(sinkId: string): void {
    this.#parts.followers.remove(sinkId);
  }

  /** Ids of the tenant's sinks, sorted. */
  sinks(): string[] {
    return this.#parts.followers.list();
  }

  // What the log shows of its tree: log-reads.ts.
  facts(): LogFacts {
    return this.#parts.reads.facts();
  }
  checkpoint(origin?: string): string | null {
    return this.#parts.reads.checkpoint(origin);
  }
  folder(origin?: string): string | null {
    return this.#parts.reads.folder(origin);
  }
  tile(path: string, origin?: string): Promise<Uint8Array | null> {
    return this.#parts.reads.tile(path, origin);
  }
  consistency(old: number, size: number, origin?: string): Promise<Consistency> {
    return this.#parts.reads.consistency(old, size, origin);
  }
  proof(ask: ProofAsk): Promise<Proved> {
    return this.#parts.reads.proof(ask);
  }

  range(from: number, to: number): Promise<Range> {
    return this.#parts.reads.range(from, to);
  }

  /** The next events for a reader, waited for: log-streams.ts. */
  stream(ask: StreamAsk): Promise<Streamed> {
    return this.#parts.streams.next(ask);
  }
  leave(stream: string): void {
    this.#parts.streams.leave(stream);
  }

  /** The trees of the log, oldest first: each has a name, keys and heads of its own. */
  log(): LogEpoch[] {
    return this.#parts.epochs.list();
  }

  status(): LogStatus {
    const { store, outbox, epochs, handover, keeping, marks, archiving } = this.#parts;
    return {
      next_seq: store.next(),
      projected_seq: outbox.position(),
      oldest_unprojected_ms: outbox.oldestMs(),
      projection_failures: outbox.failures,
      sealed_size: epochs.sealed(),
      published_size: epochs.published(),
      publish_failures: epochs.failures,
      handed_size: epochs.handed((origin) => handover.acknowledged(origin)),
      handover_failures: handover.failures,
      forked: epochs.forked,
      rows_from: keeping.from(),
      intake: this.#load.shards,
      archived_size: marks.end(),
      archive_failures: archiving.failures,
      bytes: this.ctx.storage.sql.databaseSize,
    };
  }

  /** Salts of a subject's calls that began by `ms` and wait here for its vault go. @returns how many events had some */
  forget(subject: string, ms: number): Promise<number> {
    return this.#parts.salts.forget(subject, ms);
  }

  /** Seal, publish and project now, as far as it goes; failures are counted in `status` and tried again by the alarm. */
  async flush(): Promise<void> {
    await this.#work.run(true);
  }

  /** Seal, publish and project what waits for it; come again while anything is left. Never throws for R2 or Postgres. */
  override async alarm(): Promise<void> {
    await this.#work.run(false);
  }

  /** The Worker's clock calls, so that an alarm that was lost stops nothing. An alarm that is to come is left alone. */
  poke(): Promise<void> {
    return this.#work.poke();
  }
}
