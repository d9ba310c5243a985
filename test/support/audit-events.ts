import { createHash } from "node:crypto";
import type { AuditEventV2 } from "@talos/contracts";
import type { ProjectAsk } from "../../durable-objects/types.ts";
import { eventId } from "./audit-rows.ts";

const DID = "did:web:agent.example";
const HASH = "A".repeat(43);

/** An event of a decision, whole as the contract has it. Its `event_hash` is of the right shape only. */
export function event(tenant: string, n: number, over: Partial<AuditEventV2> = {}): AuditEventV2 {
  const tsMs = Date.UTC(2026, 10, 23, 8) + n;
  return {
    schema_id: "talos.audit_event",
    schema_version: "v2",
    event_id: eventId(n, tsMs),
    kind: "decision",
    ts: new Date(tsMs).toISOString(),
    tenant,
    request_id: eventId(1000 + n, tsMs),
    surface_id: "mcp.post",
    audit_action: "mcp.call",
    outcome: "success",
    principal: { auth_mode: "signed", did: DID, jkt: HASH, root_sub: DID },
    resource: { resource_type: "tool", resource_id: "files/read", class: "read", action: "call" },
    decision: { allow: true, code: "OK", policy_version: 1, policy_hash: HASH, rev_seq: 0, core_hash: HASH },
    meta: {},
    event_hash: "0".repeat(64),
    ...over,
  };
}

/** RFC 6962 leaf hash by another implementation than the core's. */
export function leafHashOf(body: string): string {
  return createHash("sha256")
    .update(Buffer.from([0]))
    .update(body)
    .digest("base64url");
}

/** A stretch of a log as AuditLog hands it over. */
export function batchOf(logId: string, fromSeq: number, events: AuditEventV2[]): ProjectAsk {
  const rows = events.map((one, at) => {
    const body = JSON.stringify(one);
    return { seq: fromSeq + at, event_id: one.event_id, body, leaf_hash: leafHashOf(body) };
  });
  return { log_id: logId, from_seq: fromSeq, next_seq: fromSeq + rows.length, rows };
}
