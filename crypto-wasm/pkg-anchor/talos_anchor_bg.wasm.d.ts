/* tslint:disable */
/* eslint-disable */
export const memory: WebAssembly.Memory;
export const check_header: (a: number, b: number, c: number) => [number, number, number, number];
export const checkpoint_slot: (a: number, b: number, c: number, d: number) => [number, number, number, number];
export const keccak256: (a: number, b: number) => [number, number];
export const ots_commitment: (a: number, b: number, c: number, d: number) => [number, number, number, number];
export const ots_file: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
export const ots_to_block: (a: number, b: number) => [number, number, number, number];
export const read_ots: (a: number, b: number) => [number, number, number, number];
export const sha256: (a: number, b: number) => [number, number];
export const upgrade_ots: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number, number];
export const verify_evm: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
export const __wbindgen_externrefs: WebAssembly.Table;
export const __wbindgen_malloc: (a: number, b: number) => number;
export const __wbindgen_free: (a: number, b: number, c: number) => void;
export const __externref_table_dealloc: (a: number) => void;
export const __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
export const __wbindgen_start: () => void;
