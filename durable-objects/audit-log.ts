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
import { type ErrorCode, LIMITS, TalosError } from "@talos/contracts";
import { jwsSignNative } from "@talos/core";
import { bundle, TILE_WIDTH } from "@talos/core/log";
import { ArchiveMarks } from "./archive-marks.ts";
import { ArchiveSearch, type Found, type Unasked } from "./archive-search.ts";
import { Archiving } from "./archiving.ts";
import { type BatchFacts, type Offered, offeredBy, promisePayload } from "./batch.ts";
import { ConflictAlarms } from "./conflict-alarms.ts";
import { doneWithinMs } from "./deadline.ts";
import { bound, type Env } from "./env.ts";
import { Epochs } from "./epochs.ts";
import { checked } from "./event-check.ts";
import { EventReader } from "./event-reader.ts";
import { Followers } from "./followers.ts";
import { Handover } from "./handover.ts";
import { follows } from "./head-order.ts";
import { IntakeLoad } from "./intake-load.ts";
import { type KeysetKey, keysetsOf, primaryKey } from "./keysets.ts";
import { codeOf, warn } from "./log.ts";
import { LOG_BOUNDS, type LogBounds } from "./log-bounds.ts";
import { type Consistency, type LogFacts, LogReads, type ProofAsk, type Proved, type Range } from "./log-reads.ts";
import { entriesIn } from "./log-rows.ts";
import { LogStore, type Stored } from "./log-store.ts";
import { LogTiles } from "./log-tiles.ts";
import { LogStreams, type StreamAsk, type Streamed } from "./log-streams.ts";
import { Outbox } from "./outbox.ts";
import { RowKeeping } from "./row-keeping.ts";
import type { LogSlice } from "./sink-types.ts";
import { SaltOutbox } from "./salt-outbox.ts";
import { type Place, Sweeper } from "./sweeper.ts";
import type {
  AppendAsk,
  Appended,
  HeadMark,
  LastHead,
  LoggedEvent,
  LogEpoch,
  LogStatus,
  MetaPort,
  ProjectorPort,
} from "./types.ts";
import { idMs } from "./uuid.ts";

/** Beyond this the log refuses instead of meeting the platform's bound (10 GB an object) in the middle of a write. */
const MAX_BYTES = 9_000_000_000;
/** An alarm this long overdue was lost, and is set again. */
const LOST_ALARM_MS = 5_000;

