/**
 * What crosses the RPC boundary of the objects. Expected outcomes are values, because an exception loses its class on
 * the way: a caller sees a rejected promise only when an object cannot be asked or was asked nonsense.
 */
import type { ErrorCode, HttpFacts, RateClass } from "@talos/contracts";
import type { LeaseAsk, LeaseGrant } from "./lease.ts";
import type { SealedSalts } from "./value-keys.ts";

/** A rate class and what is to be taken from it. */
export interface Charge {
  rate: RateClass;
  /** whole tokens, ≥ 1; 0 only to settle and top up a lease */
  cost: number;
}

/** One request's admission (contracts/spec/admission.md). */
export interface AdmitAsk extends Charge {
  /** link ids of the chain, root first; the first one names the gate */
  links: string[];
  /** further classes of a batch, taken in the same all-or-nothing call */
  more?: Charge[];
  /** Ed25519 forms; `expires` in seconds */
  nonce?: { jkt: string; value: string; expires: number };
  /** a call that stays in flight; freed by `release` or after `ttl_ms` */
  slot?: { id: string; ttl_ms: number };
  /** what the isolate's lease stands at; never beside a nonce, a slot or another class */
  lease?: LeaseAsk;
  /** slots of calls that are over, freed before anything is decided and whatever is decided; at most 256 */
  freed?: string[];
}

/**
 * `remaining`: whole tokens left in the tightest bucket that was debited. `lease`: where the isolate's stands; absent
 * when it has none. `retry_after_ms` is 0 when waiting is no help.
 */
export type Admitted =
  | { ok: true; remaining: number; lease?: LeaseGrant }
  | {
      ok: false;
      code: "REPLAY" | "PROOF_INVALID" | "LIMIT_EXCEEDED" | "rate.exhausted" | "concurrency.exhausted";
      retry_after_ms: number;
    };

/** An event as `sealEvent` of the core gives it, with the salts of its commitments, which are sealed too. */
export interface AppendEvent {
  event_id: string;
  /** the leaf: canonical JSON with `event_hash` */
  body: string;
  event_hash: string;
  /** base64url, RFC 6962 */
  leaf_hash: string;
  /** the salts of its commitments, for the vault of the subject; never part of the leaf */
  sealed?: SealedSalts;
}

/** Numbers and hashes of a head that the appended events put in force. */
export interface HeadMark {
  rev_seq: number;
  rev_hash: string;
  policy_version: number;
  policy_hash: string;
}

export interface AppendAsk {
  /**
   * 1..`audit_batch_events`; or, where none has salts, the text of the row that they make (`encodeBatch`): one string
   * crosses at the price of one, where each event costs as much as five.
   */
  events: AppendEvent[] | string;
  /** set by TenantHead only */
  head?: HeadMark;
  /**
   * Promises are wanted of the first so many events, of all when absent. A promise follows from the rows, so whoever
   * asks later gets the one that would have been given now.
   */
  promises?: number;
}

/**
 * Promises (compact JWS) of as many events as asked, and one place in the log for each event, in order.
 * `intake`: over how many intake objects further appends should be spread; absent, the log takes them itself.
 */
export type Appended =
  | { ok: true; promises: string[]; seqs: number[]; intake?: number }
  | {
      ok: false;
      code: ErrorCode;
      event_id?: string;
      /** which rule the event breaks, where it is `contract.invalid` */
      flaw?: string;
    };

export interface LoggedEvent {
  body: string;
  seq: number;
  /** compact JWS, the same bytes at every call; absent once the key that signed it was pruned */
  promise?: string;
}

export interface LastHead extends HeadMark {
  /** the event that recorded it */
  event_id: string;
}

export interface LogStatus {
  next_seq: number;
  projected_seq: number;
  /** unix ms of the oldest event that is not projected yet */
  oldest_unprojected_ms: number | null;
  /** attempts that failed since the last one that did not */
  projection_failures: number;
  /** events that are leaves of a sealed tree */
  sealed_size: number;
  /** events that a head covers which is known to be in the bucket */
  published_size: number;
  /** attempts to publish that failed since the last one that did not */
  publish_failures: number;
  /** leaves of the newest head that the meta-log acknowledged */
  handed_size: number;
  /** attempts to hand a head over that failed since the last one that did not */
  handover_failures: number;
  /** rows and bucket contradict each other: nothing is added any more */
  forked: boolean;
  /** the number from which on the log's rows hold every event; those before lie in the bucket alone */
  rows_from: number;
  /** intake objects that appends are spread over; 0 while the log takes them itself */
  intake: number;
  /** the number from which on the log's rows have the index; events before it lie in archives and in the bucket */
  archived_size: number;
  /** attempts to archive that failed since the last one that did not */
  archive_failures: number;
  /** size of the object's database */
  bytes: number;
}

/** One tree of a log; epochs follow each other (contracts/spec/audit.md#epochs). */
export interface LogEpoch {
  origin: string;
  /** number of its first event; an event's index in the tree is its number less this */
  first_seq: number;
  /** leaves of the sealed tree */
  size: number;
  /** leaves of the newest published head */
  published: number;
  /** its last event is sealed: nothing is added any more */
  frozen: boolean;
  /** what signed its heads, as lines of a policy write them (`<name>+<id>+<key>`) */
  keys: string[];
}

