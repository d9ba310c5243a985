import type { Grant, Jwk } from "@talos/contracts";
import {
  type Anchor,
  attenuate,
  didKey,
  didKeyToX,
  type InspectedLink,
  inspectChain,
  issueLink,
  type KnownDid,
  thumbprint,
  uuidv7,
  verifyChain,
} from "@talos/core";
import { ClientError } from "./errors.ts";
import type { Key } from "./keys.ts";

/** Who is to hold a link: a `did:key` or `did:jwk` says its key itself; a `did:web` needs the key beside it. */
export type Holder = string | { did: string; x: string } | Key;

/** What a grant leaves out: no resource asked, no argument restricted, only the action `call`. */
export type GrantInit = Pick<Grant, "tool" | "classes"> & Partial<Grant>;

const CLASS_ORDER = ["read", "write", "destructive", "pay"];
const utf8 = new TextEncoder();

/** Fill in a grant's defaults and put its sets into the order that the contract asks for (capability.md#grant). */
export function grant(init: GrantInit): Grant {
  const actions = init.actions ?? ["call"];
  return {
    tool: init.tool,
    classes: [...init.classes].sort((a, b) => CLASS_ORDER.indexOf(a) - CLASS_ORDER.indexOf(b)) as Grant["classes"],
    actions: actions === "*" ? "*" : ([...actions].sort() as Grant["actions"]),
    resource: init.resource ?? "any",
    args: init.args ?? {},
    closed: init.closed ?? false,
  };
}

/** Grants in the order that a link holds them in: by tool, bytewise. */
export function sortGrants(grants: readonly Grant[]): Grant[] {
  return [...grants].sort((a, b) => compareBytes(a.tool, b.tool));
}

function compareBytes(a: string, b: string): number {
  const [left, right] = [utf8.encode(a), utf8.encode(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i]! - right[i]!;
  }
  return left.length - right.length;
}

export interface IssueOptions {
  /** the issuer's key: a trust anchor of the tenant */
  key: Key;
  /** the issuer's DID; its `did:key` when absent */
  issuer?: string;
  holder: Holder;
  /** tenants it is for, `<origin>/t/{tenant}` */
  aud: string | readonly string[];
  grants: readonly GrantInit[];
  /** how long it lives, seconds; at most `capability_life_seconds` */
  ttl_seconds: number;
  /** how often it may be delegated further, 0..7; 0 when absent */
  depth?: number;
  /** the epoch of the issuer's key; 0 when absent */
  epoch?: number;
  /** milliseconds; the platform's clock when absent */
  now_ms?: number;
}

/**
 * Sign a root link.
 * @returns the chain (one link)
 * @throws `MALFORMED` or `LIMIT_EXCEEDED` for claims outside the rules of contracts/spec/capability.md#link
 */
export function issueCapability(options: IssueOptions): string {
  const now = options.now_ms ?? Date.now();
  const seconds = Math.floor(now / 1000);
  const { did, x } = holderOf(options.holder);
  return issueLink({
    seed: options.key.seed(),
    claims: {
      iss: options.issuer ?? options.key.did,
      sub: did,
      aud: audiences(options.aud) as [string, ...string[]],
      iat: seconds,
      nbf: seconds,
      exp: seconds + options.ttl_seconds,
      jti: newId(now),
      cnf: { jwk: jwk(x) },
      ep: options.epoch ?? 0,
      depth: options.depth ?? 0,
      grants: sortGrants(options.grants.map(grant)) as [Grant, ...Grant[]],
    },
  });
}

export interface NarrowOptions {
  /** the holder's key of the chain's last link */
  key: Key;
  chain: string;
  holder: Holder;
  /** the parent's grants when absent */
  grants?: readonly GrantInit[];
  /** seconds; the child never outlives its parent: a longer wish is cut to the parent's `exp` */
  ttl_seconds?: number;
  /** delegations left below the child; 0 when absent */
  depth?: number;
  aud?: string | readonly string[];
  epoch?: number;
  now_ms?: number;
}

