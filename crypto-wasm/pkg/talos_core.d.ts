/* tslint:disable */
/* eslint-disable */

/**
 * A longer chain.
 */
export function attenuate(seed: Uint8Array | number[], chain: string, claims: string): string;

/**
 * The decision with our own verifier.
 */
export function authorize_pure(frame: Uint8Array | number[], policy: number, filter: number, tickets: number, answers?: string | null): string;

/**
 * The bytes of strict base64url.
 */
export function b64u_decode(text: string): Uint8Array;

/**
 * Unpadded base64url.
 */
export function b64u_encode(bytes: Uint8Array | number[]): string;

/**
 * 0, class, then each check as 32 key, 64 signature, u32 length, message; or 1 and the decision.
 */
export function begin(frame: Uint8Array | number[], policy: number, tickets: number): Uint8Array;

/**
 * base64url SHA-256(salt ‖ value); the salt has 16 bytes.
 */
export function commitment(salt: Uint8Array | number[], value: Uint8Array | number[]): string;

/**
 * `{"ok"}`, or `{"ok","grant","field"}`.
 */
export function contains(parent: string, child: string): string;

/**
 * `content-digest` of a body.
 */
export function content_digest(body: Uint8Array | number[]): string;

/**
 * As [`decide_leaf`], for a need that is kept.
 */
export function decide_kept(leaf: number, need: number): number;

/**
 * Leaf evaluation alone: of the need in the frame of `length` bytes, answered as `need::answer` says.
 */
export function decide_leaf(leaf: number, length: number): number;

/**
 * The decision about a read under a MAC. With `record` the proof's hash is among the facts.
 */
export function decide_read(length: number, policy: number, filter: number, tickets: number, record: boolean): number;

/**
 * The document that publishes these keys, `[{"kid","x"}…]`.
 */
export function did_document(text: string, keys: string): string;

/**
 * The did:jwk of a key.
 */
export function did_jwk(x: string): string;

/**
 * The did:key of a key.
 */
export function did_key(x: string): string;

/**
 * The key that a DID encodes.
 */
export function did_to_x(text: string): string;

/**
 * Where the document of a did:web lies.
 */
export function did_web_to_url(text: string): string;

/**
 * The byte checks of the profile.
 */
export function ed25519_precheck(x: Uint8Array | number[], signature: Uint8Array | number[]): boolean;

/**
 * A signature.
 */
export function ed25519_sign(seed: Uint8Array | number[], message: Uint8Array | number[]): Uint8Array;

/**
 * The whole profile. Bytes of another length are no key and no signature.
 */
export function ed25519_verify(x: Uint8Array | number[], signature: Uint8Array | number[], message: Uint8Array | number[]): boolean;

/**
 * Hash of an event, lower-case hex.
 */
export function event_hash(event: string): string;

/**
 * Leaf evaluation alone.
 */
export function explain(grants: string, need: string): string;

/**
 * `{"body","rev_hash"}` of `{"tenant","rev_seq","entries"}`.
 */
export function filter_build(args: string): string;

/**
 * `{"allowed","classes"}` for `{"kind","names"}`.
 */
export function filter_list(frame: Uint8Array | number[], policy: number, tickets: number, verdicts: Uint8Array | number[], args: string): string;

/**
 * `{"handle","rev_seq"}`.
 */
export function filter_load(body: string, tenant: string, expected_hash: string): string;

/**
 * The decision on the verdicts of `begin`.
 */
export function finish(frame: Uint8Array | number[], policy: number, filter: number, tickets: number, verdicts: Uint8Array | number[], answers?: string | null): string;

/**
 * Where to write a frame of at most `bytes` bytes. The address stands until the next call of this function.
 */
export function frame_room(bytes: number): number;

/**
 * Gives back what a handle keeps.
 */
export function free_handle(handle: number): void;

/**
 * The grant of a scope string.
 */
export function grant_from_scope(text: string): string;

/**
 * Refuses a head that goes back behind one already seen, or gives one number another hash.
 */
export function head_follows(head: string, seen: string, now_ms: bigint): void;

/**
 * A signed head.
 */
export function head_sign(seed: Uint8Array | number[], kid: string, head: string): string;

/**
 * The payload of a head.
 */
export function head_verify(text: string, keys: string, tenant: string): string;

/**
 * The links of a chain, read and not trusted.
 */
export function inspect_chain(chain: string): string;

/**
 * A root link.
 */
export function issue_link(seed: Uint8Array | number[], claims: string): string;

/**
 * Canonical form of strict JSON.
 */
