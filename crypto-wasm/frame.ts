/** Frames: one buffer a call (contracts/spec/encoding.md#frames). */
import { TalosError } from "@talos/contracts";
import type { RequestHeaders, RequestParts } from "./types.ts";

const ABSENT = 0xffff_ffff;
const encoder = new TextEncoder();

/** The header fields of a request that the core reads, in frame order; they stand between `server` and the two times. */
export const REQUEST_HEADERS = [
  "talos-capability",
  "talos-ticket",
  "signature-input",
  "signature",
  "content-digest",
  "mcp-session-id",
  "mcp-method",
  "mcp-name",
  "last-event-id",
  "idempotency-key",
] as const satisfies readonly (keyof RequestHeaders)[];

/**
 * The request as the core reads it. Field order: surface, method, target_uri, tenant, aud, server, the ten headers,
 * now_ms, head_as_of_ms, body. Nothing is trimmed or decoded here: the core judges what was received.
 * @throws `request.malformed` when a time is not a safe non-negative integer
 */
export function encodeRequest(parts: RequestParts): Uint8Array {
  const texts: (string | undefined)[] = [
    parts.surface,
    parts.method,
    parts.target_uri,
    parts.tenant,
    parts.aud,
    parts.server,
  ];
  for (const name of REQUEST_HEADERS) texts.push(parts.headers[name]);

  // UTF-8 is at most three bytes a UTF-16 unit: one allocation, no second pass.
  let bound = 19 * 4 + 16 + parts.body.byteLength;
  for (const text of texts) bound += text === undefined ? 0 : text.length * 3;
  const buffer = new Uint8Array(bound);
  const view = new DataView(buffer.buffer);
  let at = 0;
  for (const text of texts) {
    if (text === undefined) {
      view.setUint32(at, ABSENT, true);
      at += 4;
      continue;
    }
    const { written } = encoder.encodeInto(text, buffer.subarray(at + 4));
    view.setUint32(at, written, true);
    at += 4 + written;
  }
  at = putTime(view, at, parts.now_ms);
  at = putTime(view, at, parts.head_as_of_ms);
  view.setUint32(at, parts.body.byteLength, true);
  buffer.set(parts.body, at + 4);
  return buffer.subarray(0, at + 4 + parts.body.byteLength);
}

function putTime(view: DataView, at: number, ms: number | undefined): number {
  if (ms === undefined) {
    view.setUint32(at, ABSENT, true);
    return at + 4;
  }
  if (!Number.isSafeInteger(ms) || ms < 0) throw new TalosError("request.malformed", { field: "time", ms });
  view.setUint32(at, 8, true);
  view.setBigUint64(at + 4, BigInt(ms), true);
  return at + 12;
}
