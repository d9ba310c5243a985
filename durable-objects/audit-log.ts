/**
 * The atom: the record of one tenant, in one order.
 * Reached by: the tenant's name, which is also the log's name in promises and in the projection.
 * Rows: `batches` (one for each append: its events and what their promises were made with; never deleted, so the
 * projection can be built again from nothing), `event_ids` (one for each event: the exact index), `salts` (of
 * commitments, apart from the leaves, so that they can be erased), `projection` (one row: how far Postgres is),
 * `last_head` (one row: the newest head that was recorded), `followers` (the ids of the tenant's webhook sinks); the
 * tree's in `tree-store.ts`.
 * Atomic: `append` compares ids, numbers the events and writes all rows in one transaction without awaiting; the output
 * gate holds the promises back until the rows are durable, and the platform commits concurrent appends together. The
 * alarm makes leaves of what was appended (one transaction), publishes them, and projects them.
 * Eviction loses: when the next alarm is due (read again), and how often projecting failed. No event, no promise.
 * Source: contracts/spec/audit.md.
 */
import { DurableObject } from "cloudflare:workers";
import { LIMITS, TalosError } from "@talos/contracts";
import { jwsSignNative, leafHash } from "@talos/core";
import {
  type BatchFacts,
  decodeBatch,
  type Entry,
  encodeBatch,
  faultOf,
  type Offered,
  offeredBy,
  promisePayload,
} from "./batch.ts";
import { doneWithinMs } from "./deadline.ts";
import { bound, type Env } from "./env.ts";
import { Followers } from "./followers.ts";
import { Handover } from "./handover.ts";
import { follows } from "./head-order.ts";
import { type KeysetKey, keysetsOf, primaryKey } from "./keysets.ts";
import { codeOf, warn } from "./log.ts";
import { type Consistency, type LogFacts, LogReads, type ProofAsk, type Proved } from "./log-reads.ts";
import { entriesIn, rowsFrom } from "./log-rows.ts";
import { Outbox } from "./outbox.ts";
import { fileNames, newOrigin, Publisher } from "./publisher.ts";
import type { LogSlice } from "./sink-types.ts";
import { TreeStore } from "./tree-store.ts";
import type {
  AppendAsk,
  Appended,
  HeadMark,
  LastHead,
  LoggedEvent,
  LogStatus,
  MetaPort,
  ProjectorPort,
} from "./types.ts";

