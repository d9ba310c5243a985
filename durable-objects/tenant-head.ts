/**
 * The atom: what is in force in one tenant: revocations, epochs, the number and hash of the policy.
 * Reached by: the tenant's name.
 * Rows: see head-store.ts. Bounded: entries by revocations_per_root and revocations_per_tenant, bodies and versions by
 * number; the rest are single rows.
 * Atomic: a head changes in two phases. It is planned and written as pending without awaiting; KV and AuditLog get it;
 * then one transaction brings it into force. Nobody is answered before that. A crash in between leaves a pending head,
 * which the next start or the alarm completes: appending the same events again is no second append.
 * One advance runs at a time, at most one a second; statements that come meanwhile share the next one.
 * Start: storage that is not what AuditLog recorded last was restored or lost, and refuses everything, for else it
 * would bring back what was revoked. While the log cannot be asked, nothing is answered.
 * Eviction loses: statements that wait for the next advance; their senders see the call fail. Nothing of them is in force.
 * Source: contracts/spec/in-force.md.
 */
import { DurableObject } from "cloudflare:workers";
import { type ErrorCode, LIMITS, TalosError } from "@talos/contracts";
import { filterBuild, jwsSignNative } from "@talos/core";
import { withinMs } from "./deadline.ts";
import type { Env } from "./env.ts";
import { judgeStart } from "./head-order.ts";
import { eventOf, type Job, type Plan, plan, publishedAlready, revokedAlready } from "./head-plan.ts";
import { type Change, HeadStore } from "./head-store.ts";
import { ChangeReader } from "./head-verify.ts";
import { keysetsOf, primaryKey } from "./keysets.ts";
import { codeOf, warn } from "./log.ts";
import type { ChangeContext, HeadAnswer, Looked, Published, RevokeAsk, Revoked } from "./types.ts";

/** Statements of one advance: one event each, all in one append. */
const AT_ONCE = 64;
/** Requests that may wait for an advance. */
const MAX_WAITING = 256;
/** A pending head whose advance died is completed after this, if nobody asks before. */
const RETRY_MS = 5_000;
/** Revocation bodies leave KV after 30 days; the object serves the one in force itself. */
const REV_BODY_TTL_SECONDS = 2_592_000;
/** Answers of the log that no repetition changes. */
const FINAL: readonly ErrorCode[] = ["contract.invalid", "LIMIT_EXCEEDED", "audit.event_conflict"];

/** Moments of an advance between which a crash may fall. */
export type Step = "pending" | "cached" | "recorded" | "in_force";

