import { b64uEncode, type ClientSession, macRequest, type RequestHeaders, signRequest } from "@talos/core";
import type { Key } from "./keys.ts";

/**
 * How long a proof made here lives, seconds. The contract allows 60; a shorter life is a shorter time for whoever
 * captured one (contracts/spec/proof.md#signature-input-and-signature).
 */
const PROOF_LIFE_SECONDS = 50;

/** Header fields that a proof covers when the request carries them (contracts/spec/proof.md#covered-components). */
export const COVERED_HEADERS = [
  "mcp-session-id",
  "mcp-method",
  "mcp-name",
  "last-event-id",
  "idempotency-key",
] as const satisfies readonly (keyof RequestHeaders)[];

/** The request that a proof is made for. */
export interface Signable {
  method: string;
  /** WHATWG serialisation, no fragment */
  target_uri: string;
  headers: Headers;
  body: Uint8Array;
  aud: string;
  tenant: string;
  /** milliseconds */
  now_ms: number;
}

export type Credential = { kind: "capability"; chain: string } | { kind: "ticket"; ticket: string };

/** The headers to add: credential, digest and an Ed25519 proof with a fresh nonce. */
export function signedHeaders(request: Signable, credential: Credential, key: Key): Record<string, string> {
  const created = Math.floor(request.now_ms / 1000);
  const parts = requestParts(request, credential);
  const nonce = b64uEncode(crypto.getRandomValues(new Uint8Array(16)));
  const proof = signRequest({ parts, seed: key.seed(), created, expires: created + PROOF_LIFE_SECONDS, nonce });
  return { ...credentialHeader(credential), ...proof };
}

/** The headers to add to a read under a session's MAC key. @param sequence never used twice in this session */
export function macHeaders(
  request: Signable,
  ticket: string,
  session: ClientSession,
  sequence: bigint,
): Record<string, string> {
  const created = Math.floor(request.now_ms / 1000);
  const credential: Credential = { kind: "ticket", ticket };
  const { session_id, mac_key } = session;
  const expires = created + PROOF_LIFE_SECONDS;
  const proof = macRequest({
    parts: requestParts(request, credential),
    session_id,
    mac_key,
    created,
    expires,
    sequence,
  });
  return { ...credentialHeader(credential), ...proof };
}

function credentialHeader(credential: Credential): Record<string, string> {
  return credential.kind === "capability"
    ? { "talos-capability": credential.chain }
    : { "talos-ticket": credential.ticket };
}

function requestParts(request: Signable, credential: Credential) {
  const headers: RequestHeaders = { ...credentialHeader(credential) };
  for (const name of COVERED_HEADERS) {
    const value = request.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  return {
    // What the gateway will find from the path; a proof does not cover the name, only the path itself.
    surface: "client",
    method: request.method,
    target_uri: request.target_uri,
    tenant: request.tenant,
    aud: request.aud,
    headers,
    body: request.body,
    now_ms: request.now_ms,
  };
}
