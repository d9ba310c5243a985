/**
 * What a log shows of its tree: facts, the published checkpoint, tiles, proofs. Nothing is shown that no published head
 * covers, and whoever asks verifies it all by itself. It reads the object's own rows, so it needs no Postgres and,
 * for everything but old entries, no bucket.
 * Source: contracts/spec/audit.md#surfaces, contracts/spec/log.md.
 */
import { LIMITS } from "@talos/contracts";
import {
  bundle,
  checkpointText,
  consistencyProof,
  edgeSubtrees,
  edgeTiles,
  inclusionProof,
  parseTile,
  proofFile,
  TILE_WIDTH,
  tileAt,
  treeRoot,
} from "@talos/core/log";
import type { TreeStore } from "./tree-store.ts";

/** Sealing and publishing of what was just appended take about this long. */
const SOON_MS = LIMITS.audit_project_ms + LIMITS.audit_publish_ms;

export interface LogFacts {
  /** absent before the first seal */
  origin?: string;
  appended: number;
  sealed: number;
  published: number;
  forked: boolean;
}

/** Not yet: when to ask again. */
export interface NotYet {
  ok: false;
  code: "audit.not_published";
  retry_after_ms: number;
}

export type Consistency = { ok: true; hashes: Uint8Array } | NotYet;

export interface ProofAsk {
  event_id: string;
  /** a head of this log that covers the event; the newest published one when absent */
  head?: { size: number; note: string };
}

export type Proved =
  | { ok: true; index: number; origin: string; size: number; event: string; log_proof: string }
  | NotYet
  | { ok: false; code: "audit.event_unknown" | "audit.forked" };

/**
 * What it takes to verify the leaves `from` .. `to` - 1 by themselves: the complete subtrees of the tree before them, a
 * head that covers them, and the proof that it extends the tree that ends with them.
 */
export type Range =
  | {
      ok: true;
      origin: string;
      to: number;
      size: number;
      checkpoint: string;
      subtrees: Uint8Array;
      consistency: Uint8Array;
    }
  | NotYet;

export interface LogReadsPorts {
  tree: TreeStore;
  /** the number after the last event */
  next(): number;
  forked(): boolean;
  find(eventId: string): Promise<{ seq: number; body: string } | undefined>;
}

export class LogReads {
  readonly #ports: LogReadsPorts;
  readonly #read = async (path: string) => this.#ports.tree.tile(path);

  constructor(ports: LogReadsPorts) {
    this.#ports = ports;
  }

  facts(): LogFacts {
    const { tree, next, forked } = this.#ports;
    const sealed = tree.sealed();
    const sizes = { appended: next(), sealed: sealed?.size ?? 0, published: tree.published()?.size ?? 0 };
    return { ...(sealed === undefined ? {} : { origin: sealed.origin }), ...sizes, forked: forked() };
  }

  /** The signed note of the newest published head, or null before the first. */
  checkpoint(): string | null {
    return this.#ports.tree.published()?.note ?? null;
  }

  /** A tile or bundle by its name, also as narrow as an older head had it; null where no published head has it. */
  tile(path: string): Uint8Array | null {
    const { tree } = this.#ports;
    const { level, index, width } = parseTile(path);
    const there = tileAt(level, index, tree.published()?.size ?? 0);
    if (there === undefined || parseTile(there).width < width) return null;
    if (level !== "entries") return tree.tile(path).slice();
    const first = index * TILE_WIDTH;
    const entries = [...tree.entries(first, first + width)].map(({ body }) => new TextEncoder().encode(body));
    return entries.length === width ? bundle(entries) : null; // rows that were published may be gone: the bucket has them
  }

  /** @param old at least 1, at most `size` */
  async consistency(old: number, size: number): Promise<Consistency> {
    if (size > this.#published()) return notYet();
    return { ok: true, hashes: await consistencyProof(old, size, this.#read) };
  }

  /** An event and the proof that a head of this log covers it. */
  async proof({ event_id, head }: ProofAsk): Promise<Proved> {
    const { tree, find } = this.#ports;
    const found = await find(event_id);
    if (found === undefined) return { ok: false, code: "audit.event_unknown" };
    const { seq: index, body: event } = found;
    const [sealed, published] = [tree.sealed(), tree.published()];
    if (sealed === undefined || published === undefined || published.size <= index) return notYet();
    const { size, note } = head ?? published;
    if (size <= index || size > published.size) return notYet();
    const { origin } = sealed;
    // A head that others keep under our name must be one of this tree; else what they vouch for is not this record.
    const text = checkpointText(origin, { size, root: await treeRoot(size, this.#read) });
    if (!note.startsWith(`${text}\n`)) return { ok: false, code: "audit.forked" };
    const hashes = await inclusionProof(index, size, this.#read);
    return { ok: true, index, origin, size, event, log_proof: proofFile({ index, hashes, checkpoint: note }) };
  }

  /** @param to behind the last leaf; cut to what is published */
  async range(from: number, to: number): Promise<Range> {
    const { tree } = this.#ports;
    const [sealed, published] = [tree.sealed(), tree.published()];
    if (sealed === undefined || published === undefined || published.size <= from) return notYet();
    const { size, note: checkpoint } = published;
    const end = Math.min(to, size);
    const edge = concat(edgeTiles(from).map((path) => tree.tile(path)));
    const subtrees = edgeSubtrees(from, edge);
    const consistency = await consistencyProof(end, size, this.#read);
    return { ok: true, origin: sealed.origin, to: end, size, checkpoint, subtrees, consistency };
  }

  #published(): number {
    return this.#ports.tree.published()?.size ?? 0;
  }
}

const notYet = (): NotYet => ({ ok: false, code: "audit.not_published", retry_after_ms: SOON_MS });

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
