/* tslint:disable */
/* eslint-disable */

/**
 * The equations to answer, each: key (32 bytes), signature (64), length of the message (4), message.
 */
export function begin(file: Uint8Array | number[], policy: Uint8Array | number[]): Uint8Array;

/**
 * What holds, a line each: `event` and the leaf, `log` and `meta` with index, size, root and origin, `witness` with time and
 * name, `evm`, `bitcoin` and `pending` for what anchors show. `trust` is what [`Trust::parse`] reads; `answers` has a byte for each equation that `begin` named for the same arguments, 1 where it holds.
 */
export function finish(file: Uint8Array | number[], policy: Uint8Array | number[], answers: Uint8Array | number[], trust: string): string;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly begin: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly finish: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number, number];
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
