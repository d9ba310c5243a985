/**
 * `audit.stream`: the record as it grows, as server-sent events. An event's id is its index in the log, so whoever comes
 * back with the last one gets everything after it, once. Nothing is read ahead: the next events are asked for when the
 * last ones were taken, so a slow reader costs one slice of memory, and one that takes nothing is told so and let go.
 * Source: contracts/spec/audit.md#stream.
 */
import { ERRORS, LIMITS, TalosError, validate } from "@talos/contracts";
import type { LogRow } from "../../durable-objects/log-rows.ts";
import type { Streamed } from "../../durable-objects/log-streams.ts";
import { named } from "../shared/errors.ts";
import type { AppContext, Handlers } from "../shared/ports.ts";
import { asked, stub } from "./log.ts";

const HEADERS = { "content-type": "text/event-stream", "cache-control": "no-store" };
const INTEGER = /^(0|[1-9][0-9]{0,15})$/;
/** Characters of one write: a reader is judged by whether it takes these within `audit_stream_stall_ms`. */
const PIECE = 65_536;
/** What a client waits before it comes back by itself, ms (WHATWG HTML §9.2). */
const RETRY_MS = 1_000;
const encoder = new TextEncoder();

interface Wanted {
  /** the first index; absent: what comes from now on */
  from?: number;
  kinds?: ReadonlySet<string>;
}

/** A reader that takes nothing any more. */
class Stalled extends Error {
  override readonly name = "Stalled";
}

export const streamHandlers: Pick<Handlers, "audit.stream"> = {
  "audit.stream": async (c) => {
    const wanted = readStream(c);
    const reader = new Reader(c, wanted.from ?? (await end(c)), wanted.kinds);
    await reader.first(); // too many streams, or an index that the log has not reached, are an answer and no stream
    const { readable, writable } = new IdentityTransformStream();
    const pumping = reader.pump(writable.getWriter());
    c.set("lasting", pumping);
    c.executionCtx.waitUntil(pumping);
    return new Response(readable, { headers: HEADERS });
  },
};

async function end(c: AppContext): Promise<number> {
  return (await asked(() => stub(c).facts())).appended;
}

/**
 * Where to begin and what to show. `last-event-id` as a header, which a browser sends when it comes back, wins over
 * the address that it came back to.
 * @throws `contract.invalid`
 */
export function readStream(c: AppContext): Wanted {
  const given = new Map<string, string>();
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (given.has(name) || !["from", "last_event_id", "kinds"].includes(name)) throw invalid("parameters");
    given.set(name, value);
  }
  const last = c.get("headers")["last-event-id"] ?? given.get("last_event_id");
  const from = last === undefined ? given.get("from") : last;
  const wanted: Wanted = {};
  if (from !== undefined) {
    const index = Number(from) + (last === undefined ? 0 : 1);
    if (!INTEGER.test(from) || !Number.isSafeInteger(index)) throw invalid("no index");
    wanted.from = index;
  }
  const kinds = given.get("kinds")?.split(",");
  if (kinds !== undefined) {
    if (kinds.length !== new Set(kinds).size || !kinds.every((kind) => validate("audit/query", { kind }).ok))
      throw invalid("kinds");
    wanted.kinds = new Set(kinds);
  }
  return wanted;
}

const invalid = (query: string) => new TalosError("contract.invalid", { query });

class Reader {
  readonly #c: AppContext;
  readonly #kinds: ReadonlySet<string> | undefined;
  #position: number;
  #slice: LogRow[] = [];
  #nextCheck = Date.now() + LIMITS.head_refresh_ms;
  #wroteMs = Date.now();
  #gone = false;

  constructor(c: AppContext, from: number, kinds: ReadonlySet<string> | undefined) {
    this.#c = c;
    this.#position = from;
    this.#kinds = kinds;
  }

  /** @throws `concurrency.exhausted`, `contract.invalid` (an index ahead of the log), `audit.query_unavailable` */
  async first(): Promise<void> {
    this.#slice = await this.#read(0);
  }

