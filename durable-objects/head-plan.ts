/**
 * From waiting requests to the next head: who is answered at once, who is refused, and what the head will be. Reads the
 * store and writes nothing, and awaits nothing, so what it decides on is what is written.
 * Source: contracts/spec/in-force.md.
 */
import type { HttpFacts } from "@talos/contracts";
import { filterBuild, type SealedEvent } from "@talos/core";
import { policyEvent, type RevocationFacts, revocationEvent } from "./change-events.ts";
import type { Body, Change, HeadStore } from "./head-store.ts";
import { coveredBy, fits, itemOf, type Revocation, replacedBy } from "./revocations.ts";
import type { HeadMark, Published, Revoked } from "./types.ts";

/** A snapshot whose publisher, tenant and shape were verified. */
export interface PolicyJob {
  kind: "policy";
  version: number;
  hash: string;
  jws: string;
  publisher: { did: string; jkt: string };
  request_id: string | undefined;
  http: HttpFacts | undefined;
  settle(answer: Published): void;
}

/** A statement whose signature, chain and authority were verified. */
export interface RevocationJob {
  kind: "revocation";
  facts: RevocationFacts;
  root_link: string;
  /** seconds */
  expires_at: number;
  /** of the signer in the chain, the anchor 0 */
  depth: number;
  request_id: string | undefined;
  http: HttpFacts | undefined;
  settle(answer: Revoked): void;
}

export type Job = PolicyJob | RevocationJob;

export interface Plan {
  change: Change;
  bodies: Body[];
  /** whom to answer once it is in force */
  accepted: Job[];
}

/** The answer that a publication gets without a new head, or undefined when it is the next version. */
export function publishedAlready(
  store: HeadStore,
  { version, hash }: PolicyJob,
  head: HeadMark,
): Published | undefined {
  if (version === head.policy_version + 1) return undefined;
  if (store.hashOf(version) === hash) return { ok: true, version, hash, repeated: true };
  return { ok: false, code: "policy.version_conflict", detail: { policy_version: head.policy_version } };
}

/**
 * The answer that a statement gets without a new head: all of its entries stand already. They are kept longer.
 * What a pending head drops stands no more: its statement waits for the head after it.
 */
export function revokedAlready(store: HeadStore, { facts, expires_at }: RevocationJob): Revoked | undefined {
  const going = new Set(store.pending()?.drop);
  const standing = (entry: string) => store.entriesOf(itemOf(entry)).filter((known) => !going.has(known));
  const covering = facts.entries.map((entry) => coveredBy(standing(entry), entry));
  if (covering.some((entry) => entry === undefined)) return undefined;
  for (const entry of covering) store.extend(entry!, expires_at);
  const rev_seq = Math.max(...covering.map((entry) => store.since(entry!) ?? 0));
  return { ok: true, rev_seq, entries: facts.entries, jti: facts.jti, repeated: true };
}

/**
 * Settle the jobs that need no new head, and plan one head for the others: at most one policy, and revocations.
 * @returns null when nobody needs a new head
 */
export function plan(store: HeadStore, tenant: string, jobs: readonly Job[], nowMs: number): Plan | null {
  const head = store.inForce()!;
  const taken = new Taken(store, Math.floor(nowMs / 1000));
  let policy: PolicyJob | undefined;
  const accepted = jobs.filter((job) => {
    if (job.kind === "policy") {
      const answer =
        publishedAlready(store, job, head) ?? (policy === undefined ? undefined : conflict(head.policy_version + 1));
      if (answer !== undefined) job.settle(answer);
      else policy = job;
      return answer === undefined;
    }
    const answer = revokedAlready(store, job) ?? taken.refuse(job);
    if (answer !== undefined) job.settle(answer);
    return answer === undefined;
  });
  if (accepted.length === 0) return null;

  const bodies: Body[] = [];
  const next = { ...head };
  if (policy !== undefined) {
    Object.assign(next, { policy_version: policy.version, policy_hash: policy.hash });
    bodies.push({ kind: "policy", hash: policy.hash, number: policy.version, body: policy.jws });
  }
  if (taken.add.length > 0) {
    next.rev_seq += 1;
    const built = filterBuild({ tenant, rev_seq: next.rev_seq, entries: taken.remaining() });
    next.rev_hash = built.rev_hash;
    bodies.push({ kind: "rev", hash: built.rev_hash, number: next.rev_seq, body: built.body });
  }
  const events = accepted.map((job) => eventOf(job, next, tenant, nowMs));
  // Without a new body nothing goes either: entries and body are always of one number.
  const drop = taken.add.length > 0 ? [...taken.drop] : [];
  return { change: { next, add: taken.add, drop, events }, bodies, accepted };
}

/** Entries that the planned head adds and drops, so far. */
class Taken {
  readonly add: Revocation[] = [];
  readonly drop: Set<string>;
  readonly #store: HeadStore;
  readonly #nowSeconds: number;

  constructor(store: HeadStore, nowSeconds: number) {
    this.#store = store;
    this.#nowSeconds = nowSeconds;
    this.drop = new Set(store.expired(nowSeconds));
  }

  /** Take a statement's entries, or say why not. */
  refuse({ facts, root_link, expires_at, depth }: RevocationJob): Revoked | undefined {
    const fresh = facts.entries.filter((entry) => coveredBy(this.#standing(itemOf(entry)), entry) === undefined);
    for (const [i, entry] of fresh.entries()) {
      const live = this.#store.live(root_link, itemOf(entry), this.#nowSeconds);
      const more = (count: (added: Revocation) => boolean) => i + this.add.filter(count).length;
      live.root += more((added) => added.root_link === root_link);
      live.tenant += more(() => true);
      live.item += more((added) => itemOf(added.entry) === itemOf(entry));
      const replaced = replacedBy(this.#standing(itemOf(entry)), entry).length;
      live.root -= replaced;
      live.tenant -= replaced;
      live.item -= replaced;
      if (!fits(entry, depth, live)) return { ok: false, code: "revocation.limit" };
    }
    for (const entry of fresh) {
      for (const gone of replacedBy(this.#standing(itemOf(entry)), entry)) this.#remove(gone);
      this.drop.delete(entry); // expired and revoked anew
      this.add.push({ entry, root_link, expires_at });
    }
    return undefined;
  }

  /** All entries of the planned head. */
  remaining(): string[] {
    const kept = this.#store.allEntries().filter((entry) => !this.drop.has(entry));
    return [...new Set([...kept, ...this.add.map(({ entry }) => entry)])];
  }

  #standing(item: string): string[] {
    const kept = this.#store.entriesOf(item).filter((entry) => !this.drop.has(entry));
    return [...kept, ...this.add.filter(({ entry }) => itemOf(entry) === item).map(({ entry }) => entry)];
  }

  #remove(entry: string): void {
    const at = this.add.findIndex((added) => added.entry === entry);
    if (at >= 0) this.add.splice(at, 1);
    this.drop.add(entry);
  }
}

/**
 * The event that a job leads to.
 * @throws `contract.invalid`, `LIMIT_EXCEEDED`
 */
export function eventOf(job: Job, next: HeadMark, tenant: string, nowMs: number): SealedEvent {
  const { request_id, http } = job;
  const common = { nowMs, request_id, http, head: { ...next, as_of_ms: nowMs, tenant } };
  return job.kind === "policy" ? policyEvent(common, job.publisher) : revocationEvent(common, job.facts);
}

/** Another publication goes into force with this very head. */
function conflict(policy_version: number): Published {
  return { ok: false, code: "policy.version_conflict", detail: { policy_version } };
}
