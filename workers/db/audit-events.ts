/** Table `audit_event`: the search. Every query names its tenant first. */
import type { AuditEventV2 } from "@talos/contracts";
import { and, asc, desc, eq, gte, lt, type SQL, sql } from "drizzle-orm";
import { type PgColumn, union } from "drizzle-orm/pg-core";
import type { Database } from "./client.ts";
import { auditEvent } from "./schema.ts";

/** What a search may ask for, all of it together. Times are unix ms. */
export interface EventFilter {
  agent?: string | undefined;
  tool?: string | undefined;
  allow?: boolean | undefined;
  code?: string | undefined;
  kind?: AuditEventV2["kind"] | undefined;
  correlation?: string | undefined;
  /** not before */
  from?: number | undefined;
  /** before */
  to?: number | undefined;
  /** strictly behind this event, in the order of the list */
  after?: { tsMs: number; eventId: string } | undefined;
  /** oldest first instead of newest first */
  oldest?: boolean | undefined;
}

/** What is kept of an event beside the columns that find it. */
export interface StoredEvent {
  seq: number;
  ts_ms: number;
  event_id: string;
  leaf_hash: string;
  body: string;
}

const COLUMNS = {
  seq: auditEvent.seq,
  ts_ms: auditEvent.ts_ms,
  event_id: auditEvent.event_id,
  leaf_hash: auditEvent.leaf_hash,
  body: auditEvent.body,
};
const ORDERS = {
  newest: { by: [desc(auditEvent.ts_ms), desc(auditEvent.event_id)], merged: sql`ts_ms DESC, event_id DESC` },
  oldest: { by: [asc(auditEvent.ts_ms), asc(auditEvent.event_id)], merged: sql`ts_ms, event_id` },
} as const;

/** At most `limit` events of a tenant by (`ts_ms`, `event_id`), newest first or oldest first. */
export async function listEvents(
  { db }: Database,
  tenant: string,
  filter: EventFilter,
  limit: number,
): Promise<StoredEvent[]> {
  const rest = conditions(filter);
  const order = ORDERS[filter.oldest === true ? "oldest" : "newest"];
  const branch = (who?: SQL) =>
    db
      .select(COLUMNS)
      .from(auditEvent)
      .where(and(eq(auditEvent.tenant, tenant), who, ...rest))
      .orderBy(...order.by)
      .limit(limit);
  if (filter.agent === undefined) return branch();
  // One branch a column, each along its own index and no longer than a page; OR would read and sort the whole tenant.
  const is = (column: PgColumn) => branch(eq(column, filter.agent!));
  return union(is(auditEvent.agent), is(auditEvent.root_agent), is(auditEvent.behalf_agent))
    .orderBy(order.merged)
    .limit(limit);
}

/** One event of a tenant, or null when the projection has it not (yet). */
export async function getEvent({ db }: Database, tenant: string, eventId: string): Promise<StoredEvent | null> {
  const found = await db
    .select(COLUMNS)
    .from(auditEvent)
    .where(and(eq(auditEvent.tenant, tenant), eq(auditEvent.event_id, eventId)))
    .limit(1);
  return found[0] ?? null;
}

/** Whether Postgres answers and knows our tables. */
export async function pingEvents({ sql: query }: Database): Promise<void> {
  await query`SELECT 1 FROM audit_cursor LIMIT 1`;
}

function conditions(filter: EventFilter): SQL[] {
  const found: SQL[] = [];
  if (filter.tool !== undefined) found.push(eq(auditEvent.tool, filter.tool));
  if (filter.allow !== undefined) found.push(eq(auditEvent.allow, filter.allow));
  if (filter.code !== undefined) found.push(eq(auditEvent.code, filter.code));
  if (filter.kind !== undefined) found.push(eq(auditEvent.kind, filter.kind));
  if (filter.correlation !== undefined) found.push(eq(auditEvent.correlation, filter.correlation));
  if (filter.from !== undefined) found.push(gte(auditEvent.ts_ms, filter.from));
  if (filter.to !== undefined) found.push(lt(auditEvent.ts_ms, filter.to));
  if (filter.after) {
    const { tsMs, eventId } = filter.after;
    const key = sql`(${auditEvent.ts_ms}, ${auditEvent.event_id})`;
    const given = sql`(${tsMs}::bigint, ${eventId}::uuid)`;
    found.push(filter.oldest === true ? sql`${key} > ${given}` : sql`${key} < ${given}`);
  }
  return found;
}
