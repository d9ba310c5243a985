import {
  type AppendReceipt,
  type AuditEntry,
  type AuditLogFacts,
  type AuditRecord,
  type ConsistencyProof,
  LIMITS,
  validate,
} from "@talos/contracts";
import { ClientError, GatewayError, parseProblem, readBounded, toError } from "./errors.ts";
import type { Ask } from "./sinks.ts";
import { readEvents } from "./sse.ts";

/** One signed GET whose answer is no JSON value. */
export type Get = (path: string, headers: Record<string, string>, signal: AbortSignal | undefined) => Promise<Response>;

export type ProofLevel = "published" | "witnessed" | "anchored";
export type { AppendReceipt, AuditEntry, AuditLogFacts, ConsistencyProof };

/** One tree of a log that was rotated, by its origin (`log().epochs`); without one, the newest. */
export interface Tree {
  origin?: string;
}

export interface StreamFrom {
  /** the last event that was seen; the stream goes on behind it */
  after?: number;
  /** the first event; without it and `after`, what comes from now on */
  from?: number;
  kinds?: readonly string[];
}

/** 256 entries at their bound, each after its length. */
const TILE_BYTES = 256 * (LIMITS.event_bytes + 2);
const NOTE_BYTES = 65_536;
/** How long the first byte of an answer may take, and any further one of a stream: three heartbeats. */
const SILENCE_MS = 3 * LIMITS.audit_stream_wait_ms;
/** Pauses between attempts to go on with a stream. */
const AGAIN_MS = 1_000;
const AGAIN_MAX_MS = 30_000;

const queryOfTree = ({ origin }: Tree, before: "?" | "&"): string =>
  origin === undefined ? "" : `${before}origin=${encodeURIComponent(origin)}`;

/** The tenant's record as a log (contracts/spec/audit.md#surfaces). Needs a grant for `talos/audit.events`. */
export class Audit {
  readonly #ask: Ask;
  readonly #get: Get;

  constructor(ask: Ask, get: Get) {
    this.#ask = ask;
    this.#get = get;
  }

  /** Origin, keys, sizes, and a policy to verify with. Whoever wants to be sure keeps the policy of an earlier time. */
  log(signal?: AbortSignal): Promise<AuditLogFacts> {
    return this.#ask("GET", "/audit/log", "audit/log", { signal });
  }

