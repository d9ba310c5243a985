import { TalosError } from "@talos/contracts";
import {
  bundleEntries,
  bundleLeaves,
  checkConsistency,
  consistencyProof,
  emptyFrontier,
  extend,
  fullTileRoot,
  HASH_BYTES,
  type Head,
  TILE_WIDTH,
  type TileReader,
  tileAt,
  treeRoot,
  type Verdict,
  verifyCheckpoint,
} from "@talos/core/log";
import { Alarmed, type AlarmName } from "./alarm.ts";

/** Bundles that one round hashes: 65,536 entries; what is left is the next round's. */
export const ROUND_BUNDLES = 256;
/** Bundles of before that a round looks into again, drawn at random: whoever edits one does not know which. */
const SPOT_CHECKS = 2;

/** One log as a monitor remembers it; everything here is JSON. */
export interface Followed {
  origin: string;
  /** The newest head that verified. */
  head?: { size: number; root: string; note: string };
  /** The tree of the entries that were hashed, up to `size`. */
  hashed: { size: number; subtrees: string; root: string };
  /** When the head last moved, by this machine's clock. */
  moved_ms: number;
}

/** Where a log is read: `checkpoint`, `tile/…`. Null: it is not there. It throws when it cannot be asked. */
export type LogReader = (path: string) => Promise<Uint8Array | null>;

export const b64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
export const unb64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
export const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

export function newFollowed(origin: string): Followed {
  const { size, subtrees, root } = emptyFrontier();
  return { origin, hashed: { size, subtrees: b64(subtrees), root: b64(root) }, moved_ms: 0 };
}

/** What a round of one log found: the head, and each entry that it hashed. */
export interface Step {
  verdict: Verdict;
  /** Whether every entry of the head was hashed; more rounds are needed otherwise. */
  whole: boolean;
}

/**
 * Follow a log by one step: its newest head must verify and extend the last one, and every entry since must hash to it.
 * `log` is changed only by what held. @throws Alarmed
 */
export async function follow(
  log: Followed,
  args: {
    read: LogReader;
    policy: Uint8Array;
    now_ms: number;
    onEntry?: (index: number, entry: Uint8Array) => void;
  },
): Promise<Step | null> {
  const alarm = (name: AlarmName, detail: string, notes: string[] = []): Alarmed =>
    new Alarmed({ alarm: name, log: log.origin, detail, ...(notes.length > 0 ? { evidence: notes } : {}) });
  const note = await args.read("checkpoint");
  if (note === null) {
    if (log.head) throw alarm("rollback", `no checkpoint any more, after one of ${log.head.size}`, [log.head.note]);
    return null;
  }
  const text = new TextDecoder().decode(note);
  let verdict: Verdict;
  try {
    verdict = await verifyCheckpoint({ note, policy: args.policy });
  } catch (error) {
    if (error instanceof TalosError && error.code.startsWith("log.")) throw alarm("invalid", error.code);
    throw error;
  }
  if (verdict.origin !== log.origin) throw alarm("invalid", `a checkpoint of ${verdict.origin}`);
  const last = log.head;
  if (last && verdict.size < last.size) {
    throw alarm("rollback", `a head of ${verdict.size} after one of ${last.size}`, [last.note, text]);
  }
  if (last && verdict.size === last.size && b64(verdict.root) !== last.root) {
    throw alarm("equivocation", `two heads of ${last.size}`, [last.note, text]);
  }
  const tiles = tileReader(args.read, alarm);
  const raise: Raise = (name, detail) => alarm(name, detail, last ? [last.note, text] : [text]);
  // Hashing passes over the last head without a look when it had not come that far: then the log's tiles must show it.
  const passed = last && log.hashed.size < last.size ? { size: last.size, root: unb64(last.root) } : undefined;
  const hashed = await hashEntries(log, verdict, { ...args, tiles, alarm });
  if (passed) await judge(passed, verdict, tiles, raise);
  // Either not all was hashed yet, or this is another tree: the log's own tiles say which.
  if (hashed.size < verdict.size || !equal(hashed.root, verdict.root)) await judge(hashed, verdict, tiles, raise);
  await spotCheck(hashed.size, verdict.size, { ...args, tiles, alarm });
  if (!last || verdict.size > last.size) log.moved_ms = args.now_ms;
  log.head = { size: verdict.size, root: b64(verdict.root), note: text };
  log.hashed = { size: hashed.size, subtrees: b64(hashed.subtrees), root: b64(hashed.root) };
  return { verdict, whole: hashed.size === verdict.size };
}

