/**
 * A decision as what the log takes. A read of a session, the commonest by far, is sealed by the core from the facts that
 * it gave, in one call; everything else is written out member by member. Both give the same bytes.
 */
import { ReadFacts, sealRead } from "@talos/core";
import type { AppContext } from "../shared/ports.ts";
import { newId } from "../shared/request.ts";
import type { Evaluation } from "./authorize.ts";
import { clientIp, type DecisionEvent, decisionEvent } from "./events.ts";
import { buffer, type Entry, entryOf } from "./record.ts";

/** @throws `contract.invalid`, `LIMIT_EXCEEDED` for what is no event */
export async function decisionEntry(c: AppContext, evaluation: Evaluation, of: DecisionEvent): Promise<Entry> {
  const { facts, decision, status } = of;
  if (!(facts instanceof ReadFacts) || status === undefined || of.need !== undefined || of.on_behalf !== undefined)
    return entryOf(await decisionEvent(c, evaluation, of));
  const { asker, generation } = evaluation;
  const ip = clientIp(c, asker.config);
  const { client_ip_hash, client_ip_hash_key_id } = ip instanceof Promise ? await ip : ip;
  const { head, asOfMs } = generation;
  return sealRead(
    {
      surface_id: c.get("surface"),
      tenant: asker.tenant,
      event_id: newId(Date.now()),
      ts: new Date().toISOString(),
      request_id: c.get("request_id"),
      status_code: status,
      client_ip_hash,
      client_ip_hash_key_id,
      policy_hash: head.policy_hash,
      policy_version: head.policy_version,
      rev_seq: head.rev_seq,
      rev_as_of_ms: asOfMs,
      denied: decision.allow ? undefined : decision,
      meta: of.meta,
    },
    facts,
  );
}

/** Record a decision that dispatched nothing, within the window that the specification states. */
export async function recordDecision(c: AppContext, evaluation: Evaluation, of: DecisionEvent): Promise<void> {
  buffer(evaluation.asker, await decisionEntry(c, evaluation, of));
}
