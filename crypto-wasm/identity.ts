/** Keys, DIDs and JWS (contracts/spec/identity.md). */
import { call, callJson, wasm } from "./core.ts";
import type { PublishedKey } from "./types.ts";

/** The Ed25519 public key of a 32-byte seed. */
export function publicKey(seed: Uint8Array): Uint8Array {
  return call(wasm.public_key, seed);
}

/** RFC 7638 thumbprint of the Ed25519 key `x` (base64url). */
export function thumbprint(x: string): string {
  return call(wasm.thumbprint, x);
}

/** `did:key` of the Ed25519 key `x` (base64url). */
export function didKey(x: string): string {
  return call(wasm.did_key, x);
}

/** `did:jwk` of the Ed25519 key `x` (base64url). */
export function didJwk(x: string): string {
  return call(wasm.did_jwk, x);
}

/**
 * The key that a `did:key` or `did:jwk` encodes, base64url.
 * @throws `MALFORMED` for any other DID
 */
export function didKeyToX(did: string): string {
  return call(wasm.did_to_x, did);
}

/**
 * Where the document of a `did:web` lies.
 * @throws `MALFORMED`
 */
export function didWebToUrl(did: string): string {
  return call(wasm.did_web_to_url, did);
}

/** The DID document that publishes these keys (contracts/spec/identity.md#the-gateway-s-document). */
export function didDocument(did: string, keys: PublishedKey[]): object {
  return callJson(wasm.did_document, did, JSON.stringify(keys));
}

/** A 64-byte Ed25519 signature. */
export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return call(wasm.ed25519_sign, seed, message);
}

/** The whole strict profile, in the core (contracts/spec/identity.md#the-ed25519-profile). */
export function ed25519Verify(x: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
  return call(wasm.ed25519_verify, x, signature, message);
}

/** Steps 1 to 3 of the profile: the byte checks to be made before another verifier sees the signature. */
export function ed25519Precheck(x: Uint8Array, signature: Uint8Array): boolean {
  return call(wasm.ed25519_precheck, x, signature);
}

/** A compact JWS over the canonical form of `payload`. Header: `alg`, `typ`, and `kid` or `jwk` as asked. */
export function jwsSign(args: { seed: Uint8Array; typ: string; kid?: string; jwk?: boolean; payload: object }): string {
  return call(wasm.jws_sign, args.seed, args.typ, args.kid, args.jwk ?? false, JSON.stringify(args.payload));
}

/**
 * Verify a compact JWS of exactly this `typ` under `x`, or under the `jwk` of its own header when `x` is absent.
 * @throws `MALFORMED`, `SIGNATURE_INVALID`
 */
export function jwsVerify<H = Record<string, unknown>, P = Record<string, unknown>>(args: {
  jws: string;
  typ: string;
  x?: string;
}): { header: H; payload: P } {
  return callJson(wasm.jws_verify, args.jws, args.typ, args.x);
}
