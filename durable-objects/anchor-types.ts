/** What crosses the RPC boundary of the anchors, and what they need of others. */
import type { ErrorCode } from "@talos/contracts";
import type { Anchor } from "./types.ts";

/** A checkpoint of the meta-log with the evidence that it is anchored. */
export interface Anchored {
  /** of the checkpoint */
  size: number;
  /** the checkpoint, with the cosignatures that it had */
  note: string;
  anchor: Anchor;
  /** of the block, as it says; absent where no block was asked: an OpenTimestamps file names its own */
  block?: { number: number; hash: string; time_seconds: number };
  done_ms: number;
}

export interface AnchorsPage {
  anchors: Anchored[];
  /** ask for what is below it; absent at the end */
  before?: number;
}

/** How anchoring stands. `off`: it is not configured. */
export interface AnchorsStatus {
  kind: "evm" | "ots";
  state: "off" | "idle" | "working" | "failing" | "refused";
  /** why it is failing, or was refused */
  code?: ErrorCode;
  failures: number;
  /** size of the newest checkpoint that is anchored; 0 before the first */
  anchored_size: number;
  anchored_ms?: number;
  /** of the checkpoint that is under way, and how far it is */
  flight?: { size: number; state: "pending" | "sent" | "mined"; attempts: number; tx?: string };
  /** files that wait for their blocks */
  waiting?: number;
  chain?: { chain_id: number; contract: string; publisher: string };
  next_ms?: number;
}

/** The anchors as the meta-log, the public surfaces and the Worker's clock reach them. */
export interface AnchorsPort {
  /** The smallest anchored checkpoint of at least this size. */
  covering(metaSize: number): Promise<Anchored | null>;
  /** Newest first. */
  list(page: { before?: number; limit?: number }): Promise<AnchorsPage>;
  status(): Promise<AnchorsStatus>;
  poke(): Promise<void>;
}

export interface Ask {
  method: "GET" | "POST";
  url: string;
  headers: Record<string, string>;
  body?: Uint8Array;
}

/** What became of it. `code` is one of a few words, never text of the other side. */
export type Asked = { ok: true; status: number; body: Uint8Array } | { ok: false; code: string };

/** The entrypoint through which the objects ask nodes and calendars: a guarded fetch. It does not throw for what they do. */
export interface AskPort {
  ask(ask: Ask): Promise<Asked>;
}
