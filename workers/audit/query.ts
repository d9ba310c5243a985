/** Reading the record: Postgres finds, the log vouches. Source: contracts/spec/audit.md#projection-and-cursors. */
import { type AuditEventPage, type AuditQuery, type AuditRecord, LIMITS, TalosError } from "@talos/contracts";
import { leafHash } from "@talos/core";
import { getEvent, listEvents, pingEvents, type StoredEvent } from "../db/audit-events.ts";
import { connect, searching } from "../db/client.ts";
import type { Env } from "../env.ts";
import type { AuditQueryPort } from "../shared/ports.ts";
import { printCursor, readCursor } from "./cursor.ts";

export const auditQuery: AuditQueryPort = {
  async list(env: Env, tenant: string, query: AuditQuery): Promise<AuditEventPage> {
    const { cursor, limit = LIMITS.page_events, decision, order, ...filter } = query;
    const wanted = {
      ...filter,
      allow: decision === undefined ? undefined : decision === "allow",
      after: cursor === undefined ? undefined : readCursor(cursor),
      oldest: order === "oldest",
    };
    // One more than asked for tells whether there is a next page.
    const found = await searching(() => listEvents(connect(env), tenant, wanted, limit + 1));
    const page = found.slice(0, limit);
    const [first, last] = [page.at(0), page.at(-1)];
    const at = ({ ts_ms, event_id }: StoredEvent) => printCursor({ tsMs: ts_ms, eventId: event_id });
    return {
      events: page.map(fromIndex),
      ...(found.length > limit && last !== undefined ? { next_cursor: at(last) } : {}),
      ...(first === undefined ? {} : { prev_cursor: at(first) }),
    };
  },

  async get(env: Env, tenant: string, eventId: string): Promise<AuditRecord> {
    const indexed = await inIndex(env, tenant, eventId);
    if (!indexed) return inLog(env, tenant, eventId);
    const promise = await promiseOf(env, tenant, eventId);
    return promise === null ? indexed : { ...indexed, promise };
  },

  async ping(env: Env): Promise<boolean> {
    return pingEvents(connect(env)).then(
      () => true,
      () => false,
    );
  },
};

const fromIndex = ({ seq, leaf_hash, body }: StoredEvent): AuditRecord => ({
  seq,
  leaf_hash,
  event: JSON.parse(body),
  source: "index",
});

/** Null when Postgres has it not or cannot say: the log knows, which is why readers of one event need no Postgres. */
async function inIndex(env: Env, tenant: string, eventId: string): Promise<AuditRecord | null> {
  try {
    const found = await searching(() => getEvent(connect(env), tenant, eventId));
    return found && fromIndex(found);
  } catch (error) {
    if (error instanceof TalosError && error.code === "audit.query_unavailable") return null;
    throw error;
  }
}

/** The log's promise of an indexed event: what makes the record verifiable. Null while the log cannot be asked. */
async function promiseOf(env: Env, tenant: string, eventId: string): Promise<string | null> {
  try {
    const found = await searching(() => env.AUDIT_LOGS.getByName(tenant).get(eventId));
    return found?.promise ?? null;
  } catch (error) {
    if (error instanceof TalosError && error.code === "audit.query_unavailable") return null;
    throw error;
  }
}

/** @throws `audit.event_unknown`, or `audit.query_unavailable` when the log cannot be asked either */
async function inLog(env: Env, tenant: string, eventId: string): Promise<AuditRecord> {
  const found = await searching(() => env.AUDIT_LOGS.getByName(tenant).get(eventId));
  if (!found) throw new TalosError("audit.event_unknown");
  const { seq, promise, body } = found;
  return {
    seq,
    leaf_hash: leafHash(body),
    event: JSON.parse(body),
    ...(promise === undefined ? {} : { promise }),
    source: "log",
  };
}
