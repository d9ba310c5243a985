/**
 * Outward MCP session ids: the upstream's, sealed to the principal, its key and the server. Another's, an expired or
 * a made-up one is 404, all alike. Source: contracts/spec/session.md#mcp-session-ids.
 */
import { LIMITS, type ServerEntry, TalosError } from "@talos/contracts";
import { openMcp, type RequestFacts, sealMcp } from "@talos/core";
import type { AppContext } from "../../shared/ports.ts";
import { randomBytes } from "../../shared/request.ts";
import type { Evaluation } from "../authorize.ts";

const PROTOCOL_VERSION = /^\d{4}-\d{2}-\d{2}$/;
const SESSION_ID = /^[\x21-\x7e]+$/;

/** @throws `request.origin` for a browser origin that configuration does not list (DNS rebinding; MCP transports, security) */
export function checkOrigin(c: AppContext, allowed: ReadonlySet<string>): void {
  const origin = c.req.raw.headers.get("origin");
  if (origin !== null && !allowed.has(origin)) throw new TalosError("request.origin", { origin });
}

/** @throws `request.malformed` for a version that is no date */
export function protocolVersion(c: AppContext): string | undefined {
  const version = c.req.raw.headers.get("mcp-protocol-version");
  if (version === null) return undefined;
  if (!PROTOCOL_VERSION.test(version)) throw new TalosError("request.malformed", { header: "mcp-protocol-version" });
  return version;
}

/** @throws `server.unknown` */
export function serverOf(evaluation: Evaluation, name: string): ServerEntry {
  const server = evaluation.generation.policy.snapshot.servers.find((entry) => entry.name === name);
  if (server === undefined) throw new TalosError("server.unknown", { name });
  return server;
}

/**
 * The upstream's session id behind the caller's.
 * @throws `mcp.session_unknown`
 */
export function openSessionId(evaluation: Evaluation, text: string | undefined, server: string): string | undefined {
  if (text === undefined) return undefined;
  const facts = evaluation.decided.request!;
  const { tenant, config } = evaluation.asker;
  const now = Date.now();
  const { upstream } = openMcp(config.mcp, text, { tenant, principal: facts.sub, jkt: facts.jkt, server, now_ms: now });
  return upstream;
}

/**
 * The outward id of a session that the upstream just opened.
 * @throws `upstream.invalid` for an id outside the transport's alphabet or bound
 */
export function sealSessionId(evaluation: Evaluation, facts: RequestFacts, server: string, upstream: string): string {
  if (!SESSION_ID.test(upstream) || upstream.length > LIMITS.upstream_session_bytes) {
    throw new TalosError("upstream.invalid", { why: "session id", server });
  }
  const { tenant, config } = evaluation.asker;
  const exp = Math.floor(Date.now() / 1_000) + LIMITS.mcp_session_life_seconds;
  return sealMcp(config.mcp, randomBytes(32), {
    v: 1,
    tenant,
    principal: facts.sub,
    jkt: facts.jkt,
    server,
    upstream,
    exp,
  });
}
