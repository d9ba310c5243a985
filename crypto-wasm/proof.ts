/** Request proofs and sessions, the client's half (contracts/spec/proof.md, contracts/spec/session.md). */
import type { SessionResponse } from "@talos/contracts";
import { call, callJson, wasm } from "./core.ts";
import { encodeRequest } from "./frame.ts";
import type { ClientSession, ProofHeaders, PublishedKey, RequestParts } from "./types.ts";

/** `content-digest` of a body (RFC 9530, sha-256). */
export function contentDigest(body: Uint8Array): string {
  return call(wasm.content_digest, body);
}

/**
 * Sign a request under the holder's key. The credential header must be among `parts.headers`; `content-digest` is
 * computed from the body.
 * @param args.created seconds; `args.expires` at most 60 s later
 * @param args.nonce base64url of 16 random bytes
 */
export function signRequest(args: {
  parts: RequestParts;
  seed: Uint8Array;
  created: number;
  expires: number;
  nonce: string;
}): ProofHeaders {
  const frame = encodeRequest(args.parts);
  return callJson(wasm.sign_request, frame, args.seed, BigInt(args.created), BigInt(args.expires), args.nonce);
}

/**
 * Prove a read under a session's MAC key.
 * @param args.sequence unsigned 64-bit, never used twice in a session
 */
export function macRequest(args: {
  parts: RequestParts;
  session_id: string;
  mac_key: Uint8Array;
  created: number;
  expires: number;
  sequence: bigint | string;
}): ProofHeaders {
  const frame = encodeRequest(args.parts);
  const times = [BigInt(args.created), BigInt(args.expires)] as const;
  return callJson(wasm.mac_request, frame, args.session_id, args.mac_key, ...times, String(args.sequence));
}

/** The X25519 public share of a 32-byte secret, base64url. */
export function sessionShare(secret: Uint8Array): string {
  return call(wasm.session_share, secret);
}

/**
 * Accept a gateway's answer: verify its statement and derive the MAC key.
 * @throws `SIGNATURE_INVALID`, `PROOF_INVALID` when the statement does not speak of exactly this session
 */
export function sessionFinish(args: {
  secret: Uint8Array;
  response: SessionResponse;
  chain: string;
  gateway_keys: PublishedKey[];
  gateway_did: string;
  aud: string;
  now_ms: number;
}): ClientSession {
  const { secret, now_ms, ...rest } = args;
  const macKey = call(wasm.session_finish, secret, BigInt(now_ms), JSON.stringify(rest));
  const { session_id, expires_at, writes } = args.response;
  return { session_id, mac_key: macKey, expires_at, writes };
}
