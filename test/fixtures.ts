/**
 * People, keys, policies, chains and signed requests for tests. Keys are derived from names, so that a test reads
 * like its story; nothing here is used outside tests.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Grant, Jwk, Keysets, PolicySnapshot, RateClass, SessionResponse, ToolEntry } from "@talos/contracts";
import {
  attenuate,
  b64uEncode,
  type ChildClaims,
  didKey,
  inspectChain,
  issueLink,
  jwsSign,
  macRequest,
  policySign,
  publicKey,
  type RequestHeaders,
  type RequestParts,
  sessionFinish,
  sessionShare,
  signRequest,
  thumbprint,
  uuidv7,
} from "@talos/core";

/** Somebody with a key. */
export interface Person {
  name: string;
  seed: Uint8Array;
  x: string;
  jwk: Jwk;
  jkt: string;
  did: string;
}

/** The same name is the same person, in every test. */
export function person(name: string): Person {
  const seed = new Uint8Array(createHash("sha256").update(`talos test person ${name}`).digest());
  const x = b64uEncode(publicKey(seed));
  return { name, seed, x, jwk: { crv: "Ed25519", kty: "OKP", x }, jkt: thumbprint(x), did: didKey(x) };
}

export const nowSeconds = (): number => Math.floor(Date.now() / 1_000);
export const newUuid = (): string => uuidv7(Date.now(), randomBytes(10));
export const nonce = (): string => b64uEncode(randomBytes(16));

/** Fresh development keysets; `suffix` tells two generations apart. */
export function developmentKeysets(suffix = "1"): Keysets {
  const created_at = nowSeconds();
  const one = (purpose: string) => [
    { kid: `dev-${purpose}-${suffix}`, status: "primary" as const, key: b64uEncode(randomBytes(32)), created_at },
  ];
  return {
    v: 1,
    environment: "development",
    purposes: {
      ticket: one("ticket"),
      mcp: one("mcp"),
      head: one("head"),
      promise: one("promise"),
      receipt: one("receipt"),
      ip: one("ip"),
      sink: one("sink"),
      values: one("values"),
    },
  };
}

/** A grant that allows everything about a tool but what `over` narrows. */
export function grant(tool: string, over: Partial<Grant> = {}): Grant {
  return { tool, classes: ["read"], actions: "*", resource: "any", args: {}, closed: false, ...over };
}

const RATE: Omit<RateClass, "name"> = {
  capacity: 10_000,
  refill_per_second: 10_000,
  link_share_percent: 100,
  concurrency: 100,
};

export interface PolicyParts {
  tenant?: string;
  version?: number;
  anchors: Person[];
  servers?: PolicySnapshot["servers"];
  tools?: ToolEntry[];
  over?: Partial<PolicySnapshot>;
  /** rate classes that differ from the generous ones */
  rates?: Partial<Record<string, Partial<RateClass>>>;
}

/** The role that covers every tool of a registry, our own surfaces, and a server that no policy lists. */
export function everything(tools: readonly ToolEntry[]): PolicySnapshot["roles"][number] {
  const own = [
    "talos/audit.append",
    "talos/audit.events",
    "talos/audit.values",
    "talos/authorize",
    "talos/health.ready",
    "talos/privacy.erasures",
    "talos/privacy.holds",
    "talos/privacy.subjects",
    "talos/sinks",
    "unlisted/read_file",
  ];
  const names = [...new Set([...tools.map((entry) => entry.tool), ...own])].sort();
  return {
    id: "everything",
    grants: names.map((name) => grant(name, { classes: ["read", "write", "destructive", "pay"] })),
  };
}

/** A policy in which every principal may do everything that capabilities allow: one role for all, on all tools. */
export function snapshot(parts: PolicyParts): PolicySnapshot {
  const tools = parts.tools ?? [];
  return {
    v: 1,
    tenant: parts.tenant ?? "default",
    version: parts.version ?? 1,
    anchors: parts.anchors.map(({ did, jwk }) => ({ did, jwk })),
    dids: [],
    servers: parts.servers ?? [],
    tools: [...tools].sort((a, b) => (a.tool < b.tool ? -1 : 1)),
    rate_classes: ["control", "read", "session", "write"].map((name) => ({ ...RATE, ...parts.rates?.[name], name })),
    roles: [everything(tools)],
    bindings: [{ id: "everyone", role: "everything", principal: "*", scope: { type: "global" } }],
    forbids: [],
    peps: [],
    revoked_keys: [],
    unregistered: "deny",
    ...parts.over,
  };
}

