/**
 * @talos/core/log: the verifiable log (contracts/spec/log.md), Rust compiled to a WebAssembly module of its own, so that a
 * verifier needs neither the core nor a server. Hashes are 32 bytes; lists of hashes are one after another; sizes and
 * indexes are safe integers. Functions throw TalosError with a code `log.…` of contracts/errors.json.
 */
import { module } from "#load-log";
import { ERRORS, type ErrorCode, TalosError } from "@talos/contracts";
import * as wasm from "./pkg-log/talos_log.js";
import { verifyNative } from "./verify-native.ts";

wasm.initSync({ module });

export const HASH_BYTES = 32;
/** Hashes of a full tile, entries of a full bundle. */
export const TILE_WIDTH = 256;

let trapped: unknown;

/** As the core's `call` (core.ts): a refusal is `CODE detail`, and after a trap this instance answers nothing. */
function call<A extends unknown[], R>(run: (...args: A) => R, ...args: A): R {
  if (trapped !== undefined) throw new TalosError("internal", { reason: "log trapped" }, { cause: trapped });
  try {
    return run(...args);
  } catch (cause) {
    if (typeof cause === "string") {
      const space = cause.indexOf(" ");
      const code = cause.slice(0, space);
      if (code in ERRORS) throw new TalosError(code as ErrorCode, { detail: cause.slice(space + 1) });
    }
    if (cause instanceof WebAssembly.RuntimeError) trapped = cause;
    throw new TalosError("internal", { reason: "log failed" }, { cause });
  }
}

const linesOf = (text: string) => text.split("\n").slice(0, -1);

export const leafHash = (entry: Uint8Array): Uint8Array => call(wasm.leaf, entry);

// The tree in tiles.

/** Names of the partial tiles of a tree, lowest level first: what `append` and `edgeRoot` take, one after another. */
export const edgeTiles = (size: number): string[] => linesOf(call(wasm.edge, BigInt(size)));

export const edgeRoot = (size: number, edge: Uint8Array): Uint8Array => call(wasm.root, BigInt(size), edge);

export interface WrittenTile {
  path: string;
  hashes: Uint8Array;
}

/**
 * Append leaf hashes to a right edge.
 * @returns the root, and every tile that changed: full ones in the order in which they filled, then the partial ones
 */
export function append(args: { size: number; edge: Uint8Array; leaves: Uint8Array }): {
  root: Uint8Array;
  tiles: WrittenTile[];
} {
  const out = call(wasm.append, BigInt(args.size), args.edge, args.leaves);
  const view = new DataView(out.buffer, out.byteOffset);
  const tiles: WrittenTile[] = [];
  let at = HASH_BYTES;
  const next = () => {
    const length = view.getUint16(at);
    at += 2 + length;
    return out.subarray(at - length, at);
  };
  while (at < out.length) tiles.push({ path: new TextDecoder().decode(next()), hashes: next() });
  return { root: out.subarray(0, HASH_BYTES), tiles };
}

/** The complete subtrees of a tree, and its root: enough to go on from. */
export interface Frontier {
  size: number;
  subtrees: Uint8Array;
  root: Uint8Array;
}

export const emptyFrontier = (): Frontier => extend({ size: 0, subtrees: new Uint8Array(0) }, new Uint8Array(0));

/** The complete subtrees of the tree with this right edge, for {@link extend}. */
export const edgeSubtrees = (size: number, edge: Uint8Array): Uint8Array => call(wasm.subtrees, BigInt(size), edge);

/** Append leaf hashes to a frontier. */
export function extend(from: Pick<Frontier, "size" | "subtrees">, leaves: Uint8Array): Frontier {
  const out = call(wasm.extend, BigInt(from.size), from.subtrees, leaves);
  const size = from.size + leaves.length / HASH_BYTES;
  return { size, root: out.subarray(0, HASH_BYTES), subtrees: out.subarray(HASH_BYTES) };
}

/** Name of the tile (or bundle of entries) at a place of a tree of this size; undefined where it has none. */
export function tileAt(level: number | "entries", index: number, size: number): string | undefined {
  const entries = level === "entries";
  return call(wasm.tile_at, entries, entries ? 0 : level, BigInt(index), BigInt(size)) || undefined;
}

/** @throws `log.tile_malformed` */
export function parseTile(path: string): { level: number | "entries"; index: number; width: number } {
  const [level = 0, index = 0, width = 0] = call(wasm.parse_tile, path);
  return { level: level < 0 ? "entries" : level, index, width };
}