  /** The newest published checkpoint, a signed note. @throws GatewayError `audit.not_published` before the first */
  async checkpoint(tree: Tree = {}, signal?: AbortSignal): Promise<string> {
    const path = `/audit/checkpoint${queryOfTree(tree, "?")}`;
    return new TextDecoder().decode(await this.#bytes(path, NOTE_BYTES, signal));
  }

  /** A tile or bundle by its C2SP name, `tile/0/000` or `tile/entries/000.p/7`. */
  tile(path: string, tree: Tree = {}, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#bytes(`/audit/${path}${queryOfTree(tree, "?")}`, TILE_BYTES, signal);
  }

  consistency(old: number, size: number, tree: Tree = {}, signal?: AbortSignal): Promise<ConsistencyProof> {
    const path = `/audit/consistency?old=${old}&size=${size}${queryOfTree(tree, "&")}`;
    return this.#ask("GET", path, "audit/consistency", { signal });
  }

  /**
   * The proof bundle of an event, byte for byte: what a verifier reads.
   * @param level the least that will do
   * @throws GatewayError `audit.not_published`, `audit.not_witnessed`, `audit.not_anchored`: later, see `retry_after_ms`
   */
  async proof(event_id: string, level: ProofLevel = "published", signal?: AbortSignal): Promise<string> {
    const path = `/audit/events/${encodeURIComponent(event_id)}/proof?level=${level}`;
    return new TextDecoder().decode(await this.#bytes(path, LIMITS.proof_bundle_bytes, signal));
  }

  /**
   * Record events of one's own, at most `audit_batch_events`; needs a grant for `talos/audit.append`. Safe to repeat: the
   * same events get the same receipts.
   * @throws GatewayError `audit.event_conflict`, `audit.append_too_large`, `contract.invalid`
   */
  async append(events: readonly AuditEntry[], signal?: AbortSignal): Promise<AppendReceipt[]> {
    const body = { events };
    const { receipts } = await this.#ask("POST", "/audit/events", "audit/appended", { body, signal });
    const same = receipts.length === events.length && receipts.every((one, i) => one.event_id === events[i]!.event_id);
    if (!same) throw new ClientError("client.answer_invalid", "receipts of other events");
    return receipts;
  }

  /** A stretch of the log, to be verified by `verifyExport`; its head says where the next one begins. */
  async export(from: number, to?: number, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const query = to === undefined ? `from=${from}` : `from=${from}&to=${to}`;
    const response = await this.#get(`/audit/export?${query}`, { accept: "application/x-ndjson" }, signal);
    if (!response.ok) throw await toError(response);
    if (response.body === null) throw new ClientError("client.answer_invalid", "an export without a body");
    return response.body;
  }

  /**
   * The record as it grows: every event once, in order. Once opened it goes on by itself after whatever may pass, also after
   * it was cut off for long, until the caller leaves the loop.
   * @throws what keeps it from being opened; GatewayError when the right to it has ended
   */
  async *stream(where: StreamFrom = {}, signal?: AbortSignal): AsyncGenerator<AuditRecord, void, void> {
    const at: StreamFrom = { ...where };
    let [opened, failures] = [false, 0];
    const open = (): void => {
      [opened, failures] = [true, 0];
    };
    for (;;) {
      let asked = 0;
      try {
        yield* this.#once(at, open, signal);
      } catch (error) {
        if (!opened || signal?.aborted || !passes(error)) throw error;
        if (error instanceof GatewayError) asked = error.problem.retry_after_ms ?? 0;
      }
      await pause(Math.max(asked, Math.min(AGAIN_MS * 2 ** failures, AGAIN_MAX_MS)), signal);
      failures += 1;
    }
  }

  /** One connection; `at` is moved as it goes. */
  async *#once(at: StreamFrom, open: () => void, signal?: AbortSignal): AsyncGenerator<AuditRecord, void, void> {
    const silent = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(new ClientError("client.timeout", "the stream is silent")), SILENCE_MS);
    };
    heard();
    try {
      const either = signal ? AbortSignal.any([signal, silent.signal]) : silent.signal;
      const response = await this.#get(`/audit/stream${queryOf(at)}`, headersOf(at), either);
      if (!response.ok) throw await toError(response);
      open();
      const body = response.body!.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            heard();
            controller.enqueue(chunk);
          },
        }),
      );
      const passed = (id: string): void => {
        if (/^\d{1,16}$/.test(id)) at.after = Number(id);
      };
      for await (const { event, data } of readEvents(body, LIMITS.sse_event_bytes, passed)) {
        if (event === "error") throw ended(data);
        yield recordOf(data);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #bytes(path: string, limit: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const response = await this.#get(path, {}, signal);
    if (!response.ok) throw await toError(response);
    const bytes = await readBounded(response.body, limit);
    if (!bytes) throw new ClientError("client.answer_invalid", `${path}: more than ${limit} bytes`);
    return bytes;
  }
}

function queryOf({ after, from, kinds }: StreamFrom): string {
  const query = new URLSearchParams();
  if (after === undefined && from !== undefined) query.set("from", String(from));
  if (kinds !== undefined) query.set("kinds", kinds.join(","));
  return query.size === 0 ? "" : `?${query}`;
}

const headersOf = ({ after }: StreamFrom): Record<string, string> => ({
  accept: "text/event-stream",
  ...(after === undefined ? {} : { "last-event-id": String(after) }),
});

/** Whether coming back may help. A session's end comes by name too: another is opened, or the opening says why not. */
function passes(error: unknown): boolean {
  if (error instanceof GatewayError) {
    const { retryable, status, code } = error.problem;
    return retryable || status >= 500 || (code === "EXPIRED" && error instanceof StreamEnded);
  }
  if (error instanceof ClientError) return error.code === "client.unreachable" || error.code === "client.timeout";
  return error instanceof TypeError; // what `fetch` and a body that breaks off say
}

/** What the stream itself said last. */
class StreamEnded extends GatewayError {}

function ended(data: string): Error {
  const problem = parseProblem(data, 200);
  return problem === null
    ? new ClientError("client.answer_invalid", "the stream's last word")
    : new StreamEnded(problem);
}

function recordOf(data: string): AuditRecord {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new ClientError("client.answer_invalid", "an event that is no JSON", { cause });
  }
  const read = validate("audit/record", value);
  if (!read.ok) throw new ClientError("client.answer_invalid", `an event of the stream: ${read.errors[0]}`);
  return read.value;
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