/** Publish a snapshot as its publisher. */
export async function publish(
  aud: string,
  publisher: Person,
  policy: PolicySnapshot,
): Promise<{ version: number; hash: string }> {
  const { jws, hash } = policySign({ seed: publisher.seed, snapshot: policy });
  const response = await fetch(`${aud}/v1/policy`, {
    method: "PUT",
    headers: { "content-type": "application/jose" },
    body: jws,
  });
  if (!response.ok) throw new Error(`publishing failed: ${response.status} ${await response.text()}`);
  return { version: policy.version, hash };
}

export interface RootOptions {
  aud: string[];
  grants: Grant[];
  depth?: number;
  nbf?: number;
  exp?: number;
  ep?: number;
}

/** A root link from an anchor to a holder. */
export function root(issuer: Person, holder: Person, options: RootOptions): string {
  const now = nowSeconds();
  return issueLink({
    seed: issuer.seed,
    claims: {
      iss: issuer.did,
      sub: holder.did,
      aud: options.aud,
      iat: now,
      nbf: options.nbf ?? now - 10,
      exp: options.exp ?? now + 3_600,
      jti: newUuid(),
      cnf: { jwk: holder.jwk },
      ep: options.ep ?? 0,
      depth: options.depth ?? 7,
      grants: [...options.grants].sort((a, b) => (a.tool < b.tool ? -1 : a.tool > b.tool ? 1 : 0)),
    },
  });
}

/** The chain, narrowed from its holder to another. */
export function narrow(
  chain: string,
  holder: Person,
  to: Person,
  grants: Grant[],
  over: Partial<ChildClaims> = {},
): string {
  const now = nowSeconds();
  const parent = inspectChain(chain).links.at(-1)!.claims;
  const claims: ChildClaims = {
    sub: to.did,
    holder_x: to.x,
    exp: Math.min(now + 1_800, parent.exp), // the parent may have been narrowed in the second before
    iat: now,
    jti: newUuid(),
    grants,
    ...over,
  };
  return attenuate({ seed: holder.seed, chain, claims });
}

/** One request before and after it is proven. */
export interface Ask {
  /** `<origin>/t/{tenant}` */
  aud: string;
  /** below aud, e.g. `/v1/authorize` */
  path: string;
  method?: string;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
}

export interface Proven {
  url: string;
  method: string;
  headers: Record<string, string>;
  body: Uint8Array | undefined;
}

const COVERED = ["mcp-session-id", "mcp-method", "mcp-name", "last-event-id", "idempotency-key"] as const;
const encoder = new TextEncoder();

/** The parts that a proof covers. */
function partsFor(ask: Ask, credential: RequestHeaders): { parts: RequestParts; body: Uint8Array; url: URL } {
  const url = new URL(ask.aud + ask.path);
  const body = typeof ask.body === "string" ? encoder.encode(ask.body) : (ask.body ?? new Uint8Array(0));
  const headers: RequestHeaders = { ...credential };
  for (const name of COVERED) if (ask.headers?.[name] !== undefined) headers[name] = ask.headers[name];
  const parts: RequestParts = {
    surface: "",
    method: ask.method ?? "POST",
    target_uri: url.origin + url.pathname + url.search,
    tenant: "",
    aud: ask.aud,
    headers,
    body,
    now_ms: Date.now(),
  };
  return { parts, body, url };
}

function proven(
  ask: Ask,
  credential: RequestHeaders,
  proof: Record<string, string>,
  body: Uint8Array,
  url: URL,
): Proven {
  const method = ask.method ?? "POST";
  const type: Record<string, string> = body.byteLength > 0 ? { "content-type": "application/json" } : {};
  return {
    url: url.href,
    method,
    headers: { ...type, ...ask.headers, ...(credential as Record<string, string>), ...proof },
    body: body.byteLength > 0 ? body : undefined,
  };
}

