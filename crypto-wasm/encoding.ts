/** Bytes and canonical JSON (contracts/spec/encoding.md). */
import { call, wasm } from "./core.ts";

/**
 * The canonical form (RFC 8785) of strict JSON.
 * @throws `MALFORMED` on duplicate members, unsafe integers, lone surrogates, too deep nesting, trailing bytes
 */
export function jcs(json: Uint8Array | string): string {
  return typeof json === "string" ? call(wasm.jcs_text, json) : call(wasm.jcs, json);
}

/** SHA-256, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return call(wasm.sha256, bytes);
}

/** Unpadded base64url. */
export function b64uEncode(bytes: Uint8Array): string {
  return call(wasm.b64u_encode, bytes);
}

/** @throws `MALFORMED` on padding, other characters, a length of 1 mod 4, or non-zero trailing bits */
export function b64uDecode(text: string): Uint8Array {
  return call(wasm.b64u_decode, text);
}

/**
 * An RFC 9562 UUIDv7.
 * @param nowMs whole milliseconds since the Unix epoch
 * @param random 10 random bytes
 */
export function uuidv7(nowMs: number, random: Uint8Array): string {
  return call(wasm.uuidv7, BigInt(nowMs), random);
}