export const fullTileRoot = (tile: Uint8Array): Uint8Array => call(wasm.full_tile_root, tile);

/** @throws `log.tile_malformed` for an entry of more than 65,535 bytes */
export function bundle(entries: readonly Uint8Array[]): Uint8Array {
  return call(
    wasm.bundle,
    concat(entries),
    Uint32Array.from(entries, (entry) => entry.length),
  );
}

export function bundleEntries(bytes: Uint8Array): Uint8Array[] {
  let at = 0;
  return Array.from(call(wasm.bundle_lengths, bytes), (length) => {
    at += 2 + length;
    return bytes.subarray(at - length, at);
  });
}

/** Leaf hashes of a bundle's entries, one after another: equal to the tile of level 0 at its place. */
export const bundleLeaves = (bytes: Uint8Array): Uint8Array => call(wasm.bundle_leaves, bytes);

// Proofs.

/** Gives the bytes of a tile by its name. */
export type TileReader = (path: string) => Promise<Uint8Array>;

export async function inclusionProof(index: number, size: number, read: TileReader): Promise<Uint8Array> {
  const tiles = await readAll(call(wasm.inclusion_tiles, BigInt(index), BigInt(size)), read);
  return call(wasm.inclusion_proof, BigInt(index), BigInt(size), tiles);
}

export async function consistencyProof(old: number, size: number, read: TileReader): Promise<Uint8Array> {
  const tiles = await readAll(call(wasm.consistency_tiles, BigInt(old), BigInt(size)), read);
  return call(wasm.consistency_proof, BigInt(old), BigInt(size), tiles);
}

/** The root of a tree out of its tiles. */
export async function treeRoot(size: number, read: TileReader): Promise<Uint8Array> {
  return call(wasm.tiles_root, BigInt(size), await readAll(call(wasm.root_tiles, BigInt(size)), read));
}

async function readAll(paths: string, read: TileReader): Promise<Uint8Array> {
  return concat(await Promise.all(linesOf(paths).map(read)));
}

export interface Head {
  size: number;
  root: Uint8Array;
}

/** @throws `log.inclusion_invalid` */
export function checkInclusion(args: { index: number; leaf: Uint8Array; hashes: Uint8Array; head: Head }): void {
  const { index, leaf, hashes, head } = args;
  call(wasm.check_inclusion, BigInt(index), BigInt(head.size), leaf, hashes, head.root);
}

/** @throws `log.consistency_invalid` */
export function checkConsistency(args: { old: Head; head: Head; hashes: Uint8Array }): void {
  const { old, head, hashes } = args;
  call(wasm.check_consistency, BigInt(old.size), BigInt(head.size), old.root, head.root, hashes);
}

// Notes.

/** The text that a log signs: `note(text, lines)` makes it a signed note. */
export const checkpointText = (origin: string, head: Head): string =>
  call(wasm.checkpoint_text, origin, BigInt(head.size), head.root);

export const note = (text: string, lines: readonly string[]): string => `${text}\n${lines.join("")}`;

/** What a witness signs of a checkpoint's text. */
export const cosignedText = (text: string, timeSeconds: number): string =>
  call(wasm.cosigned_text, text, BigInt(timeSeconds));

export interface NoteKey {
  name: string;
  /** Ed25519 */
  publicKey: Uint8Array;
  /** a witness' key, whose signatures have a time before them */
  cosigns?: boolean;
}

export const verifierKey = ({ name, publicKey, cosigns = false }: NoteKey): string =>
  call(wasm.verifier_key, name, cosigns, publicKey);

/** @param timeSeconds of a cosignature */
export function signatureLine(key: NoteKey, signature: Uint8Array, timeSeconds?: number): string {
  const { name, publicKey, cosigns = false } = key;
  if (cosigns !== (timeSeconds !== undefined)) throw new TalosError("internal", { reason: "a cosignature has a time" });
  if (timeSeconds === undefined) return call(wasm.signature_line, name, cosigns, publicKey, signature);
  const stamp = new Uint8Array(8);
  new DataView(stamp.buffer).setBigUint64(0, BigInt(timeSeconds));
  return call(wasm.signature_line, name, cosigns, publicKey, concat([stamp, signature]));
}

// Policies, and what a witness is sent.

