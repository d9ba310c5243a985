/** What the meta-log and its public surfaces use of the anchors; a deployment without them has none. */
import type { Anchored, AnchorsPort } from "./anchor-types.ts";
import type { Env } from "./env.ts";
import { codeOf, warn } from "./log.ts";
import type { Anchor } from "./types.ts";

export const ANCHOR_KINDS = ["evm", "ots"] as const;
export type AnchorKind = (typeof ANCHOR_KINDS)[number];

/** What the meta-log and its surfaces ask of one kind of anchors. */
export type AnchorsSource = Pick<AnchorsPort, "covering" | "list" | "status">;

export const anchorsOf = (env: Env, kind: AnchorKind): AnchorsSource | undefined => env.ANCHORS?.getByName(kind);

/**
 * The smallest anchored checkpoint of at least this size, with every kind's evidence for it. A kind that cannot be asked
 * is left out: what is missing is asked for again.
 */
export async function anchoredAt(
  size: number,
  sources: readonly AnchorsSource[],
): Promise<{ size: number; note: string; anchors: Anchor[] } | undefined> {
  const unasked = (error: unknown): null => {
    warn("anchors.unasked", { code: codeOf(error) });
    return null;
  };
  const found = await Promise.all(sources.map((source) => source.covering(size).catch(unasked)));
  const sound = found.filter((one) => one !== null && one.size >= size) as Anchored[];
  const [first] = sound.sort((a, b) => a.size - b.size);
  if (first === undefined) return undefined;
  const text = (note: string) => note.slice(0, note.lastIndexOf("\n\n"));
  const same = sound.filter((one) => text(one.note) === text(first.note));
  return { size: first.size, note: first.note, anchors: same.map(({ anchor }) => anchor) };
}

/**
 * The newest anchored checkpoint, of whatever kind; null before the first, undefined where no kind is set up.
 * @throws when a kind cannot be asked: it may be the one that has more
 */
export async function newestAnchored(sources: readonly AnchorsSource[]): Promise<Anchored | null | undefined> {
  const asked = await Promise.all(sources.map((one) => Promise.all([one.status(), one.list({ limit: 1 })])));
  const newest = asked.flatMap(([, { anchors }]) => anchors).sort((a, b) => b.size - a.size)[0];
  return newest ?? (asked.every(([{ state }]) => state === "off") ? undefined : null);
}