/** A slice of the log in order, without gaps: rows `from_seq` .. `next_seq - 1`. */
export interface ProjectAsk {
  log_id: string;
  from_seq: number;
  next_seq: number;
  rows: { seq: number; event_id: string; body: string; leaf_hash: string }[];
}

/** Whether the cursor moved, and where it stands now. */
export interface Projected {
  moved: boolean;
  next_seq: number;
}

/** The entrypoint that owns the database (workers/audit). It throws while the database is down. */
export interface ProjectorPort {
  project(ask: ProjectAsk): Promise<Projected>;
}

/** A published head of a tenant's log, as AuditLog hands it to the meta-log, at least once. */
export interface MetaHead {
  /** the tenant; for whoever runs this, never part of what is public */
  log: string;
  /** what the log calls itself; one that is not known yet is a new log */
  origin: string;
  size: number;
  root: Uint8Array;
  /** the signed checkpoint; the meta-log's leaf is its text */
  note: string;
}

/**
 * `index`: the head's place in the meta-log; of a head that it has already, the one that it has.
 * `audit.forked`: a smaller head of this origin than the meta-log has, or another of the same size.
 */
export type MetaAdded = { ok: true; index: number } | { ok: false; code: ErrorCode };

/** How far a head of the meta-log has come: each level holds what the ones before it do. */
export type MetaLevel = "published" | "witnessed" | "anchored";

export interface MetaAsk {
  /** of a tenant's log */
  origin: string;
  /** the event's index in that log */
  index: number;
  /** the least that will do */
  level: MetaLevel;
}

/** Evidence that a checkpoint of the meta-log existed; contracts/spec/audit.md says what it is checked against. */
export type Anchor =
  | {
      kind: "evm";
      chain_id: number;
      contract: string;
      publisher: string;
      header: string;
      account_proof: string[];
      storage_proof: string[];
    }
  | { kind: "ots"; file: string };

/**
 * The first head that covers the event under a checkpoint of that level; `proof`: the C2SP tlog-proof file of that
 * head's text in the meta-log, with its (cosigned) checkpoint. `retry_after_ms` is 0 when waiting is no help.
 */
export type MetaProof =
  | { ok: true; level: MetaLevel; head: { size: number; note: string }; proof: string; anchors: Anchor[] }
  | { ok: false; code: ErrorCode; retry_after_ms: number };

/**
 * Leaves of a log's newest head that met the quorum, and of its newest one that is anchored; 0 where none is. Absent: nobody
 * is set up to vouch, or it cannot be known now.
 */
export interface MetaReached {
  witnessed?: number;
  anchored?: number;
}

/** How the meta-log stands, for whoever runs it and for anybody (contracts/spec/log.md#meta-log). */
export interface MetaStatus {
  /** null before its first leaf */
  origin: string | null;
  /** heads that were taken */
  heads: number;
  sealed_size: number;
  published_size: number;
  /** attempts to publish that failed since the last one that did not */
  publish_failures: number;
  /** rows and bucket contradict each other: nothing is added any more */
  forked: boolean;
  /** size of the newest head that met the quorum; 0 where there is none */
  witnessed_size: number;
  /** unix ms when it met it */
  witnessed_ms?: number;
  witnesses: WitnessStatus[];
  /** size of the object's database */
  bytes: number;
}

/** Heads that the meta-log took, in order. */
export interface MetaPage {
  heads: { index: number; origin: string; size: number; note: string; time_ms: number }[];
  /** where the next page begins */
  next: number;
}

/** How one witness fares. */
export interface WitnessStatus {
  /** of its key */
  name: string;
  /** size of the newest head that it cosigned */
  size: number;
  /** unix seconds that it named then */
  time_seconds?: number;
  /** attempts that failed since the last one that did not */
  failures: number;
  /** why the last one failed: `witness.refused` (it knows another history), `witness.ahead` (it knows a newer head), … */
  code?: string;
}

/** The meta-log as the tenants' logs, their surfaces and the Worker's clock reach it. */
export interface MetaPort {
  add(head: MetaHead): Promise<MetaAdded>;
  prove(ask: MetaAsk): Promise<MetaProof>;
  /** How far a log's heads have come here. */
  reached(origin: string): Promise<MetaReached>;
  /** The newest checkpoint that met the quorum: what is anchored. Null before the first. */
  cosigned(): Promise<{ size: number; note: string } | null>;
  poke(): Promise<void>;
}

export type HeadAnswer = { ok: true; head: string } | { ok: false; code: ErrorCode };

/** Exact entries for each item, answered for one `rev_seq`. */
export interface Looked {
  rev_seq: number;
  items: Record<string, string[]>;
}

/** What the gateway knows of a request that changes what is in force; it goes into the record. */
export interface ChangeContext {
  request_id: string;
  http?: HttpFacts;
}

export type Published =
  | { ok: true; version: number; hash: string; repeated: boolean }
  | { ok: false; code: ErrorCode; detail?: Record<string, unknown> };

export interface RevokeAsk {
  /** compact JWS, typ `talos-revocation+jwt` */
  statement: string;
  chain: string;
  /** `<origin>/t/{tenant}` */
  aud: string;
  /** absent: the object chooses an id of its own for the record */
  request_id?: string;
  http?: HttpFacts;
}

export type Revoked =
  | { ok: true; rev_seq: number; entries: string[]; jti: string; repeated: boolean }
  | { ok: false; code: ErrorCode; detail?: Record<string, unknown> };
