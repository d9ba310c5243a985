/**
 * Intent and outcome of a call. The final outcome's id and salt follow from the intent, so whoever records the same
 * answer again (a resumed stream in another isolate) gets the first promise, and another answer is a conflict.
 * Source: contracts/spec/audit.md#order, #commitments.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { commitment, jcs, type RequestFacts } from "@talos/core";
import type { ValueName } from "../../../durable-objects/vault-types.ts";
import { derivedId } from "../../../durable-objects/derived-id.ts";
import { named } from "../../shared/errors.ts";
import type { AppContext } from "../../shared/ports.ts";
import { newId, randomBytes } from "../../shared/request.ts";
import type { Asker } from "../asker.ts";
import { within } from "../deadline.ts";
import type { Evaluation } from "../authorize.ts";
import { decisionOf, type Draft, envelope, evidenceOf, type Meta, principalOf, resourceOf } from "../events.ts";
import { append, type Entry, entryOf } from "../record.ts";
import { keeps, keepValue, sealedSalt } from "../values.ts";

const encoder = new TextEncoder();
/** An object that was moved or restarted answers again within this. */
const SECOND_TRY_MS = 100;

/** Id of the one final outcome of an intent. */
export const finalOutcomeId = (intent: string): string => derivedId("talos-outcome-1", intent);

/** What is committed to, and kept: a value's canonical form, or its bytes where it has none. */
export function committedBytes(text: string): Uint8Array {
  let canonical = text;
  try {
    canonical = jcs(text);
  } catch (error) {
    if (!(error instanceof TalosError)) throw error; // MALFORMED: integers beyond 2^53, duplicate members deep inside
  }
  return encoder.encode(canonical);
}

/** Add an event's one commitment, with its salt for the vault and, where the policy keeps it, the value. */
async function committed(
  record: CallRecord,
  name: ValueName,
  salt: Uint8Array,
  text: string,
  draft: Draft,
): Promise<Entry> {
  const { asker } = record.evaluation;
  const bytes = committedBytes(text);
  const kept = keeps(record.keep, name);
  const entry = entryOf({ ...draft, commitments: { [name]: commitment(salt, bytes) } });
  const sealed = await sealedSalt(asker, draft, { name, salt, kept });
  if (sealed === undefined) return entry;
  return { ...entry, sealed, ...(kept ? { value: { subject: sealed.subject, name, bytes } } : {}) };
}

/** What is known of a call when its intent is written. */
export interface CallRecord {
  c: AppContext;
  evaluation: Evaluation;
  server: string;
  intent: string;
  started_ms: number;
  /** of the result */
  salt: Uint8Array;
  /** what of the call the policy keeps */
  keep: RequestFacts["keep"];
  meta: Meta;
  /** a read's intent that was not sent to the log yet: it goes with the outcome, or before the first byte is shown */
  pending?: Entry;
  /** why the intent is not durable; nothing of the call may be shown then */
  unrecorded?: TalosError;
}

async function shared(record: CallRecord): Promise<Omit<Draft, "kind" | "event_id">> {
  const facts = record.evaluation.decided.request!;
  const base = await envelope(record.c, record.evaluation.asker.config, principalOf(facts));
  return {
    ...base,
    correlation: record.intent,
    resource: resourceOf(record.c.get("surface"), facts.needs[0]),
    ...evidenceOf(facts),
    meta: record.meta,
  };
}

/** The intent of a call, to be made durable by {@link recordIntent} or with the outcome. */
export async function intentOf(record: CallRecord): Promise<Entry> {
  const argsSalt = randomBytes(LIMITS.commitment_salt_bytes);
  const { evaluation, server, intent } = record;
  const { decided } = evaluation;
  const args = decided.request!.args_json;
  const draft: Draft = {
    ...(await shared(record)),
    event_id: intent,
    kind: "intent",
    decision: decisionOf(decided.decision, evaluation),
    effect: { state: "attempted", server },
  };
  return args === undefined ? entryOf(draft) : committed(record, "args", argsSalt, args, draft);
}

/**
 * Make the intent durable, alone.
 * @throws `audit.unavailable`: nothing may be sent, or nothing shown
 */
export async function recordIntent(record: CallRecord, intent: Entry): Promise<void> {
  try {
    const { promises } = await append(record.evaluation.asker, [intent], 1);
    intended(record, promises[0]!);
  } catch (error) {
    record.unrecorded = named(error);
    throw error;
  }
}

