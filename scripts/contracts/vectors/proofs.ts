/** Request proofs, every byte. Source: contracts/spec/proof.md. */
import { createHmac } from "node:crypto";
import { chain, subAgent } from "./links.ts";
import { b64, ed25519, hash, hex, type Key, keyOf, seedOf, sha256, type VectorFile, WORLD } from "./lib.ts";

const { now, origin } = WORLD;

/** In the order in which they are covered. */
const OPTIONAL = ["mcp-session-id", "mcp-method", "mcp-name", "last-event-id", "idempotency-key"];

export interface Request {
  method: string;
  target_uri: string;
  body: string;
  headers: Record<string, string>;
}

export interface Params {
  created: number;
  expires: number;
  nonce: string;
  keyid: string;
  alg: string;
}

export const contentDigest = (body: string) => `sha-256=:${sha256(body).toString("base64")}:`;

function lines(request: Request): [string, string][] {
  const credential = "talos-ticket" in request.headers ? "talos-ticket" : "talos-capability";
  return [
    ["@method", request.method],
    ["@target-uri", request.target_uri],
    ["content-digest", contentDigest(request.body)],
    [credential, request.headers[credential] as string],
    ...OPTIONAL.flatMap((name): [string, string][] =>
      name in request.headers ? [[name, request.headers[name] as string]] : [],
    ),
  ];
}

export function signatureBase(request: Request, { created, expires, nonce, keyid, alg }: Params) {
  const covered = lines(request);
  const list = covered.map(([name]) => `"${name}"`).join(" ");
  const params = `(${list});created=${created};expires=${expires};nonce="${nonce}";keyid="${keyid}";alg="${alg}";tag="talos-1"`;
  const base = `${covered.map(([name, value]) => `"${name}": ${value}\n`).join("")}"@signature-params": ${params}`;
  return { input: `talos=${params}`, base };
}

const field = (signature: Uint8Array) => `talos=:${Buffer.from(signature).toString("base64")}:`;

const sign = (key: Key, request: Request, params: Params) => {
  const { input, base } = signatureBase(request, params);
  return { signature_input: input, signature: field(ed25519(key, base)), base };
};

export const mac = (key: Uint8Array, base: string) => createHmac("sha256", key).update(base).digest();

const CALL =
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"path":"data/in/a","limit":5}}}';

export const signedRequest: Request = {
  method: "POST",
  target_uri: `${origin}/t/default/mcp/files`,
  body: CALL,
  headers: { "talos-capability": chain },
};

const signedParams: Params = {
  created: now,
  expires: now + 60,
  nonce: b64(seedOf("nonce").subarray(0, 16)),
  keyid: subAgent.jkt,
  alg: "ed25519",
};

type Case = VectorFile["cases"][number];

function positive(name: string, request: Request, params = signedParams): Case {
  const { signature_input, signature, base } = sign(subAgent, request, params);
  return {
    name,
    request: withDigest(request),
    signature_input,
    signature,
    base,
    proof_hash: hash(base),
    now,
    expect: "OK",
  };
}

const withDigest = (request: Request): Request => ({
  ...request,
  headers: { ...request.headers, "content-digest": contentDigest(request.body) },
});

const covered: Record<string, string> = {
  "mcp-session-id": "AbCd-_09",
  "mcp-method": "tools/call",
  "mcp-name": "read",
  "last-event-id": "12:34",
  "idempotency-key": "once and only once",
};

