/**
 * What an attempt means: its entry in the delivery log, and what becomes of the cursor, the dead letters and the breaker.
 * Everything is written into the rows and the state that are handed in; the caller's transaction makes it one change.
 * Source: contracts/spec/webhooks.md.
 */
import { LIMITS, type SinkAttempt, type SinkDeadLetter } from "@talos/contracts";
import type { LogRow } from "./log-rows.ts";
import type { Leaf } from "./sink-event.ts";
import { breakerMs, pauseMs } from "./sink-schedule.ts";
import type { SinkState, SinkStore } from "./sink-store.ts";
import type { Posted } from "./sink-types.ts";

/** What there is to send, and where it stands. */
export interface Next {
  row: LogRow;
  leaf: Leaf;
  /** of a dead letter: attempts so far */
  letter?: number;
}

/** Where the sink goes from an attempt: `on` in the log, to this event `again`, or nowhere, with the reason. */
export type Come = "on" | "again" | NonNullable<SinkState["reason"]>;

export function clearFailures(state: SinkState): void {
  state.failures = 0;
  delete state.failing_since_ms;
  delete state.breaker_until_ms;
  delete state.next_attempt_ms;
}

/** Enter an attempt into the delivery log and the counts. */
export function note(
  store: SinkStore,
  state: SinkState,
  facts: Pick<SinkAttempt, "what" | "seq" | "webhook_id" | "attempt">,
  posted: Posted,
  unanswered = false,
): SinkAttempt {
  const taken = posted.ok && posted.status >= 200 && posted.status < 300;
  const ok = taken && !unanswered;
  const code = taken ? ("challenge" as const) : posted.ok ? ("status" as const) : posted.code;
  const time_ms = Date.now();
  const attempt = store.log(state, {
    ...{ time_ms, ...facts, ok, duration_ms: Math.min(Math.max(0, posted.ms), 600_000) },
    ...(posted.status === undefined ? {} : { status: posted.status }),
    ...(ok ? {} : { code }),
  });
  if (facts.what !== "event") return attempt; // a test says nothing about the order of things
  if (ok) {
    clearFailures(state);
    state.last_success_ms = time_ms;
  } else {
    state.failures += 1;
    state.failing_since_ms ??= time_ms;
  }
  return attempt;
}

/** What an attempt to send `next` means for the cursor, the dead letters and the breaker. */
export function settle(store: SinkStore, state: SinkState, next: Next, made: SinkAttempt, posted: Posted): Come {
  const { letter } = next;
  const { seq } = next.row;
  if (made.ok) {
    if (letter !== undefined) store.unbury(seq);
    return goOn(state, next);
  }
  if (made.status === 410) return "gone";
  let come: Come = "again";
  if (letter !== undefined) {
    bury(store, next, made); // asked for once, tried once
  } else {
    const retryAfter = posted.ok ? posted.retry_after_s : undefined;
    const pause = pauseMs(made.attempt, retryAfter, random());
    if (pause !== null) {
      Object.assign(state, { attempts: made.attempt, next_attempt_ms: made.time_ms + pause });
    } else {
      if (store.deadCount() >= LIMITS.sink_dead_letters) return "dead_letters_full";
      bury(store, next, made);
      come = goOn(state, next);
    }
  }
  const open = breakerMs(state.failures);
  if (open > 0) state.breaker_until_ms = made.time_ms + open;
  const failingMs = made.time_ms - (state.failing_since_ms ?? made.time_ms);
  return failingMs > LIMITS.sink_give_up_seconds * 1_000 ? "failing" : come;
}

/** The event is done with. A dead letter stands behind the cursor already. */
function goOn(state: SinkState, { row: { seq }, letter }: Next): Come {
  if (letter !== undefined) return "again";
  Object.assign(state, { cursor: seq + 1, prev: seq, attempts: 0 });
  delete state.next_attempt_ms;
  return "on";
}

function bury(store: SinkStore, { row, leaf }: Next, { attempt, time_ms, status, code }: SinkAttempt): void {
  const kind = (leaf.kind ?? "decision") as SinkDeadLetter["kind"];
  store.bury({
    ...{ seq: row.seq, event_id: row.event_id, kind, time_ms, attempts: attempt },
    ...(status === undefined ? {} : { status }),
    ...(code ? { code } : {}),
  });
}

const random = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
