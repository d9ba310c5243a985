/**
 * Streams from an upstream to a caller, event by event as they come, each judged by the gate in release.ts. A stream
 * is decided anew every `sse_recheck_ms` and ends with its right; when the caller leaves, the upstream is told.
 * Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { named, rpcErrorText } from "../../shared/errors.ts";
import { refusal, stillAllowed } from "../authorize.ts";
import { type Gate, releaseMessage } from "./release.ts";
import { printSse, type SseEvent, SseParser, SseTooLarge } from "./sse.ts";
import { readOrTick } from "./upstream.ts";

export interface StreamAsk {
  gate: Gate;
  upstream: ReadableStream<Uint8Array>;
  upstream_status: number;
  /** aborts the upstream's request */
  signal: AbortController;
  /** ms without a byte after which the upstream has failed; absent on GET, where silence is normal */
  idle_ms?: number;
  /** JSON text of the id of this POST's own request */
  rpc_id?: string;
  /** settled when this POST's own request was answered */
  answered(): void;
}

/** How a stream ended. */
export interface StreamEnd {
  /** why it ended before the upstream did; absent when the upstream ended it */
  failure?: TalosError;
  /** the caller went away */
  gone: boolean;
  /** the upstream gave an event id, so that the caller can ask for the rest */
  resumable: boolean;
}

/**
 * A silent stream gets a comment this often: only a write shows that the caller is gone (a closed socket that nobody
 * writes to looks like a patient reader), and proxies close what is silent for long.
 */
const PING_MS = 5_000;

/** The caller takes nothing any more, though its connection stands. */
class NotTaken extends Error {
  override readonly name = "NotTaken";
}

/**
 * A write to the caller, or its close. While it is not taken nothing can be decided anew, so the caller has
 * `sse_recheck_ms`: then it is as good as gone, and holds no upstream, slot or memory of ours for longer.
 * @throws NotTaken
 */
async function taken(handed: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NotTaken()), LIMITS.sse_recheck_ms);
  });
  try {
    await Promise.race([handed, late]);
  } finally {
    clearTimeout(timer);
  }
}

const encoder = new TextEncoder();
const PING = encoder.encode(printSse({ comment: true }));

/**
 * Pump until either side ends. Never rejects: how it ended is the answer.
 * @param writer the caller's side; closed here
 */
export async function pump(ask: StreamAsk, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<StreamEnd> {
  const parser = new SseParser(LIMITS.sse_event_bytes);
  const end: StreamEnd = { gone: false, resumable: false };
  const leave = (): void => {
    end.gone = true;
    ask.signal.abort(); // the upstream is told even when it is silent
  };
  ask.gate.c.req.raw.signal.addEventListener("abort", leave, { once: true });
  writer.closed.catch(leave);
  try {
    await forward(ask, parser, writer, end);
  } catch (error) {
    if (error instanceof NotTaken) leave();
    if (!end.gone) end.failure = named(error);
  }
  if (end.failure !== undefined || end.gone) ask.signal.abort();
  await finishWriting(ask, writer, end);
  return end;
}

async function forward(
  ask: StreamAsk,
  parser: SseParser,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  end: StreamEnd,
): Promise<void> {
  const reader = ask.upstream.getReader();
  let pending = reader.read();
  let nextCheck = Date.now() + LIMITS.sse_recheck_ms;
  let lastByte = Date.now();
  let nextPing = Date.now() + PING_MS;
  for (;;) {
    const until = Math.min(
      nextCheck,
      nextPing,
      expiryMs(ask),
      ask.idle_ms === undefined ? Number.POSITIVE_INFINITY : lastByte + ask.idle_ms,
    );
    const read = await readOrTick(pending, Math.max(1, until - Date.now())).catch((cause: unknown) => {
      throw new TalosError("upstream.unreachable", { why: "broke off" }, { cause });
    });
    const now = Date.now();
    if (now >= expiryMs(ask)) throw refusal({ allow: false, code: "EXPIRED" }, true);
    if (now >= nextCheck) {
      await stillAllowed(ask.gate.evaluation);
      nextCheck = Date.now() + LIMITS.sse_recheck_ms;
    }
    if (now >= nextPing) {
      await taken(writer.write(PING));
      nextPing = now + PING_MS;
    }
    if (read === "tick") {
      if (ask.idle_ms !== undefined && now >= lastByte + ask.idle_ms)
        throw new TalosError("upstream.timeout", { why: "idle" });
      continue;
    }
    if (read.done) return;
    lastByte = now;
    for (const event of parse(parser, read.value)) await send(ask, event, writer, end);
    pending = reader.read();
  }
}

const expiryMs = (ask: StreamAsk): number => ask.gate.evaluation.decided.request!.not_after * 1_000;

async function send(
  ask: StreamAsk,
  event: SseEvent,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  end: StreamEnd,
): Promise<void> {
  if (event.id !== undefined) end.resumable = true;
  let out: SseEvent | null = event;
  if (event.data !== undefined && event.data !== "") {
    const released = await releaseMessage(ask.gate, event.data, ask.upstream_status);
    if (released.answered !== undefined && released.answered.id === ask.rpc_id) ask.answered();
    out = released.text === null ? null : { ...event, data: released.text };
  }
  if (out !== null) await taken(writer.write(encoder.encode(printSse(out))));
}

/** @throws `upstream.too_large`, `upstream.invalid` (not UTF-8) */
function parse(parser: SseParser, chunk: Uint8Array): SseEvent[] {
  try {
    return parser.push(chunk);
  } catch (cause) {
    throw new TalosError(cause instanceof SseTooLarge ? "upstream.too_large" : "upstream.invalid", {}, { cause });
  }
}

/** Tell a caller that still listens why its call gets no answer here, and close. */
async function finishWriting(
  ask: StreamAsk,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  end: StreamEnd,
): Promise<void> {
  if (end.gone) {
    // Not closed, which would wait for the caller to take what is left.
    await writer.abort("gone").catch(() => undefined); // the connection may be gone already
    return;
  }
  try {
    if (end.failure !== undefined && ask.rpc_id !== undefined) {
      const data = rpcErrorText(named(end.failure), ask.gate.c.get("request_id"), ask.rpc_id);
      await taken(writer.write(encoder.encode(printSse({ event: "message", data }))));
    }
    await taken(writer.close());
  } catch {
    end.gone = true; // nobody is there to be told; the record says how it ended
    await writer.abort("gone").catch(() => undefined); // as above
  }
}