/** The valid request with one thing changed after it was signed. */
function mutations(): Case[] {
  const request = { ...signedRequest, headers: { ...signedRequest.headers, "mcp-method": "tools/call" } };
  const made = sign(subAgent, request, signedParams);
  const whole = withDigest(request);
  const change = (name: string, changes: Record<string, unknown>): Case => ({
    name,
    request: whole,
    signature_input: made.signature_input,
    signature: made.signature,
    now,
    expect: "PROOF_INVALID",
    ...changes,
  });
  const headers = (more: Record<string, string>) => ({ request: { ...whole, headers: { ...whole.headers, ...more } } });
  const input = (from: string, to: string) => ({ signature_input: made.signature_input.replace(from, to) });
  const resigned = (params: Partial<Params>) => {
    const again = sign(subAgent, request, { ...signedParams, ...params });
    return { signature_input: again.signature_input, signature: again.signature };
  };
  const { "mcp-method": _, ...fewer } = whole.headers;
  return [
    change("another method", { request: { ...whole, method: "PUT" } }),
    change("method in lower case", { request: { ...whole, method: "post" } }),
    change("another path", { request: { ...whole, target_uri: `${origin}/t/default/mcp/mail` } }),
    change("a query", { request: { ...whole, target_uri: `${whole.target_uri}?x=1` } }),
    change("an empty query", { request: { ...whole, target_uri: `${whole.target_uri}?` } }),
    change("another origin", { request: { ...whole, target_uri: whole.target_uri.replace("https", "http") } }),
    change("another body", { request: { ...whole, body: CALL.replace('"limit":5', '"limit":6') } }),
    change("white space in the body", { request: { ...whole, body: `${CALL} ` } }),
    change("the digest of another body", headers({ "content-digest": contentDigest("{}") })),
    change("another digest algorithm first", headers({ "content-digest": `sha-512=:AA==:, ${contentDigest(CALL)}` })),
    change("another chain", headers({ "talos-capability": chain.slice(0, chain.indexOf("~")) })),
    change("a covered header changed", headers({ "mcp-method": "tools/list" })),
    change("a covered header gone", { request: { ...whole, headers: fewer } }),
    change("a header more that must be covered", headers({ "mcp-name": "read" })),
    change("created later", input(`created=${now}`, `created=${now + 1}`)),
    change("another nonce", input(signedParams.nonce, b64(seedOf("other").subarray(0, 16)))),
    change("another keyid", input(subAgent.jkt, keyOf("stranger").jkt)),
    change("components in another order", input('"@method" "@target-uri"', '"@target-uri" "@method"')),
    change("a component twice", input('"@method"', '"@method" "@method"')),
    change("a component less", input('"@target-uri" ', "")),
    change(
      "parameters in another order",
      input(`;created=${now};expires=${now + 60}`, `;expires=${now + 60};created=${now}`),
    ),
    change("a parameter more", input(";tag=", ';x="y";tag=')),
    change("two spaces", input('"@method" ', '"@method"  ')),
    change("a leading zero", input(`created=${now}`, `created=0${now}`)),
    change("another tag", input('tag="talos-1"', 'tag="talos-2"')),
    change("another label", {
      signature_input: made.signature_input.replace("talos=", "sig1="),
      signature: made.signature.replace("talos=", "sig1="),
    }),
    change("a second label", { signature_input: `${made.signature_input}, x=("@method");created=${now}` }),
    change("signature without padding", { signature: made.signature.replace("==:", ":") }),
    change("signature in base64url", {
      signature: `talos=:${b64(Buffer.from(made.signature.slice(7, -1), "base64"))}==:`,
    }),
    change("signature of another key", { signature: sign(keyOf("stranger"), request, signedParams).signature }),
    change("signature of zeros", { signature: field(Buffer.alloc(64)) }),
    change("no signature", { signature: null }),
    change("no signature-input", { signature_input: null }),
    change("61 seconds long", resigned({ expires: now + 61 })),
    change("no time at all", resigned({ expires: now })),
    change("6 seconds ahead", resigned({ created: now + 6, expires: now + 30 })),
    change("expired now", resigned({ created: now - 60, expires: now })),
    change("a nonce of 15 bytes", resigned({ nonce: b64(Buffer.alloc(15)) })),
    change("a nonce with altered trailing bits", resigned({ nonce: `${b64(Buffer.alloc(16)).slice(0, -1)}B` })),
    change("a MAC with a chain", resigned({ alg: "hmac-sha256" })),
    change("no credential", {
      request: { ...whole, headers: { "content-digest": contentDigest(CALL) } },
      expect: "NO_CAPABILITY",
    }),
    change("two credentials", { ...headers({ "talos-ticket": "AQ" }), expect: "MALFORMED" }),
  ];
}

export function signed(): VectorFile {
  const bare = (method: string, target_uri: string): Request => ({
    method,
    target_uri,
    body: "",
    headers: { "talos-capability": chain },
  });
  return {
    spec: "contracts/spec/proof.md#Signature base",
    description:
      "Form one: signed by the leaf's holder (`sub-agent` of identity/keys.json), with the exact signature base. What follows the valid ones is one change each.",
    cases: [
      positive("a call", signedRequest),
      positive("without a body", bare("GET", `${origin}/t/default/v1/head`)),
      positive("with a query", bare("GET", `${origin}/t/default/audit/events?limit=10&tool=files%2Fread`)),
      positive("every optional component", { ...signedRequest, headers: { ...signedRequest.headers, ...covered } }),
      positive("5 seconds ahead", signedRequest, { ...signedParams, created: now + 5, expires: now + 65 }),
      positive("one second left", signedRequest, { ...signedParams, created: now - 59, expires: now + 1 }),
      ...mutations(),
    ],
  };
}

export function sessionProofs(ticket: string, sessionId: string, macKey: Uint8Array): VectorFile {
  const request: Request = { ...signedRequest, headers: { "talos-ticket": ticket } };
  const params = { created: now, expires: now + 60 };
  const macs = ["0", "1", "1023", "18446744073709551615"].map((nonce): Case => {
    const { input, base } = signatureBase(request, { ...params, nonce, keyid: sessionId, alg: "hmac-sha256" });
    return {
      name: `MAC, sequence ${nonce}`,
      form: "session_mac",
      request: withDigest(request),
      signature_input: input,
      signature: field(mac(macKey, base)),
      base,
      proof_hash: hash(base),
      now,
      expect: "OK",
    };
  });
  const bad = (name: string, more: Partial<Params>, key = macKey): Case => {
    const { input, base } = signatureBase(request, {
      ...params,
      nonce: "1",
      keyid: sessionId,
      alg: "hmac-sha256",
      ...more,
    });
    return {
      name,
      form: "session_mac",
      request: withDigest(request),
      signature_input: input,
      signature: field(mac(key, base)),
      now,
      expect: "PROOF_INVALID",
    };
  };
  const made = sign(subAgent, request, signedParams);
  return {
    spec: "contracts/spec/proof.md#Signature-Input and Signature",
    description: "Forms two and three under the ticket of session/opening.json.",
    mac_key_hex: hex(macKey),
    cases: [
      {
        name: "signed",
        form: "session_signed",
        request: withDigest(request),
        signature_input: made.signature_input,
        signature: made.signature,
        base: made.base,
        proof_hash: hash(made.base),
        now,
        expect: "OK",
      },
      ...macs,
      bad("sequence with a leading zero", { nonce: "01" }),
      bad("sequence beyond 2^64-1", { nonce: "18446744073709551616" }),
      bad("negative sequence", { nonce: "-1" }),
      bad("sequence that is no number", { nonce: "x" }),
      bad("no sequence", { nonce: "" }),
      bad("another session", { keyid: b64(Buffer.alloc(16)) }),
      bad("a thumbprint as keyid", { keyid: subAgent.jkt }),
      bad("another MAC key", {}, seedOf("another MAC key")),
    ],
  };
}
