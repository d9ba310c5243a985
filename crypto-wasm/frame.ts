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

/** Bytes that a frame takes at most: UTF-8 is at most three bytes a UTF-16 unit, so no second pass is needed. */
export function frameBound(parts: RequestParts): number {
  const { surface, method, target_uri, tenant, aud, server, headers } = parts;
  let units = surface.length + method.length + target_uri.length + tenant.length + aud.length + (server?.length ?? 0);
  for (const name of REQUEST_HEADERS) units += headers[name]?.length ?? 0;
  return 19 * 4 + 16 + units * 3 + parts.body.byteLength;
}

/**
 * Write the request as the core reads it to `buffer` from `start`; {@link frameBound} bytes must be there. Field order:
 * surface, method, target_uri, tenant, aud, server, the ten headers, now_ms, head_as_of_ms, body. Nothing is trimmed or
 * decoded here: the core judges what was received.
 * @returns where the frame ends
 * @throws `request.malformed` when a time is not a safe non-negative integer
 */
export function writeRequest(parts: RequestParts, buffer: Uint8Array, view: DataView, start: number): number {
  const { headers, body } = parts;
  let at = putText(buffer, view, start, parts.surface);
  at = putText(buffer, view, at, parts.method);
  at = putText(buffer, view, at, parts.target_uri);
  at = putText(buffer, view, at, parts.tenant);
  at = putText(buffer, view, at, parts.aud);
  at = putText(buffer, view, at, parts.server);
  for (const name of REQUEST_HEADERS) at = putText(buffer, view, at, headers[name]);
  at = putInteger(view, at, parts.now_ms);
  at = putInteger(view, at, parts.head_as_of_ms);
  return putBytes(buffer, view, at, body);
}

/** The request as one buffer, see {@link writeRequest}. */
export function encodeRequest(parts: RequestParts): Uint8Array {
  const buffer = new Uint8Array(frameBound(parts));
  return buffer.subarray(0, writeRequest(parts, buffer, new DataView(buffer.buffer), 0));
}

/** A text that is written unit by unit: the call of the encoder costs as much as so many. */
const SHORT = 96;

/** @returns where the field ends, as of the others */
export function putText(buffer: Uint8Array, view: DataView, at: number, text: string | undefined): number {
  if (text !== undefined) return putWhole(buffer, view, at, text, false);
  view.setUint32(at, ABSENT, true);
  return at + 4;
}

/** @throws `MALFORMED`, if `strict`, for a text with a lone surrogate: it has no UTF-8, and JSON with one is refused too */
export function putWhole(buffer: Uint8Array, view: DataView, at: number, text: string, strict = true): number {
  const { length } = text;
  if (length <= SHORT) {
    let i = 0;
    for (; i < length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) break;
      buffer[at + 4 + i] = unit;
    }
    if (i === length) {
      view.setUint32(at, length, true);
      return at + 4 + length;
    }
  }
  if (strict && !text.isWellFormed()) throw new TalosError("MALFORMED", { reason: "a lone surrogate" });
  const { written } = encoder.encodeInto(text, buffer.subarray(at + 4, at + 4 + length * 3));
  view.setUint32(at, written, true);
  return at + 4 + written;
}

export function putBytes(buffer: Uint8Array, view: DataView, at: number, bytes: Uint8Array): number {
  view.setUint32(at, bytes.byteLength, true);
  buffer.set(bytes, at + 4);
  return at + 4 + bytes.byteLength;
}

/** @throws `request.malformed` for what is no safe non-negative integer */
export function putInteger(view: DataView, at: number, value: number | undefined): number {
  if (value === undefined) {
    view.setUint32(at, ABSENT, true);
    return at + 4;
  }
  if (!Number.isSafeInteger(value) || value < 0)
    throw new TalosError("request.malformed", { field: "time", ms: value });
  view.setUint32(at, 8, true);
  view.setUint32(at + 4, value % 0x1_0000_0000, true);
  view.setUint32(at + 8, Math.floor(value / 0x1_0000_0000), true);
  return at + 12;
}
