/**
 * `mcp.get` and `mcp.delete`: listening on one's own session, and closing it. What a GET brings is judged like any
 * stream: a response of an earlier call (resumed with `last-event-id`) passes only once its outcome is durable.
 * Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { LIMITS, type ServerEntry, TalosError } from "@talos/contracts";
import { named, PublicError } from "../../shared/errors.ts";
import type { AppContext } from "../../shared/ports.ts";
import { readBody, takeTrace } from "../../shared/request.ts";
import { decide, type Evaluation, partsOf, release } from "../authorize.ts";
import { configOf } from "../config.ts";
import { recordDecision } from "../decision-entry.ts";
import type { Meta } from "../events.ts";
import { refuse, refuseKnown } from "./refuse.ts";
import { checkOrigin, openSessionId, protocolVersion, serverOf } from "./session.ts";
import { pump } from "./stream.ts";
import { callUpstream, type UpstreamAnswer } from "./upstream.ts";

interface Opened {
  c: AppContext;
  evaluation: Evaluation;
  server: ServerEntry;
  session: string;
  meta: Meta;
}

/** Both begin alike: decided by any grant on the server, on a session of one's own. */
async function open(c: AppContext, surface: "mcp.get" | "mcp.delete"): Promise<Opened> {
  const config = configOf(c.env, c.get("now_ms"));
  checkOrigin(c, config.browser_origins);
  const body = await readBody(c.req.raw);
  const name = c.req.param("server") ?? "";
  const parts = partsOf(c, surface, body, c.get("tenant"), name);
  const version = protocolVersion(c);
  const meta: Meta = version === undefined ? {} : { mcp_protocol_version: version };
  // A stream stays in flight like a call; ending one does not.
  const slot = { id: c.get("request_id"), ttl_ms: LIMITS.gate_slot_ttl_ms };
  const evaluation = await decide(c, parts, { slot: () => (surface === "mcp.get" ? slot : undefined) });
  if (!evaluation.decided.decision.allow) return refuse(c, evaluation, meta);
  try {
    const server = serverOf(evaluation, name);
    const session = openSessionId(evaluation, parts.headers["mcp-session-id"], name);
    if (session === undefined) throw new TalosError("mcp.session_unknown", { why: "none named" });
    return { c, evaluation, server, session, meta };
  } catch (error) {
    return refuseKnown(c, evaluation, named(error), meta);
  }
}

async function ask(
  { c, evaluation, server, session }: Opened,
  method: "GET" | "DELETE",
  signal: AbortController,
): Promise<UpstreamAnswer> {
  const version = protocolVersion(c);
  const last = c.req.raw.headers.get("last-event-id");
  const answer = await callUpstream({
    config: evaluation.asker.config,
    tenant: evaluation.asker.tenant,
    server,
    method,
    session,
    ...(version === undefined ? {} : { protocol_version: version }),
    ...(last === null ? {} : { last_event_id: last }),
    traceparent: takeTrace(c.get("headers").traceparent),
    signal,
  });
  if (answer.status >= 200 && answer.status <= 299) return answer;
  const detail = { upstream_status: answer.status, server: server.name };
  if (answer.status === 404) throw new TalosError("mcp.session_unknown", detail);
  // A server without a stream of its own, or one that ends no session on demand, says so; clients know what it means.
  if (answer.status === 405) throw new PublicError("method.not_allowed", { allow: "POST" }, detail);
  throw new TalosError("upstream.invalid", detail);
}

async function record({ c, evaluation, meta }: Opened): Promise<void> {
  const { decision, request } = evaluation.decided;
  await recordDecision(c, evaluation, { decision, facts: request!, status: 200, meta });
}

export async function mcpGet(c: AppContext): Promise<Response> {
  const opened = await open(c, "mcp.get");
  const { evaluation, server, session } = opened;
  const signal = new AbortController();
  try {
    await record(opened);
    const answer = await ask(opened, "GET", signal);
    if (answer.type !== "sse" || answer.body === null)
      throw new TalosError("upstream.invalid", { why: "no stream", server: server.name });
    const facts = evaluation.decided.request!;
    const caller = { tenant: evaluation.asker.tenant, server: server.name, sub: facts.sub, jkt: facts.jkt, session };
    const gate = { c, evaluation, caller, server: server.name, meta: { ...opened.meta, streamed: true } };
    const { readable, writable } = new IdentityTransformStream();
    const pumping = pump(
      { gate, upstream: answer.body, upstream_status: answer.status, signal, answered: () => undefined },
      writable.getWriter(),
    );
    c.executionCtx.waitUntil(pumping.finally(() => release(evaluation)));
    return new Response(readable, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
  } catch (error) {
    signal.abort();
    release(evaluation);
    throw error;
  }
}

export async function mcpDelete(c: AppContext): Promise<Response> {
  const opened = await open(c, "mcp.delete");
  try {
    await record(opened);
    await ask(opened, "DELETE", new AbortController());
    return new Response(null, { status: 204 });
  } finally {
    release(opened.evaluation);
  }
}
