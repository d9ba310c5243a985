/** What crosses the RPC boundary of a sink. */
import type { ErrorCode, Sink, SinkAttempt, SinkCreate, SinkDeadLetter } from "@talos/contracts";
import type { LogRow } from "./log-rows.ts";

export interface CreateAsk extends Omit<SinkCreate, "from_seq"> {
  tenant: string;
  id: string;
  from_seq: number;
}

export type Refused = { ok: false; code: ErrorCode };
export type SinkAnswer = { ok: true; sink: Sink } | Refused;
export type SinkMadeAnswer = { ok: true; sink: Sink; secret?: string } | Refused;
export type AttemptAnswer = { ok: true; attempt: SinkAttempt } | Refused;
export type DeliveriesAnswer = { ok: true; deliveries: SinkAttempt[] } | Refused;
export type DeadLettersAnswer = { ok: true; dead_letters: SinkDeadLetter[] } | Refused;
export type RedeliverAnswer = { ok: true; count: number } | Refused;

/** A stretch of a log, for whoever follows it. `next_seq`: where the log ends. */
export interface LogSlice {
  rows: LogRow[];
  next_seq: number;
}

/** What became of a POST. `code` is one of a few words, never text of the other side. */
export type Posted =
  | { ok: true; status: number; ms: number; retry_after_s?: number; text: string }
  | { ok: false; code: PostFault; ms: number; status?: number };
export type PostFault = "refused_url" | "unresolved" | "redirect" | "too_large" | "timeout" | "unreachable";

export interface Post {
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** The entrypoint that calls receivers (workers/audit): a guarded fetch. It does not throw for what a receiver does. */
export interface CourierPort {
  post(post: Post): Promise<Posted>;
}
