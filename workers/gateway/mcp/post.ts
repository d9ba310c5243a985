/**
 * `mcp.post`: one message of a caller, decided, admitted, recorded and forwarded.
 *
 * Writes: intent durable, then dispatch. Reads: dispatch, and nothing is shown before the intent is durable; it goes
 * to the log with the outcome when the answer comes at once, and alone when the answer takes its time or is a stream. The
 * outcome is durable before the answer is shown; the work runs under waitUntil, so that a caller that leaves stops the
 * upstream and not the record. Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import type { RequestFacts } from "@talos/core";
import { named, PublicError } from "../../shared/errors.ts";
import type { AppContext } from "../../shared/ports.ts";
import { readBody, requireMediaType, takeTrace } from "../../shared/request.ts";
import { decide, partsOf, release } from "../authorize.ts";
import { configOf } from "../config.ts";
import { recordDecision } from "../decision-entry.ts";
import { type Dispatch, metaOf, prepare } from "./dispatch.ts";
import { refuse, refuseKnown } from "./refuse.ts";
import type { Entry } from "../record.ts";
import { type CallRecord, type Ending, intentOf, recordIntent, recordOutcome, unrecordedCode } from "./outcome.ts";
import { type Gate, releaseMessage } from "./release.ts";
import { checkOrigin, openSessionId, protocolVersion, sealSessionId, serverOf } from "./session.ts";
import { pump } from "./stream.ts";
import { callUpstream, notSent, readJson, readOrTick, timeoutOf, type UpstreamAnswer } from "./upstream.ts";

export async function mcpPost(c: AppContext): Promise<Response> {
  const config = configOf(c.env, c.get("now_ms"));
  checkOrigin(c, config.browser_origins);
  requireMediaType(c.req.raw, "application/json");
  const body = await readBody(c.req.raw);
  const name = c.req.param("server") ?? "";
  protocolVersion(c); // judged before anything is held
  const parts = partsOf(c, "mcp.post", body, c.get("tenant"), name);
  const slot = { id: c.get("request_id"), ttl_ms: LIMITS.gate_slot_ttl_ms };
  const evaluation = await decide(c, parts, {
    slot: ({ request }) => (request?.mcp?.call === true ? slot : undefined),
  });
  const facts = evaluation.decided.request!;
  const mcp = facts.mcp!;
  c.set("tool_class", facts.class);
  if (mcp.id_json !== undefined) c.set("rpc_id", mcp.id_json);
  const meta = metaOf(c, mcp, body.byteLength);
  if (!evaluation.decided.decision.allow) return refuse(c, evaluation, meta);

  let dispatch: Dispatch;
  try {
    const server = serverOf(evaluation, name);
    const session = openSessionId(evaluation, parts.headers["mcp-session-id"], name);
    dispatch = prepare(c, { evaluation, server, session, mcp, meta, body });
  } catch (error) {
    return refuseKnown(c, evaluation, named(error), meta);
  }
  if (dispatch.text === undefined) {
    try {
      await recordDecision(c, evaluation, { decision: evaluation.decided.decision, facts, status: 202, meta });
    } finally {
      release(evaluation);
    }
    return new Response(null, { status: 202 });
  }
  // The platform drops a handler whose caller left; what waitUntil holds goes on and records how the call ended.
  const work = run(dispatch);
  c.executionCtx.waitUntil(work.catch(() => undefined)); // the failure is this handler's answer, below
  return work;
}

async function run(dispatch: Dispatch): Promise<Response> {
  const signal = new AbortController();
  const onAbort = (): void => signal.abort();
  dispatch.c.req.raw.signal.addEventListener("abort", onAbort, { once: true });
  let streaming = false;
  const finish = (): void => {
    dispatch.forget();
    release(dispatch.evaluation);
  };
  try {
    const answer =
      dispatch.record === undefined
        ? await forwardPlain(dispatch, signal)
        : await forwardCall(dispatch, dispatch.record, signal);
    if (answer.type === "sse") {
      const response = stream(dispatch, answer, signal, finish);
      streaming = true; // the stream's end gives back what is held
      return response;
    }
    return await single(dispatch, answer);
  } finally {
    if (!streaming) finish();
  }
}

const send = (dispatch: Dispatch, signal: AbortController): Promise<UpstreamAnswer> => {
  const version = protocolVersion(dispatch.c);
  return callUpstream({
    config: dispatch.evaluation.asker.config,
    tenant: dispatch.caller.tenant,
    server: dispatch.server,
    method: "POST",
    body: dispatch.text!,
    ...(dispatch.session === undefined ? {} : { session: dispatch.session }),
    ...(version === undefined ? {} : { protocol_version: version }),
    traceparent: takeTrace(dispatch.c.get("headers").traceparent),
    signal,
  });
};

/** Messages without an intent: the decision is buffered, whatever the upstream says. */
async function forwardPlain(dispatch: Dispatch, signal: AbortController): Promise<UpstreamAnswer> {
  const { c, evaluation, meta } = dispatch;
  const facts: RequestFacts = evaluation.decided.request!;
  await recordDecision(c, evaluation, { decision: evaluation.decided.decision, facts, status: 200, meta });
  return checkStatus(dispatch, await send(dispatch, signal));
}

/** Calls: intent, dispatch in the order that the class demands; a call that got no headers ends here. */
async function forwardCall(dispatch: Dispatch, record: CallRecord, signal: AbortController): Promise<UpstreamAnswer> {
  const reading = dispatch.evaluation.decided.request!.class === "read";
  const intent = await intentOf(record);
  if (reading) record.pending = intent;
  else await recordIntent(record, intent);
  try {
    return reading ? await read(dispatch, record, intent, signal) : checkStatus(dispatch, await send(dispatch, signal));
  } catch (error) {
    if (record.unrecorded !== undefined) signal.abort(); // the read may have left, but nothing of it is shown
    throw await endFailed(record, named(error), !reading);
  }
}

