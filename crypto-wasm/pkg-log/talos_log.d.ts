/* tslint:disable */
/* eslint-disable */

/**
 * Append leaf hashes to a right edge: the new root, then for each tile that changed its name's line and its hashes, with the
 * line's and the hashes' lengths before them (2 bytes each).
 */
export function append(size: bigint, edge: Uint8Array | number[], leaves: Uint8Array | number[]): Uint8Array;

/**
 * The equations to answer, each: key (32 bytes), signature (64), length of the message (4), message.
 */
export function begin(file: Uint8Array | number[], leaf: Uint8Array | number[], policy: Uint8Array | number[]): Uint8Array;

/**
 * A bundle of entries, which stand one after another in `entries` with these lengths.
 */
export function bundle(entries: Uint8Array | number[], lengths: Uint32Array | number[]): Uint8Array;

/**
 * Leaf hashes of a bundle's entries, one after another.
 */
export function bundle_leaves(bundle: Uint8Array | number[]): Uint8Array;

/**
 * Lengths of a bundle's entries.
 */
export function bundle_lengths(bundle: Uint8Array | number[]): Uint32Array;

/**
 * Refuses unless the old tree is the beginning of the new one.
 */
export function check_consistency(old: bigint, size: bigint, old_root: Uint8Array | number[], root: Uint8Array | number[], hashes: Uint8Array | number[]): void;

/**
 * Refuses unless the leaf is at this index of the tree with this root.
 */
export function check_inclusion(index: bigint, size: bigint, leaf: Uint8Array | number[], hashes: Uint8Array | number[], root: Uint8Array | number[]): void;

/**
 * The text of a checkpoint, which its log signs.
 */
export function checkpoint_text(origin: string, size: bigint, root: Uint8Array | number[]): string;

/**
 * The hashes of a proof of consistency; `tiles` are those that `consistency_tiles` names, in its order.
 */
export function consistency_proof(old: bigint, size: bigint, tiles: Uint8Array | number[]): Uint8Array;

/**
 * Names of the tiles that a proof of consistency needs, a line each.
 */
export function consistency_tiles(old: bigint, size: bigint): string;

/**
 * What a witness signs of a checkpoint's text.
 */
export function cosigned_text(text: string, time_seconds: bigint): string;

/**
 * Names of the partial tiles of a tree of this size, a line each, lowest level first.
 */
export function edge(size: bigint): string;

/**
 * Append leaf hashes to a frontier: the new root, then the new frontier.
 */
export function extend(size: bigint, frontier: Uint8Array | number[], leaves: Uint8Array | number[]): Uint8Array;

/**
 * The verdict: lines of origin, size and base64 root, then a line `time name` for each witness. `answers` has a byte for
 * each equation that `begin` named for the same arguments, 1 where it holds.
 */
export function finish(file: Uint8Array | number[], leaf: Uint8Array | number[], policy: Uint8Array | number[], answers: Uint8Array | number[]): string;

/**
 * The root over a full tile.
 */
export function full_tile_root(tile: Uint8Array | number[]): Uint8Array;

/**
 * The hashes from the leaf's sibling to the root's child; `tiles` are those that `inclusion_tiles` names, in its order.
 */
export function inclusion_proof(index: bigint, size: bigint, tiles: Uint8Array | number[]): Uint8Array;

/**
 * Names of the tiles that a proof of inclusion needs, a line each.
 */
export function inclusion_tiles(index: bigint, size: bigint): string;

/**
 * The leaf hash of an entry.
 */
export function leaf(entry: Uint8Array | number[]): Uint8Array;

/**
 * What a name names: `[level, index, width]`, the level of entries being -1.
 */
export function parse_tile(path: string): Float64Array;

/**
 * The keys of a policy: lines `log <key>` and `witness <key> <url>`, in its order; a url may be empty.
 */
export function policy_keys(policy: Uint8Array | number[]): string;

/**
 * A proof file.
 */
export function proof_file(index: bigint, hashes: Uint8Array | number[], checkpoint: string): string;

/**
 * What a proof file says, unverified: its index, and its checkpoint's text after a line feed.
 */
export function read_proof_file(file: Uint8Array | number[]): string;

/**
 * What a witness was sent: the old size (8 bytes), how many hashes (1), the hashes, length of the note's text (4), the note.
 */
export function read_submission(body: Uint8Array | number[]): Uint8Array;

/**
 * The root of the tree with this right edge.
 */
export function root(size: bigint, edge: Uint8Array | number[]): Uint8Array;

/**
 * Names of the tiles that the root of a tree needs, a line each.
 */
export function root_tiles(size: bigint): string;

/**
 * The line that adds a signature to a note; a witness' signature has its time before it.
 */
export function signature_line(name: string, cosigns: boolean, _public: Uint8Array | number[], signature: Uint8Array | number[]): string;

/**
 * What a witness is sent.
 */
export function submission(old: bigint, hashes: Uint8Array | number[], note: string): string;

/**
 * The frontier of the tree with this right edge.
 */
export function subtrees(size: bigint, edge: Uint8Array | number[]): Uint8Array;

/**
 * The tile or bundle (`entries`) that stands at a place of a tree of this size; empty where it has none.
 */
export function tile_at(entries: boolean, level: number, index: bigint, size: bigint): string;

/**
 * The root of a tree out of the tiles that `root_tiles` names, in its order.
 */
export function tiles_root(size: bigint, tiles: Uint8Array | number[]): Uint8Array;

/**
 * A key as policies write it.
 */
export function verifier_key(name: string, cosigns: boolean, _public: Uint8Array | number[]): string;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly append: (a: bigint, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly begin: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly bundle: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly bundle_leaves: (a: number, b: number) => [number, number, number, number];
    readonly bundle_lengths: (a: number, b: number) => [number, number, number, number];
    readonly check_consistency: (a: bigint, b: bigint, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number];
    readonly check_inclusion: (a: bigint, b: bigint, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number];
    readonly checkpoint_text: (a: number, b: number, c: bigint, d: number, e: number) => [number, number, number, number];
    readonly consistency_proof: (a: bigint, b: bigint, c: number, d: number) => [number, number, number, number];
    readonly consistency_tiles: (a: bigint, b: bigint) => [number, number, number, number];
    readonly cosigned_text: (a: number, b: number, c: bigint) => [number, number];
    readonly edge: (a: bigint) => [number, number];
    readonly extend: (a: bigint, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly finish: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number, number];
    readonly full_tile_root: (a: number, b: number) => [number, number, number, number];
    readonly inclusion_proof: (a: bigint, b: bigint, c: number, d: number) => [number, number, number, number];
    readonly inclusion_tiles: (a: bigint, b: bigint) => [number, number, number, number];
    readonly leaf: (a: number, b: number) => [number, number];
    readonly parse_tile: (a: number, b: number) => [number, number, number, number];
    readonly policy_keys: (a: number, b: number) => [number, number, number, number];
    readonly proof_file: (a: bigint, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly read_proof_file: (a: number, b: number) => [number, number, number, number];
    readonly read_submission: (a: number, b: number) => [number, number, number, number];
    readonly root: (a: bigint, b: number, c: number) => [number, number, number, number];
    readonly root_tiles: (a: bigint) => [number, number, number, number];
    readonly signature_line: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => [number, number, number, number];
    readonly submission: (a: bigint, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly subtrees: (a: bigint, b: number, c: number) => [number, number, number, number];
    readonly tile_at: (a: number, b: number, c: bigint, d: bigint) => [number, number];
    readonly tiles_root: (a: bigint, b: number, c: number) => [number, number, number, number];
    readonly verifier_key: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
