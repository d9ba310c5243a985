/**
 * @talos/core/anchor: evidence that a checkpoint stood on a chain (contracts/spec/anchors.md), Rust compiled to a WebAssembly
 * module of its own. Nothing here knows a chain: whether a block's hash or a header is one of it, the caller compares with
 * what it trusts. Functions throw TalosError with a code `anchor.…` of contracts/errors.json.
 */
import { module } from "#load-anchor";
import { ERRORS, type ErrorCode, type EvmAnchor, TalosError } from "@talos/contracts";
import { REGISTRY_CODE_HASH } from "@talos/contracts/evm/registry.ts";
import * as wasm from "./pkg-anchor/talos_anchor.js";

wasm.initSync({ module });

export const OTS_NONCE_BYTES = 16;
/**
 * The easiest target that a Bitcoin header may have, in its compact form: a difficulty of 34·10^9, which the chain passed in
 * 2015, before the first calendars. Headers of less work cost little to make up.
 */
export const EASIEST_BITS = 0x1820_0000;

let trapped: unknown;

/** As the core's `call` (core.ts): a refusal is `CODE detail`, and after a trap this instance answers nothing. */
function call<A extends unknown[], R>(run: (...args: A) => R, ...args: A): R {
  if (trapped !== undefined) throw new TalosError("internal", { reason: "anchor trapped" }, { cause: trapped });
  try {
    return run(...args);
  } catch (cause) {
    if (typeof cause === "string") {
      const space = cause.indexOf(" ");
      const code = cause.slice(0, space);
      if (code in ERRORS) throw new TalosError(code as ErrorCode, { detail: cause.slice(space + 1) });
    }
    if (cause instanceof WebAssembly.RuntimeError) trapped = cause;
    throw new TalosError("internal", { reason: "anchor failed" }, { cause });
  }
}

const encoder = new TextEncoder();

export const keccak256 = (bytes: Uint8Array): Uint8Array => call(wasm.keccak256, bytes);

/** What is anchored of a checkpoint: SHA-256 of its text, signatures left out. */
export const checkpointDigest = (text: string): Uint8Array => call(wasm.sha256, encoder.encode(text));

/** What the registry calls a log: SHA-256 of its origin. */
export const logId = (origin: string): Uint8Array => call(wasm.sha256, encoder.encode(origin));

// EVM.

export interface EvmVerdict {
  /** as the anchor says; no block names its chain, so it holds where `block_hash` is a block of that chain */
  chain_id: number;
  contract: string;
  publisher: string;
  block_number: number;
  /** compare this with one that you trust: the evidence is worth nothing without it; `0x…` */
  block_hash: string;
  time_seconds: number;
}

/**
 * Verify that the registry held a checkpoint when a block ended.
 * @param ask.digest {@link checkpointDigest}
 * @param ask.logId {@link logId}
 * @param ask.codeHash `0x…` of another build of the registry; absent: of this one
 * @throws `anchor.malformed`, `anchor.proof_invalid`, `anchor.contract_unknown`, `anchor.checkpoint_missing`
 */
export function verifyEvm(
  anchor: EvmAnchor,
  ask: { digest: Uint8Array; logId: Uint8Array; codeHash?: string },
): EvmVerdict {
  const { chain_id, contract, publisher } = anchor;
  const codeHash = fromHex(ask.codeHash ?? REGISTRY_CODE_HASH);
  const header = fromBase64(anchor.header);
  const asked = framed([fromHex(contract), codeHash, fromHex(publisher), ask.logId, ask.digest, header]);
  const nodes = (proof: readonly string[]) => framed(proof.map(fromBase64));
  const verdict = call(wasm.verify_evm, asked, nodes(anchor.account_proof), nodes(anchor.storage_proof));
  const [hash = "", , number, time] = verdict.split("\n");
  const [block_number, time_seconds] = [Number(number), Number(time)];
  return { chain_id, contract, publisher, block_number, block_hash: `0x${hash}`, time_seconds };
}

/** Where the registry's storage holds a publisher's newest checkpoint of a log: what to ask `eth_getProof` for; `0x…`. */
export const checkpointSlot = (publisher: string, logId: Uint8Array): string =>
  `0x${toHex(call(wasm.checkpoint_slot, fromHex(publisher), logId))}`;

