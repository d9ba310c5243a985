/**
 * Steps 3 and 4 of a request: decide (core, from memory), admit (gate), and for destructive and pay decide again
 * against a head asked just now. A refusal of somebody unauthenticated is counted; everything else comes back to the
 * caller, who records it. Source: contracts/spec/capability.md#decision, contracts/spec/in-force.md#head.
 */
import { type Decision, LIMITS, type SurfaceName, TalosError } from "@talos/contracts";
import {
  type Began,
  begin,
  type Decided,
  type DecidedRead,
  decideRead,
  encodeRequest,
  type Finished,
  finish,
  frameBound,
  NO_ANSWERS,
  READ_FRAME_BYTES,
  recheck,
  REQUEST_HEADERS,
  type RequestHeaders,
  type RequestParts,
  type RevocationAnswers,
  type ToolClass,
  type Verdict,
  verifyChecks,
} from "@talos/core";
import { PublicError } from "../shared/errors.ts";
import type { AppContext } from "../shared/ports.ts";
import { admit, endSlot, type Slot } from "./admission.ts";
import { configOf } from "./config.ts";
import { counters } from "./counters.ts";
import type { Generation } from "./generation.ts";
import type { Asker } from "./asker.ts";
import { exchange, holdAsked, holdForClass, holdInForce, learnExact, tryRefresh } from "./in-force.ts";

/** Times a decision starts over because what is in force moved under it; then it is too unsettled to decide. */
const ROUNDS = 4;

/** A decided request; `parts` has the times that it was decided at. `generation` is held until {@link release}. */
export interface Evaluation {
  asker: Asker;
  parts: RequestParts;
  generation: Generation;
  verdicts: Verdict[];
  answers: RevocationAnswers;
  decided: Decided;
  slot?: Slot;
}

export function askerOf(c: AppContext): Asker {
  return {
    env: c.env,
    config: configOf(c.env, c.get("now_ms")),
    tenant: c.get("tenant"),
    waitUntil: (work) => c.executionCtx.waitUntil(work),
  };
}

/** Everything of the request that a decision depends on; the origin is ours, never `Host`'s (proof.md). */
export function partsOf(
  c: AppContext,
  surface: SurfaceName,
  body: Uint8Array,
  tenant: string,
  server?: string,
): RequestParts {
  const { origin } = configOf(c.env, c.get("now_ms"));
  const url = new URL(c.req.url);
  const headers: RequestHeaders = {};
  const given = c.get("headers");
  for (const name of REQUEST_HEADERS) {
    const value = given[name];
    if (value !== undefined) headers[name] = value;
  }
  return {
    surface,
    method: c.req.raw.method,
    target_uri: `${origin}${url.pathname}${url.search}`,
    tenant,
    aud: `${origin}/t/${tenant}`,
    ...(server === undefined ? {} : { server }),
    headers,
    body,
    now_ms: c.get("now_ms"),
  };
}

/** The parts as of now, under what is in force. */
function at(parts: RequestParts, generation: Generation): RequestParts {
  parts.now_ms = Date.now();
  parts.head_as_of_ms = generation.asOfMs;
  return parts;
}

/** The frame that was decided on. */
export const frameOf = ({ parts }: Evaluation): Uint8Array => encodeRequest(parts);

const MAC_BEGAN: Began = { status: "checks", checks: [], class: "read" };
const isMac = (parts: RequestParts): boolean =>
  parts.headers["signature-input"]?.includes(';alg="hmac-sha256";') === true;

