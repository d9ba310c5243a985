/** What the record says of a change of what is in force. Source: contracts/spec/audit.md#event. */
import { type AuditEventV2, type Head, type HttpFacts, type Principal, SURFACES } from "@talos/contracts";
import { type SealedEvent, sealEvent, uuidv7 } from "@talos/core";

interface Common {
  nowMs: number;
  request_id: string | undefined;
  http: HttpFacts | undefined;
  /** the head that the change leads to */
  head: Head;
}

/** A fresh UUIDv7. */
export function newId(nowMs: number): string {
  return uuidv7(nowMs, crypto.getRandomValues(new Uint8Array(10)));
}

/** @throws `contract.invalid`, `LIMIT_EXCEEDED` */
export function policyEvent(common: Common, publisher: { did: string; jkt: string }): SealedEvent {
  const { policy_hash, policy_version } = common.head;
  return seal("policy.put", common, {
    kind: "policy",
    principal: { auth_mode: "publisher", ...publisher },
    resource: { resource_type: "policy", resource_id: policy_hash },
    meta: { version: policy_version },
  });
}

export interface RevocationFacts {
  jti: string;
  kind: string;
  entries: string[];
  did: string;
  jkt: string;
  links: string[];
}

/** @throws `contract.invalid`, `LIMIT_EXCEEDED` */
export function revocationEvent(common: Common, facts: RevocationFacts): SealedEvent {
  const { jti, kind, entries, did, jkt, links } = facts;
  return seal("revocations.create", common, {
    kind: "key",
    principal: { auth_mode: "statement", did, jkt },
    resource: { resource_type: "revocation", resource_id: jti },
    capability: { hash: links.at(-1)!, links },
    revocation: { jti, entries },
    meta: { kind },
  });
}

type Own = Pick<AuditEventV2, "kind" | "resource" | "meta" | "capability" | "revocation"> & { principal: Principal };

function seal(surface: "policy.put" | "revocations.create", common: Common, own: Own): SealedEvent {
  const { nowMs, http, head } = common;
  const event: Omit<AuditEventV2, "event_hash"> = {
    schema_id: "talos.audit_event",
    schema_version: "v2",
    event_id: newId(nowMs),
    ts: new Date(nowMs).toISOString(),
    tenant: head.tenant,
    request_id: common.request_id ?? newId(nowMs),
    surface_id: surface,
    audit_action: SURFACES[surface].audit_action!,
    outcome: "success",
    head,
    ...(http === undefined ? {} : { http }),
    ...own,
  };
  return sealEvent({ surface, event });
}
