/** What the record says of an erasure. Source: contracts/spec/erasure.md#erasing. */
import { type AuditErasure, type AuditEventV2, type Principal, SURFACES } from "@talos/contracts";
import { b64uDecode, b64uEncode, type SealedEvent, sealEvent, sha256 } from "@talos/core";

export interface ErasureFacts {
  event_id: string;
  tenant: string;
  /** when it was complete */
  recorded_ms: number;
  request_id: string;
  principal: Principal;
  erasure: AuditErasure;
}

/** The same facts are the same leaf, so that recording again is no second record. */
export function erasureEvent(facts: ErasureFacts): SealedEvent {
  const { event_id, tenant, recorded_ms, request_id, principal, erasure } = facts;
  const surface = "privacy.erasures.create";
  const { method, path } = SURFACES[surface];
  const event: Omit<AuditEventV2, "event_hash"> = {
    schema_id: "talos.audit_event",
    schema_version: "v2",
    event_id,
    kind: "erasure",
    ts: new Date(recorded_ms).toISOString(),
    tenant,
    request_id,
    surface_id: surface,
    audit_action: SURFACES[surface].audit_action!,
    outcome: "success",
    principal,
    http: { method, path },
    erasure,
    meta: {},
  };
  return sealEvent({ surface, event });
}

/** How the record names a subject: nobody finds a DID by trying without the salt, which the erasure alone has. */
export function scopeOf(salt: string, did: string): string {
  return b64uEncode(sha256(Uint8Array.from([...b64uDecode(salt), ...new TextEncoder().encode(did)])));
}
