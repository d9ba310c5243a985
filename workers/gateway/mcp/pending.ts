/**
 * Calls of this isolate that wait for an answer, so that `notifications/cancelled` can name the id that went up. A
 * cancellation for a call of another isolate is not forwarded: MCP lets a receiver ignore it.
 * Bound: limits.json `mcp_pending` a session.
 */
import { LIMITS } from "@talos/contracts";
import type { Caller } from "./call-id.ts";

const bySession = new Map<string, Map<string, string>>();

const key = (caller: Caller): string =>
  JSON.stringify([caller.tenant, caller.server, caller.sub, caller.jkt, caller.session]);

/** Remember which id a caller's id travels under; the returned function forgets it. */
export function remember(caller: Caller, id: string, upstreamId: string): () => void {
  const session = key(caller);
  const calls = bySession.get(session) ?? new Map<string, string>();
  if (calls.size >= LIMITS.mcp_pending) return () => undefined; // only cancelling is lost
  bySession.set(session, calls);
  calls.set(id, upstreamId);
  return () => {
    calls.delete(id);
    if (calls.size === 0 && bySession.get(session) === calls) bySession.delete(session);
  };
}

export function upstreamIdOf(caller: Caller, id: string): string | undefined {
  return bySession.get(key(caller))?.get(id);
}