  /** Write until the reader leaves, its right ends, or something fails. Never rejects. */
  async pump(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    const c = this.#c;
    const leave = (): void => {
      this.#gone = true;
    };
    c.req.raw.signal.addEventListener("abort", leave, { once: true });
    writer.closed.catch(leave);
    try {
      await this.#forward(writer);
    } catch (error) {
      if (!this.#gone)
        await this.#tell(writer, error instanceof Stalled ? new TalosError("audit.stream_slow") : named(error));
    }
    await writer.abort("over").catch(() => undefined); // closed already, or nobody is there
    await Promise.resolve(stub(c).leave(c.get("request_id"))).catch(() => undefined); // it is forgotten by itself
  }

  async #forward(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    // Where it stands comes first: whoever is cut off before the first event comes back to the same place.
    const from = this.#position - this.#slice.length;
    await this.#write(writer, `retry: ${RETRY_MS}\n${heartbeat(from)}`);
    for (let turn = 0; turn < LIMITS.audit_stream_turns && !this.#gone; turn += 1) {
      await this.#check();
      for (const piece of pieces(this.#slice, this.#kinds)) {
        await this.#check();
        await this.#write(writer, piece);
      }
      // Only a write shows that the reader is gone, and proxies close what is silent for long. All that was read is written.
      if (Date.now() - this.#wroteMs >= LIMITS.audit_stream_wait_ms)
        await this.#write(writer, heartbeat(this.#position));
      this.#slice = await this.#read(LIMITS.audit_stream_wait_ms);
    }
    if (!this.#gone) throw new TalosError("audit.stream_over");
  }

  async #write(writer: WritableStreamDefaultWriter<Uint8Array>, text: string): Promise<void> {
    await this.#taken(writer.write(encoder.encode(text)));
    this.#wroteMs = Date.now();
  }

  /** What stands from the position on; the position is behind it then. A gap ends the stream instead of being passed. */
  async #read(waitMs: number): Promise<LogRow[]> {
    const c = this.#c;
    const wait_ms = Math.max(0, Math.min(waitMs, this.#expiryMs() - Date.now()));
    const ask = { stream: c.get("request_id"), holder: c.get("facts").sub, from: this.#position, wait_ms };
    const answer = await asked(async (): Promise<Streamed> => stub(c).stream(ask), wait_ms);
    if (!answer.ok) throw new TalosError(answer.code, { streams: "of the tenant or of the holder" });
    if (answer.next_seq < this.#position) throw invalid("the log has no such index yet");
    for (const { seq } of answer.rows) {
      if (seq !== this.#position) throw new TalosError("audit.query_unavailable", { why: "a gap" });
      this.#position += 1;
    }
    return answer.rows;
  }

  #expiryMs(): number {
    return this.#c.get("facts").not_after * 1_000;
  }

  /** @throws `EXPIRED`, or the code of a decision that no longer allows */
  async #check(): Promise<void> {
    if (Date.now() >= this.#expiryMs()) throw new TalosError("EXPIRED");
    if (Date.now() < this.#nextCheck) return;
    await this.#c.get("still")();
    this.#nextCheck = Date.now() + LIMITS.head_refresh_ms;
  }

  /**
   * A write that is not taken is decided anew like a wait; after `audit_stream_stall_ms` its reader is too slow.
   * @throws Stalled
   */
  async #taken(written: Promise<void>): Promise<void> {
    const untilMs = Date.now() + LIMITS.audit_stream_stall_ms;
    for (;;) {
      const left = untilMs - Date.now();
      if (left <= 0) throw new Stalled();
      const tick = Math.max(1, Math.min(left, this.#nextCheck - Date.now()));
      if (await settles(written, tick)) return;
      await this.#check();
    }
  }

  /** Say by name why it ends. A reader that had stopped gets it behind what it had not taken, if it takes that soon. */
  async #tell(writer: WritableStreamDefaultWriter<Uint8Array>, failure: TalosError): Promise<void> {
    const { message, retryable } = ERRORS[failure.code];
    const told = { code: failure.code, title: message, retryable, request_id: this.#c.get("request_id") };
    this.#c.get("log")("info", "audit.stream_ended", { code: failure.code, detail: failure.detail });
    const last = writer
      .write(encoder.encode(`event: error\ndata: ${JSON.stringify(told)}\n\n`))
      .then(() => writer.close());
    await settles(last, LIMITS.audit_stream_stall_ms).catch(() => undefined); // nobody is there to be told
  }
}

/** Whether it settles within `ms`. @throws what it throws */
async function settles(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A comment; and where the reader stands, so that it need not pass again what it did not want to see. */
const heartbeat = (position: number): string => (position === 0 ? ":\n\n" : `:\nid: ${position - 1}\n\n`);

/** Events as text, a few at a time. A leaf is canonical JSON on one line, so it goes out as it stands. */
function* pieces(rows: readonly LogRow[], kinds: ReadonlySet<string> | undefined): Generator<string> {
  let piece = "";
  for (const { seq, leaf_hash, body } of rows) {
    if (kinds !== undefined && !kinds.has((JSON.parse(body) as { kind?: string }).kind ?? "")) continue;
    piece += `id: ${seq}\nevent: audit\ndata: {"seq":${seq},"leaf_hash":"${leaf_hash}","event":${body},"source":"log"}\n\n`;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  if (piece !== "") yield piece;
}