export interface PolicyKeys {
  /** keys of logs, as a policy writes them */
  logs: string[];
  /** `name`: of the key; `url`: where it takes checkpoints, empty where the policy does not say */
  witnesses: { key: string; name: string; url: string }[];
}

/** @throws `log.policy_malformed` */
export function policyKeys(policy: Uint8Array): PolicyKeys {
  const keys: PolicyKeys = { logs: [], witnesses: [] };
  for (const line of linesOf(call(wasm.policy_keys, policy))) {
    const [kind = "", key = "", url = ""] = line.split(" ");
    if (kind === "log") keys.logs.push(key);
    else keys.witnesses.push({ key, name: key.slice(0, key.indexOf("+")), url });
  }
  return keys;
}

export interface Submission {
  /** size of the tree that the witness knows */
  old: number;
  /** shows that the checkpoint extends it */
  hashes: Uint8Array;
  /** the signed checkpoint */
  note: string;
}

/** @throws `log.submission_malformed` for a proof of more than 63 hashes */
export const submission = ({ old, hashes, note }: Submission): string =>
  call(wasm.submission, BigInt(old), hashes, note);

/**
 * What a witness was sent, unverified; `text` is the part of the note that is signed.
 * @throws `log.submission_malformed`, `log.note_malformed`
 */
export function readSubmission(body: Uint8Array): Submission & { text: string } {
  const out = call(wasm.read_submission, body);
  const view = new DataView(out.buffer, out.byteOffset);
  const end = 9 + HASH_BYTES * view.getUint8(8);
  const length = view.getUint32(end);
  const read = (from: number, to?: number) => new TextDecoder().decode(out.subarray(from, to));
  const [text, note] = [read(end + 4, end + 4 + length), read(end + 4)];
  return { old: Number(view.getBigUint64(0)), hashes: out.subarray(9, end), note, text };
}

// Verification.

export interface Verdict extends Head {
  origin: string;
  /** names of the witnesses' keys that signed, each with the time that it named */
  witnesses: { name: string; time_seconds: number }[];
}

export const proofFile = (args: { index: number; hashes: Uint8Array; checkpoint: string }): string =>
  call(wasm.proof_file, BigInt(args.index), args.hashes, args.checkpoint);

/** What a proof file says, unverified. */
export function readProofFile(file: Uint8Array): { index: number; checkpoint: string } {
  const text = call(wasm.read_proof_file, file);
  const end = text.indexOf("\n");
  return { index: Number(text.slice(0, end)), checkpoint: text.slice(end + 1) };
}

/** Ed25519: whether `signature` of `message` holds under `key`. */
export type Curve = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => Promise<boolean>;

/**
 * Verify that a leaf is in a log, down to the policy's quorum.
 * @throws the step that failed
 */
export const verifyProof = (
  args: { file: Uint8Array; leaf: Uint8Array; policy: Uint8Array },
  curve: Curve = verifyNative,
) => verify(args.file, args.leaf, args.policy, curve);

/**
 * Verify a signed checkpoint under a policy.
 * @throws the step that failed
 */
export const verifyCheckpoint = (args: { note: Uint8Array; policy: Uint8Array }, curve: Curve = verifyNative) =>
  verify(args.note, new Uint8Array(0), args.policy, curve);

async function verify(file: Uint8Array, leaf: Uint8Array, policy: Uint8Array, curve: Curve): Promise<Verdict> {
  const equations = call(wasm.begin, file, leaf, policy);
  const view = new DataView(equations.buffer, equations.byteOffset);
  const asked: Promise<boolean>[] = [];
  for (let at = 0; at < equations.length; ) {
    const message = at + 100;
    const end = message + view.getUint32(at + 96);
    const part = (from: number, to: number) => equations.subarray(from, to);
    asked.push(curve(part(at, at + 32), part(message, end), part(at + 32, at + 96)));
    at = end;
  }
  const answers = Uint8Array.from(await Promise.all(asked), Number);
  const [origin = "", size = "", root = "", ...signed] = call(wasm.finish, file, leaf, policy, answers).split("\n");
  return {
    origin,
    size: Number(size),
    root: Uint8Array.from(atob(root), (char) => char.charCodeAt(0)),
    witnesses: signed.map((line) => {
      const space = line.indexOf(" ");
      return { name: line.slice(space + 1), time_seconds: Number(line.slice(0, space)) };
    }),
  };
}

/** Bytes one after another, as lists of hashes and parts of tiles are handed over. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
