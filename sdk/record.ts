import { type AuditPromise, type AuditRecord, validate } from "@talos/contracts";
import { b64uDecode, eventHash, jcs, jwsVerify, leafHash, type PublishedKey } from "@talos/core";
import { ClientError } from "./errors.ts";

/**
 * Check a record read from the gateway against itself: the event hashes to its `event_hash`, the leaf to `leaf_hash`.
 * @throws `client.answer_invalid`
 */
export function checkRecord(record: AuditRecord): void {
  const text = JSON.stringify(record.event);
  if (eventHash(text) !== record.event.event_hash) {
    throw new ClientError("client.answer_invalid", `event ${record.event.event_id} does not hash to its event_hash`);
  }
  if (leafHash(jcs(text)) !== record.leaf_hash) {
    throw new ClientError("client.answer_invalid", `event ${record.event.event_id} does not hash to its leaf`);
  }
}

/**
 * Verify a promise of the log (contracts/spec/audit.md#promise), and that it speaks of this record when one is given.
 * @throws `client.statement_invalid`
 */
export function verifyPromise(promise: string, keys: readonly PublishedKey[], record?: AuditRecord): AuditPromise {
  const kid = headerKid(promise);
  const key = keys.find((candidate) => candidate.kid === kid);
  if (!key) throw new ClientError("client.statement_invalid", `the promise's key ${kid} is not one of the gateway's`);
  let payload: unknown;
  try {
    ({ payload } = jwsVerify({ jws: promise, typ: "talos-promise+jwt", x: key.x }));
  } catch (cause) {
    throw new ClientError("client.statement_invalid", "the promise's signature", { cause });
  }
  const checked = validate("audit/promise", payload);
  if (!checked.ok) throw new ClientError("client.statement_invalid", `the promise: ${checked.errors[0]}`);
  const told = checked.value;
  if (record) {
    checkRecord(record);
    const same = told.event_id === record.event.event_id && told.leaf === record.leaf_hash && told.seq === record.seq;
    if (!same) throw new ClientError("client.statement_invalid", "the promise is about another event");
  }
  return told;
}

function headerKid(jws: string): string {
  const text = jws.split(".")[0] ?? "";
  try {
    const { kid } = JSON.parse(new TextDecoder().decode(b64uDecode(text)));
    if (typeof kid === "string") return kid;
  } catch (cause) {
    throw new ClientError("client.statement_invalid", "the promise's header", { cause });
  }
  throw new ClientError("client.statement_invalid", "the promise names no key");
}
