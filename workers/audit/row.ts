import { LIMITS, TalosError, validate } from "@talos/contracts";
import { leafHash } from "@talos/core";
import type { ProjectAsk } from "../../durable-objects/types.ts";
import type { AuditEventRow } from "../db/audit-cursor.ts";

/** A log is named by its tenant, or by the tenant and a part: `acme`, `acme/1`. */
export const tenantOf = (logId: string): string => logId.split("/", 1)[0]!;

/**
 * The rows to write, or a refusal of all of them: a projection with a hole or a foreign row is worse than a late one.
 * @throws `internal` naming the row that is not what the log promised; nothing may be written then
 */
export function rowsOf(batch: ProjectAsk): AuditEventRow[] {
  const { log_id, from_seq, next_seq, rows } = batch;
  const whole = [from_seq, next_seq].every((seq) => Number.isSafeInteger(seq) && seq >= 0);
  if (!whole || next_seq - from_seq !== rows.length || rows.length > LIMITS.audit_project_rows) {
    throw refused(log_id, from_seq, "the batch is not the stretch that it says");
  }
  return rows.map((row, at) => rowOf(log_id, from_seq + at, row));
}

function rowOf(logId: string, seq: number, row: ProjectAsk["rows"][number]): AuditEventRow {
  if (row.seq !== seq) throw refused(logId, seq, "out of sequence");
  if (leafHash(row.body) !== row.leaf_hash) throw refused(logId, seq, "leaf hash");
  const read = validate("audit/event-v2", JSON.parse(row.body));
  if (!read.ok) throw refused(logId, seq, `shape: ${read.errors.slice(0, 3).join("; ")}`);
  const event = read.value;
  if (event.event_id !== row.event_id) throw refused(logId, seq, "event id");
  if (event.tenant !== tenantOf(logId)) throw refused(logId, seq, "tenant");
  return {
    log_id: logId,
    seq,
    ts_ms: Date.parse(event.ts),
    tenant: event.tenant,
    event_id: event.event_id,
    kind: event.kind,
    correlation: event.correlation ?? null,
    agent: event.principal.did,
    root_agent: other(event.principal.root_sub, event.principal.did),
    behalf_agent: other(event.on_behalf?.did, event.principal.did),
    tool: event.resource?.resource_type === "tool" ? event.resource.resource_id : null,
    allow: event.decision?.allow ?? null,
    code: event.decision?.code ?? null,
    leaf_hash: row.leaf_hash,
    body: row.body,
  };
}

const other = (did: string | undefined, agent: string): string | null =>
  did === undefined || did === agent ? null : did;

const refused = (logId: string, seq: number, why: string): TalosError =>
  new TalosError("internal", { projection: why, log_id: logId, seq });
