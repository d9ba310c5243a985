/**
 * The atom: what is kept of one subject's calls, and its end.
 * Reached by: `<tenant>/<hash of the subject>`; the gateway brings values, the tenant's AuditLog the salts.
 * Rows: `vault` (one row: number of the key in use, what was erased, hold), `keys` (one row: the data key, wrapped),
 * `salts` (sealed, by event), `kept` (what became of each value that was to be kept), `erasures` (the newest, with how
 * far each is). The sealed values are in the bucket `SEALED_VALUES`.
 * Atomic: an erasure destroys the data key and writes itself in one transaction; from there it only goes forward, each
 * step harmless to repeat, and says `done` after its event is durable. Sealing looks again, after every await, whether
 * the key that it used is still the one in use.
 * Eviction loses: the opened data key. The alarm is the only runner, and it is a row.
 * Source: contracts/spec/erasure.md.
 */
import { DurableObject } from "cloudflare:workers";
import { type Erasure, type Keysets, LIMITS, TalosError } from "@talos/contracts";
import { b64uDecode, b64uEncode } from "@talos/core";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import { newId } from "./change-events.ts";
import { withinMs } from "./deadline.ts";
import type { Env } from "./env.ts";
import { erasureEvent, scopeOf } from "./erasure-event.ts";
import { keysetsOf } from "./keysets.ts";
import { codeOf, warn } from "./log.ts";
import { boundTo, folderOf, subjectId, subjectOfErasure, timeOf } from "./subject.ts";
import * as Keys from "./value-keys.ts";
import { type ErasureRow, VaultStore } from "./vault-store.ts";
import type * as Rpc from "./vault-types.ts";

/** An opened data key is forgotten after this time, and with the erasure. */
const OPEN_MS = 300_000;
/** One run works at most this long, well below an alarm's 15 minutes; the rest is the next run's. */
const RUN_MS = 30_000;
const AGAIN_MS = 1_000;
/** An alarm this long overdue was lost, and is set again. */
const LOST_ALARM_MS = 5_000;
/** A write to the bucket that was under way when its object died has arrived by then, or never will. */
const SWEEP_MS = 60_000;
/** The first fills the write-ahead file, the second is written over its beginning. */
const SCRUBS = 2;
/** Beyond this the vault refuses instead of meeting the platform's bound (10 GB an object) in the middle of a write. */
const MAX_BYTES = 9_000_000_000;

/** Where a crash is played in tests: after each step of an erasure, before the next. */
export type Step = "destroyed" | "forgotten" | "cleared" | "deleted" | "emptied" | "appended" | "done";

interface Open {
  generation: number;
  key: CryptoKey;
  at_ms: number;
}

const refused = (code: Rpc.Refused["code"]): Rpc.Refused => ({ ok: false, code });

