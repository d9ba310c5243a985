/**
 * The atom: one webhook sink: where it stands in the tenant's log, and what became of what it sent.
 * Reached by: `<tenant>/<sink id>`; the tenant's AuditLog lists the ids and says when there is news.
 * Rows: `sink` (one row: settings, cursor, breaker), `keys` (signing secrets, sealed), `deliveries` (the newest
 * attempts), `dead_letters` (events that were given up, by their place in the log). No event is copied.
 * Atomic: what an attempt changes is one transaction after its answer: cursor, delivery log, dead letter. An attempt
 * that was under way when somebody changed the sink moves nothing. So an event may be sent twice, never skipped.
 * Eviction loses: events read ahead, imported keys. The alarm is the only runner, and it is a row.
 * Source: contracts/spec/webhooks.md.
 */
import { DurableObject } from "cloudflare:workers";
import { LIMITS, type SinkAttempt, type SinkReplay, type SinkRotate, type SinkUpdate } from "@talos/contracts";
import { b64uEncode } from "@talos/core";
import { OneRun } from "./one-run.ts";
import { withinMs } from "./deadline.ts";
import type { Env } from "./env.ts";
import type { Heard } from "./followers.ts";
import { keysetsOf } from "./keysets.ts";
import { codeOf, warn } from "./log.ts";
import type { LogRow } from "./log-rows.ts";
import { clearFailures, type Next, note, settle } from "./sink-attempt.ts";
import { eventBody, leafOf, ownBody, selects } from "./sink-event.ts";
import { newKey, shownAgain } from "./sink-secrets.ts";
import { SecretLost, SinkSender } from "./sink-sender.ts";
import { SinkStore, type SinkState } from "./sink-store.ts";
import type * as Rpc from "./sink-types.ts";

/** One run works at most this long, well below an alarm's 15 minutes; the rest is the next run's. */
const RUN_MS = 60_000;
/** While the log, the courier or our own configuration is missing, which is not the receiver's fault. */
const OWN_FAULT_MS = 5_000;
const DAY_S = 86_400;

const UNKNOWN = { ok: false, code: "sink.unknown" } as const;
const refused = (code: Rpc.Refused["code"]): Rpc.Refused => ({ ok: false, code });

export class WebhookSink extends DurableObject<Env> {
  readonly #store: SinkStore;
  readonly #sender: SinkSender;
  #ahead: LogRow[] = [];
  readonly #one = new OneRun();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new SinkStore(ctx.storage);
    // The Worker's own entrypoint, by its name: what may be called from here is decided in one place.
    const courier = () => (this.ctx.exports as unknown as { Courier: Rpc.CourierPort }).Courier;
    this.#sender = new SinkSender({ name: () => this.#name(), store: this.#store, env, courier });
    ctx.blockConcurrencyWhile(async () => this.#store.open());
  }

  /** Make it. The same settings again, before anything happened to it, get the same answer. */
  async create(ask: Rpc.CreateAsk): Promise<Rpc.SinkMadeAnswer> {
    const { tenant, id, url, kinds = [], description, algorithm = "v1a", from_seq } = ask;
    const nowMs = Date.now();
    const keysets = this.#keysets(nowMs);
    if (keysets === undefined) return refused("config.incomplete");
    const known = this.#store.state();
    if (known !== undefined) {
      const [key] = this.#store.keys(nowMs);
      const same = (one: object): string => JSON.stringify(one);
      const before = same([known.url, known.kinds, known.description ?? null, key?.algorithm]);
      const untouched = known.status === "unverified" && known.next_n === 0 && known.epoch === 0;
      if (key === undefined || !untouched || before !== same([url, kinds, description ?? null, algorithm]))
        return refused("sink.conflict");
      return this.#made(known, await shownAgain(keysets, this.#name(), key, nowMs));
    }
    const { key, shown } = await newKey(keysets, this.#name(), algorithm, nowMs);
    if (this.#store.state() !== undefined) return refused("sink.conflict"); // two crossed; the second asks again
    const state: SinkState = {
      ...{ tenant, id, url, kinds, status: "unverified", cursor: from_seq, created_ms: nowMs },
      ...{ attempts: 0, failures: 0, next_n: 0, epoch: 0 },
      ...(description === undefined ? {} : { description }),
    };
    this.#store.atomically(() => {
      this.#store.addKey(key);
      this.#store.save(state);
    });
    return this.#made(state, shown);
  }

  describe(): Rpc.SinkAnswer {
    return this.#answer(this.#store.state());
  }

