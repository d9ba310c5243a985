/**
 * The text of one write-ahead row: a line for each event, `<event id> <leaf hash> <body>`. A body is canonical JSON,
 * which escapes control characters, so it holds no line feed, and is stored byte for byte without another escaping.
 * Pure. Source: contracts/spec/audit.md.
 */
import { type AuditPromise, LIMITS } from "@talos/contracts";
import type { AppendAsk, AppendEvent } from "./types.ts";

export interface Entry {
  event_id: string;
  /** base64url, RFC 6962 */
  leaf_hash: string;
  body: string;
}

/** What a batch row says about all of its events. A promise is made of nothing else, so it can be repeated exactly. */
export interface BatchFacts {
  first_seq: number;
  time_ms: number;
  max_delay_seconds: number;
  kid: string;
}

export function encodeBatch(entries: readonly Entry[]): string {
  return entries.map(({ event_id, leaf_hash, body }) => `${event_id} ${leaf_hash} ${body}`).join("\n");
}

export function decodeBatch(text: string): Entry[] {
  return text.split("\n").map((line) => {
    const first = line.indexOf(" ");
    const second = line.indexOf(" ", first + 1);
    return { event_id: line.slice(0, first), leaf_hash: line.slice(first + 1, second), body: line.slice(second + 1) };
  });
}

/** An event as the log takes it: nothing of it is believed before `checked` has looked. */
export type Offered = Entry & Pick<AppendEvent, "sealed">;

/** A line is two fields of fixed width and a body, so a text beyond this holds too many events, or too large ones. */
const TEXT_CHARACTERS = LIMITS.audit_batch_bytes + LIMITS.audit_batch_events * 128;

/** The events of an ask, or none where the text is longer than any that may be appended. */
export function offeredBy({ events }: Pick<AppendAsk, "events">): readonly Offered[] | undefined {
  if (typeof events !== "string") return events;
  return events.length > TEXT_CHARACTERS ? undefined : decodeBatch(events);
}

/** The payload of the promise for the event at `seq`. Source: contracts/spec/audit.md#promise. */
export function promisePayload(log: string, facts: BatchFacts, seq: number, entry: Omit<Entry, "body">): AuditPromise {
  const { time_ms, max_delay_seconds } = facts;
  return { event_id: entry.event_id, leaf: entry.leaf_hash, log, max_delay_seconds, seq, time_ms };
}