/**
 * Append a narrower link for another holder: offline, with the holder's private key alone.
 * @returns the longer chain
 * @throws `DELEGATION_INVALID` when the child would be wider than its parent in any way
 */
export function narrowCapability(options: NarrowOptions): string {
  const now = options.now_ms ?? Date.now();
  const seconds = Math.floor(now / 1000);
  const parent = leafOf(options.chain).claims;
  const { did, x } = holderOf(options.holder);
  const wanted = options.ttl_seconds === undefined ? parent.exp : seconds + options.ttl_seconds;
  return attenuate({
    seed: options.key.seed(),
    chain: options.chain,
    claims: {
      sub: did,
      holder_x: x,
      ...(options.aud === undefined ? {} : { aud: audiences(options.aud) }),
      nbf: Math.max(parent.nbf, seconds),
      exp: Math.min(parent.exp, wanted),
      iat: seconds,
      jti: newId(now),
      ep: options.epoch ?? 0,
      depth: options.depth ?? 0,
      grants: sortGrants((options.grants ?? parent.grants).map(grant)),
    },
  });
}

/** Read a chain without trusting it: nothing here was verified. Root first. */
export function inspectCapability(chain: string): InspectedLink[] {
  return inspectChain(chain).links;
}

/** The last link of a chain: what its holder may do. Not verified. */
export function leafOf(chain: string): InspectedLink {
  return inspectCapability(chain).at(-1)!;
}

/**
 * Verify a chain offline against trust anchors: structure, signatures, root, audience, time at every link. What is in
 * force (revocations, roles) only the gateway knows.
 * @param args.anchors DIDs; a `did:web` anchor with its key
 */
export function verifyCapability(args: {
  chain: string;
  aud: string;
  anchors: readonly (string | Anchor)[];
  dids?: KnownDid[];
  now_ms?: number;
}): ReturnType<typeof verifyChain> {
  return verifyChain({
    chain: args.chain,
    aud: args.aud,
    now_ms: args.now_ms ?? Date.now(),
    anchors: args.anchors.map((anchor) => (typeof anchor === "string" ? { did: anchor } : anchor)),
    ...(args.dids ? { dids: args.dids } : {}),
  });
}

/** The one audience of a chain, taken apart. @throws `client.usage` when the leaf names several and `aud` none of them */
export function audienceOf(chain: string, aud?: string): { aud: string; origin: string; tenant: string } {
  const all: readonly string[] = leafOf(chain).claims.aud;
  const chosen = aud ?? (all.length === 1 ? all[0] : undefined);
  if (chosen === undefined) throw new ClientError("client.usage", "the capability is for several tenants; name one");
  if (!all.includes(chosen)) throw new ClientError("client.usage", `the capability is not for ${chosen}`);
  const match = /^(https?:\/\/[^/?#]+)\/t\/([^/?#]+)$/.exec(chosen);
  if (!match) throw new ClientError("client.usage", `${chosen} is not <origin>/t/<tenant>`);
  return { aud: chosen, origin: match[1]!, tenant: match[2]! };
}

/** A fresh UUIDv7. */
export function newId(now_ms: number): string {
  return uuidv7(now_ms, crypto.getRandomValues(new Uint8Array(10)));
}

/** Thumbprint of a holder's key. */
export function holderThumbprint(holder: Holder): string {
  return thumbprint(holderOf(holder).x);
}

function holderOf(holder: Holder): { did: string; x: string } {
  if (typeof holder === "string") return { did: holder, x: didKeyToX(holder) };
  if ("jwk" in holder) return { did: didKey(holder.jwk.x), x: holder.jwk.x };
  return holder;
}

function jwk(x: string): Jwk {
  return { crv: "Ed25519", kty: "OKP", x };
}

function audiences(aud: string | readonly string[]): string[] {
  return typeof aud === "string" ? [aud] : [...new Set(aud)].sort(compareBytes);
}
