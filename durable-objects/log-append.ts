/**
 * How events get their places in a log, and their promises: checked, compared, numbered and written in one transaction
 * without awaiting. What is old is asked of archives before (`archive-search.ts`).
 * Source: contracts/spec/audit.md#append, #promise.
 */
import { type ErrorCode, LIMITS, TalosError } from "@talos/contracts";
import { jwsSignNative } from "@talos/core";
import type { Found, Unasked } from "./archive-search.ts";
import { type BatchFacts, type Offered, offeredBy, promisePayload } from "./batch.ts";
import { bound, type Env } from "./env.ts";
import { checked } from "./event-check.ts";
import { follows } from "./head-order.ts";
import { type KeysetKey, keysetsOf, primaryKey } from "./keysets.ts";
import type { LogParts } from "./log-parts.ts";
import type { Stored } from "./log-store.ts";
import type { Place } from "./sweeper.ts";
import type { AppendAsk, Appended, HeadMark } from "./types.ts";
import { idMs } from "./uuid.ts";

/** Beyond this the log refuses instead of meeting the platform's bound (10 GB an object) in the middle of a write. */
const MAX_BYTES = 9_000_000_000;

/** Events with their places, or why they have none. */
export type Written = { ok: true; stored: Stored[] } | (Appended & { ok: false });

export interface LogAppendPorts {
  log: string;
  /** as it is at the moment */
  env(): Env;
  sql: SqlStorage;
  parts: Pick<LogParts, "store" | "sweeper" | "alarms" | "epochs" | "search" | "salts" | "followers" | "streams">;
  /** see to it that what was written is sealed */
  arm(nowMs: number): void;
}

export class LogAppend {
  readonly #ports: LogAppendPorts;

  constructor(ports: LogAppendPorts) {
    this.#ports = ports;
  }

  /** @throws what asking archives throws, `config.incomplete` */
  write(ask: AppendAsk): Promise<Written> {
    return this.#ports.parts.search.decide((found) => this.#write(ask, found));
  }

  /** Check, compare, number and write, or say what archives have to be asked for first. */
  #write(ask: AppendAsk, found: Found): Written | Unasked {
    const { log, env, parts } = this.#ports;
    const { store, sweeper, alarms, search } = parts;
    const offered = offeredBy(ask);
    if (offered === undefined) return { ok: false, code: "LIMIT_EXCEEDED" };
    const events = checked(offered, log);
    if (!Array.isArray(events)) return { ok: false, ...events };
    const nowMs = Date.now();
    primaryKey(keysetsOf(env(), nowMs), "promise"); // without one nothing is said, not even that an id is taken
    const unasked = search.unasked(events, found);
    if (unasked !== undefined) return unasked;
    const sorted = store.sort(events, found.events);
    if ("conflict" in sorted) {
      if (this.closed(nowMs) === undefined) alarms.raise(sorted, nowMs, this.place, found.events);
      return { ok: false, code: "audit.event_conflict", event_id: sorted.conflict.event_id };
    }
    const { fresh, known } = sorted;
    if (fresh.length > 0) {
      if (ask.head !== undefined && !follows(store.lastHead(), ask.head))
        return { ok: false, code: "head.rolled_back" };
      // Ids follow time: what archives hold is known by it, so no id is of a time that has not come.
      const early = fresh.find(({ event_id }) => idMs(event_id) > nowMs + LIMITS.audit_id_ahead_ms);
      if (early !== undefined) return { ok: false, code: "contract.invalid", event_id: early.event_id, flaw: "time" };
      const refusal = sweeper.refusal(fresh, found.events);
      if (refusal !== undefined) return { ok: false, ...refusal };
      const code = this.closed(nowMs);
      if (code !== undefined) return { ok: false, code };
      const facts = this.#place(fresh, nowMs, ask.head, (seq) => sweeper.note(fresh, seq, nowMs));
      for (const [i, event] of fresh.entries())
        known.set(event.event_id, { ...event, facts, seq: facts.first_seq + i });
    }
    return { ok: true, stored: events.map((event) => known.get(event.event_id)!) };
  }

  /** Why nothing new may be appended at the moment. @throws `config.incomplete` */
  closed(nowMs: number): ErrorCode | undefined {
    const { env, sql, parts, arm } = this.#ports;
    if (parts.epochs.forked) return "audit.forked";
    // What could never be published, or never be shown to be the only history, is not promised.
    bound(env(), "AUDIT_TILES");
    bound(env(), "META_LOG");
    if (this.#backlogged(nowMs)) {
      arm(nowMs); // an alarm that was lost must not keep the log closed
      return "audit.backlogged";
    }
    return sql.databaseSize > MAX_BYTES ? "audit.unavailable" : undefined;
  }

  /** Whether publishing fails, and an event has waited for it longer than a log may go on. */
  #backlogged(nowMs: number): boolean {
    const { epochs, store } = this.#ports.parts;
    if (epochs.failures === 0) return false;
    const oldestMs = store.timeMs(epochs.published());
    return oldestMs !== undefined && nowMs - oldestMs > LIMITS.audit_backlog_ms;
  }

  /** Give events of the log's own a place. */
  readonly place: Place = (events, nowMs, more) => void this.#place(events, nowMs, undefined, more);

  /** Give events the next numbers, with what else becomes durable with them. */
  #place(
    events: readonly Offered[],
    nowMs: number,
    head: HeadMark | undefined,
    more: (seq: number) => void,
  ): BatchFacts {
    const { env, parts, arm } = this.#ports;
    const { kid } = primaryKey(keysetsOf(env(), nowMs), "promise");
    const first_seq = parts.store.next();
    const facts = { first_seq, time_ms: nowMs, max_delay_seconds: LIMITS.audit_max_delay_seconds, kid };
    parts.store.write(events, facts, head, () => {
      parts.salts.write(events);
      more(first_seq);
    });
    arm(nowMs);
    parts.followers.stir();
    parts.streams.stir();
    return facts;
  }

  /**
   * Ed25519 is deterministic and everything signed comes from the rows, so the same event has the same promise.
   * @throws `config.incomplete` when the key it was made with was removed from the keysets
   */
  async promise({ facts, seq, ...entry }: Stored): Promise<string> {
    const key = this.#keyOf(facts);
    if (key === undefined) throw new TalosError("config.incomplete", { missing: [`promise key ${facts.kid}`] });
    const payload = promisePayload(this.#ports.log, facts, seq, entry);
    return jwsSignNative({ seed: key.key, typ: "talos-promise+jwt", kid: facts.kid, payload });
  }

  /** Whether the key is there still. */
  canPromise({ facts }: Stored): boolean {
    return this.#keyOf(facts) !== undefined;
  }

  #keyOf({ kid }: BatchFacts): KeysetKey | undefined {
    return keysetsOf(this.#ports.env(), Date.now()).purposes.promise.find((key) => key.kid === kid);
  }
}