export interface ProofOptions {
  nonce?: string;
  created?: number;
  expires?: number;
}

/** A signed request under a chain. */
export function signed(holder: Person, chain: string, ask: Ask, options: ProofOptions = {}): Proven {
  return withEd25519(holder, { "talos-capability": chain }, ask, options);
}

/** A signed request under a session's ticket. */
export function sessionSigned(session: Session, ask: Ask, options: ProofOptions = {}): Proven {
  return withEd25519(session.holder, { "talos-ticket": session.ticket }, ask, options);
}

function withEd25519(holder: Person, credential: RequestHeaders, ask: Ask, options: ProofOptions): Proven {
  const { parts, body, url } = partsFor(ask, credential);
  const created = options.created ?? nowSeconds();
  const proof = signRequest({
    parts,
    seed: holder.seed,
    created,
    expires: options.expires ?? created + 30,
    nonce: options.nonce ?? nonce(),
  });
  return proven(ask, credential, { ...proof }, body, url);
}

/** A read proven by the session's MAC. */
export function maced(session: Session, ask: Ask, options: ProofOptions & { sequence?: bigint } = {}): Proven {
  const credential = { "talos-ticket": session.ticket };
  const { parts, body, url } = partsFor(ask, credential);
  const created = options.created ?? nowSeconds();
  const sequence = options.sequence ?? session.next();
  const proof = macRequest({
    parts,
    session_id: session.id,
    mac_key: session.mac_key,
    created,
    expires: options.expires ?? created + 30,
    sequence,
  });
  return proven(ask, credential, { ...proof }, body, url);
}

/** Send it as it stands. */
export function send(request: Proven, init: RequestInit = {}): Promise<Response> {
  const { url, method, headers, body } = request;
  return fetch(url, {
    method,
    headers,
    ...(body === undefined ? {} : { body: body as BodyInit }),
    redirect: "manual",
    ...init,
  });
}

export interface Session {
  holder: Person;
  id: string;
  ticket: string;
  mac_key: Uint8Array;
  expires_at: number;
  next(): bigint;
}

/** Open a session the way a client does: the answer's statement is verified against the gateway's document. */
export async function openSession(aud: string, holder: Person, chain: string, writes = true): Promise<Session> {
  const secret = new Uint8Array(randomBytes(32));
  const body = JSON.stringify({ share: sessionShare(secret), writes });
  const answer = await send(signed(holder, chain, { aud, path: "/v1/sessions", body }));
  if (answer.status !== 201) throw new Error(`no session: ${answer.status} ${await answer.text()}`);
  const response = (await answer.json()) as SessionResponse;
  const document = (await (await fetch(`${new URL(aud).origin}/.well-known/did.json`)).json()) as {
    id: string;
    verificationMethod: { id: string; publicKeyJwk: Jwk }[];
  };
  const gateway_keys = document.verificationMethod.map(({ id, publicKeyJwk }) => ({
    kid: id.split("#")[1]!,
    x: publicKeyJwk.x,
  }));
  const opened = sessionFinish({
    secret,
    response,
    chain,
    gateway_keys,
    gateway_did: document.id,
    aud,
    now_ms: Date.now(),
  });
  let sequence = 0n;
  return {
    holder,
    id: opened.session_id,
    ticket: response.ticket,
    mac_key: opened.mac_key,
    expires_at: opened.expires_at,
    next: () => {
      sequence += 1n;
      return sequence;
    },
  };
}

/** A revocation statement, ready to be posted. */
export function statement(signer: Person, aud: string, claims: Record<string, unknown>): string {
  const payload = { aud, iat: nowSeconds(), jti: newUuid(), ...claims };
  return jwsSign({ seed: signer.seed, typ: "talos-revocation+jwt", jwk: true, payload });
}

/** A JSON-RPC request as text. */
export const rpc = (method: string, params?: unknown, id: number | string = 1): string =>
  JSON.stringify({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) });

/** The snapshot without one of its rate classes, which no gateway may take. */
export const policySnapshotWithout = (policy: PolicySnapshot, rateClass: string): PolicySnapshot => ({
  ...policy,
  rate_classes: policy.rate_classes.filter(({ name }) => name !== rateClass),
});
