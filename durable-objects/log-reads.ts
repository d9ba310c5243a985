/**
 * What a log shows of its tree: facts, the published checkpoint, tiles, proofs. Nothing is shown that no published head
 * covers, and whoever asks verifies it all by itself. It reads the object's own rows, so it needs no Postgres and,
 * for everything but old entries and leaf hashes, no bucket.
 * Source: contracts/spec/audit.md#surfaces, contracts/spec/log.md.
 */
import { LIMITS } from "@talos/contracts";
import {
  concat,
  checkpointText,
  consistencyProof,
  edgeSubtrees,
  edgeTiles,
  inclusionProof,
  parseTile,
  proofFile,
  tileAt,
  treeRoot,
} from "@talos/core/log";
import type { Epoch, Epochs } from "./epochs.ts";

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
      /** number of the tree's first event */
      first_seq: number;
      to: number;
      size: number;
      /** whether published events follow, in this tree or in a later one */
      more: boolean;
      checkpoint: string;
      subtrees: Uint8Array;
      consistency: Uint8Array;
    }
  | NotYet;

export interface LogReadsPorts {
  epochs: Epochs;
  /** the bytes of a bundle of entries, as wide as asked, of what a published head covers */
  bundle(epoch: Epoch, index: number, width: number): Promise<Uint8Array>;
  /** a tile of hashes, from wherever it lies */
  tile(epoch: Epoch, path: string): Promise<Uint8Array>;
  /** the number after the last event */
  next(): number;
  find(eventId: string): Promise<{ seq: number; body: string } | undefined>;
}

export class LogReads {
  readonly #ports: LogReadsPorts;

  constructor(ports: LogReadsPorts) {
    this.#ports = ports;
  }

  /** Of the newest tree that has leaves; `appended` counts the events of all. */
  facts(): LogFacts {
    const { epochs, next } = this.#ports;
    const { tree } = epochs.at(Math.max(0, epochs.sealed() - 1));
    const sealed = tree.sealed();
    const sizes = {
      appended: next(),
      sealed: sealed?.size ?? 0,
      published: tree.published()?.size ?? 0,
    };
    return { ...(sealed === undefined ? {} : { origin: sealed.origin }), ...sizes, forked: epochs.forked };
  }

  /** The signed note of the newest published head of a tree, the newest when absent; null before its first. */
  checkpoint(origin?: string): string | null {
    return this.#tree(origin)?.tree.published()?.note ?? null;
  }

  /** The folder in the bucket under which a tree's files lie, the newest's when absent; null where there is no such tree. */
  folder(origin?: string): string | null {
    return this.#tree(origin)?.names.full.slice("f/".length) ?? null;
  }

  /** A tile or bundle by its name, also as narrow as an older head had it; null where no published head has it. */
  async tile(path: string, origin?: string): Promise<Uint8Array | null> {
    const epoch = this.#tree(origin);
    const { level, index, width } = parseTile(path);
    const there = epoch && tileAt(level, index, epoch.tree.published()?.size ?? 0);
    if (epoch === undefined || there === undefined || parseTile(there).width < width) return null;
    return level === "entries"
      ? this.#ports.bundle(epoch, index, width)
      : (await this.#ports.tile(epoch, path)).slice();
  }

  /** @param old at least 1, at most `size` */
  async consistency(old: number, size: number, origin?: string): Promise<Consistency> {
    const epoch = this.#tree(origin);
    if (epoch === undefined || size > (epoch.tree.published()?.size ?? 0)) return notYet();
    return { ok: true, hashes: await consistencyProof(old, size, this.#readerOf(epoch)) };
  }

  /** An event and the proof that a head of its tree covers it. */
  async proof({ event_id, head }: ProofAsk): Promise<Proved> {
    const { epochs, find } = this.#ports;
    const found = await find(event_id);
    if (found === undefined) return { ok: false, code: "audit.event_unknown" };
    const { seq, body: event } = found;
    const epoch = epochs.at(seq);
    const index = seq - epoch.first_seq;
    const [sealed, published] = [epoch.tree.sealed(), epoch.tree.published()];
    if (sealed === undefined || published === undefined || published.size <= index) return notYet();
    const { size, note } = head ?? published;
    if (size <= index || size > published.size) return notYet();
    const { origin } = sealed;
    const read = this.#readerOf(epoch);
    // A head that others keep under our name must be one of this tree; else what they vouch for is not this record.
    const text = checkpointText(origin, { size, root: await treeRoot(size, read) });
    if (!note.startsWith(`${text}\n`)) return { ok: false, code: "audit.forked" };
    const hashes = await inclusionProof(index, size, read);
    return { ok: true, index, origin, size, event, log_proof: proofFile({ index, hashes, checkpoint: note }) };
  }

  /** @param to behind the last event; cut to what is published of the tree that `from` lies in */
  async range(from: number, to: number): Promise<Range> {
    const epoch = this.#ports.epochs.at(from);
    const { tree, first_seq } = epoch;
    const [sealed, published] = [tree.sealed(), tree.published()];
    if (sealed === undefined || published === undefined || first_seq + published.size <= from) return notYet();
    const { size, note: checkpoint } = published;
    const [first, end] = [from - first_seq, Math.min(to - first_seq, size)];
    const edge = concat(await Promise.all(edgeTiles(first).map(this.#readerOf(epoch))));
    const subtrees = edgeSubtrees(first, edge);
    const more = this.#ports.epochs.published() > first_seq + end;
    const consistency = await consistencyProof(end, size, this.#readerOf(epoch));
    return {
      ok: true,
      origin: sealed.origin,
      first_seq,
      to: first_seq + end,
      size,
      more,
      checkpoint,
      subtrees,
      consistency,
    };
  }

  #readerOf(epoch: Epoch): (path: string) => Promise<Uint8Array> {
    return (path) => this.#ports.tile(epoch, path);
  }

  #tree(origin: string | undefined): Epoch | undefined {
    const { epochs } = this.#ports;
    // Between the seal of a new tree and its first head it is the old one that can be read.
    return origin === undefined ? epochs.at(Math.max(0, epochs.published() - 1)) : epochs.named(origin);
  }
}

const notYet = (): NotYet => ({ ok: false, code: "audit.not_published", retry_after_ms: SOON_MS });