type Raise = (name: AlarmName, detail: string) => Alarmed;

/** Reads each tile once a round, within a bound. */
function tileReader(read: LogReader, alarm: Raise): TileReader {
  const kept = new Map<string, Uint8Array>();
  return async (path) => {
    const known = kept.get(path);
    if (known) return known;
    const bytes = await read(path);
    if (bytes === null) throw alarm("tampered", `${path} is not there`);
    if (kept.size >= 512) kept.clear();
    kept.set(path, bytes);
    return bytes;
  };
}

interface Hashed extends Head {
  subtrees: Uint8Array;
}

/** Hash what was not hashed yet, bundle by bundle, each compared with its tile of hashes. */
async function hashEntries(
  log: Followed,
  head: Head,
  args: { tiles: TileReader; alarm: Raise; onEntry?: (index: number, entry: Uint8Array) => void },
): Promise<Hashed> {
  const { size, subtrees, root } = log.hashed;
  let tree: Hashed = { size, subtrees: unb64(subtrees), root: unb64(root) };
  for (let round = 0; round < ROUND_BUNDLES && tree.size < head.size; round += 1) {
    const at = Math.floor(tree.size / TILE_WIDTH);
    const { entries, leaves } = await bundleAt(at, head.size, args);
    const known = tree.size - at * TILE_WIDTH;
    for (const [place, entry] of entries.entries()) if (place >= known) args.onEntry?.(at * TILE_WIDTH + place, entry);
    tree = extend(tree, leaves.subarray(known * HASH_BYTES));
  }
  return tree;
}

/** A bundle of the tree of this size, and its leaf hashes, which its tile must hold. */
async function bundleAt(
  index: number,
  size: number,
  { tiles, alarm }: { tiles: TileReader; alarm: Raise },
): Promise<{ entries: Uint8Array[]; leaves: Uint8Array }> {
  const path = tileAt("entries", index, size)!;
  const bytes = await tiles(path);
  const tile = await tiles(tileAt(0, index, size)!);
  let leaves: Uint8Array;
  try {
    leaves = bundleLeaves(bytes);
  } catch {
    throw alarm("tampered", `${path} is no bundle`);
  }
  if (!equal(leaves, tile)) throw alarm("tampered", `${path} does not hash to its tile`);
  return { entries: bundleEntries(bytes), leaves };
}

/** What is known is not the head, or not yet. @throws Alarmed unless it is the beginning of it */
async function judge(known: Head, head: Head, tiles: TileReader, alarm: Raise): Promise<void> {
  let root: Uint8Array;
  try {
    root = await treeRoot(head.size, tiles);
  } catch (error) {
    if (error instanceof TalosError) throw alarm("tampered", `the tiles of a head of ${head.size}: ${error.code}`);
    throw error;
  }
  if (!equal(root, head.root)) throw alarm("tampered", `the tiles of a head of ${head.size} are of another tree`);
  if (!(await extendsTo(known, head, tiles))) {
    throw alarm("equivocation", `a head of ${head.size} that does not extend what was there at ${known.size}`);
  }
}

/** Whether the log's tiles show that one head is the beginning of another. */
export async function extendsTo(old: Head, head: Head, tiles: TileReader): Promise<boolean> {
  if (old.size === 0) return true;
  if (old.size > head.size) return false;
  try {
    checkConsistency({ old, head, hashes: await consistencyProof(old.size, head.size, tiles) });
    return true;
  } catch (error) {
    if (error instanceof TalosError && error.code === "log.consistency_invalid") return false;
    throw error;
  }
}

/** Look again into what was hashed long ago, up to the root: what was published never changes. */
async function spotCheck(
  hashed: number,
  size: number,
  args: { tiles: TileReader; alarm: Raise; read: LogReader },
): Promise<void> {
  const full = Math.floor(hashed / TILE_WIDTH);
  for (let round = 0; round < Math.min(SPOT_CHECKS, full); round += 1) {
    const index = Math.floor(Math.random() * full);
    const { leaves } = await bundleAt(index, size, args);
    // The hash of the whole tile stands in the tile above it.
    const above = tileAt(1, Math.floor(index / TILE_WIDTH), size);
    if (above === undefined) continue;
    const parent = await args.tiles(above);
    const place = (index % TILE_WIDTH) * HASH_BYTES;
    if (!equal(fullTileRoot(leaves), parent.subarray(place, place + HASH_BYTES))) {
      throw args.alarm("tampered", `tile ${index} does not hash to the tile above it`);
    }
  }
}
