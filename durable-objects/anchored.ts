/** What the meta-log and its public surfaces use of the anchors; a deployment without them has none. */
import type { Env } from "./env.ts";
import type { Anchor } from "./types.ts";

export const ANCHOR_KINDS = ["evm", "ots"] as const;
export type AnchorKind = (typeof ANCHOR_KINDS)[number];

/** A checkpoint of the meta-log, anchored. */
export interface AnchoredNote {
  size: number;
  /** with the cosignatures that it had */
  note: string;
  anchor: Anchor;
  done_ms: number;
}

export interface AnchorsSource {
  /** The smallest anchored checkpoint of at least this size. */
  covering(size: number): Promise<AnchoredNote | null>;
  /** Newest first. */
  list(page: { limit?: number }): Promise<{ anchors: AnchoredNote[] }>;
  status(): Promise<{
    state: "off" | "idle" | "working" | "failing" | "refused";
    anchored_size: number;
    anchored_ms?: number;
    failures: number;
  }>;
}

export function anchorsOf(env: Env, kind: AnchorKind): AnchorsSource | undefined {
  const { ANCHORS } = env as { ANCHORS?: { getByName(name: string): unknown } };
  return ANCHORS?.getByName(kind) as AnchorsSource | undefined;
}

/**
 * The smallest anchored checkpoint of at least this size, with every kind's evidence for it. A kind that cannot be asked
 * is left out: what is missing is asked for again.
 */
export async function anchoredAt(
  size: number,
  sources: readonly AnchorsSource[],
): Promise<{ size: number; note: string; anchors: Anchor[] } | undefined> {
  const found = await Promise.all(sources.map((source) => source.covering(size).catch(() => null)));
  const sound = found.filter((one) => one !== null && one.size >= size) as AnchoredNote[];
  const [first] = sound.sort((a, b) => a.size - b.size);
  if (first === undefined) return undefined;
  const text = (note: string) => note.slice(0, note.lastIndexOf("\n\n"));
  const same = sound.filter((one) => text(one.note) === text(first.note));
  return { size: first.size, note: first.note, anchors: same.map(({ anchor }) => anchor) };
}
