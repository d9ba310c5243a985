/**
 * What an event must be before it gets a place in a log: nothing that lies there can be taken out again, and one row
 * that the projector or a verifier refuses would stop it for good. Pure. Source: contracts/spec/audit.md#event, #append.
 */
import { type AuditEventV2, LIMITS, validate } from "@talos/contracts";
import { jcs, leafHash, sha256 } from "@talos/core";
import type { Offered } from "./batch.ts";
import { subjectId, subjectOf } from "./subject.ts";
import { isUuidV7 } from "./uuid.ts";
import type { SealedSalts } from "./value-keys.ts";

/** Which rule an event breaks. */
export type Flaw =
  | "id"
  | "salts"
  | "leaf_hash"
  | "shape"
  | "canonical"
  | "event_hash"
  | "tenant"
  | "correlation"
  | "time";

export type Fault = { code: "contract.invalid" | "LIMIT_EXCEEDED"; event_id?: string; flaw?: Flaw };

/** An event that holds, with what the log goes by. */
export type Checked = Offered & Pick<AuditEventV2, "kind" | "correlation">;

const KID = /^[A-Za-z0-9_-]{1,64}$/;
/** Two salts with their names, nonce and tag have 112 bytes. */
const SEALED = /^[A-Za-z0-9_-]{40,160}$/;
const utf8 = new TextEncoder();
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/**
 * @param log the log's name: its tenant's, or the tenant's and a part of it
 * @returns the events, or what is wrong with the first that does not hold
 */
export function checked(events: readonly Offered[], log: string): Checked[] | Fault {
  if (events.length === 0) return { code: "contract.invalid" };
  if (events.length > LIMITS.audit_batch_events) return { code: "LIMIT_EXCEEDED" };
  const tenant = log.split("/", 1)[0]!;
  const sound: Checked[] = [];
  let bytes = 0;
  for (const offered of events) {
    const { event_id, body } = offered;
    const encoded = utf8.encode(body);
    bytes += encoded.length;
    if (encoded.length > LIMITS.event_bytes || bytes > LIMITS.audit_batch_bytes)
      return { code: "LIMIT_EXCEEDED", event_id };
    const event = check(offered, encoded, tenant);
    if (typeof event === "string") return { code: "contract.invalid", event_id, flaw: event };
    sound.push({ ...offered, ...pick(event) });
  }
  return sound;
}

const pick = ({ kind, correlation }: AuditEventV2): Pick<AuditEventV2, "kind" | "correlation"> =>
  correlation === undefined ? { kind } : { kind, correlation };

function check({ event_id, body, leaf_hash, sealed }: Offered, bytes: Uint8Array, tenant: string): AuditEventV2 | Flaw {
  if (!isUuidV7(event_id)) return "id";
  if (leafHash(bytes) !== leaf_hash) return "leaf_hash"; // a promise speaks of the leaf, so the log computes it itself
  const parsed = parse(body);
  const read = validate("audit/event-v2", parsed);
  if (!read.ok) return "shape";
  const event = read.value;
  if (event.event_id !== event_id) return "id";
  if (!isCanonical(body, event)) return "canonical";
  if (!hashes(body, event.event_hash)) return "event_hash";
  if (event.tenant !== tenant) return "tenant";
  if (event.kind === "intent" && event.correlation !== event_id) return "correlation";
  if (event.kind === "outcome" && event.correlation === undefined) return "correlation";
  return sealed === undefined || isFor(event, sealed) ? event : "salts";
}

/** Whether these are salts for the vault of the event's subject, and announce values of its commitments only. */
function isFor(
  { tenant, principal, commitments = {} }: AuditEventV2,
  { subject, kid, kept, sealed }: SealedSalts,
): boolean {
  const names = Object.keys(commitments);
  return (
    KID.test(kid) &&
    SEALED.test(sealed) &&
    names.length > 0 &&
    ["", "args", "result", "args,result"].includes(kept) &&
    kept.split(",").every((name) => name === "" || names.includes(name)) &&
    subject === subjectId(tenant, subjectOf(principal))
  );
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // of no shape
  }
}

/**
 * Whether `body` is the canonical form of `value`, which it was parsed into. What prints back to itself with sorted
 * names is (RFC 8785 prints as ECMAScript does); whatever is out of the ordinary, the core decides: escapes of
 * surrogates, which it refuses where they stand alone, and names that look like numbers, which objects sort first.
 */
export function isCanonical(body: string, value: unknown): boolean {
  if (!body.includes("\\ud") && sorted(value) && JSON.stringify(value) === body) return true;
  try {
    return jcs(body) === body;
  } catch {
    return false;
  }
}

/** Nesting is bounded by the shape. A loop over names: lists of them cost more than everything else here. */
function sorted(value: unknown): boolean {
  if (value === null || typeof value !== "object") return true;
  if (Array.isArray(value)) return value.every(sorted);
  let last = "";
  for (const name in value) {
    if (name < last || !sorted((value as Record<string, unknown>)[name])) return false;
    last = name;
  }
  return true;
}

/** Whether the hash is of the canonical form without itself: the member is cut out of a form that is canonical already. */
function hashes(body: string, hash: string): boolean {
  const member = `"event_hash":"${hash}",`;
  const at = body.indexOf(member); // in no string, where quotes are escaped; never last, `kind` comes after it
  if (at === -1) return false;
  const bare = sha256(utf8.encode(body.slice(0, at) + body.slice(at + member.length)));
  return bare.every((byte, i) => HEX[byte] === hash.slice(2 * i, 2 * i + 2));
}
