/** Heads, policies, revocation and keyrings: what is in force (contracts/spec/in-force.md, contracts/spec/keys.md). */
import type { Head, Jwk, PolicySnapshot } from "@talos/contracts";
import { call, callJson, wasm } from "./core.ts";
import type {
  FilterHandle,
  Handle,
  KeyringHandle,
  PolicyHandle,
  PublishedKey,
  SealingKey,
  VerifiedRevocation,
} from "./types.ts";

/**
 * Verify and compile a policy snapshot. The handle keeps core memory until {@link free}.
 * @throws `policy.invalid` for a wrong publisher, signature, tenant, hash or content
 */
export function policyLoad(args: {
  jws: string;
  tenant: string;
  publishers: Jwk[];
  expected_hash?: string;
}): PolicyHandle {
  return callJson(wasm.policy_load, args.jws, args.tenant, JSON.stringify(args.publishers), args.expected_hash);
}

/** Sign a snapshot as its publisher; `hash` is the policy hash. */
export function policySign(args: { seed: Uint8Array; snapshot: PolicySnapshot }): { jws: string; hash: string } {
  return callJson(wasm.policy_sign, args.seed, JSON.stringify(args.snapshot));
}

/**
 * Load a revocation body that hashes to `expected_hash`.
 * @throws `head.inconsistent` for another tenant, hash or shape
 */
export function filterLoad(args: { body: string; tenant: string; expected_hash: string }): FilterHandle {
  return callJson(wasm.filter_load, args.body, args.tenant, args.expected_hash);
}

/** The revocation body over these printed entries (`link:…`, `key:…`, `epoch:…`), in any order. */
export function filterBuild(args: { tenant: string; rev_seq: number; entries: string[] }): {
  body: string;
  rev_hash: string;
} {
  return callJson(wasm.filter_build, JSON.stringify(args));
}

/** Sign a head under the primary `head` key. */
export function headSign(args: { seed: Uint8Array; kid: string; head: Head }): string {
  return call(wasm.head_sign, args.seed, args.kid, JSON.stringify(args.head));
}

/** @throws `head.inconsistent` for an unknown key, a wrong signature, another tenant or a wrong shape */
export function headVerify(args: { jws: string; keys: PublishedKey[]; tenant: string }): Head {
  return callJson(wasm.head_verify, args.jws, JSON.stringify(args.keys), args.tenant);
}

/** Load sealing keys. The handle keeps them in core memory until {@link free}, which overwrites them. */
export function keyringLoad(keys: SealingKey[], purpose: "ticket" | "mcp"): KeyringHandle {
  return callJson(wasm.keyring_load, JSON.stringify(keys), purpose);
}

/** Give back what a handle keeps. Twice is harmless; a freed handle answers nothing. */
export function free(handle: Handle): void {
  call(wasm.free_handle, handle.handle);
}

/**
 * Verify a revocation statement and the chain that shows its signer's authority.
 * @throws `revocation.not_authorized`, or the chain's own code
 */
export function verifyRevocation(args: {
  statement: string;
  chain: string;
  aud: string;
  now_ms: number;
  policy: PolicyHandle;
}): VerifiedRevocation {
  return callJson(
    wasm.verify_revocation,
    args.statement,
    args.chain,
    args.aud,
    BigInt(args.now_ms),
    args.policy.handle,
  );
}
