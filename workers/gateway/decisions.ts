/**
 * Decisions on request: a holder asks about its own call, one or a batch; `authorize` also takes a third party's
 * question (third-party.ts). Source: contracts/spec/gateway.md#authorize.
 */
import { type Decision, ERRORS } from "@talos/contracts";
import { CORE_HASH, jcs, jwsSignNative, ReadFacts, type RequestFacts } from "@talos/core";
import { jsonAnswer } from "../shared/answer.ts";
import type { AppContext } from "../shared/ports.ts";
import { readBody, requireMediaType } from "../shared/request.ts";
import { decide, type Evaluation, partsOf, refusal, release } from "./authorize.ts";
import { decisionEntry, recordDecision } from "./decision-entry.ts";
import { append, buffer, type Entry } from "./record.ts";
import { decideInner, outsider } from "./third-party.ts";

/** Codes of steps 1 to 8: those are failures of the request, not answers about the call (capability.md#decision). */
const BEFORE_NINE = new Set<string>([
  "NO_CAPABILITY",
  "MALFORMED",
  "DELEGATION_INVALID",
  "SIGNATURE_INVALID",
  "REPLAY",
  "UNTRUSTED_ISSUER",
  "AUDIENCE_MISMATCH",
  "NOT_YET_VALID",
  "EXPIRED",
  "REVOKED",
  "REVOCATION_STALE",
  "LIMIT_EXCEEDED",
  "PROOF_INVALID",
]);

async function decided(c: AppContext, surface: "authorize" | "authorize.batch"): Promise<Evaluation> {
  requireMediaType(c.req.raw, "application/json");
  const body = await readBody(c.req.raw);
  const evaluation = await decide(c, partsOf(c, surface, body, c.get("tenant")));
  c.set("tool_class", evaluation.decided.request!.class);
  return evaluation;
}

/** Whether the body, which the core has read and accepted, is a third party's. */
function asksForAnother({ parts, decided: { decision, request } }: Evaluation): boolean {
  // An allowed question of a third party has inner decisions, and then the core gives no short facts.
  if (decision.allow && request instanceof ReadFacts) return false;
  return Object.hasOwn(JSON.parse(jcs(parts.body)) as object, "context");
}

/** `authorize`: one call, about oneself or, with `context.talos`, about another. */
export async function authorizeOne(c: AppContext): Promise<Response> {
  const evaluation = await decided(c, "authorize");
  try {
    const { decision, request, inner } = evaluation.decided;
    const facts = request!;
    if (asksForAnother(evaluation)) {
      if (!decision.allow) return await refuse(c, evaluation); // its own right to ask comes first
      const [own] = await decideInner(c, evaluation, inner ?? [], "whole");
      const said = outsider(own!.decision);
      if (!facts.receipt || own!.facts === undefined) {
        buffer(evaluation.asker, own!.event);
        return answer(c, evaluation, said);
      }
      return await withReceipt(c, evaluation, { ...own!.facts, request_hash: facts.request_hash }, said, own!.event);
    }
    if (!decision.allow && BEFORE_NINE.has(decision.code)) return await refuse(c, evaluation);
    const { receipt } = facts;
    const event = await decisionEntry(c, evaluation, { decision, facts, status: 200, meta: { receipt } });
    if (!receipt) {
      buffer(evaluation.asker, event);
      return answer(c, evaluation, decision);
    }
    return await withReceipt(c, evaluation, facts, decision, event);
  } finally {
    release(evaluation);
  }
}

/** `authorize.batch`: up to 32 calls about oneself under one proof. */
export async function authorizeBatch(c: AppContext): Promise<Response> {
  const evaluation = await decided(c, "authorize.batch");
  try {
    const { decision, request } = evaluation.decided;
    const facts = request!;
    const { decisions } = facts;
    if (decisions === undefined) return await refuse(c, evaluation);
    if (!decision.allow && BEFORE_NINE.has(decision.code) && decisions.length === 0) return await refuse(c, evaluation);
    for (const [i, one] of decisions.entries()) {
      const meta = { items: decisions.length };
      await recordDecision(c, evaluation, { decision: one, facts, status: 200, need: facts.needs[i], meta });
    }
    return jsonAnswer(c, { decisions, ...standing(c, evaluation) });
  } finally {
    release(evaluation);
  }
}

/** Record the denial, then answer it. */
export async function refuse(c: AppContext, evaluation: Evaluation): Promise<never> {
  const { decision, request } = evaluation.decided;
  const failure = refusal(decision, !BEFORE_NINE.has(decision.code) || decision.code === "PROOF_INVALID");
  await recordDecision(c, evaluation, { decision, facts: request!, status: ERRORS[failure.code].status });
  throw failure;
}

const standing = (c: AppContext, { generation }: Evaluation) => ({
  policy_version: generation.head.policy_version,
  rev_seq: generation.head.rev_seq,
  request_id: c.get("request_id"),
});

function answer(c: AppContext, evaluation: Evaluation, decision: Decision, receipt?: string): Response {
  return jsonAnswer(c, { decision, ...standing(c, evaluation), ...(receipt === undefined ? {} : { receipt }) });
}

/** The event durable first, then the receipt that names it. */
async function withReceipt(
  c: AppContext,
  evaluation: Evaluation,
  facts: RequestFacts,
  decision: Decision,
  event: Entry,
): Promise<Response> {
  const { promises } = await append(evaluation.asker, [event], 1);
  c.set("promise", promises[0]!);
  return answer(c, evaluation, decision, await receiptOf(evaluation, facts, decision, event.event_id));
}

/** What anyone with the inputs can run again. Source: contracts/spec/audit.md#receipt. */
function receiptOf(evaluation: Evaluation, facts: RequestFacts, decision: Decision, eventId: string): Promise<string> {
  const { generation, asker } = evaluation;
  const { kid, key } = asker.config.receipt;
  const payload = {
    allow: decision.allow,
    code: decision.code,
    core: CORE_HASH,
    event_id: eventId,
    links: facts.links,
    policy_hash: generation.head.policy_hash,
    policy_version: generation.head.policy_version,
    proof_hash: facts.proof_hash,
    request_hash: facts.request_hash,
    rev_as_of_ms: generation.asOfMs,
    rev_seq: generation.head.rev_seq,
    tenant: asker.tenant,
    time_ms: Date.now(),
  };
  return jwsSignNative({ seed: key, typ: "talos-receipt+jwt", kid, payload });
}
