/**
 * The types of @talos/core that the contracts do not name: what goes into the core and what comes out of it.
 * Contract fields are snake_case; every base64url string is strict and unpadded (contracts/spec/encoding.md#base64url).
 */
import type { Decision, Grant, Jwk, Link, PolicySnapshot, SessionResponse } from "@talos/contracts";

/** Request classes, from harmless to costly. The signed registry says which a tool has, never the caller. */
export type ToolClass = "read" | "write" | "destructive" | "pay";

/** What one call asks for: the thing that grants, roles and forbid rules are evaluated against. */
export interface Need {
  tool: string;
  class: ToolClass;
  action: string;
  resource?: string;
  args?: Record<string, unknown>;
}

/** A published verification key: `x` is base64url of the 32 public bytes. */
export interface PublishedKey {
  kid: string;
  x: string;
}

/** The claims of a link as the issuer writes them; `attenuate` fills in what follows from the parent. */
export type RootClaims = Omit<Link, "par">;

/** What a holder decides about a child link. Absent members are taken from the parent as narrowly as the rules allow. */
export interface ChildClaims {
  sub: string;
  /** base64url of the child holder's Ed25519 public key */
  holder_x: string;
  aud?: string[];
  nbf?: number;
  exp: number;
  iat: number;
  jti: string;
  ep?: number;
  depth?: number;
  grants: Grant[];
}

/** One link of a chain, read but not trusted. */
export interface InspectedLink {
  id: string;
  claims: Link;
  jkt_holder: string;
  /** thumbprint of the key that must have signed it; absent when only a policy snapshot can say (a `did:web` root) */
  jkt_signer?: string;
}

/** Everything of an HTTP request that a decision depends on (contracts/spec/proof.md). */
export interface RequestParts {
  /** name of the surface document, e.g. `mcp.post` */
  surface: string;
  method: string;
  target_uri: string;
  tenant: string;
  /** `<origin>/t/{tenant}` */
  aud: string;
  /** the `{server}` of an MCP surface */
  server?: string;
  headers: RequestHeaders;
  body: Uint8Array;
  now_ms: number;
  /** when the head in force was signed; a decision without one is `REVOCATION_STALE` */
  head_as_of_ms?: number;
}

/** The headers that are covered by a proof, and the proof. Names are those on the wire, lower case. */
export interface RequestHeaders {
  "talos-capability"?: string;
  "talos-ticket"?: string;
  "signature-input"?: string;
  signature?: string;
  "content-digest"?: string;
  "mcp-session-id"?: string;
  "mcp-method"?: string;
  "mcp-name"?: string;
  "last-event-id"?: string;
  "idempotency-key"?: string;
}

/** One Ed25519 equation to be checked. `record` is all of it as the core wrote it, and names the check in the verdict. */
export interface Check {
  key: Uint8Array;
  signature: Uint8Array;
  message: Uint8Array;
  record: Uint8Array;
}

/** The answer to a {@link Check}. */
export interface Verdict {
  record: Uint8Array;
  ok: boolean;
}

/**
 * `class` is what the body asks for by the registry in force, so that the caller can refresh the head first; null when
 * nothing has a class (an unknown tool). In a batch it is the highest one.
 */
export type Began =
  | { status: "checks"; checks: Check[]; class: ToolClass | null }
  | { status: "refused"; decision: Decision };

/** Exact revocation entries for items that the filter hit, as the tenant's head answers them for one `rev_seq`. */
export interface RevocationAnswers {
  rev_seq: number;
  items: Record<string, string[]>;
}

/** No answers yet: the first call of `finish`. */
export const NO_ANSWERS: RevocationAnswers = Object.freeze({ rev_seq: 0, items: {} });

/**
 * The filter hit: look these items up exactly and call `finish` again. Nothing was consumed, so the same sequence
 * number still counts.
 */
export interface NeedsLookup {
  status: "lookup";
  items: string[];
}

/** A decision. `request` is present as soon as the caller is authenticated: steps 1 to 5 of capability.md#decision passed. */
export interface Decided {
  status: "decided";
  decision: Decision;
  request?: RequestFacts;
  /** third-party forms: what was decided about each inner call, in order */
  inner?: InnerDecision[];
}

export type Finished = NeedsLookup | Decided;

/** The decision about a call that a PEP reported. `request` is what the inner chain's gate has to admit. */
export interface InnerDecision {
  decision: Decision;
  request?: RequestFacts;
}

