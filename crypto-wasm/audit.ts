/** Hashes of the record (contracts/spec/audit.md). */
import { call, callJson, wasm } from "./core.ts";
import type { SealedEvent } from "./types.ts";

/**
 * Make an event's leaf: apply the surface's allow-list to `meta`, hash, and bound its size.
 * @param args.event an event v2 without `event_hash`
 * @throws `contract.invalid`, `LIMIT_EXCEEDED`
 */
export function sealEvent(args: { surface: string; event: object }): SealedEvent {
  return callJson(wasm.seal_event, args.surface, JSON.stringify(args.event));
}

/** Lower-case hex SHA-256 of the canonical form without `event_hash`. */
export function eventHash(json: string): string {
  return call(wasm.event_hash, json);
}

/** RFC 6962 leaf hash, base64url: SHA-256(0x00 ‖ body). */
export function leafHash(body: Uint8Array | string): string {
  return call(wasm.leaf_hash, typeof body === "string" ? new TextEncoder().encode(body) : body);
}

/** base64url SHA-256(salt ‖ value); `salt` is 16 random bytes. */
export function commitment(salt: Uint8Array, value: Uint8Array): string {
  return call(wasm.commitment, salt, value);
}
