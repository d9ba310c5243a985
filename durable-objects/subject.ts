/**
 * Whose kept values are whose: names of vaults, of sealed objects and of erasures, and what every sealed text is bound to.
 * Pure. Source: contracts/spec/erasure.md#subjects, #sealing.
 */
import { b64uDecode, b64uEncode, sha256 } from "@talos/core";

const utf8 = new TextEncoder();

/** The hash under which a subject's vault is reached: its DID is in no name. */
export function subjectId(tenant: string, did: string): string {
  return b64uEncode(sha256(utf8.encode(JSON.stringify(["talos.subject.v1", tenant, did]))));
}

/** The one who answers for a call: the holder of the root link, whoever acted for it. */
export const subjectOf = (principal: { did: string; root_sub?: string | undefined }): string =>
  principal.root_sub ?? principal.did;

/** An erasure's id says which vault knows it, to those who were given the id: it is in no event. */
export function erasureId(subject: string, own: Uint8Array): string {
  return b64uEncode(Uint8Array.from([...b64uDecode(subject), ...own]));
}

/** The vault's name of an erasure's id, or undefined for what is none. */
export function subjectOfErasure(id: string): string | undefined {
  return /^[A-Za-z0-9_-]{64}$/.test(id) ? b64uEncode(b64uDecode(id).slice(0, 32)) : undefined;
}

/** Where the sealed values of one key lie. */
export const folderOf = (vault: string, generation: number): string => `${vault}/${generation}/`;

/** The first id of a later millisecond: ids below it were made at `ms` or before (UUIDv7 sorts by its time). */
export function firstIdAfter(ms: number): string {
  const hex = (ms + 1).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

/** When an id was made, unix ms. */
export const timeOf = (eventId: string): number => Number.parseInt(eventId.replace("-", "").slice(0, 12), 16);

/** What a sealed text is bound to: built from names and columns, never read from beside the text. */
export const boundTo = (what: string, ...parts: (string | number)[]): Uint8Array =>
  utf8.encode(JSON.stringify([`talos.${what}.v1`, ...parts]));