export function jcs(bytes: Uint8Array | number[]): string;

/**
 * As [`jcs`], from text.
 */
export function jcs_text(text: string): string;

/**
 * A compact JWS over the canonical form of `payload`.
 */
export function jws_sign(seed: Uint8Array | number[], typ: string, kid: string | null | undefined, with_jwk: boolean, payload: string): string;

/**
 * Header and payload of a verified JWS of exactly this type.
 */
export function jws_verify(text: string, typ: string, x?: string | null): string;

/**
 * `{"handle"}` of `[{"kid","status","key","not_after"?}…]`.
 */
export function keyring_load(keys: string, purpose: string): string;

/**
 * RFC 6962 leaf hash, base64url.
 */
export function leaf_hash(body: Uint8Array | number[]): string;

/**
 * Keeps grants under a handle.
 */
export function leaf_load(grants: string): number;

/**
 * The three headers of a read under a session's MAC key.
 */
export function mac_request(frame: Uint8Array | number[], session_id: string, mac_key: Uint8Array | number[], created: bigint, expires: bigint, sequence: string): string;

/**
 * Keeps the need in the frame of `length` bytes under a handle.
 */
export function need_load(length: number): number;

/**
 * The upstream's session id, for its owner alone.
 */
export function open_mcp(keyring: number, text: string, args: string): string;

/**
 * The answer to `sessions.open`, as JSON.
 */
export function open_session(frame: Uint8Array | number[], policy: number, filter: number, tickets: number, verdicts: Uint8Array | number[], answers: string | null | undefined, receipt_seed: Uint8Array | number[], receipt_kid: string, gateway_did: string, session_id: Uint8Array | number[], server_secret: Uint8Array | number[], salt: Uint8Array | number[]): string;

/**
 * The text that [`seal_text`] sealed.
 */
export function open_text(keyring: number, sealed: string, now_ms: bigint): string;

/**
 * A policy, verified and compiled: `{"handle","version","hash","snapshot"}`.
 */
export function policy_load(text: string, tenant: string, publishers: string, expected_hash?: string | null): string;

/**
 * `{"jws","hash"}`.
 */
export function policy_sign(seed: Uint8Array | number[], snapshot: string): string;

/**
 * The public key of a seed.
 */
export function public_key(seed: Uint8Array | number[]): Uint8Array;

/**
 * The decision again, for a proof that was accepted before.
 */
export function recheck(frame: Uint8Array | number[], policy: number, filter: number, tickets: number, verdicts: Uint8Array | number[], answers?: string | null): string;

/**
 * The scope string of a grant without argument atoms.
 */
export function scope_from_grant(grant: string): string;

/**
 * An event's leaf: `{"event_id","body","event_hash","leaf_hash"}`.
 */
export function seal_event(surface: string, event: string): string;

/**
 * Seals an upstream's session id. `args`: the plaintext of contracts/spec/session.md#mcp-session-ids. That `exp` is at most
 * 24 h away is its caller's clock to see.
 */
export function seal_mcp(keyring: number, salt: Uint8Array | number[], args: string): string;

/**
 * The leaf of a read's event: 64 `event_hash`, 43 `leaf_hash`, then the body.
 */
export function seal_read(length: number): number;

/**
 * Seals any text.
 */
export function seal_text(keyring: number, salt: Uint8Array | number[], text: string): string;

/**
 * What the requests of an open session have in common; empty when it is no longer open.
 */
export function session_facts(serial: number): Uint8Array;

/**
 * The MAC key of a session. `args`: `{"response","chain","gateway_keys","gateway_did","aud"}`.
 */
export function session_finish(secret_bytes: Uint8Array | number[], now_ms: bigint, args: string): Uint8Array;

/**
 * The X25519 public share of a secret.
 */
export function session_share(secret_bytes: Uint8Array | number[]): string;

/**
 * SHA-256.
 */
export function sha256(bytes: Uint8Array | number[]): Uint8Array;

/**
 * The three headers of a signed request.
 */
export function sign_request(frame: Uint8Array | number[], seed: Uint8Array | number[], created: bigint, expires: bigint, nonce: string): string;

/**
 * A revocation statement: `payload` as contracts/spec/in-force.md#revocation-statement.
 */
export function sign_revocation(seed: Uint8Array | number[], payload: string): string;

/**
 * Tell the core the hash of the file that it was loaded from, which tickets and receipts name. Once, at load.
 * @returns the hash of the contracts that it was built from
 */
export function start(core_hash: string): string;

/**
 * RFC 7638 thumbprint.
 */
