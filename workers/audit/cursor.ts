/** Cursors of lists: base64url(`<unix ms>:<event id>`). Source: contracts/spec/audit.md#projection-and-cursors. */
import { LIMITS, TalosError } from "@talos/contracts";
import { b64uDecode, b64uEncode } from "@talos/core";

/** The event that a page ended with. */
export interface Position {
  tsMs: number;
  eventId: string;
}

const UUIDV7 = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
const TEXT = new RegExp(`^(0|[1-9][0-9]{0,15}):(${UUIDV7})$`);
const EVENT_ID = new RegExp(`^${UUIDV7}$`);

/** Whether this can be the id of an event (contracts/spec/encoding.md#ids-hashes-times). */
export const isEventId = (text: string): boolean => EVENT_ID.test(text);

export function printCursor({ tsMs, eventId }: Position): string {
  return b64uEncode(new TextEncoder().encode(`${tsMs}:${eventId}`));
}

/**
 * Strict: only what `printCursor` prints.
 * @throws `audit.cursor_invalid`
 */
export function readCursor(cursor: string): Position {
  const found = cursor.length <= LIMITS.cursor_bytes ? TEXT.exec(decoded(cursor)) : null;
  const tsMs = Number(found?.[1]);
  if (!found || !Number.isSafeInteger(tsMs)) throw new TalosError("audit.cursor_invalid");
  return { tsMs, eventId: found[2]! };
}

function decoded(cursor: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b64uDecode(cursor));
  } catch (error) {
    throw new TalosError("audit.cursor_invalid", {}, { cause: error });
  }
}