/** Beyond this the log refuses instead of meeting the platform's bound (10 GB an object) in the middle of a write. */
const MAX_BYTES = 9_000_000_000;
/** An alarm this long overdue was lost, and is set again. */
const LOST_ALARM_MS = 5_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS batches (first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    max_delay_seconds INTEGER NOT NULL, kid TEXT NOT NULL, events TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS event_ids (event_id TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS salts (event_id TEXT NOT NULL, name TEXT NOT NULL, salt TEXT NOT NULL,
    PRIMARY KEY (event_id, name)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS projection (id INTEGER PRIMARY KEY CHECK (id = 0), next_seq INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS last_head (id INTEGER PRIMARY KEY CHECK (id = 0), rev_seq INTEGER NOT NULL,
    rev_hash TEXT NOT NULL, policy_version INTEGER NOT NULL, policy_hash TEXT NOT NULL, event_id TEXT NOT NULL);
  INSERT OR IGNORE INTO projection (id, next_seq) VALUES (0, 0);`;

interface Stored {
  facts: BatchFacts;
  entry: Entry;
  seq: number;
}
/** Decoded batches by their first number. */
type Batches = Map<number, Entry[]>;

export class AuditLog extends DurableObject<Env> {
  readonly #outbox: Outbox;
  readonly #tree: TreeStore;
  readonly #publisher: Publisher;
  readonly #handover: Handover;
  readonly #followers: Followers;
  readonly #reads: LogReads;
  #alarmMs: number | null = null;
  /** When projecting is due: while Postgres is down it waits longer than sealing does. */
  #projectAtMs = 0;
  /** Whether the next alarm is to project, and not only to seal and publish. */
  #projects = true;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#outbox = new Outbox(ctx.storage.sql, this.#name(), () => this.#next());
    ctx.storage.sql.exec(SCHEMA);
    ctx.storage.sql.exec(Followers.schema);
    const tell = (id: string) => env.WEBHOOK_SINKS.getByName(`${this.#name()}/${id}`).wake();
    this.#followers = new Followers(ctx.storage.sql, this.#name(), tell);
    this.#tree = new TreeStore(ctx.storage, { entries: (first, end) => entriesIn(ctx.storage.sql, first, end) });
    this.#handover = new Handover(ctx.storage.sql, this.#name(), () => this.#meta());
    this.#publisher = new Publisher({
      log: this.#name(),
      tree: this.#tree,
      bucket: () => bound(this.env, "AUDIT_TILES"),
      names: fileNames(this.#name()),
      seed: () => primaryKey(keysetsOf(this.env, Date.now()), "head").key,
      published: (head) => this.#handover.published(head),
    });
    this.#reads = new LogReads({
      tree: this.#tree,
      next: () => this.#next(),
      forked: () => this.#publisher.state === "forked",
      find: async (id) => {
        const found = this.#find([id]).get(id);
        return found && { seq: found.seq, body: found.entry.body };
      },
    });
    ctx.blockConcurrencyWhile(async () => {
      this.#alarmMs = await ctx.storage.getAlarm();
      // Nothing is promised before the bucket was seen, if it can be: rows that somebody restored would be promised anew.
      await this.#publisher.check();
      if (this.#handover.refused()) this.#publisher.state = "forked";
    });
  }

  /**
   * Make events durable. Appending the same events again gives the same promises, byte for byte.
   * @returns `audit.event_conflict` when an id is known with another leaf, `head.rolled_back` when a head does not
   * follow the last one, `contract.invalid`, `LIMIT_EXCEEDED`, `audit.unavailable` (log full), `audit.forked` and
   * `audit.backlogged` (contracts/spec/audit.md#sealing-and-publication), `config.incomplete`;
   * then nothing of the whole ask was appended, or, without the key of an old promise, all of it without a promise
   */
  async append(ask: AppendAsk): Promise<Appended> {
    try {
      const written = this.#append(ask);
      if (!written.ok) return written;
      // From here on nothing is read or written that another call could change: the rows stand, promises follow from them.
      const promises = await Promise.all(written.stored.slice(0, ask.promises).map((found) => this.#promise(found)));
      return { ok: true, promises, seqs: written.stored.map(({ seq }) => seq) };
    } catch (error) {
      const code = codeOf(error);
      warn("audit_log.append_failed", { log: this.#name(), code });
      return { ok: false, code: code === "config.incomplete" ? code : "audit.unavailable" };
    }
  }

  /** Check, compare, number and write, without awaiting. */
  #append(ask: AppendAsk): { ok: true; stored: Stored[] } | (Appended & { ok: false }) {
    const events = offeredBy(ask);
    if (events === undefined) return { ok: false, code: "LIMIT_EXCEEDED" };
    const fault = faultOf(events, leafHash);
    if (fault !== undefined) return { ok: false, ...fault };
    const nowMs = Date.now();
    const kid = primaryKey(keysetsOf(this.env, nowMs), "promise").kid;
    const sorted = this.#sort(events);
    if ("conflict" in sorted) return { ok: false, code: "audit.event_conflict", event_id: sorted.conflict };
    const { fresh, known } = sorted;
    if (fresh.length > 0) {
      if (ask.head !== undefined && !follows(this.lastHead(), ask.head)) return { ok: false, code: "head.rolled_back" };
      if (this.#publisher.state === "forked") return { ok: false, code: "audit.forked" };
      bound(this.env, "AUDIT_TILES"); // what could never be published is not promised
      if (this.#backlogged(nowMs)) {
        this.#arm(nowMs); // an alarm that was lost must not keep the log closed
        return { ok: false, code: "audit.backlogged" };
      }
      if (this.ctx.storage.sql.databaseSize > MAX_BYTES) return { ok: false, code: "audit.unavailable" };
      const first_seq = this.#next();
      const facts = { first_seq, time_ms: nowMs, max_delay_seconds: LIMITS.audit_max_delay_seconds, kid };
      this.#write(fresh, facts, ask.head);
      for (const [i, entry] of fresh.entries()) known.set(entry.event_id, { facts, entry, seq: first_seq + i });
      this.#arm(nowMs);
      this.#followers.stir();
    }
    return { ok: true, stored: events.map((event) => known.get(event.event_id)!) };
  }

  /**
   * An event with its promise, or null when the log has none of that id. An event outlives the key that promised it:
   * once that key was pruned there is no promise to repeat, and the event is given without.
   */
  async get(eventId: string): Promise<LoggedEvent | null> {
    const found = this.#find([eventId]).get(eventId);
    if (found === undefined) return null;
    const { entry, seq, facts } = found;
    const kept = this.#keyOf(facts) !== undefined;
    return { body: entry.body, seq, ...(kept ? { promise: await this.#promise(found) } : {}) };
  }

  /** The newest head that was recorded; TenantHead compares its storage with it. */
  lastHead(): LastHead | null {
    const sql = "SELECT rev_seq, rev_hash, policy_version, policy_hash, event_id FROM last_head";
    const row = this.ctx.storage.sql.exec<LastHead & Record<string, SqlStorageValue>>(sql).toArray()[0];
    return row === undefined ? null : { ...row };
  }

  /** Events in order from `from` on, at most `most`, and where the log ends. */
  read(from: number, most: number): LogSlice {
    return { rows: rowsFrom(this.ctx.storage.sql, from, most), next_seq: this.#next() };
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
  checkpoint(): string | null {
    return this.#reads.checkpoint();
  }
  tile(path: string): Uint8Array | null {
    return this.#reads.tile(path);
  }
  consistency(old: number, size: number): Promise<Consistency> {
    return this.#reads.consistency(old, size);
  }
  proof(ask: ProofAsk): Promise<Proved> {
    return this.#reads.proof(ask);
  }

  status(): LogStatus {
    return {
      next_seq: this.#next(),
      projected_seq: this.#outbox.position(),
      oldest_unprojected_ms: this.#outbox.oldestMs(),
      projection_failures: this.#outbox.failures,
      sealed_size: this.#tree.sealed()?.size ?? 0,
      published_size: this.#tree.published()?.size ?? 0,
      publish_failures: this.#publisher.failures,
      handed_size: this.#handover.acknowledged(this.#tree.sealed()?.origin ?? ""),
      handover_failures: this.#handover.failures,
      forked: this.#publisher.state === "forked",
      bytes: this.ctx.storage.sql.databaseSize,
    };
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
      this.#seal();
      const nowMs = Date.now();
      const project = force || this.#projects || nowMs >= this.#projectAtMs;
      const slow = Promise.all([
        this.#publisher.run(nowMs, force).then(() => this.#hand(force)),
        project ? this.#outbox.run(this.#projector()) : undefined,
        this.#followers.tell(),
      ]);
      // Whoever answers late holds up neither sealing nor publishing: no other alarm comes before this one has ended.
      while (!(await doneWithinMs(slow, LIMITS.audit_project_ms))) {
        this.#seal();
        void this.#publisher.run(Date.now());
      }
      if (project) this.#projectAtMs = Date.now() + (this.#outbox.waitMs() ?? 0);
    } finally {
      this.#armAgain(Date.now());
    }
  }

  /** Hand what was published to the meta-log. Another head of ours there stops the log. */
  async #hand(force: boolean): Promise<void> {
    if (this.env.META_LOG !== undefined) await this.#handover.run(Date.now(), force);
    if (this.#handover.refused()) this.#publisher.state = "forked";
  }

  #meta(): Pick<MetaPort, "add"> {
    return bound(this.env, "META_LOG").getByName("meta");
  }

  /** Make leaves of what was appended. Rows that contradict each other stop the log: nothing is added to them. */
  #seal(): void {
    if (this.#publisher.state === "forked") return;
    try {
      while (this.#tree.seal(this.#next(), () => newOrigin(this.env.TALOS_ORIGIN)) > 0);
    } catch (error) {
      const code = codeOf(error);
      if (code !== "config.incomplete") this.#publisher.state = "forked";
      warn("audit_log.seal_failed", { log: this.#name(), code });
    }
  }

  /** Whether publishing fails, and an event has waited for it longer than a log may go on. */
  #backlogged(nowMs: number): boolean {
    if (this.#publisher.failures === 0) return false;
    const published = this.#tree.published()?.size ?? 0;
    const sql = "SELECT time_ms FROM batches WHERE first_seq >= ? ORDER BY first_seq LIMIT 1";
    const oldest = this.ctx.storage.sql.exec<{ time_ms: number }>(sql, published).toArray()[0];
    return oldest !== undefined && nowMs - oldest.time_ms > LIMITS.audit_backlog_ms;
  }

  /** Come again while anything is left to do. */
  #armAgain(nowMs: number): void {
    const projectMs = this.#outbox.waitMs() === null ? null : this.#projectAtMs - nowMs;
    const unsealed = this.#publisher.state !== "forked" && (this.#tree.sealed()?.size ?? 0) < this.#next();
    const treeMs = unsealed ? LIMITS.audit_project_ms : this.#publisher.waitMs(nowMs);
    const handoverMs = this.env.META_LOG === undefined ? null : this.#handover.waitMs(nowMs);
    const waits = [projectMs, treeMs, handoverMs, this.#followers.waitMs()].filter((ms) => ms !== null);
    if (waits.length === 0) return;
    const waitMs = Math.min(...waits);
    this.#set(nowMs + Math.max(1, waitMs));
    this.#projects = projectMs !== null && projectMs <= waitMs;
  }

  #projector(): ProjectorPort {
    // The Worker's own entrypoint, by its name: the object needs no database binding and imports nothing of a service.
    return (this.ctx.exports as unknown as { Projector: ProjectorPort }).Projector;
  }

  /** Which events are new, each once, and what is known of the others; or the id of one that has another leaf. */
  #sort(events: readonly Offered[]): { fresh: Offered[]; known: Map<string, Stored> } | { conflict: string } {
    const fresh = new Map<string, Offered>();
    const known = this.#find(events.map(({ event_id }) => event_id));
    for (const event of events) {
      const { event_id, leaf_hash } = event;
      const leaf = known.get(event_id)?.entry.leaf_hash ?? fresh.get(event_id)?.leaf_hash;
      if (leaf === undefined) fresh.set(event_id, event);
      else if (leaf !== leaf_hash) return { conflict: event_id };
    }
    return { fresh: [...fresh.values()], known };
  }

  /** All rows of one append. A list goes into SQLite as one value: a statement for each event costs more than its row. */
  #write(events: readonly Offered[], facts: BatchFacts, head: HeadMark | undefined): void {
    const { sql } = this.ctx.storage;
    this.ctx.storage.transactionSync(() => {
      const { first_seq, time_ms, max_delay_seconds, kid } = facts;
      const row = [first_seq, events.length, time_ms, max_delay_seconds, kid, encodeBatch(events)];
      sql.exec("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", ...row);
      const ids = JSON.stringify(events.map(({ event_id }) => event_id));
      sql.exec("INSERT INTO event_ids SELECT value, ? + key FROM json_each(?)", first_seq, ids);
      const salts = events.flatMap(({ event_id, salts = {} }) =>
        Object.entries(salts).map(([name, salt]) => [event_id, name, salt]),
      );
      for (const salt of salts) sql.exec("INSERT INTO salts VALUES (?, ?, ?)", ...salt);
      if (head !== undefined) {
        const { rev_seq, rev_hash, policy_version, policy_hash } = head;
        const mark = [rev_seq, rev_hash, policy_version, policy_hash, events.at(-1)!.event_id];
        sql.exec("INSERT OR REPLACE INTO last_head VALUES (0, ?, ?, ?, ?, ?)", ...mark);
      }
    });
  }

  /** What is known of these ids; each batch that they lie in is read once. */
  #find(ids: readonly string[]): Map<string, Stored> {
    const { sql } = this.ctx.storage;
    const index = "SELECT event_id, seq FROM event_ids WHERE event_id IN (SELECT value FROM json_each(?))";
    const known = new Map<string, Stored>();
    const batches: Batches = new Map();
    for (const { event_id, seq } of sql.exec<{ event_id: string; seq: number }>(index, JSON.stringify(ids)).toArray()) {
      const at = `SELECT first_seq, time_ms, max_delay_seconds, kid FROM batches
        WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1`;
      const facts = sql.exec<BatchFacts & Record<string, SqlStorageValue>>(at, seq).one();
      const { first_seq } = facts;
      let entries = batches.get(first_seq);
      if (entries === undefined) {
        const text = "SELECT events FROM batches WHERE first_seq = ?";
        entries = decodeBatch(sql.exec<{ events: string }>(text, first_seq).one().events);
        batches.set(first_seq, entries);
      }
      known.set(event_id, { facts, entry: entries[seq - first_seq]!, seq });
    }
    return known;
  }

  /**
   * Ed25519 is deterministic and everything signed comes from the rows, so the same event has the same promise.
   * @throws `config.incomplete` when the key it was made with was removed from the keysets
   */
  async #promise({ facts, entry, seq }: Stored): Promise<string> {
    const key = this.#keyOf(facts);
    if (key === undefined) throw new TalosError("config.incomplete", { missing: [`promise key ${facts.kid}`] });
    const payload = promisePayload(this.#name(), facts, seq, entry);
    return jwsSignNative({ seed: key.key, typ: "talos-promise+jwt", kid: facts.kid, payload });
  }

  #keyOf({ kid }: BatchFacts): KeysetKey | undefined {
    return keysetsOf(this.env, Date.now()).purposes.promise.find((key) => key.kid === kid);
  }

  #next(): number {
    const sql = "SELECT first_seq + count AS next FROM batches ORDER BY first_seq DESC LIMIT 1";
    return this.ctx.storage.sql.exec<{ next: number }>(sql).toArray()[0]?.next ?? 0;
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
