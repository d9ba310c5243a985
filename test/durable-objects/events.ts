/** Events as the contract has them, for tests that append to a log without a gateway. */
import type { AuditEventV2 } from "@talos/contracts";
import { eventHash, jcs, leafHash, uuidv7 } from "@talos/core";
import type { AppendEvent } from "../../durable-objects/types.ts";

const DID = "did:web:agent.example";

export const newId = (ms = Date.now()): string => uuidv7(ms, crypto.getRandomValues(new Uint8Array(10)));

/** Sealed without a surface's allow-list, so that `meta` may hold what a test wants. */
export function auditEvent(tenant: string, more: Partial<AuditEventV2> = {}): AppendEvent {
  const event_id = more.event_id ?? newId();
  const event = {
    ...{ schema_id: "talos.audit_event", schema_version: "v2", kind: "decision", ts: new Date().toISOString() },
    ...{ event_id, request_id: event_id, tenant, surface_id: "mcp.post", audit_action: "mcp.call", meta: {} },
    principal: { auth_mode: "signed", did: DID, jkt: "A".repeat(43) },
    ...more,
  };
  return sealed(event);
}

/** Whatever it is, under its own hash. */
export function sealed(event: object): AppendEvent {
  const { event_hash: _, ...bare } = event as AuditEventV2;
  const event_hash = eventHash(JSON.stringify(bare));
  const body = jcs(JSON.stringify({ ...bare, event_hash }));
  return { event_id: bare.event_id, body, event_hash, leaf_hash: leafHash(body) };
}

export function intent(tenant: string, more: Partial<AuditEventV2> = {}): AppendEvent {
  const event_id = more.event_id ?? newId();
  const effect = { state: "attempted", server: "files" } as const;
  return auditEvent(tenant, { event_id, correlation: event_id, kind: "intent", effect, ...more });
}

export function outcome(tenant: string, correlation: string, more: Partial<AuditEventV2> = {}): AppendEvent {
  const effect = { state: "confirmed", server: "files" } as const;
  return auditEvent(tenant, { kind: "outcome", correlation, outcome: "success", effect, ...more });
}

/** Text in scalars of the length that one may have. */
export function textMeta(text: string): Record<string, string> {
  const parts = text.match(/.{1,1000}/gsu) ?? [];
  return Object.fromEntries(parts.map((part, i) => [`text-${i + 10}`, part]));
}
