/** One tenant with a policy, keys and a clock, for tests of the core: every request is built as a client would. */
import type { Grant, PolicySnapshot } from "@talos/contracts";
import {
  b64uEncode,
  didKey,
  encodeRequest,
  filterBuild,
  filterLoad,
  issueLink,
  keyringLoad,
  macRequest,
  openSession,
  type PolicyHandle,
  policyLoad,
  policySign,
  publicKey,
  type RequestParts,
  sessionFinish,
  sessionShare,
  sha256,
  signRequest,
  thumbprint,
  verifyChecks,
  begin,
} from "./index.ts";

export const NOW = 1_800_000_000;
export const NOW_MS = NOW * 1_000;
export const ORIGIN = "https://talos.example";
export const TENANT = "default";
export const AUD = `${ORIGIN}/t/${TENANT}`;
export const GATEWAY = "did:web:talos.example";

/** A principal whose key follows from its name. */
export function principal(name: string) {
  const seed = sha256(new TextEncoder().encode(`talos test ${name}`));
  const x = b64uEncode(publicKey(seed));
  return {
    name,
    seed,
    x,
    jwk: { crv: "Ed25519" as const, kty: "OKP" as const, x },
    did: didKey(x),
    jkt: thumbprint(x),
  };
}
export type Principal = ReturnType<typeof principal>;

export const operator = principal("operator");
export const agent = principal("agent");
export const publisher = principal("publisher");
export const receiptKey = principal("receipt");

export function grant(tool: string, more: Partial<Grant> = {}): Grant {
  return { tool, classes: ["read"], actions: ["call"], resource: "any", args: {}, closed: false, ...more };
}

const EVERY: Grant["classes"] = ["read", "write", "destructive", "pay"];
export const GRANTS: Grant[] = [
  grant("files/@prompt/hello", { actions: ["get"] }),
  grant("files/@resource", { actions: ["read"], resource: { prefix: "file/-/data" } }),
  grant("files/delete", { classes: EVERY }),
  grant("files/limited", { args: { limit: [{ op: "range", type: "integer", min: 1, max: 10 }] }, closed: true }),
  grant("files/read", { resource: { prefix: "data" } }),
  grant("files/write", { classes: EVERY }),
  grant("talos/audit.events", { actions: ["read"] }),
  grant("talos/authorize", { actions: ["evaluate"] }),
];

export function snapshot(change: Partial<PolicySnapshot> = {}): PolicySnapshot {
  const tool = (name: string, more: object = {}) => ({
    tool: name,
    class: "read" as const,
    actions: ["call"],
    rate_class: "read",
    ...more,
  });
  const rate = (name: string) => ({
    name,
    capacity: 100,
    refill_per_second: 10,
    link_share_percent: 50,
    concurrency: 8,
  });
  const all = grant("files/delete", { classes: EVERY, actions: "*" });
  return {
    v: 1,
    tenant: TENANT,
    version: 1,
    anchors: [{ did: operator.did, jwk: operator.jwk }],
    dids: [],
    servers: [{ name: "files", url: "http://127.0.0.1:1/mcp" }],
    tools: [
      tool("files/@prompt/hello", { actions: ["get"] }),
      tool("files/@resource", { actions: ["read", "subscribe"], resource: "explicit" }),
      tool("files/delete", { class: "destructive" }),
      tool("files/limited"),
      tool("files/read", { resource_arg: "path" }),
      tool("files/write", { class: "write" }),
    ],
    rate_classes: ["control", "read", "session"].map(rate),
    roles: [
      {
        id: "everything",
        grants: GRANTS.map(({ tool: name }) => ({ ...all, tool: name })),
      },
    ],
    bindings: [{ id: "everyone", role: "everything", principal: "*", scope: { type: "global" } }],
    forbids: [],
    peps: [{ jkt: agent.jkt, origins: ["https://pep.example/tools"], servers: ["files"] }],
    revoked_keys: [],
    unregistered: "deny",
    ...change,
  };
}

export function policy(change: Partial<PolicySnapshot> = {}): PolicyHandle {
  const { jws, hash } = policySign({ seed: publisher.seed, snapshot: snapshot(change) });
  return policyLoad({ jws, tenant: TENANT, publishers: [publisher.jwk], expected_hash: hash });
}

