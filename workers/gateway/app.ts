/** The gateway as the router mounts it: its handlers, and the port behind which other services' surfaces run. */
import { LIMITS, SURFACES, type SurfaceName } from "@talos/contracts";
import type { MiddlewareHandler } from "hono";
import { complete } from "../shared/answer.ts";
import { logger } from "../shared/log.ts";
import type { AppContext, AppEnv, AuditQueryPort, AuthorizePort, Handlers } from "../shared/ports.ts";
import { redactor } from "../shared/redact.ts";
import { newId, readBody, readHeaders, requireMediaType } from "../shared/request.ts";
import { decide, partsOf, pass, release, stillAllowed } from "./authorize.ts";
import { configOf } from "./config.ts";
import { counters } from "./counters.ts";
import { authorizeBatch, authorizeOne, refuse } from "./decisions.ts";
import { decisionEntry, recordDecision } from "./decision-entry.ts";
import type { Meta } from "./events.ts";
import { appendEntries } from "./entries.ts";
import { live, readiness } from "./health.ts";
import { mcpDelete, mcpGet } from "./mcp/listen.ts";
import { mcpPost } from "./mcp/post.ts";
import { append } from "./record.ts";
import { openSessionFor } from "./sessions.ts";
import { getHead, putPolicy, revoke } from "./tenant.ts";
import { evaluation, evaluations } from "./third-party.ts";
import { didJson, keyDirectory, openapiJson } from "./well-known.ts";

type Own = Omit<Handlers, `audit.${string}` | `meta.${string}` | `privacy.${string}` | `sinks.${string}`> &
  Pick<Handlers, "audit.events.append">;

export function gatewayHandlers(query: AuditQueryPort): Own {
  return {
    "health.live": live,
    "health.ready": readiness(query),
    "well_known.did": didJson,
    "well_known.signatures": keyDirectory,
    openapi: openapiJson,
    "sessions.open": openSessionFor,
    authorize: authorizeOne,
    "authorize.batch": authorizeBatch,
    "authzen.evaluation": evaluation,
    "authzen.evaluations": evaluations,
    "revocations.create": revoke,
    "head.get": getHead,
    "policy.put": putPolicy,
    "audit.events.append": appendEntries,
    "mcp.post": mcpPost,
    "mcp.get": mcpGet,
    "mcp.delete": mcpDelete,
  };
}

/** Surfaces that record their own events, item by item. */
const RECORDS_ITSELF = new Set<SurfaceName>(["authzen.evaluation", "authzen.evaluations"]);

/** Surfaces whose answer goes on. */
const LASTING = new Set<SurfaceName>(["audit.stream"]);

/** Surfaces of ours behind a grant that do more than read, or show what others said: their record comes first. */
const CHANGES = new Set(
  (Object.keys(SURFACES) as SurfaceName[]).filter(
    (name) =>
      SURFACES[name].permission === "grant" && (SURFACES[name].class !== "read" || name === "audit.events.values"),
  ),
);

const OBJECT_ID = /^([A-Za-z0-9_-]{22}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** What the path names, where the surface lets its events say so. */
function named(c: AppContext): Meta {
  const id = c.req.param("id");
  const { meta_allow }: { meta_allow: readonly string[] } = SURFACES[c.get("surface")];
  return id !== undefined && meta_allow.includes("id") && OBJECT_ID.test(id) ? { id } : {};
}

export const authorizePort: AuthorizePort = {
  authorized: (name) => async (c, next) => {
    const { request } = SURFACES[name];
    if (request !== null) requireMediaType(c.req.raw, request.media_type);
    const body = await readBody(c.req.raw);
    // A stream stays in flight like a call.
    const slot = { id: c.get("request_id"), ttl_ms: LIMITS.gate_slot_ttl_ms };
    const options = LASTING.has(name) ? { slot: () => slot } : {};
    const evaluation = await decide(c, partsOf(c, name, body, c.get("tenant")), options);
    try {
      if (!evaluation.decided.decision.allow) await refuse(c, evaluation);
      pass(c, evaluation);
      c.set("body", body);
      c.set("still", () => stillAllowed(evaluation));
      const facts = evaluation.decided.request!;
      const { decision } = evaluation.decided;
      if (CHANGES.has(name)) {
        // What changes something is durable in the record before it does.
        const entry = await decisionEntry(c, evaluation, { decision, facts, meta: named(c) });
        await append(evaluation.asker, [entry], 0);
        await next();
        return;
      }
      await next();
      if (RECORDS_ITSELF.has(name)) return;
      await recordDecision(c, evaluation, { decision, facts, status: c.res.status, meta: named(c) });
    } finally {
      const lasting = c.get("lasting");
      if (lasting === undefined) release(evaluation);
      else c.executionCtx.waitUntil(lasting.finally(() => release(evaluation)));
    }
  },
};

/** Until configuration is read nothing is known to be secret; the patterns alone guard these lines. */
const early = logger(redactor([]));

/**
 * First of everything: id, time, trace, log, configuration, header bounds; last of everything: our headers.
 * @throws `config.incomplete`, `request.header_too_large`
 */
export const context: MiddlewareHandler<AppEnv> = async (c, next) => {
  const nowMs = Date.now();
  counters.requests += 1;
  const requestId = newId(nowMs);
  c.set("now_ms", nowMs);
  c.set("request_id", requestId);
  c.set("log", (level, event, fields) => early(level, event, { request_id: requestId, ...fields }));
  await next();
  complete(c, c.res);
};

/** Second of everything: refused here, a request still has its id on the answer. */
export const guard: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { redact } = configOf(c.env, c.get("now_ms"));
  const requestId = c.get("request_id");
  c.set("log", logger(redact, { request_id: requestId }));
  c.set("headers", readHeaders(c.req.raw.headers));
  await next();
};

export const tenantListed = (c: Parameters<MiddlewareHandler<AppEnv>>[0], tenant: string): boolean =>
  configOf(c.env, c.get("now_ms")).tenants.includes(tenant);