export class SubjectVault extends DurableObject<Env> {
  readonly #store: VaultStore;
  readonly #tenant: string;
  readonly #subject: string;
  #open: Open | undefined;
  readonly #one = new OneRun();
  /** Of the last attempt to wrap the key anew that failed. */
  #rewrapFailedMs = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const [tenant, subject] = (ctx.id.name ?? "").split("/");
    if (!tenant || !subject) throw new Error("a vault is reached by tenant and subject");
    this.#tenant = tenant;
    this.#subject = subject;
    this.#store = new VaultStore(ctx.storage);
  }

  protected reached(_step: Step): void {}

  /** Salts that the log has written with their leaves. Again the same ones: no harm. */
  async take({ salts }: Rpc.TakeAsk): Promise<Rpc.Taken> {
    if (salts.length > LIMITS.salt_rows || salts.some(({ subject }) => subject !== this.#subject)) {
      return refused("contract.invalid");
    }
    return this.#answer(async () => {
      if (this.#store.bytes > MAX_BYTES) return refused("value.unavailable");
      const opened = await Promise.all(salts.map((one) => this.#openSalts(one)));
      const found = salts.flatMap(({ event_id, kept }, i) => {
        const plain = opened[i];
        return plain === undefined ? [] : [{ event_id, kept, plain }];
      });
      for (;;) {
        const { generation, key } = await this.#dataKey();
        const late = ({ event_id }: { event_id: string }) => timeOf(event_id) <= this.#store.vault().erased_ms;
        const fresh = found.filter((one) => !late(one));
        const seal = ({ event_id, plain }: (typeof found)[0]) =>
          Keys.seal(key, this.#bound("salt", generation, event_id), plain);
        const sealed = await Promise.all(fresh.map(seal));
        if (this.#store.vault().generation !== generation) continue; // erased meanwhile: some of these were of before
        const rows = fresh.map(({ event_id, kept }, i) => ({ event_id, kept, sealed: b64uEncode(sealed[i]!) }));
        this.#store.atomically(() => this.#store.addSalts(generation, rows));
        return { ok: true, dropped: found.length - fresh.length, lost: salts.length - found.length };
      }
    });
  }

  /** Seal a value whose event is durable. Again the same one: no harm. */
  async keep({ event_id, name, value }: Rpc.KeepAsk): Promise<Rpc.Kept> {
    return this.#answer(async () => {
      if (this.#store.bytes > MAX_BYTES) return refused("value.unavailable");
      const { generation, key } = await this.#dataKey();
      const state = this.#store.value(event_id, name, generation);
      if (state === "kept" || state === "too_large") return { ok: true, state };
      if (timeOf(event_id) <= this.#store.vault().erased_ms) return refused("value.erased");
      if (value === undefined || value.byteLength > LIMITS.value_bytes) {
        this.#store.setValue(event_id, name, generation, "too_large", 0);
        return { ok: true, state: "too_large" };
      }
      const sealed = await Keys.seal(key, this.#bound("value", generation, event_id, name), value);
      if (this.#store.vault().generation !== generation) return refused("value.erased");
      const object = `${folderOf(this.#name, generation)}${event_id}.${name}`;
      await withinMs(this.env.SEALED_VALUES.put(object, sealed), LIMITS.object_timeout_ms, "the bucket");
      if (this.#store.vault().generation !== generation) {
        await this.env.SEALED_VALUES.delete(object); // the erasure may have looked before it came
        return refused("value.erased");
      }
      this.#store.setValue(event_id, name, generation, "kept", value.byteLength);
      return { ok: true, state: "kept" };
    });
  }

  /** What opens the commitments of an event. Whether it does, the reader checks. */
  async open(event_id: string): Promise<Rpc.OpenedAnswer> {
    return this.#answer(async () => {
      const { generation, erased_ms } = this.#store.vault();
      const sealed = this.#store.salt(event_id, generation);
      const rows = this.#store.values(event_id, generation);
      if (sealed === undefined && rows.length === 0) {
        return timeOf(event_id) <= erased_ms ? refused("value.erased") : { ok: true, salts: {}, values: [] };
      }
      const { key, generation: of } = await this.#dataKey();
      if (of !== generation) return refused("value.erased");
      const salts =
        sealed === undefined
          ? {}
          : Keys.readSalts(await Keys.open(key, this.#bound("salt", generation, event_id), b64uDecode(sealed)));
      const values = rows.map(async ({ name, state }): Promise<Rpc.Opened["values"][0]> => {
        if (state === "too_large") return { name, state };
        const young = Date.now() - timeOf(event_id) < LIMITS.value_seal_ms;
        if (state === "expected") return { name, state: young ? "pending" : "unsealed" };
        const object = `${folderOf(this.#name, generation)}${event_id}.${name}`;
        const found = await withinMs(this.#read(object), LIMITS.object_timeout_ms, "the bucket");
        return { name, state, value: await Keys.open(key, this.#bound("value", generation, event_id, name), found) };
      });
      const opened = await Promise.all(values);
      return this.#store.vault().generation === generation
        ? { ok: true, salts, values: opened }
        : refused("value.erased");
    });
  }

  /** Destroy the data key now; the rest follows by the alarm. The same id, or another while one is under way: that one. */
  async erase({ id, subject, reason, principal, request_id }: Rpc.EraseAsk): Promise<Rpc.ErasureAnswer> {
    if (subjectId(this.#tenant, subject) !== this.#subject || subjectOfErasure(id) !== this.#subject) {
      return refused("contract.invalid");
    }
    const known = this.#store.erasure(id) ?? this.#underWay();
    if (known !== undefined) return { ok: true, erasure: shown(known) };
    const { held, generation } = this.#store.vault();
    if (held) return refused("privacy.held");
    const nowMs = Date.now();
    const scope_salt = b64uEncode(crypto.getRandomValues(new Uint8Array(16)));
    const { commitments, values } = this.#store.counts(generation, nowMs);
    const erasure: ErasureRow = {
      ...{ id, state: "clearing", requested_ms: nowMs, generation, commitments, values, deleted: 0, failures: 0 },
      ...{ scope: scopeOf(scope_salt, subject), scope_salt, event_id: newId(nowMs), principal, request_id },
      ...(reason === undefined ? {} : { reason }),
    };
    this.#open = undefined;
    this.#store.destroy(erasure);
    this.#arm(nowMs + 1);
    this.reached("destroyed");
    return { ok: true, erasure: shown(erasure) };
  }

  async erasure(id: string): Promise<Rpc.ErasureAnswer> {
    const found = this.#store.erasure(id);
    if (found === undefined) return refused("privacy.unknown");
    // Whoever waits sees to it that somebody works: an alarm can be lost with a process that dies again and again.
    if (found.state !== "done" && !this.#one.running) {
      const alarmMs = await this.ctx.storage.getAlarm();
      const nowMs = Date.now();
      if (alarmMs === null || alarmMs < nowMs - LOST_ALARM_MS) this.#arm(nowMs + 1);
    }
    return { ok: true, erasure: shown(found) };
  }

  /** Whoever looks sees to it that the key in use is wrapped under today's primary: that is what is waited for after a rotation. */
  async describe(): Promise<Rpc.SubjectAnswer> {
    await this.#rewrap();
    const { generation, held, erased_ms } = this.#store.vault();
    const newest = this.#store.newest();
    const kid = this.#store.key(generation)?.kid;
    const standing = {
      held,
      ...this.#store.counts(generation, Date.now() - LIMITS.value_seal_ms),
      ...(erased_ms < 0 ? {} : { erased_ms }),
      ...(newest === undefined ? {} : { erasure: newest.id }),
      ...(kid === undefined ? {} : { key_id: kid }),
    };
    return { ok: true, standing };
  }

  /** An erasure that has begun goes on: what it destroyed is gone. */
  hold(held: boolean): Promise<Rpc.SubjectAnswer> {
    this.#store.hold(held);
    return this.describe();
  }

  /** Go on with an erasure, look once more after one, and see to the wrap of the key. Never throws for what it needs. */
  override alarm(): Promise<void> {
    return this.#one.run(() => this.#work());
  }

  async #work(): Promise<void> {
    try {
      const untilMs = Date.now() + RUN_MS;
      for (let at = this.#underWay(); at !== undefined && Date.now() < untilMs; at = this.#underWay()) {
        await this.#advance(at);
      }
      await this.#sweep();
    } catch (error) {
      const at = this.#underWay();
      if (at !== undefined) this.#store.saveErasure({ ...at, failures: at.failures + 1 });
      warn("vault.run_failed", { tenant: this.#tenant, code: codeOf(error), state: at?.state ?? null });
    } finally {
      const rewrapMs = this.#rewrapDueMs();
      if (rewrapMs !== undefined && rewrapMs <= Date.now()) await this.#rewrap();
      const dueMs = this.#dueMs(Date.now());
      if (dueMs !== null) this.#arm(dueMs);
    }
  }

  #underWay(): ErasureRow | undefined {
    const newest = this.#store.newest();
    return newest?.state === "done" ? undefined : newest;
  }

  /** One step forward; each may be repeated. */
  async #advance(at: ErasureRow): Promise<void> {
    const save = (over: Partial<ErasureRow>): void => this.#store.saveErasure({ ...at, failures: 0, ...over });
    switch (at.state) {
      case "clearing": {
        const log = this.env.AUDIT_LOGS.getByName(this.#tenant);
        const work = Promise.resolve(log.forget(this.#subject, at.requested_ms));
        await withinMs(work, LIMITS.object_timeout_ms, "the log");
        this.reached("forgotten");
        while (this.#store.clear(at.generation)) await scheduler.wait(0); // others come in between
        for (let i = 0; i < SCRUBS; i += 1) {
          this.#store.scrub();
          await this.ctx.storage.sync();
        }
        save({ state: "deleting" });
        this.reached("cleared");
        return;
      }
      case "deleting": {
        const gone = await this.#deleteSome(at.generation);
        this.reached("deleted");
        save(gone > 0 ? { deleted: at.deleted + gone } : { state: "recording", recorded_ms: Date.now() });
        if (gone === 0) this.reached("emptied");
        return;
      }
      case "recording":
        await this.#record(at);
        this.reached("appended");
        save({ state: "done", done_ms: Date.now() });
        this.reached("done");
        return;
      case "done":
        return;
    }
  }

  async #deleteSome(generation: number): Promise<number> {
    const list = this.env.SEALED_VALUES.list({ prefix: folderOf(this.#name, generation), limit: LIMITS.vault_delete });
    const { objects } = await withinMs(list, LIMITS.object_timeout_ms, "the bucket");
    const names = objects.map(({ key }) => key);
    if (names.length > 0) await withinMs(this.env.SEALED_VALUES.delete(names), LIMITS.object_timeout_ms, "the bucket");
    return names.length;
  }

  /** The same event at every attempt: the log takes it once. */
  async #record(at: ErasureRow): Promise<void> {
    const { event_id, request_id, principal, scope, requested_ms: before_ms, commitments, values } = at;
    const event = erasureEvent({
      ...{ event_id, tenant: this.#tenant, recorded_ms: at.recorded_ms!, request_id, principal },
      erasure: { scope, before_ms, commitments, values },
    });
    const log = this.env.AUDIT_LOGS.getByName(this.#tenant);
    const work = Promise.resolve(log.append({ events: [event], promises: 0 }));
    const answer = await withinMs(work, LIMITS.object_timeout_ms, "the log");
    if (!answer.ok) throw new TalosError(answer.code);
  }

  /** Once more, some time after the end: a write that was under way is found, and was unreadable all the time. */
  async #sweep(): Promise<void> {
    const newest = this.#store.newest();
    if (newest?.state !== "done" || newest.swept || Date.now() < newest.done_ms! + SWEEP_MS) return;
    while ((await this.#deleteSome(newest.generation)) > 0);
    this.#store.saveErasure({ ...newest, swept: true });
  }

  /**
   * A key that is wrapped under an older one is wrapped anew; the wrap before is replaced only by one that opens. Never
   * throws: what fails is tried again, and `describe` says under which key the wrap is.
   */
  async #rewrap(): Promise<void> {
    const { generation } = this.#store.vault();
    const row = this.#store.key(generation);
    if (row === undefined) return;
    const nowMs = Date.now();
    try {
      const next = await Keys.rewrapped(this.#keysets(), this.#place(generation), row, nowMs);
      if (next !== undefined) this.#store.rewrap(generation, row, next);
      this.#store.checked(nowMs);
    } catch (error) {
      this.#rewrapFailedMs = nowMs;
      warn("vault.rewrap_failed", { tenant: this.#tenant, kid: row.kid, code: codeOf(error) });
    }
  }

  /** When the wrap is looked at next, unix ms; undefined without a key. */
  #rewrapDueMs(): number | undefined {
    const { generation, checked_ms } = this.#store.vault();
    if (this.#store.key(generation) === undefined) return undefined;
    return Math.max(checked_ms + LIMITS.vault_rewrap_ms, this.#rewrapFailedMs + LIMITS.vault_retry_ms);
  }

  /** When to come again, unix ms. */
  #dueMs(nowMs: number): number | null {
    const newest = this.#store.newest();
    const due: number[] = [];
    if (newest !== undefined && newest.state !== "done") {
      const { failures } = newest;
      const pause = backoffMs(failures, AGAIN_MS, LIMITS.vault_retry_ms);
      due.push(failures === 0 ? nowMs + 1 : nowMs + pause);
    }
    if (newest?.state === "done" && !newest.swept) due.push(newest.done_ms! + SWEEP_MS);
    const rewrapMs = this.#rewrapDueMs();
    if (rewrapMs !== undefined) due.push(rewrapMs);
    // What failed is not tried again at once.
    return due.length === 0 ? null : Math.max(Math.min(...due), nowMs + (newest?.state === "done" ? AGAIN_MS : 1));
  }

  /** Not awaited: the output gate waits for it like for any other write, and fails the object if it fails. */
  #arm(atMs: number): void {
    void this.ctx.storage.setAlarm(atMs);
  }

  /** The key in use, made where there is none. @throws `config.incomplete` */
  async #dataKey(): Promise<Open> {
    for (;;) {
      const nowMs = Date.now();
      const { generation } = this.#store.vault();
      const open = this.#open;
      if (open?.generation === generation && Math.abs(nowMs - open.at_ms) < OPEN_MS) return open;
      const place = this.#place(generation);
      let row = this.#store.key(generation);
      if (row === undefined) {
        const made = await Keys.newDataKey(this.#keysets(), place);
        if (this.#store.vault().generation !== generation) continue;
        if (this.#store.key(generation) === undefined) {
          this.#store.addKey(generation, made); // of two that crossed the first one counts
          this.#store.checked(nowMs);
          if ((await this.ctx.storage.getAlarm()) === null) this.#arm(nowMs + LIMITS.vault_rewrap_ms);
        }
        row = this.#store.key(generation);
        if (row === undefined) continue;
      }
      const key = await Keys.dataKey(this.#keysets(), place, row, nowMs);
      if (this.#store.vault().generation !== generation) continue;
      this.#open = { generation, key, at_ms: nowMs };
      return this.#open;
    }
  }

  /** Undefined for salts that nobody can open any more: their key is gone, or they are damaged. */
  async #openSalts(salts: Rpc.TakeAsk["salts"][0]): Promise<Uint8Array | undefined> {
    const keysets = this.#keysets();
    try {
      return await Keys.openSalts(keysets, this.#tenant, salts.event_id, salts, Date.now());
    } catch (error) {
      warn("vault.salts_lost", { tenant: this.#tenant, event: salts.event_id, code: codeOf(error) });
      return undefined;
    }
  }

  async #read(object: string): Promise<Uint8Array> {
    const found = await this.env.SEALED_VALUES.get(object);
    if (found === null) throw new TalosError("value.unavailable", { why: "a kept value is not in the bucket" });
    return new Uint8Array(await found.arrayBuffer());
  }

  /** What fails on the way is an answer: an exception loses its class over RPC. */
  async #answer<A extends { ok: true }>(work: () => Promise<A | Rpc.Refused>): Promise<A | Rpc.Refused> {
    try {
      return await work();
    } catch (error) {
      const code = codeOf(error);
      warn("vault.failed", { tenant: this.#tenant, code });
      return refused(code === "config.incomplete" ? code : "value.unavailable");
    }
  }

  #bound(what: string, generation: number, ...rest: string[]): Uint8Array {
    return boundTo(what, this.#tenant, this.#subject, generation, ...rest);
  }

  #place(generation: number): Keys.KeyPlace {
    return { tenant: this.#tenant, subject: this.#subject, generation };
  }

  #keysets(): Keysets {
    return keysetsOf(this.env, Date.now());
  }

  get #name(): string {
    return `${this.#tenant}/${this.#subject}`;
  }
}

/** An erasure as its asker sees it. */
function shown(row: ErasureRow): Erasure {
  const { id, state, requested_ms, commitments, values, deleted, failures, scope, scope_salt, event_id, reason } = row;
  return {
    ...{ id, state, requested_ms, commitments, values, deleted, failures, scope, scope_salt, event_id },
    ...(reason === undefined ? {} : { reason }),
  };
}