export class AuditLog extends DurableObject<Env> {
  readonly #store: LogStore;
  readonly #sweeper: Sweeper;
  readonly #alarms: ConflictAlarms;
  readonly #outbox: Outbox;
  readonly #epochs: Epochs;
  readonly #reader: EventReader;
  readonly #keeping: RowKeeping;
  readonly #marks: ArchiveMarks;
  readonly #search: ArchiveSearch;
  readonly #archiving: Archiving;
  readonly #handover: Handover;
  readonly #followers: Followers;
  readonly #reads: LogReads;
  readonly #streams: LogStreams;
  readonly #salts: SaltOutbox;
  readonly #load = new IntakeLoad();
  #alarmMs: number | null = null;
  /** When projecting is due: while Postgres is down it waits longer than sealing does. */
  #projectAtMs = 0;
  /** Whether the next alarm is to project, and not only to seal and publish. */
  #projects = true;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new LogStore(ctx.storage, (seq) => this.#epochs.leafHash(seq));
    this.#sweeper = new Sweeper(ctx.storage, this.#name(), this.#store);
    this.#alarms = new ConflictAlarms(ctx.storage.sql, this.#name(), this.#store);
    this.#marks = new ArchiveMarks(ctx.storage.sql);
    this.#outbox = new Outbox(
      ctx.storage.sql,
      this.#name(),
      { next: () => this.#next(), timeMs: (seq) => this.#store.timeMs(seq) ?? this.#marks.sinceMs(seq) },
      () => this.#reader,
    );
    ctx.storage.sql.exec(Followers.schema);
    const tell = (id: string) => env.WEBHOOK_SINKS.getByName(`${this.#name()}/${id}`).wake();
    this.#followers = new Followers(ctx.storage.sql, this.#name(), tell);
    this.#handover = new Handover(ctx.storage.sql, this.#name(), () => this.#meta());
    const bucket = () => bound(this.env, "AUDIT_TILES");
    const bounds = this.bounds();
    this.#epochs = new Epochs(ctx.storage, {
      log: this.#name(),
      entries: (first, end) => entriesIn(ctx.storage.sql, first, end),
      timeMs: (seq) => this.#store.timeMs(seq),
      bucket,
      seed: () => primaryKey(keysetsOf(this.env, Date.now()), "head").key,
      published: (head) => this.#handover.published(head),
      deployment: () => this.env.TALOS_ORIGIN,
      bounds,
    });
    const [store, epochs] = [this.#store, this.#epochs];
    this.#reader = new EventReader({ sql: ctx.storage.sql, store, epochs, bucket });
    this.#keeping = new RowKeeping(ctx.storage.sql, {
      ...{ log: this.#name(), store, epochs, reader: this.#reader },
      ...{ bounds, bytes: () => ctx.storage.sql.databaseSize },
      projected: () => this.#outbox.position(),
      needed: () => this.#sweeper.oldest(),
    });
    const tiles = new LogTiles(bucket);
    const archive = (n: number) => bound(this.env, "LOG_ARCHIVES").getByName(`${this.#name()}/${n}`);
    const archives = { log: this.#name(), marks: this.#marks, store, epochs, archive };
    this.#search = new ArchiveSearch(archives);
    this.#archiving = new Archiving({
      ...{ ...archives, bounds, storage: ctx.storage, reader: this.#reader, tiles },
      texts: () => this.#keeping.from(),
      needed: () => this.#sweeper.oldest(),
    });
    const find = async (id: string) => {
      const found = (await this.#search.find([id])).get(id);
      return found && { seq: found.seq, body: found.body ?? (await this.#reader.body(found.seq, id)) };
    };
    this.#reads = new LogReads({
      epochs,
      next: () => this.#next(),
      tile: (epoch, path) => tiles.read(epoch, path),
      find,
      bundle: async (epoch, index, width) => {
        const first = epoch.first_seq + index * TILE_WIDTH;
        const utf8 = new TextEncoder();
        if (store.hasRow(first))
          return bundle([...entriesIn(ctx.storage.sql, first, first + width)].map(({ body }) => utf8.encode(body)));
        return bundle((await this.#reader.bundle(epoch, index)).entries.slice(0, width));
      },
    });
    const tenant = this.#name().split("/", 1)[0]!;
    this.#salts = new SaltOutbox({
      ...{ sql: ctx.storage.sql, tenant, find },
      keysets: () => keysetsOf(this.env, Date.now()),
      vault: (subject) => this.env.SUBJECT_VAULTS.getByName(`${tenant}/${subject}`),
    });
    const read = (from: number, most: number) => this.#reader.rows(from, most);
    this.#streams = new LogStreams({ read, next: () => this.#next() });
    ctx.blockConcurrencyWhile(async () => {
      this.#alarmMs = await ctx.storage.getAlarm();
      // Nothing is promised before the bucket was seen, if it can be: rows that somebody restored would be promised anew.
      await this.#epochs.check();
      if (this.#handover.refused()) this.#epochs.stop();
    });
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
      const written = await this.#search.decide((found) => this.#append(ask, found));
      if (!written.ok) return written;
      // From here on nothing is read or written that another call could change: the rows stand, promises follow from them.
      const promises = await Promise.all(written.stored.slice(0, ask.promises).map((found) => this.#promise(found)));
      const seqs = written.stored.map(({ seq }) => seq);
      return { ok: true, promises, seqs, ...(intake === 0 ? {} : { intake }) };
    } catch (error) {
      const code = codeOf(error);
      warn("audit_log.append_failed", { log: this.#name(), code });
      return { ok: false, code: code === "config.incomplete" || code === "audit.forked" ? code : "audit.unavailable" };
    }
  }

  /** Appends that an intake object gathered: in their order, each answered by itself, all durable in one commit. */
  appendEach(asks: AppendAsk[]): Promise<Appended[]> {
    return Promise.all(asks.map((ask) => this.append(ask)));
  }

  /** Check, compare, number and write, without awaiting, or say what archives have to be asked for first. */
  #append(ask: AppendAsk, found: Found): { ok: true; stored: Stored[] } | (Appended & { ok: false }) | Unasked {
    const offered = offeredBy(ask);
    if (offered === undefined) return { ok: false, code: "LIMIT_EXCEEDED" };
    const events = checked(offered, this.#name());
    if (!Array.isArray(events)) return { ok: false, ...events };
    const nowMs = Date.now();
    primaryKey(keysetsOf(this.env, nowMs), "promise"); // without one nothing is said, not even that an id is taken
    const unasked = this.#search.unasked(events, found);
    if (unasked !== undefined) return unasked;
    const sorted = this.#store.sort(events, found.events);
    if ("conflict" in sorted) {
      if (this.#closed(nowMs) === undefined) this.#alarms.raise(sorted, nowMs, this.#place, found.events);
      return { ok: false, code: "audit.event_conflict", event_id: sorted.conflict.event_id };
    }
    const { fresh, known } = sorted;
    if (fresh.length > 0) {
      if (ask.head !== undefined && !follows(this.lastHead(), ask.head)) return { ok: false, code: "head.rolled_back" };
      // Ids follow time: what archives hold is known by it, so no id is of a time that has not come.
      const early = fresh.find(({ event_id }) => idMs(event_id) > nowMs + LIMITS.audit_id_ahead_ms);
      if (early !== undefined) return { ok: false, code: "contract.invalid", event_id: early.event_id, flaw: "time" };
      const refusal = this.#sweeper.refusal(fresh, found.events);
      if (refusal !== undefined) return { ok: false, ...refusal };
      const code = this.#closed(nowMs);
      if (code !== undefined) return { ok: false, code };
      const facts = this.#write(fresh, nowMs, ask.head, (seq) => this.#sweeper.note(fresh, seq, nowMs));
      for (const [i, event] of fresh.entries())
        known.set(event.event_id, { ...event, facts, seq: facts.first_seq + i });
    }
    return { ok: true, stored: events.map((event) => known.get(event.event_id)!) };
  }

  /** Why nothing new may be appended at the moment. @throws `config.incomplete` */
  #closed(nowMs: number): ErrorCode | undefined {
    if (this.#epochs.forked) return "audit.forked";
    // What could never be published, or never be shown to be the only history, is not promised.
    bound(this.env, "AUDIT_TILES");
    bound(this.env, "META_LOG");
    if (this.#backlogged(nowMs)) {
      this.#arm(nowMs); // an alarm that was lost must not keep the log closed
      return "audit.backlogged";
    }
    return this.ctx.storage.sql.databaseSize > MAX_BYTES ? "audit.unavailable" : undefined;
  }

  /** Give events the next numbers, with what else becomes durable with them. */
  #write(
    events: readonly Offered[],
    nowMs: number,
    head: HeadMark | undefined,
    more: (seq: number) => void,
  ): BatchFacts {
    const { kid } = primaryKey(keysetsOf(this.env, nowMs), "promise");
    const first_seq = this.#next();
    const facts = { first_seq, time_ms: nowMs, max_delay_seconds: LIMITS.audit_max_delay_seconds, kid };
    this.#store.write(events, facts, head, () => {
      this.#salts.write(events);
      more(first_seq);
    });
    this.#arm(nowMs);
    this.#followers.stir();
    this.#streams.stir();
    return facts;
  }

  /** Events of the log's own. */
  readonly #place: Place = (events, nowMs, more) => void this.#write(events, nowMs, undefined, more);

  /**
   * An event with its promise, or null when the log has none of that id. An event outlives the key that promised it:
   * once that key was pruned there is no promise to repeat, and the event is given without.
   */
  async get(eventId: string): Promise<LoggedEvent | null> {
    return (await this.known([eventId]))[eventId] ?? null;
  }

  /** Those of these ids that the log has, each with its event, place and promise. */
  async known(ids: string[]): Promise<Record<string, LoggedEvent>> {
    const found = [...(await this.#search.find(ids)).values()];
    return Object.fromEntries(await Promise.all(found.map(async (one) => [one.event_id, await this.#logged(one)])));
  }

  async #logged(found: Stored): Promise<LoggedEvent> {
    const { seq, facts, event_id } = found;
    const body = found.body ?? (await this.#reader.body(seq, event_id));
    const kept = this.#keyOf(facts) !== undefined;
    return { body, seq, ...(kept ? { promise: await this.#promise(found) } : {}) };
  }

  /** The newest head that was recorded; TenantHead compares its storage with it. */
  lastHead(): LastHead | null {
    return this.#store.lastHead();
  }

  /** Events in order from `from` on, at most `most`, and where the log ends. */
  async read(from: number, most: number): Promise<LogSlice> {
    return { rows: await this.#reader.rows(from, most), next_seq: this.#next() };
  }

  /** A sink wants to hear of news. @returns where the log ends, or null when it has as many sinks as it may have */
  follow(sinkId: string): number | null {
    return this.#followers.add(sinkId) ? this.#next() : null;
  }

  unfollow(sinkId: string): void {
    this.#followers.remove(sinkId);
  }

  /** Ids of the tenant's sinks, sorted. */
  sinks(): string[] {
    return this.#followers.list();
  }

  // What the log shows of its tree: log-reads.ts.
  facts(): LogFacts {
    return this.#reads.facts();
  }
  checkpoint(origin?: string): string | null {
    return this.#reads.checkpoint(origin);
  }
  folder(origin?: string): string | null {
    return this.#reads.folder(origin);
  }
  tile(path: string, origin?: string): Promise<Uint8Array | null> {
    return this.#reads.tile(path, origin);
  }
  consistency(old: number, size: number, origin?: string): Promise<Consistency> {
    return this.#reads.consistency(old, size, origin);
  }
  proof(ask: ProofAsk): Promise<Proved> {
    return this.#reads.proof(ask);
  }

  range(from: number, to: number): Promise<Range> {
    return this.#reads.range(from, to);
  }

  /** The next events for a reader, waited for: log-streams.ts. */
  stream(ask: StreamAsk): Promise<Streamed> {
    return this.#streams.next(ask);
  }
  leave(stream: string): void {
    this.#streams.leave(stream);
  }

  /** The trees of the log, oldest first: each has a name, keys and heads of its own. */
  log(): LogEpoch[] {
    return this.#epochs.list();
  }

  status(): LogStatus {
    return {
      next_seq: this.#next(),
      projected_seq: this.#outbox.position(),
      oldest_unprojected_ms: this.#outbox.oldestMs(),
      projection_failures: this.#outbox.failures,
      sealed_size: this.#epochs.sealed(),
      published_size: this.#epochs.published(),
      publish_failures: this.#epochs.failures,
      handed_size: this.#epochs.handed((origin) => this.#handover.acknowledged(origin)),
      handover_failures: this.#handover.failures,
      forked: this.#epochs.forked,
      rows_from: this.#keeping.from(),
      intake: this.#load.shards,
      archived_size: this.#marks.end(),
      archive_failures: this.#archiving.failures,
      bytes: this.ctx.storage.sql.databaseSize,
    };
  }

  /** Salts of a subject's calls that began by `ms` and wait here for its vault go. @returns how many events had some */
  forget(subject: string, ms: number): Promise<number> {
    return this.#salts.forget(subject, ms);
  }

  /** Seal, publish and project now, as far as it goes; failures are counted in `status` and tried again by the alarm. */
  async flush(): Promise<void> {
    await this.#work(true);
  }

  /** Seal, publish and project what waits for it; come again while anything is left. Never throws for R2 or Postgres. */
  override async alarm(): Promise<void> {
    await this.#work(false);
  }

  /** The Worker's clock calls, so that an alarm that was lost stops nothing. An alarm that is to come is left alone. */
  async poke(): Promise<void> {
    const atMs = await this.ctx.storage.getAlarm();
    const nowMs = Date.now();
    if (atMs === null || atMs < nowMs - LOST_ALARM_MS) this.#armAgain(nowMs);
  }

  async #work(force: boolean): Promise<void> {
    this.#alarmMs = null;
    try {
      const nowMs = Date.now();
      const swept = this.#sweep(nowMs);
      this.#seal(nowMs);
      const project = force || this.#projects || nowMs >= this.#projectAtMs;
      const slow = Promise.all([
        this.#epochs.run(nowMs, force).then(() => this.#hand(force)),
        project ? this.#outbox.run(this.#projector()) : undefined,
        this.#followers.tell(),
        this.#salts.run(),
        this.#keeping.run(nowMs).then(() => this.#archiving.run(nowMs)),
        swept,
      ]);
      // Whoever answers late holds up neither sealing nor publishing: no other alarm comes before this one has ended.
      while (!(await doneWithinMs(slow, LIMITS.audit_project_ms))) {
        this.#seal(Date.now());
        void this.#epochs.run(Date.now());
      }
      if (project) this.#projectAtMs = Date.now() + (this.#outbox.waitMs() ?? 0);
    } finally {
      this.#armAgain(Date.now());
    }
  }

  /** At once, unless archives have to be asked first. */
  async #sweep(nowMs: number): Promise<void> {
    const dueMs = this.#sweeper.waitMs(nowMs);
    if (dueMs === null || dueMs > 1) return;
    try {
      if (this.#closed(nowMs) !== undefined) return;
    } catch {
      return; // it stays open until the log is configured
    }
    try {
      await this.#search.decide((found) => {
        if (this.#closed(nowMs) !== undefined) return undefined;
        const unasked = this.#search.open(this.#sweeper.closing(nowMs), found);
        return unasked ?? this.#sweeper.run(nowMs, this.#place, found.events);
      });
    } catch (error) {
      this.#sweeper.postpone(nowMs);
      warn("audit_log.sweep_failed", { log: this.#name(), code: codeOf(error) });
    }
  }

  /** Hand what was published to the meta-log. Another head of ours there stops the log. */
  async #hand(force: boolean): Promise<void> {
    await this.#handover.run(Date.now(), force);
    if (this.#handover.refused()) this.#epochs.stop();
  }

  #meta(): Pick<MetaPort, "add"> {
    return bound(this.env, "META_LOG").getByName("meta");
  }

  /**
   * Make leaves of what was appended, and begin a new tree when this one is large or old. Rows that contradict each
   * other stop the log: nothing is added to them.
   */
  #seal(nowMs: number): void {
    if (this.#epochs.forked) return;
    try {
      this.#epochs.seal(this.#next());
    } catch (error) {
      const code = codeOf(error);
      if (code !== "config.incomplete") this.#epochs.stop();
      warn("audit_log.seal_failed", { log: this.#name(), code });
      return;
    }
    if (this.#epochs.isDue(nowMs)) this.#freeze(nowMs);
  }

  #freeze(nowMs: number): void {
    try {
      this.#epochs.freeze(nowMs, (event, more) => this.#place([event], nowMs, more));
      this.#epochs.seal(this.#next());
    } catch (error) {
      warn("audit_log.freeze_failed", { log: this.#name(), code: codeOf(error) }); // the next run tries again
    }
  }

  /** Whether publishing fails, and an event has waited for it longer than a log may go on. */
  #backlogged(nowMs: number): boolean {
    if (this.#epochs.failures === 0) return false;
    const oldestMs = this.#store.timeMs(this.#epochs.published());
    return oldestMs !== undefined && nowMs - oldestMs > LIMITS.audit_backlog_ms;
  }

  /** Come again while anything is left to do. */
  #armAgain(nowMs: number): void {
    const projectMs = this.#outbox.waitMs() === null ? null : this.#projectAtMs - nowMs;
    const unsealed = !this.#epochs.forked && this.#epochs.sealed() < this.#next();
    const treeMs = unsealed ? LIMITS.audit_project_ms : this.#epochs.waitMs(nowMs);
    const handoverMs = this.#handover.waitMs(nowMs);
    const sweepMs = this.#epochs.forked ? null : this.#sweeper.waitMs(nowMs);
    const [keepMs, saltMs, archiveMs] = [
      this.#keeping.waitMs(nowMs),
      this.#salts.waitMs(),
      this.#archiving.waitMs(nowMs),
    ];
    const followMs = this.#followers.waitMs();
    const waits = [projectMs, treeMs, handoverMs, sweepMs, keepMs, archiveMs, saltMs, followMs].filter(
      (ms) => ms !== null,
    );
    if (waits.length === 0) return;
    const waitMs = Math.min(...waits);
    this.#set(nowMs + Math.max(1, waitMs));
    this.#projects = projectMs !== null && projectMs <= waitMs;
  }

  #projector(): ProjectorPort {
    // The Worker's own entrypoint, by its name: the object needs no database binding and imports nothing of a service.
    return (this.ctx.exports as unknown as { Projector: ProjectorPort }).Projector;
  }

  /**
   * Ed25519 is deterministic and everything signed comes from the rows, so the same event has the same promise.
   * @throws `config.incomplete` when the key it was made with was removed from the keysets
   */
  async #promise({ facts, seq, ...entry }: Stored): Promise<string> {
    const key = this.#keyOf(facts);
    if (key === undefined) throw new TalosError("config.incomplete", { missing: [`promise key ${facts.kid}`] });
    const payload = promisePayload(this.#name(), facts, seq, entry);
    return jwsSignNative({ seed: key.key, typ: "talos-promise+jwt", kid: facts.kid, payload });
  }

  #keyOf({ kid }: BatchFacts): KeysetKey | undefined {
    return keysetsOf(this.env, Date.now()).purposes.promise.find((key) => key.kid === kid);
  }

  #next(): number {
    return this.#store.next();
  }

  #arm(nowMs: number): void {
    const dueMs = nowMs + LIMITS.audit_project_ms;
    if (this.#alarmMs !== null && this.#alarmMs >= nowMs - LOST_ALARM_MS && this.#alarmMs <= dueMs) return;
    this.#set(dueMs);
    this.#projects = this.#projectAtMs <= dueMs;
  }

  /** Not awaited: the output gate waits for it like for any other write, and fails the object if it fails. */
  #set(atMs: number): void {
    this.#alarmMs = atMs;
    void this.ctx.storage.setAlarm(atMs);
  }

  #name(): string {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error("an audit log is reached by its tenant's name");
    return name;
  }
}