export function filter(entries: string[] = [], rev_seq = 1) {
  const { body, rev_hash } = filterBuild({ tenant: TENANT, rev_seq, entries });
  return filterLoad({ body, tenant: TENANT, expected_hash: rev_hash });
}

export const tickets = keyringLoad(
  [{ kid: "t-1", status: "primary", key: b64uEncode(new Uint8Array(32).fill(9)) }],
  "ticket",
);

let count = 0;
/** Bytes that never repeat in one run. */
export function fresh(bytes: number): Uint8Array {
  count += 1;
  return sha256(new TextEncoder().encode(`fresh ${count}`)).subarray(0, bytes);
}

export function root(change: object = {}): string {
  return issueLink({
    seed: operator.seed,
    claims: {
      iss: operator.did,
      sub: agent.did,
      aud: [AUD],
      iat: NOW - 10,
      nbf: NOW - 10,
      exp: NOW + 3_600,
      jti: "01945533-3158-7c85-992d-9865f1715694",
      cnf: { jwk: agent.jwk },
      ep: 0,
      depth: 3,
      grants: GRANTS,
      ...change,
    },
  });
}

/** Parts of a POST with a JSON body; without credential and proof. */
export function parts(surface: string, path: string, body: unknown, change: Partial<RequestParts> = {}): RequestParts {
  return {
    surface,
    method: "POST",
    target_uri: AUD + path,
    tenant: TENANT,
    aud: AUD,
    headers: {},
    body: new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)),
    now_ms: NOW_MS,
    head_as_of_ms: NOW_MS - 1_000,
    ...change,
  };
}

export const call = (tool: string, args: object = {}, change: Partial<RequestParts> = {}): RequestParts =>
  parts(
    "mcp.post",
    "/mcp/files",
    { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool, arguments: args } },
    { server: "files", ...change },
  );

/** Sign a request with a chain or a ticket. */
export function signed(
  unsigned: RequestParts,
  credential: { chain: string } | { ticket: string },
  who = agent,
): RequestParts {
  const header =
    "chain" in credential ? { "talos-capability": credential.chain } : { "talos-ticket": credential.ticket };
  const request = { ...unsigned, headers: { ...unsigned.headers, ...header } };
  const times = { created: NOW, expires: NOW + 60 };
  const proof = signRequest({ parts: request, seed: who.seed, ...times, nonce: b64uEncode(fresh(16)) });
  return { ...request, headers: { ...request.headers, ...proof } };
}

export interface Session {
  ticket: string;
  session_id: string;
  mac_key: Uint8Array;
}

/** Prove a read under a session. */
export function maced(unsigned: RequestParts, session: Session, sequence: number | bigint): RequestParts {
  const request = { ...unsigned, headers: { ...unsigned.headers, "talos-ticket": session.ticket } };
  const times = { created: NOW, expires: NOW + 60 };
  const { session_id, mac_key } = session;
  const proof = macRequest({ parts: request, session_id, mac_key, ...times, sequence: BigInt(sequence) });
  return { ...request, headers: { ...request.headers, ...proof } };
}

/** Open a session as gateway and client do. */
export async function session(
  chain: string,
  writes = false,
  inForce = { policy: policy(), filter: filter() },
): Promise<Session> {
  const secret = fresh(32);
  const frame = encodeRequest(
    signed(parts("sessions.open", "/v1/sessions", { share: sessionShare(secret), writes }), { chain }),
  );
  const began = begin(frame, inForce.policy, tickets);
  if (began.status !== "checks") throw new Error(began.decision.code);
  const { response } = openSession({
    frame,
    ...inForce,
    tickets,
    verdicts: await verifyChecks(began.checks),
    receipt: { kid: "r-1", seed: receiptKey.seed },
    gateway_did: GATEWAY,
    session_id: fresh(16),
    server_secret: fresh(32),
    salt: fresh(32),
  });
  const gateway_keys = [{ kid: "r-1", x: receiptKey.x }];
  const opened = sessionFinish({
    secret,
    response,
    chain,
    gateway_keys,
    gateway_did: GATEWAY,
    aud: AUD,
    now_ms: NOW_MS,
  });
  return { ticket: response.ticket, session_id: opened.session_id, mac_key: opened.mac_key };
}
