/** Events, leaves, commitments, promises and receipts, byte for byte. Source: contracts/spec/audit.md. */
import { agent, chain, child, root, subAgent } from "./links.ts";
import { hash, hex, jcs, jws, keyOf, seedOf, sha256, type VectorFile, WORLD } from "./lib.ts";

const { now, tenant } = WORLD;

type Case = VectorFile["cases"][number];

const intent = {
  schema_id: "talos.audit_event",
  schema_version: "v2",
  event_id: "019b76da-a800-7000-8000-000000000100",
  kind: "intent",
  correlation: "019b76da-a800-7000-8000-000000000100",
  ts: "2026-01-01T00:00:00.000Z",
  tenant,
  request_id: "019b76da-a800-7000-8000-000000000101",
  surface_id: "mcp.post",
  audit_action: "mcp.call",
  principal: { auth_mode: "signed", did: subAgent.did_key, jkt: subAgent.jkt, root_sub: agent.did_key },
  http: { method: "POST", path: "/t/{tenant}/mcp/{server}" },
  resource: { resource_type: "tool", resource_id: "files/read", class: "read", action: "call" },
  decision: {
    allow: true,
    code: "OK",
    policy_version: 1,
    policy_hash: hash("p"),
    rev_seq: 0,
    rev_as_of_ms: now * 1000,
    core_hash: hash("a core"),
  },
  capability: { hash: hash(child), links: [hash(root), hash(child)] },
  proof: { form: "signed", nonce: "AAAAAAAAAAAAAAAAAAAAAA", hash: hash("a base") },
  effect: { state: "attempted", server: "files" },
  commitments: { args: hash("a commitment") },
  meta: { mcp_method: "tools/call", mcp_name: "read" },
};
const { correlation: _, effect: __, commitments: ___, ...common } = intent;

const outcome = {
  ...intent,
  event_id: "019b76da-a801-7000-8000-000000000102",
  kind: "outcome",
  ts: "2026-01-01T00:00:00.001Z",
  outcome: "success",
  http: { ...intent.http, status_code: 200 },
  effect: { state: "confirmed", server: "files", upstream_status: 200 },
};
const denial = {
  ...common,
  kind: "decision",
  outcome: "denied",
  http: { ...intent.http, status_code: 403 },
  decision: { ...intent.decision, allow: false, code: "ARGUMENT_MISMATCH", grant: 0, field: "args.limit" },
};

function sealed(name: string, event: Record<string, unknown>, kept = event): Case {
  const canonical = jcs(kept);
  const event_hash = hex(sha256(canonical));
  const body = jcs({ ...kept, event_hash });
  const leaf = sha256(Buffer.concat([Buffer.from([0]), Buffer.from(body)]));
  return { name, surface: "mcp.post", event, event_hash, body, leaf_hash: leaf.toString("base64url") };
}

export function events(): VectorFile {
  const told = { ...intent, meta: { mcp_name: "read", secret: "x", prompt: "y" } };
  const kept = {
    ...intent,
    meta: { mcp_name: "read", meta_redaction_applied: true, meta_redacted_keys: "prompt, secret" },
  };
  return {
    spec: "contracts/spec/audit.md#Event",
    description: "Events as a surface hands them over, and the hash, the leaf and its hash that they get.",
    cases: [
      sealed("an intent", intent),
      sealed("its outcome", outcome),
      sealed("a denial", denial),
      sealed("meta that the surface does not allow", told, kept),
    ],
  };
}

export function commitments(): VectorFile {
  const salt = seedOf("salt").subarray(0, 16);
  const of = (name: string, value: string): Case => ({
    name,
    salt_hex: hex(salt),
    value,
    commitment: hash(Buffer.concat([salt, Buffer.from(value)])),
  });
  return {
    spec: "contracts/spec/audit.md#Commitments",
    description: "SHA-256 over the salt and the canonical JSON, or the bytes where it is not JSON.",
    cases: [
      of("arguments", '{"limit":5,"path":"data/in/a"}'),
      of("an empty object", "{}"),
      of("text", "not JSON"),
      of("nothing", ""),
    ],
  };
}

export function signedAnswers(): VectorFile {
  const key = keyOf("gateway");
  const event = sealed("", intent);
  const promise = {
    event_id: intent.event_id,
    leaf: event.leaf_hash,
    log: tenant,
    max_delay_seconds: 60,
    seq: 0,
    time_ms: now * 1000,
  };
  const receipt = {
    allow: true,
    code: "OK",
    core: hash("a core"),
    event_id: intent.event_id,
    links: chain.split("~").map(hash),
    policy_hash: hash("p"),
    policy_version: 1,
    proof_hash: hash("a base"),
    request_hash: hash("{}"),
    rev_as_of_ms: now * 1000,
    rev_seq: 0,
    tenant,
    time_ms: now * 1000,
  };
  const of = (name: string, schema: string, kid: string, typ: string, payload: Record<string, unknown>): Case => ({
    name,
    schema,
    kid,
    typ,
    payload,
    jws: jws(key, jcs({ alg: "EdDSA", kid, typ }), jcs(payload)),
  });
  return {
    spec: "contracts/spec/audit.md#Promise",
    description: "A promise and a receipt, signed by `gateway` of identity/keys.json.",
    cases: [
      of("a promise", "audit/promise", "p-1", "talos-promise+jwt", promise),
      of("a receipt", "audit/receipt", "r-1", "talos-receipt+jwt", receipt),
    ],
  };
}