  update({ url, kinds, description }: SinkUpdate): Rpc.SinkAnswer {
    return this.#change((state) => {
      state.kinds = kinds;
      if (description === undefined) delete state.description;
      else state.description = description;
      if (url === state.url) return;
      Object.assign(state, { url, status: "unverified", attempts: 0 });
      clearFailures(state);
    });
  }

  /** Secrets, cursor and logs go; there is nothing left to resume. */
  async remove(): Promise<Rpc.SinkAnswer> {
    const state = this.#store.state();
    if (state === undefined) return UNKNOWN;
    const last = this.#answer(state);
    this.#sender.forget();
    this.#ahead = [];
    await this.#store.drop();
    return last;
  }

  pause(): Rpc.SinkAnswer {
    const state = this.#store.state();
    if (state !== undefined && state.status !== "active" && state.status !== "paused") return refused("sink.conflict");
    return this.#change((changed) => {
      changed.status = "paused";
    });
  }

  /** Challenge the receiver of a URL that never answered one; then work, or try again at once. */
  async resume(): Promise<Rpc.SinkAnswer> {
    const state = this.#store.state();
    if (state === undefined) return UNKNOWN;
    const { url, epoch } = state;
    if (state.verified_url !== url) {
      const challenge = b64uEncode(crypto.getRandomValues(new Uint8Array(32)));
      const answer = await this.#ownDelivery("challenge", { challenge });
      if (!answer.ok) return answer;
      if (answer.attempt.code === "refused_url") return refused("sink.url_refused");
      if (!answer.attempt.ok) return refused("sink.unverified");
      if (this.#store.state()?.epoch !== epoch) return refused("sink.conflict");
    }
    const resumed = this.#change((changed) => {
      changed.verified_url = url;
      changed.status = "active";
      clearFailures(changed);
    });
    await this.#setAlarm(Date.now());
    try {
      await withinMs(this.#log(state).follow(state.id), LIMITS.object_timeout_ms, "following");
    } catch (error) {
      this.#warn("sink.follow_failed", { code: codeOf(error) }); // it looks by itself, less promptly
    }
    return resumed;
  }

  /** One delivery of no event, now. */
  sendTest(): Promise<Rpc.AttemptAnswer> {
    return this.#ownDelivery("test", { message: "A test of Talos. No event stands behind it." });
  }

  /** Set the cursor, to go on from there or to come back after a range. */
  replay({ from_seq, to_seq }: SinkReplay): Rpc.SinkAnswer {
    if (to_seq !== undefined && to_seq <= from_seq) return refused("contract.invalid");
    return this.#change((state) => {
      const { cursor, prev, range } = state;
      const back = range ?? { back: cursor, ...(prev === undefined ? {} : { back_prev: prev }) };
      delete state.range;
      if (to_seq !== undefined) state.range = { ...back, to: to_seq };
      Object.assign(state, { cursor: from_seq, attempts: 0 });
      delete state.prev;
      clearFailures(state);
    });
  }

  /** A new secret; the older ones sign beside it until `overlap_seconds` are over. */
  async rotate({ algorithm, overlap_seconds = DAY_S }: SinkRotate): Promise<Rpc.SinkMadeAnswer> {
    const nowMs = Date.now();
    const keysets = this.#keysets(nowMs);
    if (keysets === undefined) return refused("config.incomplete");
    if (this.#store.state() === undefined) return UNKNOWN;
    const scheme = algorithm ?? this.#store.keys(nowMs)[0]?.algorithm ?? "v1a";
    const { key, shown } = await newKey(keysets, this.#name(), scheme, nowMs);
    const state = this.#store.state();
    if (state === undefined) return UNKNOWN;
    const kept = overlap_seconds === 0 ? [] : this.#store.keys(nowMs);
    if (kept.length >= LIMITS.sink_secrets) return refused("sink.limit");
    this.#store.atomically(() => {
      this.#store.expireKeys(nowMs + overlap_seconds * 1_000);
      this.#store.addKey(key);
    });
    return this.#made(state, shown);
  }

  deliveries(cursor: number, limit: number): Rpc.DeliveriesAnswer {
    if (this.#store.state() === undefined) return UNKNOWN;
    return { ok: true, deliveries: this.#store.deliveries(cursor, limit) };
  }

  deadLetters(cursor: number, limit: number): Rpc.DeadLettersAnswer {
    if (this.#store.state() === undefined) return UNKNOWN;
    return { ok: true, dead_letters: this.#store.dead(cursor, limit) };
  }

  /** Try dead letters once more, before what is next in the log. */
  async redeliver(seqs: number[] | undefined): Promise<Rpc.RedeliverAnswer> {
    const state = this.#store.state();
    if (state === undefined) return UNKNOWN;
    if (state.status !== "active") return refused("sink.conflict");
    const count = this.#store.request(seqs);
    this.#change(clearFailures);
    await this.#setAlarm(Date.now());
    return { ok: true, count };
  }

  /** The log has news. */
  async wake(): Promise<Heard> {
    const state = this.#store.state();
    if (state === undefined) return "gone";
    if (state.status !== "active") return "quiet";
    const dueMs = Math.max(Date.now(), waitsUntil(state));
    const alarmMs = await this.ctx.storage.getAlarm();
    // Also while the alarm runs: it may have seen the end of the log just before the news.
    if (alarmMs === null || alarmMs > dueMs) await this.#setAlarm(dueMs);
    return "heard";
  }

  /** Send what is due, in order, one after the other, one run at a time. Never throws for a receiver. */
  override alarm(): Promise<void> {
    return this.#one.run(() => this.#work());
  }

  async #work(): Promise<void> {
    let dueMs: number | null = Date.now() + OWN_FAULT_MS;
    try {
      dueMs = await this.#run(Date.now() + RUN_MS);
    } catch (error) {
      this.#warn("sink.run_failed", { code: codeOf(error) });
    } finally {
      if (dueMs !== null && this.#store.state()?.status === "active") {
        // Somebody may have set it earlier while this ran.
        const alarmMs = await this.ctx.storage.getAlarm();
        await this.#setAlarm(Math.min(alarmMs ?? dueMs, Math.max(dueMs, Date.now() + 1)));
      }
    }
  }

  /** @returns when to come again, unix ms; null when there is nothing to do until somebody says so */
  async #run(untilMs: number): Promise<number | null> {
    while (Date.now() < untilMs) {
      const state = this.#store.state();
      if (state === undefined || state.status !== "active") return null;
      const waitMs = waitsUntil(state);
      if (waitMs > Date.now()) return waitMs;
      const next = await this.#next(state);
      if (next === undefined) return Date.now() + LIMITS.sink_poll_ms;
      if (next !== "moved") await this.#deliver(state, next);
    }
    return Date.now() + 1;
  }

  /** What to send next; `moved` when events were passed over or the sink was changed; nothing at the end of the log. */
  async #next(state: SinkState): Promise<Next | "moved" | undefined> {
    const letter = this.#store.requested();
    if (letter !== undefined) {
      const { rows } = await this.#read(state, letter.seq, 1);
      const row = rows.find(({ seq }) => seq === letter.seq);
      if (row === undefined) throw new Error("the log does not have a dead letter's event");
      return { row, leaf: leafOf(row), letter: letter.attempts };
    }
    if (state.range !== undefined && state.cursor >= state.range.to) {
      const { back, back_prev } = state.range;
      delete state.range;
      delete state.prev;
      Object.assign(state, { cursor: back, ...(back_prev === undefined ? {} : { prev: back_prev }) });
      this.#store.save(state);
      return "moved";
    }
    if (this.#ahead[0]?.seq !== state.cursor) {
      this.#ahead = [];
      const { rows, next_seq } = await this.#read(state, state.cursor, LIMITS.sink_read_rows);
      // Beyond the end: the log was restored, or a replay was asked for that is yet to come. Waiting loses nothing.
      if (rows.length === 0 || state.cursor >= next_seq) return undefined;
      if (rows[0]?.seq !== state.cursor) throw new Error("the log has a gap");
      if (this.#store.state()?.epoch === state.epoch) this.#ahead = rows;
      return "moved"; // the state may have changed while the log was asked: read it again
    }
    const end = state.range?.to ?? Number.MAX_SAFE_INTEGER;
    const from = state.cursor;
    for (let row = this.#ahead[0]; row !== undefined && row.seq < end; row = this.#ahead[0]) {
      const leaf = leafOf(row);
      if (selects(state.kinds, leaf)) {
        if (state.cursor > from) this.#store.save(state);
        return { row, leaf };
      }
      this.#ahead.shift();
      state.cursor = row.seq + 1;
    }
    this.#store.save(state);
    return "moved";
  }

  async #deliver({ tenant, epoch, prev, attempts }: SinkState, next: Next): Promise<void> {
    const { row, leaf, letter } = next;
    // A dead letter comes out of its order, so it says nothing of what came before it.
    const body = eventBody(this.#source(tenant), row, leaf, letter === undefined ? prev : undefined);
    const attempt = (letter ?? attempts) + 1;
    const posted = await this.#post(row.event_id, body);
    if (posted === undefined) return;
    this.#store.atomically(() => {
      const state = this.#store.state();
      if (state === undefined) return;
      const facts = { what: "event" as const, seq: row.seq, webhook_id: row.event_id, attempt };
      const made = note(this.#store, state, facts, posted);
      if (state.epoch === epoch && state.status === "active") this.#settle(state, next, made, posted);
      this.#store.save(state);
    });
  }

  #settle(state: SinkState, next: Next, made: SinkAttempt, posted: Rpc.Posted): void {
    const come = settle(this.#store, state, next, made, posted);
    if (come === "on" && this.#ahead[0]?.seq === next.row.seq) this.#ahead.shift();
    if (come !== "on" && come !== "again") this.#disable(state, come);
  }

  async #ownDelivery(
    what: "test" | "challenge",
    data: { challenge?: string; message?: string },
  ): Promise<Rpc.AttemptAnswer> {
    const before = this.#store.state();
    if (before === undefined) return UNKNOWN;
    const id = `${what}-${crypto.randomUUID()}`;
    const posted = await this.#post(id, ownBody(this.#source(before.tenant), id, what, Date.now(), data));
    const state = this.#store.state();
    if (posted === undefined || state === undefined) return refused("sink.unavailable");
    const unanswered = data.challenge !== undefined && posted.ok && !echoes(posted.text, data.challenge);
    const attempt = this.#store.atomically(() => {
      const made = note(this.#store, state, { what, webhook_id: id, attempt: 1 }, posted, unanswered);
      this.#store.save(state);
      return made;
    });
    return { ok: true, attempt };
  }

  /** Sign and send. Nothing comes back when that is impossible for reasons of our own; then it is tried again. */
  async #post(id: string, body: string): Promise<Rpc.Posted | undefined> {
    const url = this.#store.state()?.url;
    if (url === undefined) return undefined;
    try {
      return await this.#sender.post(url, id, body);
    } catch (error) {
      if (!(error instanceof SecretLost)) throw error;
      this.#change((state) => this.#disable(state, "secret_lost"));
      return undefined;
    }
  }

  #disable(state: SinkState, reason: NonNullable<SinkState["reason"]>): void {
    Object.assign(state, { status: "disabled", reason });
    this.#warn("sink.disabled", { reason, cursor: state.cursor });
  }

  #change(change: (state: SinkState) => void): Rpc.SinkAnswer {
    const state = this.#store.state();
    if (state === undefined) return UNKNOWN;
    change(state);
    state.epoch += 1;
    if (state.status !== "disabled") delete state.reason;
    this.#ahead = [];
    this.#store.save(state);
    if (state.status === "active") void this.#setAlarm(Date.now());
    return this.#answer(state);
  }

  async #read(state: SinkState, from: number, most: number): Promise<Rpc.LogSlice> {
    return withinMs(this.#log(state).read(from, most), LIMITS.object_timeout_ms, "reading the log");
  }

  #log({ tenant }: SinkState) {
    return this.env.AUDIT_LOGS.getByName(tenant);
  }

  #keysets(nowMs: number): ReturnType<typeof keysetsOf> | undefined {
    try {
      return keysetsOf(this.env, nowMs);
    } catch (error) {
      this.#warn("sink.no_keysets", { code: codeOf(error) });
      return undefined;
    }
  }

  #answer(state: SinkState | undefined): Rpc.SinkAnswer {
    return state === undefined ? UNKNOWN : { ok: true, sink: this.#store.describe(state, Date.now()) };
  }

  #made(state: SinkState, secret: string | undefined): Rpc.SinkMadeAnswer {
    return { ok: true, sink: this.#store.describe(state, Date.now()), ...(secret === undefined ? {} : { secret }) };
  }

  #setAlarm(atMs: number): Promise<void> {
    return this.ctx.storage.setAlarm(atMs);
  }

  #source(tenant: string): string {
    return `${this.env.TALOS_ORIGIN ?? ""}/t/${tenant}`;
  }

  #warn(event: string, facts: Record<string, string | number>): void {
    warn(event, { sink: this.#name(), ...facts });
  }

  #name(): string {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error("a sink is reached by its name");
    return name;
  }
}

/** What is waited for before the next attempt: the schedule and the breaker. */
const waitsUntil = (state: SinkState): number => Math.max(state.next_attempt_ms ?? 0, state.breaker_until_ms ?? 0);

/** Whether an answer holds the challenge: `{"challenge": "<the same>"}`. */
function echoes(text: string, challenge: string): boolean {
  try {
    return (JSON.parse(text) as { challenge?: unknown } | null)?.challenge === challenge;
  } catch {
    return false; // whatever else it says, it is no answer to a challenge
  }
}
