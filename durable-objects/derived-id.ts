/**
 * Ids that follow from another event's: of its final outcome, of what closes it, of what tells of it. Whoever knows the one
 * knows the other, so these carry a mark, and whoever chooses ids of his own may not choose one of them: it would keep
 * what belongs under it out of the record.
 * Source: contracts/spec/audit.md#append.
 */
import { sha256, uuidv7 } from "@talos/core";

const MARK = [0xff, 0xff, 0xff, 0xff];
const MARKED = /^[0-9a-f]{8}-[0-9a-f]{4}-7fff-bfff-[0-9a-f]{12}$/;
const utf8 = new TextEncoder();

/** The same time, the mark, and 48 bits that purpose and id determine. */
export function derivedId(purpose: string, id: string): string {
  const ms = Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
  return uuidv7(ms, Uint8Array.from([...MARK, ...sha256(utf8.encode(`${purpose} ${id}`)).slice(0, 6)]));
}

export const isDerivedId = (id: string): boolean => MARKED.test(id);
