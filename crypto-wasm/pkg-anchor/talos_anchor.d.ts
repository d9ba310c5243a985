/* tslint:disable */
/* eslint-disable */

/**
 * A Bitcoin header with the work that it claims: hash (reversed, as people write it), root of its transactions (as it
 * stands) and time, a line each.
 */
export function check_header(header: Uint8Array | number[], easiest: number): string;

/**
 * Where the registry keeps a publisher's newest checkpoint of a log.
 */
export function checkpoint_slot(publisher: Uint8Array | number[], log_id: Uint8Array | number[]): Uint8Array;

/**
 * Keccak-256.
 */
export function keccak256(bytes: Uint8Array | number[]): Uint8Array;

/**
 * What calendars are asked to attest.
 */
export function ots_commitment(digest: Uint8Array | number[], nonce: Uint8Array | number[]): Uint8Array;

/**
 * The file of a digest out of calendars' answers.
 */
export function ots_file(digest: Uint8Array | number[], nonce: Uint8Array | number[], answers: Uint8Array | number[]): Uint8Array;

/**
 * The file cut down to the way to its earliest block.
 */
export function ots_to_block(file: Uint8Array | number[]): Uint8Array;

/**
 * A file of OpenTimestamps: its digest, then a line for each attestation: `bitcoin HEIGHT ROOT`, `pending COMMITMENT URI`,
 * `unknown TAG`; bytes are hex.
 */
export function read_ots(file: Uint8Array | number[]): string;

/**
 * SHA-256.
 */
export function sha256(bytes: Uint8Array | number[]): Uint8Array;

/**
 * The file with a calendar's answer in place of what it left pending.
 */
export function upgrade_ots(file: Uint8Array | number[], uri: string, commitment: Uint8Array | number[], answer: Uint8Array | number[]): Uint8Array;

/**
 * Verify the registry's evidence. `ask` is six parts: contract, hash of its code, publisher, log id, digest, header.
 *
 * The block's hash, state root, number and time, a line each.
 */
export function verify_evm(ask: Uint8Array | number[], account_proof: Uint8Array | number[], storage_proof: Uint8Array | number[]): string;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly check_header: (a: number, b: number, c: number) => [number, number, number, number];
    readonly checkpoint_slot: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly keccak256: (a: number, b: number) => [number, number];
    readonly ots_commitment: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly ots_file: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly ots_to_block: (a: number, b: number) => [number, number, number, number];
    readonly read_ots: (a: number, b: number) => [number, number, number, number];
    readonly sha256: (a: number, b: number) => [number, number];
    readonly upgrade_ots: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number, number];
    readonly verify_evm: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
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
