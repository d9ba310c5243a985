/** Refusals on MCP surfaces after the caller was authenticated: recorded, then answered. */
import { ERRORS, type TalosError } from "@talos/contracts";
import { RPC, withRpcNumber } from "../../shared/errors.ts";
import type { AppContext } from "../../shared/ports.ts";
import { type Evaluation, refusal, release } from "../authorize.ts";
import { recordDecision } from "../decision-entry.ts";
import type { Meta } from "../events.ts";

/** Record a denied decision and throw it. */
export async function refuse(c: AppContext, evaluation: Evaluation, meta: Meta): Promise<never> {
  const { decision } = evaluation.decided;
  const failure = refusal(decision, true);
  // The core names the message's method where no caller may send such a message (tasks, and what MCP does not know).
  if (failure.code === "UNKNOWN_TOOL" && decision.field === "method") withRpcNumber(failure, RPC.method);
  return refuseKnown(c, evaluation, failure, meta);
}

/** Record a failure (of an allowed request too: another's session, an unlisted server), and throw it. */
export async function refuseKnown(
  c: AppContext,
  evaluation: Evaluation,
  failure: TalosError,
  meta: Meta,
): Promise<never> {
  try {
    const facts = evaluation.decided.request!;
    const { decision } = evaluation.decided;
    const said = decision.allow ? { allow: false, code: failure.code } : decision;
    await recordDecision(c, evaluation, { decision: said, facts, status: ERRORS[failure.code].status, meta });
  } finally {
    release(evaluation);
  }
  throw failure;
}
