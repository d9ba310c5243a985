/**
 * Readers that wait for news of a log. A wait costs a promise and a timer, no row and no alarm; whoever stops asking is
 * forgotten. It is the log that counts open streams, because they end in one object however many isolates serve them.
 * Eviction loses who was there: each stream says its name again with its next question, and the bounds hold for those.
 * Source: contracts/spec/audit.md#stream.
 */
import { LIMITS } from "@talos/contracts";
import type { LogRow } from "./log-rows.ts";

export interface StreamAsk {
  /** id of the stream, the same in all its questions */
  stream: string;
  /** who reads */
  holder: string;
  /** the first event that is wanted */
  from: number;
  /** how long to wait for it */
  wait_ms: number;
}

/** Rows in order from `from` on, without gaps; none when the wait was over. `next_seq`: where the log ends. */
export type Streamed = { ok: true; rows: LogRow[]; next_seq: number } | { ok: false; code: "concurrency.exhausted" };

export interface LogStreamsPorts {
  read(from: number, most: number): Promise<LogRow[]>;
  /** the number after the last event */
  next(): number;
}

/** Appends of this time are one piece of news. */
const GATHER_MS = 50;
/** A stream that has not asked for this long is gone: it waits, or writes to a slow reader, for less. */
const GONE_MS = LIMITS.audit_stream_wait_ms + 2 * LIMITS.audit_stream_stall_ms;

export class LogStreams {
  readonly #ports: LogStreamsPorts;
  readonly #open = new Map<string, { holder: string; seen_ms: number }>();
  readonly #waiting = new Set<() => void>();
  #stirring = false;

  constructor(ports: LogStreamsPorts) {
    this.#ports = ports;
  }

  /** What is there from `from` on, waiting for it if there is nothing yet. */
  async next(ask: StreamAsk): Promise<Streamed> {
    if (!this.#admit(ask, Date.now())) return { ok: false, code: "concurrency.exhausted" };
    const { read, next } = this.#ports;
    if (next() <= ask.from) await this.#news(Math.min(ask.wait_ms, LIMITS.audit_stream_wait_ms));
    return { ok: true, rows: await read(ask.from, LIMITS.audit_stream_rows), next_seq: next() };
  }

  leave(stream: string): void {
    this.#open.delete(stream);
  }

  /** Something was appended. */
  stir(): void {
    if (this.#stirring || this.#waiting.size === 0) return;
    this.#stirring = true;
    setTimeout(() => {
      this.#stirring = false;
      for (const wake of this.#waiting) wake();
    }, GATHER_MS);
  }

  #admit({ stream, holder }: StreamAsk, nowMs: number): boolean {
    for (const [id, { seen_ms }] of this.#open) if (nowMs - seen_ms > GONE_MS) this.#open.delete(id);
    if (!this.#open.has(stream)) {
      const own = [...this.#open.values()].filter((other) => other.holder === holder).length;
      if (this.#open.size >= LIMITS.audit_streams || own >= LIMITS.audit_streams_holder) return false;
    }
    this.#open.set(stream, { holder, seen_ms: nowMs });
    return true;
  }

  async #news(ms: number): Promise<void> {
    if (ms <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#waiting.add(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    }
  }
}