// OpenTimestamps.

export type OtsAttestation =
  | { kind: "bitcoin"; height: number; merkle_root: Uint8Array }
  | { kind: "pending"; uri: string; commitment: Uint8Array }
  | { kind: "unknown"; tag: string };

/**
 * Read a file and do all its operations.
 * @returns the digest that it is of, and what is attested: a `bitcoin` one holds where the header of the block at `height`
 *   has this root; `unknown` ones count for nothing
 * @throws `anchor.ots_malformed`
 */
export function readOts(file: Uint8Array): { digest: Uint8Array; attestations: OtsAttestation[] } {
  const [digest = "", ...lines] = call(wasm.read_ots, file).split("\n");
  return { digest: fromHex(digest), attestations: lines.map(attestation) };
}

function attestation(line: string): OtsAttestation {
  const [kind, first = "", second = ""] = line.split(" ");
  if (kind === "pending") return { kind, uri: second, commitment: fromHex(first) };
  if (kind === "bitcoin") return { kind, height: Number(first), merkle_root: fromHex(second) };
  return { kind: "unknown", tag: first };
}

/** What calendars are asked to attest: a nonce keeps them from learning the digest. */
export const otsCommitment = (digest: Uint8Array, nonce: Uint8Array): Uint8Array =>
  call(wasm.ots_commitment, digest, nonce);

/**
 * The file cut down to the way to its earliest block, so that nothing stands in it that does not count.
 * @throws `anchor.ots_malformed`; `anchor.ots_incomplete` when it names no block
 */
export const otsToBlock = (file: Uint8Array): Uint8Array => call(wasm.ots_to_block, file);

/**
 * The file of a digest out of calendars' answers to {@link otsCommitment}.
 * @throws `anchor.ots_malformed`
 */
export const otsFile = (args: { digest: Uint8Array; nonce: Uint8Array; answers: readonly Uint8Array[] }): Uint8Array =>
  call(wasm.ots_file, args.digest, args.nonce, framed(args.answers));

/**
 * The file with a calendar's answer in place of what it left pending.
 * @throws `anchor.ots_malformed`; `anchor.ots_incomplete` when the answer names no block, or nothing is pending there
 */
export function upgradeOts(file: Uint8Array, pending: { uri: string; commitment: Uint8Array }, answer: Uint8Array) {
  return call(wasm.upgrade_ots, file, pending.uri, pending.commitment, answer);
}

export interface BitcoinHeader {
  /** as people write it: the last byte first */
  hash: string;
  /** as it stands in the header, which is as `readOts` gives it */
  merkle_root: Uint8Array;
  time_seconds: number;
}

/**
 * Read a Bitcoin header of 80 bytes, and see its work done. That the block is of the chain is not shown by it.
 * @param easiest target in the compact form; only a test has reasons for another
 * @throws `anchor.header_invalid`
 */
export function checkHeader(header: Uint8Array, easiest = EASIEST_BITS): BitcoinHeader {
  const [hash = "", root = "", time] = call(wasm.check_header, header, easiest).split("\n");
  return { hash, merkle_root: fromHex(root), time_seconds: Number(time) };
}

// Bytes.

const malformed = (detail: string) => new TalosError("anchor.malformed", { detail });

function fromHex(text: string): Uint8Array {
  const digits = text.startsWith("0x") ? text.slice(2) : text;
  if (!/^(?:[0-9a-f]{2})*$/.test(digits)) throw malformed("not lower-case hex");
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
}

const toHex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Strict: one text for the same bytes. */
export function fromBase64(text: string): Uint8Array {
  let chars: string;
  try {
    chars = atob(text);
  } catch {
    throw malformed("not base64");
  }
  if (btoa(chars) !== text) throw malformed("not base64");
  return Uint8Array.from(chars, (char) => char.charCodeAt(0));
}

export const toBase64 = (bytes: Uint8Array): string =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

/** Each after its length in four bytes. */
function framed(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length);
    out.set(part, at + 4);
    at += 4 + part.length;
  }
  return out;
}
