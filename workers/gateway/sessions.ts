/** `sessions.open`: a ticket for ten minutes, sealed for any isolate. Source: contracts/spec/session.md#opening. */
import { openSession } from "@talos/core";
import type { AppContext } from "../shared/ports.ts";
import { randomBytes } from "../shared/request.ts";
import { evaluationOf, frameOf } from "./authorize.ts";

/** Behind `holder`: the chain and its proof hold; the core decides once more and seals nothing without an allow. */
export async function openSessionFor(c: AppContext): Promise<Response> {
  const evaluation = evaluationOf(c);
  const { asker, generation, verdicts, answers } = evaluation;
  const { config } = asker;
  const { response } = openSession({
    frame: frameOf(evaluation),
    policy: generation.policy,
    filter: generation.filter,
    tickets: config.tickets,
    verdicts,
    answers,
    receipt: config.receipt,
    gateway_did: config.did,
    session_id: randomBytes(16),
    server_secret: randomBytes(32),
    salt: randomBytes(32),
  });
  return c.json(response, 201);
}
