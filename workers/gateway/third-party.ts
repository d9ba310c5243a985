/**
 * Questions of a third party that enforces for itself: its own grant was decided as the outer request; here every
 * inner call is admitted at its own chain's gate and recorded as the third party's claim.
 * Source: contracts/spec/gateway.md#authorize.
 */
import { type Decision, type EvaluationResponse, TalosError } from "@talos/contracts";
import type { InnerDecision, RequestFacts } from "@talos/core";
import { PublicError } from "../shared/errors.ts";
import type { AppContext } from "../shared/ports.ts";
import { admit } from "./admission.ts";
import { type Evaluation, evaluationOf } from "./authorize.ts";
import { decisionEntry } from "./decision-entry.ts";
import { buffer, type Entry } from "./record.ts";

/** `authzen.evaluation`: behind the grant, which the surface's middleware has decided. */
export async function evaluation(c: AppContext): Promise<Response> {
  const outer = evaluationOf(c);
  const [own] = await decideInner(c, outer, innerOf(outer), "whole");
  buffer(outer.asker, own!.event);
  return c.json(authzen(c, own!.decision));
}

/** `authzen.evaluations`: the same, many. */
export async function evaluations(c: AppContext): Promise<Response> {
  const outer = evaluationOf(c);
  const all = await decideInner(c, outer, innerOf(outer), "item");
  for (const { event } of all) buffer(outer.asker, event);
  return c.json({ evaluations: all.map(({ decision }) => authzen(c, decision)) });
}

function innerOf(outer: Evaluation): InnerDecision[] {
  const { inner } = outer.decided;
  if (inner === undefined || inner.length === 0) throw new TalosError("internal", { why: "no inner decision" });
  return inner;
}

const authzen = (c: AppContext, decision: Decision): EvaluationResponse => ({
  decision: decision.allow,
  context: { code: decision.code, request_id: c.get("request_id") },
});

/** What an outsider may know of another's decision: yes or no, and the code. */
export const outsider = ({ allow, code }: Decision): Decision => ({ allow, code });

export interface InnerOutcome {
  decision: Decision;
  /** of the inner caller, once authenticated */
  facts?: RequestFacts;
  event: Entry;
}

/**
 * Consume each inner nonce at its own gate and debit its bucket.
 * @param refusals `whole`: a gate's refusal answers the request, and the third party learns when to ask again;
 *   `item`: it is that item's decision
 */
export async function decideInner(
  c: AppContext,
  outer: Evaluation,
  inner: InnerDecision[],
  refusals: "whole" | "item",
): Promise<InnerOutcome[]> {
  const outcomes: InnerOutcome[] = [];
  for (const { decision, request } of inner) {
    const refused = request === undefined ? undefined : await admitInner(outer, request, refusals);
    const said: Decision = refused === undefined ? decision : { allow: false, code: refused };
    const event = await innerEvent(c, outer, said, request, inner.length);
    outcomes.push({ decision: said, event, ...(request === undefined ? {} : { facts: request }) });
  }
  return outcomes;
}

/** @returns the code that the gate refused with, as a decision's */
async function admitInner(
  outer: Evaluation,
  facts: RequestFacts,
  refusals: "whole" | "item",
): Promise<Decision["code"] | undefined> {
  try {
    await admit(outer.asker, outer.generation.policy, facts);
    return undefined;
  } catch (error) {
    if (!(error instanceof PublicError)) throw error;
    const { code } = error;
    if (code === "REPLAY" || code === "PROOF_INVALID" || code === "LIMIT_EXCEEDED") return code;
    if (refusals === "whole") throw error;
    return "LIMIT_EXCEEDED"; // AuthZEN's items know decisions only
  }
}

async function innerEvent(
  c: AppContext,
  outer: Evaluation,
  decision: Decision,
  facts: RequestFacts | undefined,
  items: number,
): Promise<Entry> {
  const meta = { third_party: true, ...(items > 1 ? { items } : {}) };
  const base = { decision, facts: outer.decided.request!, status: 200, need: facts?.needs[0], meta };
  if (facts === undefined) return decisionEntry(c, outer, base);
  const { sub: did, jkt, root_sub, root_link } = facts;
  return decisionEntry(c, outer, { ...base, on_behalf: { did, jkt, root_sub, root_link } });
}
