/**
 * `audit.events.append`: a tenant's own services record what they did. What an entry says is its service's word; who said
 * it, when it came and under which proof is ours, and stamped over whatever was sent. An entry that is there already is
 * answered with its first receipt: the stamps of a repeat differ, so it is the service's word that is compared.
 * Source: contracts/spec/audit.md#append.
 */
import { type AppendReceipt, type AuditEntry, type AuditEventV2, LIMITS, TalosError, validate } from "@talos/contracts";
import { jcs, sha256 } from "@talos/core";
import { isDerivedId } from "../../durable-objects/derived-id.ts";
import { idMs } from "../../durable-objects/uuid.ts";
import type { LoggedEvent } from "../../durable-objects/types.ts";
import { PublicError } from "../shared/errors.ts";
import type { AppContext } from "../shared/ports.ts";
import { hex } from "../shared/request.ts";
import { evaluationOf } from "./authorize.ts";
import { within } from "./deadline.ts";
import { type Draft, envelope, evidenceOf, principalOf } from "./events.ts";
import { append, type Entry, entryOf } from "./record.ts";

const SURFACE = "audit.events.append";
/** Times that somebody else may append the same id between our look and our append. */
const ROUNDS = 3;
const utf8 = new TextEncoder();

export async function appendEntries(c: AppContext): Promise<Response> {
  const entries = readEntries(c);
  const sealed = await stamped(c, entries);
  const receipts = new Map<string, AppendReceipt>();
  for (let round = 0; ; round += 1) {
    const missing = sealed.filter(({ event_id }) => !receipts.has(event_id));
    if (missing.length === 0) break;
    const known = await knownTo(c, [
      ...missing.map(({ event_id }) => event_id),
      ...(round === 0 ? spokenOf(entries) : []),
    ]);
    if (round === 0) checkCorrelations(c, entries, known);
    const fresh = missing.filter(({ event_id }) => known[event_id] === undefined);
    for (const entry of missing) {
      const there = known[entry.event_id];
      if (there !== undefined) receipts.set(entry.event_id, await repeated(c, entry, there));
    }
    if (fresh.length === 0) continue;
    try {
      const { promises, seqs } = await append(evaluationOf(c).asker, fresh, fresh.length);
      for (const [i, { event_id }] of fresh.entries())
        receipts.set(event_id, { event_id, seq: seqs[i]!, promise: promises[i]! });
    } catch (error) {
      // Somebody appended one of them in between, perhaps this very request a moment ago: look again.
      const raced = error instanceof TalosError && error.code === "audit.event_conflict";
      if (!raced || round + 1 >= ROUNDS) throw error;
    }
  }
  return c.json({ receipts: entries.map(({ event_id }) => receipts.get(event_id)!) });
}

/** @throws `request.malformed` (no JSON, a name twice), `audit.append_too_large`, `contract.invalid` */
function readEntries(c: AppContext): AuditEntry[] {
  const body = read(c.get("body") ?? new Uint8Array(0));
  const { events } = (body ?? {}) as { events?: unknown };
  if (Array.isArray(events) && events.length > LIMITS.audit_batch_events)
    throw new TalosError("audit.append_too_large", { events: events.length });
  const shape = validate("audit/append", body);
  if (!shape.ok) throw new TalosError("contract.invalid", { body: shape.errors });
  const entries = shape.value.events;
  const ids = new Set(entries.map(({ event_id }) => event_id));
  if (ids.size !== entries.length) throw new TalosError("contract.invalid", { body: "an id twice" });
  const nowMs = Date.now();
  for (const entry of entries) checkEntry(entry, nowMs);
  return entries;
}

function read(body: Uint8Array): unknown {
  try {
    return JSON.parse(jcs(body));
  } catch (cause) {
    throw new TalosError("request.malformed", { why: "not JSON, or a name twice" }, { cause });
  }
}

/** @throws `contract.invalid` for what no shape can say */
function checkEntry(entry: AuditEntry, nowMs: number): void {
  const { event_id, ts, kind, correlation, event_hash } = entry;
  const atMs = Date.parse(ts);
  const { audit_append_past_seconds: past, audit_append_ahead_seconds: ahead } = LIMITS;
  const isNow = (ms: number) => ms >= nowMs - past * 1_000 && ms <= nowMs + ahead * 1_000;
  const wrong = !(isNow(atMs) && isNow(idMs(event_id)))
    ? "a time out of bounds"
    : isDerivedId(event_id)
      ? "an id as those have that follow from others"
      : kind === "intent" && correlation !== undefined && correlation !== event_id
        ? "an intent's correlation is its own id"
        : event_hash !== undefined && hashOf(entry) !== event_hash
          ? "another event_hash"
          : undefined;
  if (wrong !== undefined) throw new PublicError("contract.invalid", { event_id }, { why: wrong });
}

