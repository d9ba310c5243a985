/**
 * Events that the log writes itself, about events of others: an intent that nobody closed, an id that was used twice.
 * Their ids follow from what they are about, so that none is written twice. Source: contracts/spec/audit.md#order, #append.
 */
import type { AuditEventV2 } from "@talos/contracts";
import { CORE_HASH, eventHash, jcs, leafHash, type SealedEvent } from "@talos/core";
import { derivedId } from "./derived-id.ts";

/** Id of the event that closes an intent whose outcome nobody recorded. */
export const closingId = (intent: string): string => derivedId("talos-unknown-1", intent);

/** Id of the event that tells of an id used twice. */
export const alarmId = (eventId: string): string => derivedId("talos-conflict-1", eventId);

type Kept = Pick<
  AuditEventV2,
  | "tenant"
  | "request_id"
  | "surface_id"
  | "audit_action"
  | "principal"
  | "on_behalf"
  | "http"
  | "resource"
  | "capability"
>;

/**
 * An event of the log's own, whole. Its surface may be one that this version does not have (events come from others too,
 * and stay for years), so no allow-list is asked: whoever calls puts nothing of others into `meta`.
 */
export function sealOwn(event: Omit<AuditEventV2, "event_hash">): SealedEvent {
  const event_hash = eventHash(JSON.stringify(event));
  const body = jcs(JSON.stringify({ ...event, event_hash }));
  return { event_id: event.event_id, body, event_hash, leaf_hash: leafHash(body) };
}

/** What an event about another one takes over from it: who asked for what, where. */
function keep(event: AuditEventV2): Kept {
  const { tenant, request_id, surface_id, audit_action, principal, on_behalf, http, resource, capability } = event;
  const whole = { tenant, request_id, surface_id, audit_action, principal };
  const some = { on_behalf, http: http && { method: http.method, path: http.path }, resource, capability };
  return Object.assign(whole, Object.fromEntries(Object.entries(some).filter(([, value]) => value !== undefined)));
}

const head = (nowMs: number) =>
  ({ schema_id: "talos.audit_event", schema_version: "v2", ts: new Date(nowMs).toISOString() }) as const;

/** @param intent the leaf of the intent; @param event_id the event's own id */
export function closingEvent(intent: string, event_id: string, nowMs: number): SealedEvent {
  const of = JSON.parse(intent) as AuditEventV2;
  const event: Omit<AuditEventV2, "event_hash"> = {
    ...keep(of),
    ...head(nowMs),
    ...{ event_id, kind: "outcome", correlation: of.event_id, outcome: "failure", meta: {} },
    effect: { ...of.effect, state: "unknown", code: "outcome.unknown" },
  };
  return sealOwn(event);
}

/** @param body the leaf of either of the two events that have one id */
export function alarmEvent(body: string, nowMs: number): SealedEvent {
  const of = JSON.parse(body) as AuditEventV2;
  const event: Omit<AuditEventV2, "event_hash"> = {
    ...keep(of),
    ...head(nowMs),
    ...{ event_id: alarmId(of.event_id), kind: "decision", correlation: of.event_id, outcome: "denied", meta: {} },
    decision: {
      ...{ allow: false, code: "audit.event_conflict", field: "event_id" },
      ...{ policy_version: 0, policy_hash: "", rev_seq: 0, core_hash: CORE_HASH },
    },
  };
  return sealOwn(event);
}

/** Whether two outcomes tell of one answer, recorded twice by isolates that did not know of each other. */
export function sameAnswer(one: string, other: string): boolean {
  const [a, b] = [one, other].map((body) => JSON.parse(body) as AuditEventV2) as [AuditEventV2, AuditEventV2];
  if (a.kind !== "outcome" || b.kind !== "outcome" || a.commitments?.result === undefined) return false;
  return (
    a.correlation === b.correlation &&
    a.effect?.state === b.effect?.state &&
    a.commitments.result === b.commitments?.result
  );
}