export class TenantHead extends DurableObject<Env> {
  readonly #tenant: string;
  readonly #store: HeadStore;
  readonly #reader: ChangeReader;
  /** what the comparison with the log said; undefined until it was made */
  #verdict: { refused: ErrorCode | null } | undefined;
  #checking: Promise<ErrorCode | null> | undefined;
  #waiting: Job[] = [];
  #advancing: Promise<void> | undefined;
  #advancedMs = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { name } = ctx.id;
    if (name === undefined) throw new Error("a tenant's head is reached by the tenant's name");
    this.#tenant = name;
    this.#store = new HeadStore(ctx.storage);
    this.#reader = new ChangeReader(env, name, this.#store);
    if (this.#store.inForce() === null) {
      const { body, rev_hash } = filterBuild({ tenant: name, rev_seq: 0, entries: [] });
      this.#store.begin({ kind: "rev", hash: rev_hash, number: 0, body });
    }
  }

  /** The head as of now, signed: compact JWS, typ `talos-head+jwt`. */
  async head(): Promise<HeadAnswer> {
    const refused = await this.#refused();
    if (refused !== null) return { ok: false, code: refused };
    try {
      const as_of_ms = Date.now();
      const key = primaryKey(keysetsOf(this.env, as_of_ms), "head");
      const head = { ...this.#store.inForce()!, as_of_ms, tenant: this.#tenant };
      const jws = await jwsSignNative({ seed: key.key, typ: "talos-head+jwt", kid: key.kid, payload: head });
      return { ok: true, head: jws };
    } catch (error) {
      return this.#failure("head", error);
    }
  }

  /** The snapshot's JWS of this hash, for isolates that KV does not serve; null when it is not kept. */
  async policy(hash: string): Promise<string | null> {
    return (await this.#refused()) === null ? this.#store.body("policy", hash) : null;
  }

  /** The revocation body of this hash; null when it is not kept. */
  async revocations(hash: string): Promise<string | null> {
    return (await this.#refused()) === null ? this.#store.body("rev", hash) : null;
  }

  /**
   * Exact entries for items that the filter hit.
   * @throws when the object refuses to answer, or an item has more entries than an answer may hold
   */
  async lookup(items: string[]): Promise<Looked> {
    const refused = await this.#refused();
    if (refused !== null) throw new TalosError(refused);
    if (items.length > LIMITS.lookup_items) throw new TalosError("LIMIT_EXCEEDED");
    const found = items.map((item): [string, string[]] => [item, this.#store.entriesOf(item)]);
    // A part of the entries would let a revoked key pass.
    if (found.some(([, entries]) => entries.length > LIMITS.lookup_entries)) throw new TalosError("head.inconsistent");
    return { rev_seq: this.#store.inForce()!.rev_seq, items: Object.fromEntries(found) };
  }

  /**
   * Publish the next policy.
   * @param jws the snapshot, signed by a publisher of the tenant
   * @returns after it is in force; `policy.version_conflict`, `policy.invalid`, `audit.unavailable` and what the core says
   */
  async publish(jws: string, context: ChangeContext): Promise<Published> {
    const refused = await this.#refused();
    if (refused !== null) return { ok: false, code: refused };
    try {
      const read = this.#reader.policy(jws);
      return await new Promise<Published>((settle) => {
        const job = { ...read, ...context, http: context.http, settle };
        const answer = publishedAlready(this.#store, job, this.#store.inForce()!);
        if (answer?.ok) settle(answer);
        else this.#enqueue(job);
      });
    } catch (error) {
      return this.#failure("publish", error);
    }
  }

  /**
   * Revoke what a statement names, on the authority that its chain shows.
   * @returns after it is in force; `revocation.not_authorized`, `revocation.limit`, `audit.unavailable`,
   * `policy.unavailable` and what the core says of statement and chain
   */
  async revoke(ask: RevokeAsk): Promise<Revoked> {
    const refused = await this.#refused();
    if (refused !== null) return { ok: false, code: refused };
    try {
      const read = this.#reader.revocation(ask, Date.now());
      return await new Promise<Revoked>((settle) => {
        const job = { ...read, request_id: ask.request_id, http: ask.http, settle };
        const answer = revokedAlready(this.#store, job);
        if (answer !== undefined) settle(answer);
        else this.#enqueue(job);
      });
    } catch (error) {
      return this.#failure("revoke", error);
    }
  }

  /** Complete what an advance left that died. */
  override async alarm(): Promise<void> {
    try {
      if ((await this.#refused()) === null) await this.#drive();
    } finally {
      if (this.#store.pending() !== null) void this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    }
  }

  /** Nothing. A test throws here, where a crash may fall. */
  protected reached(_step: Step): void {}

  #enqueue(job: Job): void {
    if (this.#waiting.length >= MAX_WAITING) {
      job.settle({ ok: false, code: "head.unavailable" });
      return;
    }
    // A trial: what cannot be recorded fails alone, and not the advance that others share.
    eventOf(job, this.#store.inForce()!, this.#tenant, Date.now());
    this.#waiting.push(job);
    void this.#drive();
  }

  /** Run advances until nobody waits; one runner at a time. Never rejects: each job is told how it ended. */
  #drive(): Promise<void> {
    this.#advancing ??= this.#advance().finally(() => {
      this.#advancing = undefined;
      if (this.#waiting.length > 0) void this.#drive(); // came between the last look and now
    });
    return this.#advancing;
  }

  async #advance(): Promise<void> {
    let accepted: Job[] = [];
    try {
      await this.#complete(); // what an earlier advance left
      while (this.#waiting.length > 0) {
        const waitMs = this.#advancedMs + LIMITS.head_advance_ms - Date.now();
        if (waitMs > 0) await scheduler.wait(Math.min(waitMs, LIMITS.head_advance_ms));
        accepted = this.#waiting.splice(0, AT_ONCE);
        const planned = plan(this.#store, this.#tenant, accepted, Date.now());
        accepted = planned?.accepted ?? [];
        if (planned === null) continue;
        this.#propose(planned);
        await this.#complete();
        for (const job of accepted) settleInForce(job, planned.change);
        accepted = [];
      }
    } catch (error) {
      const answer = this.#failure("advance", error);
      for (const job of [...accepted, ...this.#waiting.splice(0)]) job.settle(answer);
    }
  }

  #propose({ change, bodies }: Plan): void {
    this.#store.propose(change, bodies);
    void this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
  }

  /**
   * Record the pending head and bring it into force, if there is one.
   * @throws `audit.unavailable`: it stays pending; `head.rolled_back`: the log knows a later one
   */
  async #complete(): Promise<void> {
    const change = this.#store.pending();
    if (change === null) return;
    this.reached("pending");
    await this.#cache(change);
    this.reached("cached");
    const { events, next } = change;
    const log = this.env.AUDIT_LOGS.getByName(this.#tenant);
    const answer = await withinMs(
      Promise.resolve(log.append({ events, head: next, promises: 0 })),
      LIMITS.object_timeout_ms,
      "the log",
    )
      // The log's own error stays in its log; here it is one thing: not recorded, as far as we know.
      .catch((cause: unknown) => {
        throw new TalosError("audit.unavailable", {}, { cause });
      });
    if (!answer.ok) {
      if (answer.code === "head.rolled_back") this.#verdict = { refused: "head.rolled_back" };
      if (FINAL.includes(answer.code)) this.#store.discard();
      throw new TalosError(answer.code);
    }
    this.reached("recorded");
    this.#store.apply(change);
    this.#advancedMs = Date.now();
    this.reached("in_force");
  }

  /** Put the bodies where isolates look first. Without KV the object serves them, so a failure is said and no more. */
  async #cache({ next }: Change): Promise<void> {
    const wanted = [
      { key: `policy/${next.policy_hash}`, body: this.#store.body("policy", next.policy_hash), ttl: {} },
      {
        key: `rev/${next.rev_hash}`,
        body: this.#store.body("rev", next.rev_hash),
        ttl: { expirationTtl: REV_BODY_TTL_SECONDS },
      },
    ];
    for (const { key, body, ttl } of wanted) {
      if (body === null) continue;
      try {
        await withinMs(this.env.SNAPSHOTS.put(key, body, ttl), LIMITS.object_timeout_ms, "KV");
      } catch (error) {
        warn("tenant_head.cache_failed", { tenant: this.#tenant, code: codeOf(error) });
      }
    }
  }

  /** Why nothing is answered, or null. Compared with the log once an instance; asked again while it cannot be. */
  async #refused(): Promise<ErrorCode | null> {
    if (this.#verdict !== undefined) return this.#verdict.refused;
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #check(): Promise<ErrorCode | null> {
    try {
      await this.#complete();
      const log = this.env.AUDIT_LOGS.getByName(this.#tenant);
      const recorded = await withinMs(Promise.resolve(log.lastHead()), LIMITS.object_timeout_ms, "the log");
      const refused = judgeStart(this.#store.inForce()!, recorded);
      if (refused !== null) warn("tenant_head.refuses", { tenant: this.#tenant, code: refused });
      this.#verdict = { refused };
      return refused;
    } catch (error) {
      const code = codeOf(error);
      warn("tenant_head.start_failed", { tenant: this.#tenant, code });
      return code === "head.rolled_back" ? code : "head.unavailable";
    }
  }

  #failure(what: string, error: unknown): { ok: false; code: ErrorCode; detail?: Record<string, unknown> } {
    if (error instanceof TalosError) return { ok: false, code: error.code, detail: error.detail };
    warn("tenant_head.failed", { tenant: this.#tenant, what, code: codeOf(error) });
    return { ok: false, code: "internal" };
  }
}

function settleInForce(job: Job, { next }: Change): void {
  if (job.kind === "policy") {
    job.settle({ ok: true, version: next.policy_version, hash: next.policy_hash, repeated: false });
    return;
  }
  const { entries, jti } = job.facts;
  job.settle({ ok: true, rev_seq: next.rev_seq, entries, jti, repeated: false });
}
