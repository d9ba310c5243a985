import type { AuditEventRow } from "../../workers/db/audit-cursor.ts";

/** Months that lie apart, so that a run of rows crosses partitions: 2026-10-31 23:59:59 UTC. */
export const END_OF_OCTOBER_MS = Date.UTC(2026, 9, 31, 23, 59, 59);

/** A UUIDv7 of test number `n`; ids of equal times still differ, and sort by `n`. */
export const eventId = (n: number, tsMs = END_OF_OCTOBER_MS): string => {
  const time = tsMs.toString(16).padStart(12, "0");
  const rest = n.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${rest}`;
};

/** Row number `seq` of a log; what a test cares about goes into `over`. */
export function row(logId: string, seq: number, over: Partial<AuditEventRow> = {}): AuditEventRow {
  const ts_ms = over.ts_ms ?? END_OF_OCTOBER_MS + seq;
  return {
    log_id: logId,
    seq,
    ts_ms,
    tenant: logId.split("/")[0]!,
    event_id: eventId(seq, ts_ms),
    kind: "decision",
    correlation: null,
    agent: "did:web:agent.example",
    root_agent: null,
    behalf_agent: null,
    tool: "files/read",
    allow: true,
    code: "OK",
    leaf_hash: "A".repeat(43),
    body: JSON.stringify({ seq, text: "line\\u0000 and \u2028" }),
    ...over,
  };
}

/** Rows `from` … `to` − 1. */
export const rows = (logId: string, from: number, to: number, over: Partial<AuditEventRow> = {}): AuditEventRow[] =>
  Array.from({ length: to - from }, (_, n) => row(logId, from + n, over));
