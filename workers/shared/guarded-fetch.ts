/**
 * A POST to a URL that somebody else chose: no private address, no redirect, bounded in time and in what is read, no
 * header but the given ones. It never throws for what the other side does, and says nothing of the URL.
 * Source: contracts/spec/webhooks.md#receivers, docs/decisions/008-guarded-fetch.md.
 */
import { LIMITS } from "@talos/contracts";
import type { Ask, Asked } from "../../durable-objects/anchor-types.ts";
import type { Post, Posted, PostFault } from "../../durable-objects/sink-types.ts";
import { isPublicAddress } from "./addresses.ts";
import { judgeReceiver, type ReceiverRules } from "./receiver-url.ts";
import { readBounded } from "./request.ts";
import { dohResolver, type Resolver } from "./resolver.ts";

export interface GuardRules extends ReceiverRules {
  /** absent: names cannot be resolved, and none is called */
  resolver?: Resolver;
}

/** What the deployment says about receivers. */
export interface GuardEnv {
  TALOS_MODE?: string;
  TALOS_ORIGIN?: string;
  TALOS_LOOPBACK_RECEIVERS?: string;
  TALOS_DOH_URL?: string;
}

/** Loopback receivers exist in development only, and only where the flag asks for them. */
export function guardRules(env: GuardEnv): GuardRules {
  const { TALOS_MODE: mode, TALOS_LOOPBACK_RECEIVERS: flag, TALOS_DOH_URL: doh } = env;
  return {
    own: env.TALOS_ORIGIN ?? "",
    loopback: mode === "development" && flag === "allow",
    ...(doh === undefined || doh === "" ? {} : { resolver: dohResolver(doh) }),
  };
}

/** Whether the URL may be called now: its text, and every address that its name has. */
export async function checkReceiver(
  text: string,
  rules: GuardRules,
  signal: AbortSignal,
): Promise<{ ok: true; url: URL } | { ok: false; code: PostFault; why: string }> {
  const judged = judgeReceiver(text, rules);
  if (!judged.ok) return { ok: false, code: "refused_url", why: judged.why };
  const { url, resolve } = judged;
  if (!resolve) return { ok: true, url };
  if (rules.resolver === undefined) return { ok: false, code: "unresolved", why: "no resolver is configured" };
  let addresses: string[];
  try {
    addresses = await rules.resolver(url.hostname, signal);
  } catch {
    return { ok: false, code: "unresolved", why: "the resolver did not answer" };
  }
  if (addresses.length === 0) return { ok: false, code: "unresolved", why: "the name has no address" };
  // One private address among public ones is how a name is rebound.
  if (!addresses.every(isPublicAddress)) return { ok: false, code: "refused_url", why: "address" };
  return { ok: true, url };
}

/**
 * Send once, and read what comes back: for nodes and calendars that settings name.
 * @returns no word of the other side but its status and bytes
 */
export async function guardedAsk({ method, url: text, headers, body }: Ask, rules: GuardRules): Promise<Asked> {
  const signal = AbortSignal.timeout(LIMITS.anchoring_timeout_ms);
  const checked = await checkReceiver(text, rules, signal);
  if (!checked.ok) return { ok: false, code: signal.aborted ? "timeout" : checked.code };
  try {
    const sent = body === undefined ? {} : { body: body as BodyInit };
    const response = await fetch(checked.url, { method, headers, redirect: "manual", signal, ...sent });
    const { status } = response;
    if (status >= 300 && status < 400) {
      await response.body?.cancel();
      return { ok: false, code: "redirect" };
    }
    const bytes = await readBounded(response.body, LIMITS.anchoring_answer_bytes);
    return bytes === null ? { ok: false, code: "too_large" } : { ok: true, status, body: bytes };
  } catch {
    return { ok: false, code: signal.aborted ? "timeout" : "unreachable" };
  }
}

/** Longest `Retry-After` in digits that is read; what it asks for beyond its bound is cut by the sink. */
const SECONDS = /^\d{1,9}$/;

/** Send once. */
export async function guardedPost(
  { url: text, headers, body }: Post,
  rules: GuardRules,
  timeoutMs: number = LIMITS.sink_timeout_ms,
): Promise<Posted> {
  const started = Date.now();
  const ms = (): number => Date.now() - started;
  const signal = AbortSignal.timeout(timeoutMs);
  const checked = await checkReceiver(text, rules, signal);
  if (!checked.ok) return { ok: false, code: signal.aborted ? "timeout" : checked.code, ms: ms() };
  try {
    const response = await fetch(checked.url, { method: "POST", headers, body, redirect: "manual", signal });
    const { status } = response;
    if (status >= 300 && status < 400) {
      await response.body?.cancel();
      return { ok: false, code: "redirect", ms: ms(), status };
    }
    // Read, bounded, also when nothing of it is needed: an answer that never ends is no answer.
    const bytes = await readBounded(response.body, LIMITS.sink_answer_bytes);
    if (bytes === null) return { ok: false, code: "too_large", ms: ms(), status };
    const retry_after_s = retryAfter(response.headers.get("retry-after"), started);
    const answer = new TextDecoder().decode(bytes);
    return { ok: true, status, ms: ms(), text: answer, ...(retry_after_s === undefined ? {} : { retry_after_s }) };
  } catch {
    return { ok: false, code: signal.aborted ? "timeout" : "unreachable", ms: ms() };
  }
}

/** Seconds that the receiver asks to wait: a number or an HTTP date (RFC 9110 §10.2.3). */
function retryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  if (SECONDS.test(value)) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - nowMs) / 1_000));
}