/** What later steps (admission, intent, upstream) need to know of an authenticated request. */
export interface RequestFacts {
  form: "signed" | "session_signed" | "session_mac";
  class: ToolClass;
  needs: Need[];
  /** batch: one for each item, in order */
  decisions?: Decision[];
  /** rate class of each need, in order; null where the surface has none */
  rate_classes: (string | null)[];
  /** the rate class of the first need */
  rate_class: string | null;
  links: string[];
  root_link: string;
  /** the leaf's holder */
  sub: string;
  root_sub: string;
  /** the issuer of the root link */
  anchor: string;
  /** thumbprint of the key that made the proof */
  jkt: string;
  session_id?: string;
  nonce: string;
  /** seconds; end of the proof's life */
  expires: number;
  proof_hash: string;
  /** base64url SHA-256 of the credential header */
  capability_hash: string;
  /** base64url SHA-256 of the body */
  request_hash: string;
  /** canonical JSON of the arguments of the first need, for commitments */
  args_json?: string;
  /** what of the one call that is asked for the policy keeps (contracts/spec/erasure.md) */
  keep?: "args" | "result" | "both" | undefined;
  /** the ticket was opened for more than reads; true for signed requests */
  writes: boolean;
  /** seconds; earliest `exp` of chain and ticket */
  not_after: number;
  /** the body asked for a signed receipt */
  receipt: boolean;
  mcp?: McpFacts;
}

/** What the MCP message is, read from the body by the core. */
export interface McpFacts {
  kind: "request" | "notification" | "response" | "none";
  method?: string;
  /** the JSON text of `id`, canonical */
  id_json?: string;
  /** `params.name` or `params.uri` */
  name?: string;
  progress_token_json?: string;
  /** true: intent and outcome; false: recorded as a decision */
  call: boolean;
}

export interface PolicyHandle {
  handle: number;
  version: number;
  hash: string;
  snapshot: PolicySnapshot;
}
export interface FilterHandle {
  handle: number;
  rev_seq: number;
}
export interface KeyringHandle {
  handle: number;
}
export type Handle = PolicyHandle | FilterHandle | KeyringHandle;

/** One sealing key of a keyset (contracts/spec/keys.md); `key` is base64url of 32 bytes. */
export interface SealingKey {
  kid: string;
  status: "staged" | "primary" | "accept";
  key: string;
  /** seconds; an accepted key opens nothing from then on */
  not_after?: number;
}

/** Signature headers to put on a request. */
export interface ProofHeaders {
  "content-digest": string;
  "signature-input": string;
  signature: string;
}

/** What an opened session gives the client. The MAC key never leaves the isolate that made it. */
export interface ClientSession {
  session_id: string;
  mac_key: Uint8Array;
  expires_at: number;
  writes: boolean;
}

export interface OpenSessionArgs {
  frame: Uint8Array;
  policy: PolicyHandle;
  filter: FilterHandle;
  tickets: KeyringHandle;
  verdicts: Verdict[];
  answers?: RevocationAnswers;
  /** the primary `receipt` key: base64url seed bytes are given raw */
  receipt: { kid: string; seed: Uint8Array };
  gateway_did: string;
  /** 16 random bytes */
  session_id: Uint8Array;
  /** 32 random bytes: the X25519 secret of this session */
  server_secret: Uint8Array;
  /** 32 random bytes for sealing the ticket */
  salt: Uint8Array;
}
export interface OpenedSession {
  response: SessionResponse;
}

/** What a verified revocation statement puts in force (contracts/spec/in-force.md#revocation-statement). */
export interface VerifiedRevocation {
  entries: string[];
  jkt: string;
  jti: string;
  root_link: string;
  links: string[];
  kind: "link" | "key" | "epoch";
  /** seconds; the entries are kept until then */
  expires_at: number;
}

export interface SealedEvent {
  event_id: string;
  /** canonical JSON including `event_hash`: the leaf */
  body: string;
  event_hash: string;
  /** base64url */
  leaf_hash: string;
}

/** Who may root chains, when verifying without a policy snapshot. `did:web` anchors carry their key. */
export interface Anchor {
  did: string;
  jwk?: Jwk;
}
/** A `did:web` holder and the thumbprint of its key. */
export interface KnownDid {
  did: string;
  jkt: string;
}
