/** What a delivery says: CloudEvents 1.0, structured JSON. Pure. Source: contracts/spec/webhooks.md#delivery. */
import type { LogRow } from "./log-rows.ts";

/** What a sink reads of a leaf. */
export interface Leaf {
  kind?: string;
  schema_version?: string;
  ts?: string;
}

export const leafOf = (row: LogRow): Leaf => JSON.parse(row.body) as Leaf;

/** Whether a sink of these kinds delivers it; all kinds when none is named. */
export const selects = (kinds: readonly string[], leaf: Leaf): boolean =>
  kinds.length === 0 || kinds.includes(leaf.kind ?? "");

/**
 * The body for an event. The leaf goes in as it stands in the log, so that `leafhash` is over these very bytes.
 * @param prev place of the event that was selected before; what lies between was not selected
 */
export function eventBody(source: string, row: LogRow, leaf: Leaf, prev: number | undefined): string {
  const head = {
    ...envelope(source, row.event_id, `dev.talos.audit.${leaf.kind ?? "event"}.${leaf.schema_version ?? "v2"}`),
    ...(leaf.ts === undefined ? {} : { time: leaf.ts }),
    logindex: String(row.seq),
    leafhash: row.leaf_hash,
    ...(prev === undefined ? {} : { previndex: String(prev) }),
  };
  return withData(head, row.body);
}

/** The body of a delivery that carries no event. */
export function ownBody(source: string, id: string, what: "test" | "challenge", nowMs: number, data: object): string {
  const head = { ...envelope(source, id, `dev.talos.sink.${what}.v1`), time: new Date(nowMs).toISOString() };
  return withData(head, JSON.stringify(data));
}

const envelope = (source: string, id: string, type: string) => ({
  ...{ specversion: "1.0", id, source, type },
  datacontenttype: "application/json",
});

const withData = (head: object, json: string): string => `${JSON.stringify(head).slice(0, -1)},"data":${json}}`;
