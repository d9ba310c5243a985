/**
 * The record held against what callers were told and what tools did, after any failure: nothing that was acknowledged
 * is missing, nothing happened without its intent, nothing was shown without its outcome.
 * Source: contracts/spec/audit.md#order, #promise.
 */
import type { Leaf, Ledger } from "./ledger.ts";
import type { Shot } from "./load.ts";
import { type Keys, promised, verified } from "./signatures.ts";
import type { Tools } from "./tools.ts";

/** The code of an answer, wherever its protocol has it. */
export const codeOf = ({ body }: Shot): string => /"code":"([a-zA-Z._]+)"/.exec(body)?.[1] ?? body.slice(0, 80);

/** Answers after which an intent may stand alone: its own fate, or its outcome's, could not be learned in time. */
const OPEN = ["audit.unavailable", "outcome.unrecorded"];
/** Answers that say that nothing left for the tool. */
const UNSENT = ["admission.unavailable", "head.unavailable", "head.inconsistent", "REVOCATION_STALE", "REPLAY"];

/** What is half done or lost, one line each; empty when all is as promised. */
export function breaches(ledger: Ledger, shots: readonly Shot[], tools: Tools, keys: Keys): string[] {
  const intents = new Map<string, Leaf>();
  const finals = new Map<string, Leaf>();
  const ended = new Set<string>();
  const found: string[] = [];
  for (const leaf of ledger.leaves) {
    const { kind, correlation, meta, commitments } = leaf.event;
    if (kind === "intent") intents.set(JSON.parse(String(meta.mcp_id)) as string, leaf);
    if (kind !== "outcome") continue;
    const of = ledger.byId.get(correlation!);
    if (of === undefined || of.seq >= leaf.seq) found.push(`the outcome at ${leaf.seq} has no intent before it`);
    ended.add(correlation!);
    if (commitments?.result === undefined) continue;
    if (finals.has(correlation!)) found.push(`the intent ${correlation} has two final outcomes`);
    finals.set(correlation!, leaf);
  }
  for (const shot of shots) found.push(...ofShot(shot, ledger, finals, keys));
  const acted = new Set<string>();
  for (const n of tools.acts) {
    if (acted.has(n)) found.push(`${n} had its effect twice`);
    acted.add(n);
    if (!intents.has(n)) found.push(`${n} had an effect without an intent`);
  }
  const byN = new Map(shots.map((shot) => [shot.n, shot]));
  for (const [n, intent] of intents) {
    const shot = byN.get(n);
    if (ended.has(intent.event_id) || shot === undefined || shot.status === "lost") continue;
    if (!OPEN.includes(codeOf(shot))) found.push(`${n} was answered ${shot.status} ${codeOf(shot)} and has no outcome`);
  }
  for (const shot of shots) {
    if (shot.status === "lost" || shot.status === 200) continue;
    const unsent = UNSENT.includes(codeOf(shot)) || (codeOf(shot) === "audit.unavailable" && shot.kind === "write");
    if (unsent && tools.arguments.has(shot.n))
      found.push(`${shot.n} was refused (${codeOf(shot)}) and reached its tool`);
  }
  return found;
}

function ofShot(shot: Shot, ledger: Ledger, finals: Map<string, Leaf>, keys: Keys): string[] {
  const { n, kind, status, intent, promise, receipt, body } = shot;
  const found: string[] = [];
  if (promise !== undefined) {
    const { event_id, seq, leaf } = promised(promise, keys);
    const there = ledger.byId.get(event_id);
    if (there?.seq !== seq || there.leaf !== leaf) found.push(`${n}: the promised event is not in its place`);
  }
  if (receipt !== undefined) {
    const { event_id } = verified<{ event_id: string }>(receipt, "talos-receipt+jwt", keys);
    if (!ledger.byId.has(event_id)) found.push(`${n}: the receipt's event is not in the log`);
  }
  const shown = body.includes(`look ${n}`) || body.includes(`act ${n}`);
  if (kind !== "receipt" && shown && (intent === undefined || !finals.has(intent))) {
    found.push(`${n}: its tool's answer was shown without an outcome`);
  }
  if (status === 200 && kind !== "receipt" && promise === undefined) found.push(`${n}: answered without a promise`);
  return found;
}
