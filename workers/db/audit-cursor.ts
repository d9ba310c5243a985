/** Table `audit_cursor`, and the one statement that moves it. Source: contracts/spec/audit.md#projection-and-cursors. */
import type { Projected } from "../../durable-objects/types.ts";
import type { Database } from "./client.ts";
import type { auditEvent } from "./schema.ts";

/** A row of `audit_event` as it is written. */
export type AuditEventRow = typeof auditEvent.$inferInsert;

/** Moves the cursor from $2 to $3 and inserts the rows of $4, or does neither: whoever lost the race inserts nothing. */
const MOVE = `
  WITH moved AS (
    UPDATE audit_cursor SET next_seq = $3::bigint, moved_at = now()
    WHERE log_id = $1 AND next_seq = $2::bigint RETURNING 1
  ), inserted AS (
    INSERT INTO audit_event (log_id, seq, ts_ms, tenant, event_id, kind, correlation, agent, root_agent, behalf_agent,
                             tool, allow, code, leaf_hash, body)
    SELECT log_id, seq, ts_ms, tenant, event_id, kind, correlation, agent, root_agent, behalf_agent,
           tool, allow, code, leaf_hash, body
    FROM json_to_recordset($4::json) AS row (
      log_id text, seq bigint, ts_ms bigint, tenant text, event_id uuid, kind text, correlation uuid, agent text,
      root_agent text, behalf_agent text, tool text, allow boolean, code text, leaf_hash text, body text)
    WHERE EXISTS (SELECT 1 FROM moved) RETURNING 1
  )
  SELECT (SELECT count(*)::int FROM moved) AS moved, (SELECT count(*)::int FROM inserted) AS inserted`;

/**
 * Projects rows exactly once, whoever else does so: one transaction that makes the months' partitions, and then one
 * statement guarded by the cursor. A repeat or a batch out of order moves nothing and is told where to go on.
 * @param fromSeq sequence number of the first row; the rows are contiguous from there
 * @throws whatever the driver throws; nothing is written then
 */
export async function project(
  { sql }: Database,
  logId: string,
  fromSeq: number,
  rows: readonly AuditEventRow[],
): Promise<Projected> {
  const begin = sql`INSERT INTO audit_cursor (log_id, next_seq) VALUES (${logId}, 0) ON CONFLICT DO NOTHING`;
  // A statement of its own: under READ COMMITTED it sees what a projector that we waited for has committed.
  const where = sql`SELECT next_seq FROM audit_cursor WHERE log_id = ${logId}`;
  const options = { isolationLevel: "ReadCommitted" } as const;
  if (rows.length === 0) {
    const [, cursor] = await sql.transaction([begin, where], options);
    return { moved: false, next_seq: Number(cursor![0]!.next_seq) };
  }
  // One time of each month, in order: two projectors that make the same partitions must not wait for each other.
  const months = [...new Map(rows.map(({ ts_ms }) => [monthOf(ts_ms), ts_ms])).values()].sort((a, b) => a - b);
  const [, , move, cursor] = await sql.transaction(
    [
      sql`SELECT audit_event_partition(at_ms) FROM unnest(${months}::bigint[]) AS at_ms`,
      begin,
      sql.query(MOVE, [logId, fromSeq, fromSeq + rows.length, JSON.stringify(rows)]),
      where,
    ],
    options,
  );
  return { moved: move![0]!.moved === 1, next_seq: Number(cursor![0]!.next_seq) };
}

const monthOf = (tsMs: number): string => new Date(tsMs).toISOString().slice(0, 7);