/** The intent is durable: the answer says so. */
function intended(record: CallRecord, promise: string): void {
  delete record.pending;
  record.c.set("intent_id", record.intent);
  record.c.set("promise", promise);
}

/**
 * Make a pending intent durable together with the outcome, which halves what a read waits for.
 * @returns whether both are; if not, the intent alone is, and the outcome is still to be recorded
 * @throws `audit.unavailable` and what the log says of the intent: nothing may be shown
 */
async function recordBoth(record: CallRecord, intent: Entry, outcome: Entry): Promise<boolean> {
  try {
    const { promises } = await append(record.evaluation.asker, [intent, outcome], 1);
    intended(record, promises[0]!);
    return true;
  } catch (error) {
    if (!(error instanceof TalosError)) throw error;
    if (error.code === "audit.unavailable") await scheduler.wait(SECOND_TRY_MS);
  }
  // One after the other: what the caller is told depends on which of them cannot be recorded.
  await recordIntent(record, intent);
  return false;
}

export interface Ending {
  state: "confirmed" | "failed" | "unknown" | "not_dispatched";
  /** our code, when it did not end with an answer */
  code?: string;
  upstream_status?: number;
  /** HTTP status that the caller gets */
  status?: number;
  /** JSON text of the answer's `result` or `error` */
  result?: string;
  meta?: Meta;
}

/**
 * Make the outcome durable, and before it the intent where that is pending. With a result it is the final one; without,
 * a later answer may still follow it.
 * @throws what the log says when it cannot be asked, or has another final outcome; `record.unrecorded` is set when it
 *   is the intent that is not durable
 */
export async function recordOutcome(record: CallRecord, ending: Ending): Promise<void> {
  if (record.unrecorded !== undefined) throw record.unrecorded;
  const { evaluation, server, intent, salt } = record;
  const { result } = ending;
  const base = await shared(record);
  const draft: Draft = {
    ...base,
    event_id: result === undefined ? newId(Date.now()) : finalOutcomeId(intent),
    kind: "outcome",
    outcome: ending.state === "confirmed" ? "success" : "failure",
    http: { ...base.http!, ...(ending.status === undefined ? {} : { status_code: ending.status }) },
    effect: {
      state: ending.state,
      server,
      ...(ending.code === undefined ? {} : { code: ending.code }),
      ...(ending.upstream_status === undefined ? {} : { upstream_status: ending.upstream_status }),
    },
    meta: { ...record.meta, ...ending.meta, duration_ms: Math.max(0, Date.now() - record.started_ms) },
  };
  const entry = result === undefined ? entryOf(draft) : await committed(record, "result", salt, result, draft);
  if (record.pending !== undefined && (await recordBoth(record, record.pending, entry))) return;
  try {
    await appendTwice(evaluation.asker, entry);
  } catch (cause) {
    if (await alreadyRecorded(evaluation, JSON.parse(entry.body) as Draft, cause)) {
      // Whoever recorded it may have died before it handed the value over.
      if (entry.value !== undefined) keepValue(evaluation.asker, entry, entry.value);
      return;
    }
    throw cause;
  }
}

/** The call has been made, so its outcome gets a second try; the same event again is one event. */
async function appendTwice(asker: Asker, entry: Entry): Promise<void> {
  try {
    await append(asker, [entry], 0);
  } catch (error) {
    if (!(error instanceof TalosError) || error.code !== "audit.unavailable") throw error;
    await scheduler.wait(SECOND_TRY_MS);
    await append(asker, [entry], 0);
  }
}

/** Whether the conflict is about the same answer, recorded before: then its outcome is durable already. */
async function alreadyRecorded(evaluation: Evaluation, draft: Draft, cause: unknown): Promise<boolean> {
  if (!(cause instanceof TalosError) || cause.code !== "audit.event_conflict") return false;
  const { env, tenant } = evaluation.asker;
  const kept = await within(Promise.resolve(env.AUDIT_LOGS.getByName(tenant).get(draft.event_id)));
  if (kept === null) return false;
  const first = JSON.parse(kept.body) as Draft;
  return (
    first.correlation === draft.correlation &&
    first.effect?.state === draft.effect?.state && // the same text may be a result once and an error then
    first.commitments?.result === draft.commitments?.result
  );
}

/** What the caller of a call is told whose outcome is not durable: nobody could write it, or it came after its record was closed. */
export const unrecordedCode = (cause: unknown): "outcome.unrecorded" | "outcome.late" =>
  cause instanceof TalosError && cause.code === "outcome.late" ? cause.code : "outcome.unrecorded";