/** begin → WebCrypto → finish (→ look-up → finish) against what is in force, fresh enough for the class. */
export async function evaluate(asker: Asker, parts: RequestParts): Promise<Evaluation> {
  let generation = await holdInForce(asker);
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      // The MAC form is for reads only and has nothing for WebCrypto: one call of the core checks all of it.
      const mac = isMac(parts);
      const began: Began = mac
        ? MAC_BEGAN
        : begin(encodeRequest(at(parts, generation)), generation.policy, asker.config.tickets);
      const base = { asker, parts, answers: NO_ANSWERS };
      if (began.status === "refused") {
        return { ...base, generation, verdicts: [], decided: { status: "decided", decision: began.decision } };
      }
      const { policy } = generation;
      generation = await holdForClass(asker, generation, began.class ?? "read");
      if (generation.policy !== policy) continue;
      const verdicts = began.checks.length === 0 ? [] : await verifyChecks(began.checks);
      at(parts, generation);
      const short = mac && frameBound(parts) <= READ_FRAME_BYTES;
      const settled = await settle(asker, generation, (answers) => {
        const { policy, filter } = generation;
        if (short && answers === NO_ANSWERS) return decideRead(parts, policy, filter, asker.config.tickets);
        return finish(encodeRequest(parts), policy, filter, asker.config.tickets, verdicts, answers);
      });
      if (settled !== undefined) return { ...base, generation, verdicts, ...settled };
      await tryRefresh(asker);
      generation = exchange(asker.tenant, generation);
    }
    throw new TalosError("REVOCATION_STALE", { why: "what is in force keeps moving" });
  } catch (error) {
    generation.release();
    throw error;
  }
}

/** Run `finish` or `recheck`, with exact answers where the filter hit; undefined when the object stands elsewhere. */
async function settle(
  asker: Asker,
  generation: Generation,
  run: (answers: RevocationAnswers) => Finished | DecidedRead,
): Promise<{ decided: Decided; answers: RevocationAnswers } | undefined> {
  let answers = NO_ANSWERS;
  const asked = new Set<string>();
  for (;;) {
    const finished = run(answers);
    if (finished.status === "decided") return { decided: finished, answers };
    const fresh = finished.items.filter((item) => !asked.has(item));
    if (fresh.length === 0) throw new TalosError("internal", { why: "the core asks for answers that it has" });
    for (const item of fresh) asked.add(item);
    if (!(await learnExact(asker, generation, fresh))) return undefined;
    answers = generation.answers([...asked]);
  }
}

/**
 * Decide the accepted request again: against the newest generation at hand, or with `ask` one that the object
 * confirms now. The evaluation is updated in place and keeps one hold.
 * @throws `REVOCATION_STALE` when the object cannot be asked though it must be
 */
export async function again(evaluation: Evaluation, ask: boolean): Promise<Decided> {
  const { asker, parts, verdicts } = evaluation;
  for (let round = 0; round < ROUNDS; round += 1) {
    if (ask || round > 0) evaluation.generation = await holdAsked(asker, evaluation.generation);
    else evaluation.generation = exchange(asker.tenant, evaluation.generation);
    const { generation } = evaluation;
    const frame = encodeRequest(at(parts, generation));
    const settled = await settle(asker, generation, (answers) =>
      recheck(frame, generation.policy, generation.filter, asker.config.tickets, verdicts, answers),
    );
    if (settled === undefined) continue;
    const decided = withFacts(settled.decided, evaluation.decided);
    Object.assign(evaluation, { ...settled, decided });
    return decided;
  }
  throw new TalosError("REVOCATION_STALE", { why: "what is in force keeps moving" });
}

/**
 * A later decision about an accepted request. Its sender stays the one who was authenticated, also when the anchor or a
 * key has gone since: the denial and the outcome of a call under way are recorded as that sender's.
 */
export function withFacts(later: Decided, before: Decided): Decided {
  return later.request === undefined && before.request !== undefined ? { ...later, request: before.request } : later;
}

/**
 * Whether what was let pass would pass now, by what is in force at the latest `head_refresh_ms` ago.
 * @throws the code of a decision that no longer allows; `REVOCATION_STALE` when nothing fresh enough is at hand
 */
export async function stillAllowed(evaluation: Evaluation): Promise<void> {
  if (Date.now() - evaluation.generation.asOfMs > LIMITS.head_refresh_ms) await tryRefresh(evaluation.asker);
  const { decision } = await again(evaluation, false);
  if (!decision.allow) throw refusal(decision, true);
}

