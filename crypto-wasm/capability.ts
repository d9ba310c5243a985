/** Capability chains on the client side and offline (contracts/spec/capability.md). */
import type { Decision, Grant } from "@talos/contracts";
import { call, callJson, wasm } from "./core.ts";
import type { Anchor, ChildClaims, InspectedLink, KnownDid, Need, RootClaims } from "./types.ts";

/**
 * Sign a root link.
 * @throws `MALFORMED` for claims outside the rules, `LIMIT_EXCEEDED` for their sizes
 */
export function issueLink(args: { seed: Uint8Array; claims: RootClaims }): string {
  return call(wasm.issue_link, args.seed, JSON.stringify(args.claims));
}

/**
 * Append a narrower link, offline. `seed` is the leaf holder's.
 * @returns the longer chain
 * @throws `DELEGATION_INVALID` when the child is wider than its parent in any way
 */
export function attenuate(args: { seed: Uint8Array; chain: string; claims: ChildClaims }): string {
  return call(wasm.attenuate, args.seed, args.chain, JSON.stringify(args.claims));
}

/** Read a chain without any trust decision. */
export function inspectChain(chain: string): { links: InspectedLink[] } {
  return callJson(wasm.inspect_chain, chain);
}

/** Verify a chain offline: structure, signatures, root, audience, time at every link. Revocation is not asked. */
export function verifyChain(args: {
  chain: string;
  aud: string;
  now_ms: number;
  anchors: Anchor[];
  dids?: KnownDid[];
}): { ok: true } | { ok: false; decision: Decision } {
  const { chain, aud, now_ms, anchors, dids = [] } = args;
  const trust = JSON.stringify({ anchors, dids });
  const decision: Decision = callJson(wasm.verify_chain, chain, aud, BigInt(now_ms), trust);
  return decision.allow ? { ok: true } : { ok: false, decision };
}

/** Whether every grant of `child` is contained in a single grant of `parent`; else the first that is not, and why. */
export function contains(parent: Grant[], child: Grant[]): { ok: boolean; grant?: number; field?: string } {
  return callJson(wasm.contains, JSON.stringify(parent), JSON.stringify(child));
}

/** @throws `MALFORMED` when the grant holds argument atoms, which have no scope string */
export function scopeFromGrant(grant: Grant): string {
  return call(wasm.scope_from_grant, JSON.stringify(grant));
}

/** @throws `MALFORMED` for what {@link scopeFromGrant} would not print */
export function grantFromScope(scope: string): Grant {
  return callJson(wasm.grant_from_scope, scope);
}

/** Leaf evaluation alone: what these grants say to this need, with the nearest grant and its first failing field. */
export function explain(grants: Grant[], need: Need): Decision {
  return callJson(wasm.explain, JSON.stringify(grants), JSON.stringify(need));
}