export function thumbprint(x: string): string;

/**
 * A UUIDv7.
 */
export function uuidv7(now_ms: bigint, random: Uint8Array | number[]): string;

/**
 * Offline verification; the decision as JSON. `trust`: `{"anchors":[{"did","jwk"?}…],"dids":[{"did","jkt"}…]}`.
 */
export function verify_chain(chain: string, aud: string, now_ms: bigint, trust: string): string;

/**
 * What a statement puts in force, as `VerifiedRevocation` in types.ts.
 */
export function verify_revocation(text: string, chain: string, aud: string, now_ms: bigint, policy: number): string;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly attenuate: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly authorize_pure: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => [number, number, number, number];
    readonly b64u_decode: (a: number, b: number) => [number, number, number, number];
    readonly b64u_encode: (a: number, b: number) => [number, number];
    readonly begin: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly commitment: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly contains: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly content_digest: (a: number, b: number) => [number, number];
    readonly decide_kept: (a: number, b: number) => number;
    readonly decide_leaf: (a: number, b: number) => number;
    readonly decide_read: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly did_document: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly did_jwk: (a: number, b: number) => [number, number, number, number];
    readonly did_key: (a: number, b: number) => [number, number, number, number];
    readonly did_to_x: (a: number, b: number) => [number, number, number, number];
    readonly did_web_to_url: (a: number, b: number) => [number, number, number, number];
    readonly ed25519_precheck: (a: number, b: number, c: number, d: number) => number;
    readonly ed25519_sign: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly ed25519_verify: (a: number, b: number, c: number, d: number, e: number, f: number) => number;
    readonly event_hash: (a: number, b: number) => [number, number, number, number];
    readonly explain: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly filter_build: (a: number, b: number) => [number, number, number, number];
    readonly filter_list: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number, number];
    readonly filter_load: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly finish: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => [number, number, number, number];
    readonly frame_room: (a: number) => number;
    readonly free_handle: (a: number) => void;
    readonly grant_from_scope: (a: number, b: number) => [number, number, number, number];
    readonly head_follows: (a: number, b: number, c: number, d: number, e: bigint) => [number, number];
    readonly head_sign: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly head_verify: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly inspect_chain: (a: number, b: number) => [number, number, number, number];
    readonly issue_link: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly jcs: (a: number, b: number) => [number, number, number, number];
    readonly jcs_text: (a: number, b: number) => [number, number, number, number];
    readonly jws_sign: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => [number, number, number, number];
    readonly jws_verify: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly keyring_load: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly leaf_hash: (a: number, b: number) => [number, number];
    readonly leaf_load: (a: number, b: number) => [number, number, number];
    readonly mac_request: (a: number, b: number, c: number, d: number, e: number, f: number, g: bigint, h: bigint, i: number, j: number) => [number, number, number, number];
    readonly need_load: (a: number) => [number, number, number];
    readonly open_mcp: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly open_session: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number, q: number, r: number, s: number, t: number, u: number) => [number, number, number, number];
    readonly open_text: (a: number, b: number, c: number, d: bigint) => [number, number, number, number];
    readonly policy_load: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number, number];
    readonly policy_sign: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly public_key: (a: number, b: number) => [number, number, number, number];
    readonly recheck: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => [number, number, number, number];
    readonly scope_from_grant: (a: number, b: number) => [number, number, number, number];
    readonly seal_event: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly seal_mcp: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly seal_read: (a: number) => number;
    readonly seal_text: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly session_facts: (a: number) => [number, number];
    readonly session_finish: (a: number, b: number, c: bigint, d: number, e: number) => [number, number, number, number];
    readonly session_share: (a: number, b: number) => [number, number, number, number];
    readonly sha256: (a: number, b: number) => [number, number];
    readonly sign_request: (a: number, b: number, c: number, d: number, e: bigint, f: bigint, g: number, h: number) => [number, number, number, number];
    readonly sign_revocation: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly start: (a: number, b: number) => [number, number];
    readonly thumbprint: (a: number, b: number) => [number, number, number, number];
    readonly uuidv7: (a: bigint, b: number, c: number) => [number, number, number, number];
    readonly verify_chain: (a: number, b: number, c: number, d: number, e: bigint, f: number, g: number) => [number, number, number, number];
    readonly verify_revocation: (a: number, b: number, c: number, d: number, e: number, f: number, g: bigint, h: number) => [number, number, number, number];
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __externref_table_dealloc: (a: number) => void;
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
