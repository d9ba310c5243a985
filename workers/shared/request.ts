/**
 * What a request brings before anything is decided: its id, its trace, bounded headers and a bounded body.
 * Source: contracts/spec/gateway.md, design order step 1.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { uuidv7 } from "@talos/core";

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
/** A body that takes longer is given up: 1 MiB in this time is 280 kbit/s, and nothing is decided before it is whole. */
export const BODY_MS = 30_000;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);

/** Random bytes of the platform's generator. */
export function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

const ID_BYTES = 10;
/** Drawn for a hundred ids at once; each byte is handed out once. */
let pool: Uint8Array = new Uint8Array(0);

/** A new UUIDv7 (RFC 9562 §5.7) at `nowMs`. */
export function newId(nowMs: number): string {
  if (pool.byteLength < ID_BYTES) pool = randomBytes(100 * ID_BYTES);
  const random = pool.subarray(0, ID_BYTES);
  pool = pool.subarray(ID_BYTES);
  return uuidv7(nowMs, random);
}

/** Lower-case hex. */
export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * The `traceparent` to pass on: the caller's trace with a span of ours, or a trace of our own when there is none.
 * A value that is not exactly version 00 is not passed on (W3C Trace Context §3.2.2.3).
 */
export function takeTrace(incoming: string | undefined): string {
  const match = incoming === undefined ? null : TRACEPARENT.exec(incoming);
  const usable = match !== null && match[1] !== NO_TRACE && match[2] !== NO_SPAN;
  const trace = usable ? match[1] : hex(randomBytes(16));
  return `00-${trace}-${hex(randomBytes(8))}-${usable ? match[3] : "00"}`;
}

/** Header fields by lower-case name. */
export type Fields = Readonly<Record<string, string | undefined>>;

/**
 * The header fields of a request, read once: each look-up in the platform's own object costs as much as a whole
 * reading. Fields that together exceed `header_bytes`, counted as on the wire (`name: value CRLF`), are refused.
 * @throws `request.header_too_large`
 */
export function readHeaders(headers: Headers): Fields {
  const fields: Record<string, string> = Object.create(null);
  let bytes = 0;
  for (const [name, value] of headers) {
    bytes += name.length + value.length + 4;
    fields[name] = value;
  }
  if (bytes > LIMITS.header_bytes) throw new TalosError("request.header_too_large", { bytes });
  return fields;
}

/**
 * The bytes of a stream, at most `limit` of them: reading stops at the first byte beyond, whatever the sender
 * said about its length, so that neither a lie nor an endless body costs more memory than the limit.
 * @param limit bytes
 * @returns the bytes, or null when there were more
 */
export async function readBounded(
  stream: ReadableStream<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array | null> {
  if (stream === null) return new Uint8Array(0);
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel("too large").catch(() => undefined); // the sender's end may be gone already; the refusal stands
      return null;
    }
    chunks.push(value);
  }
  return chunks.length === 1 ? chunks[0]! : joined(chunks, size);
}

/** Chunks of `size` bytes together, as one. */
export function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** The body's bytes, or null when there are more than `limit`. */
async function wholeBody(request: Request, declared: string | null, limit: number): Promise<Uint8Array | null> {
  // A declared length bounds what the platform takes, and taking it whole is a third of the price of a reader.
  if (declared !== null && request.headers.get("transfer-encoding") === null) {
    const whole = new Uint8Array(await request.arrayBuffer());
    return whole.byteLength > limit ? null : whole;
  }
  return readBounded(request.body, limit);
}

/**
 * The body of a request, read once: its digest is signed and the core reads these very bytes.
 * A content coding would make the signed bytes differ from the read ones, so none is taken.
 * @param ms how long the sender may take
 * @throws `request.body_too_large`, `request.media_type`, `request.malformed` (the sender broke off, or was too slow)
 */
export async function readBody(
  request: Request,
  limit: number = LIMITS.body_bytes,
  ms: number = BODY_MS,
): Promise<Uint8Array> {
  const coding = request.headers.get("content-encoding");
  if (coding !== null && coding.toLowerCase() !== "identity") throw new TalosError("request.media_type", { coding });
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limit) throw new TalosError("request.body_too_large", { declared });
  let body: Uint8Array | null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no whole body within ${ms} ms`)), ms);
  });
  try {
    body = await Promise.race([wholeBody(request, declared, limit), late]);
  } catch (cause) {
    throw new TalosError("request.malformed", { why: "the body broke off, or took too long" }, { cause });
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
  if (body === null) throw new TalosError("request.body_too_large", { limit });
  return body;
}

/**
 * Refuse a body whose media type is not the one that the surface takes; parameters other than a UTF-8 charset are
 * refused too.
 * @throws `request.media_type`
 */
export function requireMediaType(request: Request, type: string): void {
  const given = (request.headers.get("content-type") ?? "").toLowerCase().replaceAll(" ", "");
  if (given !== type && given !== `${type};charset=utf-8`)
    throw new TalosError("request.media_type", { given: given.slice(0, 80) });
}