/** Lower-case hex SHA-256 of the canonical form of what was sent, but for the hash itself. */
function hashOf({ event_hash: _given, ...sent }: AuditEntry): string {
  return hex(sha256(utf8.encode(jcs(JSON.stringify(sent)))));
}

/** Hashed events. @throws `audit.append_too_large` */
async function stamped(c: AppContext, entries: readonly AuditEntry[]): Promise<Entry[]> {
  const evaluation = evaluationOf(c);
  const facts = evaluation.decided.request!;
  const base = await envelope(c, evaluation.asker.config, principalOf(facts));
  const sealed = entries.map((entry) => {
    const { event_hash: _checked, ...said } = entry;
    const correlation = said.kind === "intent" ? { correlation: said.event_id } : {};
    const draft: Draft = { ...base, ...evidenceOf(facts), ...said, ...correlation };
    try {
      return entryOf(draft);
    } catch (error) {
      if (!(error instanceof TalosError) || error.code !== "LIMIT_EXCEEDED") throw error;
      throw new PublicError("audit.append_too_large", { event_id: said.event_id });
    }
  });
  const bytes = sealed.reduce((sum, { body }) => sum + utf8.encode(body).length, 0);
  if (bytes > LIMITS.audit_batch_bytes) throw new TalosError("audit.append_too_large", { bytes });
  return sealed;
}

/** What of the entries speaks of events that are not among them. */
function spokenOf(entries: readonly AuditEntry[]): string[] {
  const own = new Set(entries.map(({ event_id }) => event_id));
  return [...new Set(entries.flatMap(({ correlation }) => correlation ?? []))].filter((id) => !own.has(id));
}

/**
 * A service may go on with its own events only: an outcome that it tells of somebody else's call would close that call.
 * @throws `contract.invalid`
 */
function checkCorrelations(c: AppContext, entries: readonly AuditEntry[], known: Record<string, LoggedEvent>): void {
  const foreign = new Set(spokenOf(entries).filter((id) => known[id] === undefined || !isOwn(c, known[id])));
  const wrong = entries.find(({ correlation }) => correlation !== undefined && foreign.has(correlation));
  if (wrong !== undefined)
    throw new PublicError("contract.invalid", { event_id: wrong.event_id }, { why: "correlation" });
}

/** Whether it was appended here, by the same principal. */
function isOwn(c: AppContext, { body }: LoggedEvent): boolean {
  const { surface_id, principal } = JSON.parse(body) as AuditEventV2;
  return surface_id === SURFACE && principal.did === c.get("facts").sub;
}

/** The receipt of what is there already. @throws `audit.event_conflict` */
async function repeated(c: AppContext, entry: Entry, there: LoggedEvent): Promise<AppendReceipt> {
  const { event_id } = entry;
  if (isOwn(c, there) && said(entry.body) === said(there.body))
    return { event_id, seq: there.seq, ...(there.promise === undefined ? {} : { promise: there.promise }) };
  try {
    await append(evaluationOf(c).asker, [entry], 0); // refused, and told of in the record: somebody said something else
  } catch (error) {
    if (!(error instanceof TalosError) || error.code !== "audit.event_conflict") throw error;
  }
  throw new PublicError("audit.event_conflict", { event_id });
}

const STAMPED = new Set<string>([
  ...["schema_id", "schema_version", "tenant", "request_id", "surface_id", "principal", "http", "capability", "proof"],
  "event_hash",
]);

/** The service's word in a leaf, whose members are in order. */
function said(body: string): string {
  return JSON.stringify(Object.entries(JSON.parse(body) as object).filter(([name]) => !STAMPED.has(name)));
}

async function knownTo(c: AppContext, ids: string[]): Promise<Record<string, LoggedEvent>> {
  const { asker } = evaluationOf(c);
  const log = asker.env.AUDIT_LOGS.getByName(asker.tenant);
  try {
    return await within((async (): Promise<Record<string, LoggedEvent>> => log.known(ids))());
  } catch (cause) {
    throw new TalosError("audit.unavailable", { tenant: asker.tenant }, { cause });
  }
}