const RANK: Record<ToolClass, number> = { read: 0, write: 1, destructive: 2, pay: 3 };

/** The gravest class that a decision is about, inner calls included. */
function gravest({ request, inner }: Decided): ToolClass {
  const classes = [request, ...(inner ?? []).map((one) => one.request)].flatMap((facts) =>
    facts === undefined ? [] : [facts.class, ...facts.needs.map((need) => need.class)],
  );
  return classes.reduce<ToolClass>((worst, one) => (RANK[one] > RANK[worst] ? one : worst), "read");
}

export interface AskOptions {
  /** a slot to take if the decision allows a call that is dispatched */
  slot?: (decided: Decided) => { id: string; ttl_ms: number } | undefined;
}

/**
 * Evaluate and admit. Authenticated denials are admitted like calls, so that nobody fills the record for nothing.
 * @returns the evaluation, allowed or denied; the caller records it and calls {@link release}
 * @throws the decision's code for somebody unauthenticated; what the gate says
 */
export async function decide(c: AppContext, parts: RequestParts, options: AskOptions = {}): Promise<Evaluation> {
  const asker = askerOf(c);
  const { "talos-capability": chain, "talos-ticket": ticket } = parts.headers;
  if (chain === undefined && ticket === undefined) {
    counters.unauthenticated += 1; // step 1, before anything is asked of anybody
    throw refusal({ allow: false, code: "NO_CAPABILITY" }, false);
  }
  const evaluation = await evaluate(asker, parts);
  try {
    const { decided } = evaluation;
    if (decided.request === undefined) {
      counters.unauthenticated += 1;
      throw refusal(decided.decision, false);
    }
    const slot = decided.decision.allow ? options.slot?.(decided) : undefined;
    const taken = await admit(asker, evaluation.generation.policy, decided.request, slot);
    if (taken !== undefined) evaluation.slot = taken;
    // A MAC proves reads only, so nothing grave was allowed under one.
    const grave = decided.request.form !== "session_mac" && RANK[gravest(decided)] >= RANK.destructive;
    if (grave && someAllowed(decided)) await again(evaluation, true);
    return evaluation;
  } catch (error) {
    release(evaluation);
    throw error;
  }
}

const someAllowed = ({ decision, request, inner }: Decided): boolean =>
  decision.allow ||
  (request?.decisions ?? []).some((one) => one.allow) ||
  (inner ?? []).some((one) => one.decision.allow);

/** Give back what the evaluation holds: the generation in the core, and its slot at the gate. */
export function release(evaluation: Evaluation): void {
  const { asker, generation, slot } = evaluation;
  generation.release();
  if (slot === undefined) return;
  delete evaluation.slot;
  endSlot(asker, slot);
}

/**
 * A refused decision as a failure. `need` and the nearest grant are shown to an authenticated holder only.
 */
export function refusal(decision: Decision, authenticated: boolean): PublicError {
  // `need` holds what was asked, arguments included: the holder may see it, our log may not.
  const { allow, code, link, grant, field } = decision;
  if (allow || code === "OK") return new PublicError("internal", {}, { why: "an allowed decision was refused" });
  return new PublicError(code, authenticated ? { decision } : {}, { link, grant, field });
}

const passed = new WeakMap<AppContext, Evaluation>();

/** The evaluation behind which a handler runs. */
export function evaluationOf(c: AppContext): Evaluation {
  const evaluation = passed.get(c);
  if (evaluation === undefined) throw new TalosError("internal", { why: "no decision before this handler" });
  return evaluation;
}

/** Note that the decision of a request let it pass. */
export function pass(c: AppContext, evaluation: Evaluation): void {
  const facts = evaluation.decided.request!;
  passed.set(c, evaluation);
  c.set("facts", facts);
  c.set("decision", evaluation.decided.decision);
  c.set("tool_class", facts.class);
}