/** Send a read; its intent stays pending only where the whole answer came within a moment. */
async function read(
  dispatch: Dispatch,
  record: CallRecord,
  intent: Entry,
  signal: AbortController,
): Promise<UpstreamAnswer> {
  const { server } = dispatch;
  const answered = send(dispatch, signal).then(async (answer) => {
    const { type } = checkStatus(dispatch, answer);
    return type === "json" ? { ...answer, text: await readJson(answer, server) } : answer;
  });
  answered.catch(() => undefined); // judged below; the intent may fail first
  const early = await readOrTick(answered, LIMITS.audit_buffer_ms);
  if (early !== "tick" && early.type !== "sse") return early;
  await recordIntent(record, intent);
  return answered;
}

/** @throws `mcp.session_unknown` when the upstream forgot the session, `upstream.invalid` for other refusals of its */
function checkStatus(dispatch: Dispatch, answer: UpstreamAnswer): UpstreamAnswer {
  if (answer.status >= 200 && answer.status <= 299) return answer;
  const detail = { upstream_status: answer.status, server: dispatch.server.name };
  if (answer.status === 404 && dispatch.session !== undefined) throw new TalosError("mcp.session_unknown", detail);
  throw new TalosError("upstream.invalid", detail);
}

/** Record how a call without an answer ended. @returns what the caller is told */
async function endFailed(record: CallRecord, failure: TalosError, effects: boolean): Promise<TalosError> {
  const upstream_status = failure.detail.upstream_status;
  const refused = typeof upstream_status === "number";
  const ending: Ending = {
    // A write that may have arrived is unknown, unless the upstream itself refused it.
    state: notSent(failure) ? "not_dispatched" : refused || !effects ? "failed" : "unknown",
    code: failure.code,
    ...(refused ? { upstream_status } : {}),
  };
  try {
    await recordOutcome(record, ending);
    return failure;
  } catch (cause) {
    if (record.unrecorded !== undefined) return record.unrecorded;
    return new PublicError(unrecordedCode(cause), { intent_id: record.intent }, { after: failure.code }, { cause });
  }
}

const gateOf = ({ c, evaluation, caller, server, record, meta }: Dispatch): Gate => ({
  c,
  evaluation,
  caller,
  server: server.name,
  meta,
  ...(record === undefined ? {} : { record }),
});

/** An answer that is one JSON message, or none. */
async function single(dispatch: Dispatch, answer: UpstreamAnswer): Promise<Response> {
  const { call, record, server } = dispatch;
  try {
    if (answer.type === "none") {
      if (call !== undefined)
        throw new TalosError("upstream.invalid", { why: "no answer to a request", server: server.name });
      return new Response(null, { status: 202 });
    }
    const text = answer.text ?? (await readJson(answer, server));
    const released = await releaseMessage(gateOf(dispatch), text, answer.status);
    if (released.failure !== undefined) throw released.failure;
    if (call === undefined || released.answered?.id !== call.id || released.text === null) {
      throw new TalosError("upstream.invalid", { why: "not the answer to this request", server: server.name });
    }
    return new Response(released.text, { headers: answerHeaders(dispatch, answer, "application/json") });
  } catch (error) {
    const failure = named(error);
    if (record === undefined || failure.code === "outcome.unrecorded" || failure.code === "outcome.late") throw failure;
    throw await endFailed(record, failure, dispatch.evaluation.decided.request!.class !== "read");
  }
}

function answerHeaders(dispatch: Dispatch, answer: UpstreamAnswer, type: string): Headers {
  const headers = new Headers({ "content-type": type });
  if (dispatch.mcp.method === "initialize" && answer.session !== undefined) {
    const { evaluation, server } = dispatch;
    headers.set("mcp-session-id", sealSessionId(evaluation, evaluation.decided.request!, server.name, answer.session));
  }
  return headers;
}

/** An answer that is a stream: headers now, events as they come, the outcome whenever the stream ends. */
function stream(dispatch: Dispatch, answer: UpstreamAnswer, signal: AbortController, finish: () => void): Response {
  const { c, call, record, server } = dispatch;
  const headers = answerHeaders(dispatch, answer, "text/event-stream");
  headers.set("cache-control", "no-store");
  const { readable, writable } = new IdentityTransformStream();
  let answered = false;
  const pumping = pump(
    {
      gate: gateOf({ ...dispatch, meta: { ...dispatch.meta, streamed: true } }),
      upstream: answer.body ?? new ReadableStream({ start: (controller) => controller.close() }),
      upstream_status: answer.status,
      signal,
      idle_ms: timeoutOf(server),
      ...(call === undefined ? {} : { rpc_id: call.id }),
      answered: () => {
        answered = true;
      },
    },
    writable.getWriter(),
  );
  const ending = pumping.then(async (end) => {
    if (!answered && record !== undefined) {
      const code = end.failure?.code ?? (end.gone ? undefined : end.resumable ? undefined : "upstream.invalid");
      await recordOutcome(record, {
        state: "unknown",
        upstream_status: answer.status,
        ...(code === undefined ? {} : { code }),
        meta: { streamed: true },
      });
    }
  });
  const logged = ending.catch((error: unknown) => {
    dispatch.evaluation.asker.config.log("error", "mcp.outcome_unrecorded", { intent: record?.intent, error });
  });
  c.executionCtx.waitUntil(logged.finally(finish));
  return new Response(readable, { headers });
}
