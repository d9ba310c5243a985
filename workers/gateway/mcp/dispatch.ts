/**
 * What goes up for a caller's message: the canonical form of what the core read, under an id of ours.
 * Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { LIMITS, type ServerEntry, TalosError } from "@talos/contracts";
import { jcs, type McpFacts } from "@talos/core";
import type { AppContext } from "../../shared/ports.ts";
import { newId, randomBytes } from "../../shared/request.ts";
import type { Evaluation } from "../authorize.ts";
import { cut, type Meta } from "../events.ts";
import { type Call, type Caller, sealCall } from "./call-id.ts";
import type { CallRecord } from "./outcome.ts";
import { remember, upstreamIdOf } from "./pending.ts";
import { protocolVersion } from "./session.ts";
import { keeps } from "../values.ts";

/** What a caller names may be longer than one value of an event; cut so that its UTF-8 fits `meta_string_bytes`. */
const META_CHARACTERS = 256;

/**
 * Members of `params` of the messages whose content is decided on (MCP 2025-11-25, schema). Nothing else goes up: a
 * server that compares names without regard to case (Go's encoding/json does) would take `Name` or `argument\u017f` for
 * the member that we decided on, and the last one wins.
 */
const PARAMS: ReadonlyMap<string, readonly string[]> = new Map([
  ["tools/call", ["name", "arguments", "_meta"]],
  ["prompts/get", ["name", "arguments", "_meta"]],
  ["resources/read", ["uri", "_meta"]],
  ["resources/subscribe", ["uri", "_meta"]],
  ["resources/unsubscribe", ["uri", "_meta"]],
  ["completion/complete", ["ref", "argument", "context", "_meta"]],
]);

/** Everything one forwarded message needs. */
export interface Dispatch {
  c: AppContext;
  evaluation: Evaluation;
  server: ServerEntry;
  session: string | undefined;
  mcp: McpFacts;
  meta: Meta;
  caller: Caller;
  /** what goes up; absent when nothing does */
  text: string | undefined;
  call?: Call;
  record?: CallRecord;
  forget(): void;
}

export interface Preparation {
  evaluation: Evaluation;
  server: ServerEntry;
  session: string | undefined;
  mcp: McpFacts;
  meta: Meta;
  body: Uint8Array;
}

export function metaOf(c: AppContext, mcp: McpFacts, bytesIn: number): Meta {
  const version = protocolVersion(c);
  return {
    bytes_in: bytesIn,
    ...(mcp.method === undefined ? {} : { mcp_method: cut(mcp.method, META_CHARACTERS) }),
    ...(mcp.name === undefined ? {} : { mcp_name: cut(mcp.name, META_CHARACTERS) }),
    ...(mcp.id_json === undefined ? {} : { mcp_id: cut(mcp.id_json, META_CHARACTERS) }),
    ...(version === undefined ? {} : { mcp_protocol_version: version }),
  };
}

/** What goes up is printed from the canonical form of what the core read: no second reading of the caller's bytes. */
export function prepare(c: AppContext, { evaluation, server, session, mcp, meta, body }: Preparation): Dispatch {
  const facts = evaluation.decided.request!;
  const { tenant, config } = evaluation.asker;
  const caller: Caller = { tenant, server: server.name, sub: facts.sub, jkt: facts.jkt, session: session ?? "" };
  const base = { c, evaluation, server, session, mcp, meta, caller, forget: () => undefined };
  const message = JSON.parse(jcs(body)) as Record<string, unknown>;
  if (mcp.kind === "notification" && mcp.method === "notifications/cancelled") {
    return { ...base, text: cancellation(caller, message) };
  }
  if (mcp.kind !== "request") return { ...base, text: JSON.stringify(message) };
  checkParams(mcp.method!, message.params);
  const intent = mcp.call ? newId(Date.now()) : undefined;
  const salt = randomBytes(LIMITS.commitment_salt_bytes);
  const keep = intent === undefined ? undefined : facts.keep;
  if (keep !== undefined && config.values === undefined) {
    // What the tenant's policy demands is not left out in silence: the call is not made.
    throw new TalosError("config.incomplete", { missing: ["keyset values, as the policy keeps this tool's values"] });
  }
  const call: Call = {
    ...{ id: mcp.id_json!, method: mcp.method!, salt },
    ...(intent === undefined ? {} : { intent }),
    ...(keeps(keep, "result") ? { keep: true } : {}),
  };
  const upstreamId = sealCall(config.mcp, caller, call);
  const forget = remember(caller, call.id, upstreamId);
  const record: CallRecord | undefined =
    intent === undefined
      ? undefined
      : { c, evaluation, server: server.name, intent, started_ms: Date.now(), salt, keep, meta };
  return {
    ...base,
    call,
    forget,
    text: JSON.stringify({ ...message, id: upstreamId }),
    ...(record === undefined ? {} : { record }),
  };
}

/** As a reader that ignores case sees a name (Unicode simple folding: long s is s, the Kelvin sign is k). */
const folded = (name: string): string => name.toUpperCase().toLowerCase();

/**
 * That no server can read out of `params` what the core did not.
 * @throws `request.malformed` for a member that MCP does not have there, or arguments that differ in case only
 */
export function checkParams(method: string, params: unknown): void {
  const members = PARAMS.get(method);
  if (members === undefined || typeof params !== "object" || params === null) return;
  if (Object.keys(params).some((name) => !members.includes(name))) {
    throw new TalosError("request.malformed", { why: "a member of params that MCP does not have there" });
  }
  const names = Object.keys((params as { arguments?: object }).arguments ?? {});
  if (new Set(names.map(folded)).size !== names.length) {
    throw new TalosError("request.malformed", { why: "arguments whose names differ in case only" });
  }
}

/** A cancellation under the id that went up, or nothing when no such call waits here. */
function cancellation(caller: Caller, message: Record<string, unknown>): string | undefined {
  const params = message.params as { requestId?: unknown } | undefined;
  const upstreamId = upstreamIdOf(caller, JSON.stringify(params?.requestId ?? null));
  return upstreamId === undefined
    ? undefined
    : JSON.stringify({ ...message, params: { ...params, requestId: upstreamId } });
}
