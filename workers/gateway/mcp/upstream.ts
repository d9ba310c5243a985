/**
 * The one place from which the gateway calls out: no redirects, a deadline to the headers and between bytes, bounded
 * bodies, our own headers and nothing of the caller's. Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { LIMITS, type ServerEntry, TalosError } from "@talos/contracts";
import { joined } from "../../shared/request.ts";
import type { Config } from "../config.ts";
import { counters } from "../counters.ts";
import { isAllowedUpstream } from "../upstream-url.ts";

export interface UpstreamAsk {
  config: Config;
  tenant: string;
  server: ServerEntry;
  method: "POST" | "GET" | "DELETE";
  body?: string;
  /** the upstream's own session id */
  session?: string;
  protocol_version?: string;
  last_event_id?: string;
  traceparent: string;
  /** aborted when the caller went away or lost its right */
  signal: AbortController;
}

export interface UpstreamAnswer {
  status: number;
  type: "json" | "sse" | "none";
  session?: string;
  body: ReadableStream<Uint8Array> | null;
  /** of a JSON answer that was read already */
  text?: string;
}

/** Failures that happened before anything can have reached the server. */
const NOT_SENT = new WeakSet<TalosError>();
export const notSent = (error: unknown): boolean => error instanceof TalosError && NOT_SENT.has(error);

function unsent(error: TalosError): TalosError {
  NOT_SENT.add(error);
  return error;
}

export const timeoutOf = (server: ServerEntry): number =>
  Math.min(server.timeout_ms ?? LIMITS.upstream_timeout_ms, LIMITS.upstream_timeout_ms_max);

/** Headers that go up: these, and the credential that configuration holds for this server's origin. */
export function headersFor(ask: Omit<UpstreamAsk, "signal">): Headers {
  const headers = new Headers({
    accept: ask.method === "POST" ? "application/json, text/event-stream" : "text/event-stream",
    traceparent: ask.traceparent,
  });
  if (ask.body !== undefined) headers.set("content-type", "application/json");
  if (ask.protocol_version !== undefined) headers.set("mcp-protocol-version", ask.protocol_version);
  if (ask.session !== undefined) headers.set("mcp-session-id", ask.session);
  if (ask.last_event_id !== undefined) headers.set("last-event-id", ask.last_event_id);
  const credential = ask.config.credentials[`${ask.tenant}/${ask.server.name}`];
  if (credential !== undefined) {
    // A publisher chooses the URL, not where our credential goes: another origin gets no call at all.
    if (new URL(ask.server.url).origin !== credential.origin) {
      throw unsent(
        new TalosError("upstream.unreachable", {
          why: "the credential is for another origin",
          server: ask.server.name,
        }),
      );
    }
    headers.set(credential.header, credential.value);
  }
  return headers;
}

/**
 * Send and wait for the headers.
 * @throws `upstream.unreachable`, `upstream.timeout`, `upstream.invalid` for a redirect or another content type
 */
export async function callUpstream(ask: UpstreamAsk): Promise<UpstreamAnswer> {
  const { server } = ask;
  if (!isAllowedUpstream(server.url, ask.config.mode)) {
    throw unsent(new TalosError("upstream.unreachable", { why: "address not allowed", server: server.name }));
  }
  const headers = headersFor(ask);
  if (ask.signal.signal.aborted) throw unsent(new TalosError("upstream.unreachable", { why: "the caller is gone" }));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    ask.signal.abort();
  }, timeoutOf(server));
  counters.upstream_calls += 1;
  let response: Response;
  try {
    const init = { method: ask.method, headers, redirect: "manual", signal: ask.signal.signal } as const;
    response = await fetch(server.url, ask.body === undefined ? init : { ...init, body: ask.body });
  } catch (cause) {
    throw new TalosError(late ? "upstream.timeout" : "upstream.unreachable", { server: server.name }, { cause });
  } finally {
    clearTimeout(timer);
  }
  return judge(response, ask.method, server.name);
}

async function judge(response: Response, method: UpstreamAsk["method"], server: string): Promise<UpstreamAnswer> {
  const { status } = response;
  const type = (response.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
  const session = response.headers.get("mcp-session-id");
  const base = { status, ...(session === null ? {} : { session }) };
  if (status < 200 || status > 299 || status === 202 || status === 204 || method === "DELETE") {
    await response.body?.cancel().catch(() => undefined); // nobody reads it; its end may be gone already
    return { ...base, type: "none", body: null };
  }
  if (type === "application/json") return { ...base, type: "json", body: response.body };
  if (type === "text/event-stream") return { ...base, type: "sse", body: response.body };
  await response.body?.cancel().catch(() => undefined); // as above
  throw new TalosError("upstream.invalid", { why: "content type", type: type.slice(0, 80), status, server });
}

/** A pending read, or "tick" when `ms` passed first; the read stays pending and is to be passed in again. */
export async function readOrTick<T>(read: Promise<T>, ms: number): Promise<T | "tick"> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const tick = new Promise<"tick">((resolve) => {
    timer = setTimeout(() => resolve("tick"), ms);
  });
  try {
    return await Promise.race([read, tick]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A JSON answer's text, whole and bounded: in bytes, between bytes, and in all, so that no upstream keeps a call open by
 * sending a byte now and then.
 * @throws `upstream.too_large`, `upstream.timeout`, `upstream.unreachable`, `upstream.invalid`
 */
export async function readJson(answer: UpstreamAnswer, server: ServerEntry): Promise<string> {
  if (answer.body === null) throw new TalosError("upstream.invalid", { why: "no body" });
  const bytes = await readWhole(answer.body, timeoutOf(server), LIMITS.upstream_timeout_ms_max);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TalosError("upstream.invalid", { why: "not UTF-8" }, { cause });
  }
}

/**
 * All bytes of a body; on failure its sender is told. One timer serves all reads.
 * @throws `upstream.too_large`, `upstream.timeout`, `upstream.unreachable`
 */
export async function readWhole(
  body: ReadableStream<Uint8Array>,
  idleMs: number,
  totalMs: number,
): Promise<Uint8Array> {
  const reader = body.getReader();
  const begun = Date.now();
  let last = begun;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_, reject) => {
    const look = (): void => {
      const left = Math.min(last + idleMs, begun + totalMs) - Date.now();
      if (left > 0) timer = setTimeout(look, left);
      else reject(new TalosError("upstream.timeout", { why: Date.now() >= begun + totalMs ? "in all" : "idle" }));
    };
    timer = setTimeout(look, Math.min(idleMs, totalMs));
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      size += value.byteLength;
      if (size > LIMITS.upstream_body_bytes)
        throw new TalosError("upstream.too_large", { limit: LIMITS.upstream_body_bytes });
      chunks.push(value);
      last = Date.now();
    }
  } catch (cause) {
    reader.cancel("given up").catch(() => undefined); // its end may be gone already; the failure below stands
    throw cause instanceof TalosError ? cause : new TalosError("upstream.unreachable", { why: "broke off" }, { cause });
  } finally {
    clearTimeout(timer);
  }
  return chunks.length === 1 ? chunks[0]! : joined(chunks, size);
}
