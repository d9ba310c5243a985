import { jwsSign } from "@talos/core";
import { inspectCapability, leafOf, newId } from "./capability.ts";
import { ClientError } from "./errors.ts";
import type { Key } from "./keys.ts";

/**
 * What to revoke (contracts/spec/in-force.md#revocation-statement). The chain that is shown with it ends in the link
 * that it speaks of, and the signer must have authority over that link.
 */
export type Revocation =
  /** the chain's last link, and everything below it; signed by its issuer or by an issuer above */
  | { kind: "link" }
  /** a key in the whole tenant; signed by that key itself */
  | { kind: "key" }
  /** a key in chains below the chain's last link; signed by that link's holder */
  | { kind: "key"; jkt: string; below: "link" }
  /** a key in chains that an anchor roots; signed by that anchor */
  | { kind: "key"; jkt: string; below: "anchor" }
  /** all that the signer signed with a lower epoch */
  | { kind: "epoch"; epoch: number };

/**
 * Sign a revocation statement. It is valid for 60 s around `now_ms`: send it at once.
 * @param args.chain the chain that shows the signer's authority, ending in the link spoken of
 * @returns a compact JWS
 */
export function revocationStatement(args: {
  key: Key;
  aud: string;
  chain: string;
  what: Revocation;
  now_ms: number;
}): string {
  const { key, aud, chain, what, now_ms } = args;
  const common = { aud, iat: Math.floor(now_ms / 1000), jti: newId(now_ms), kind: what.kind };
  return jwsSign({ seed: key.seed(), typ: "talos-revocation+jwt", jwk: true, payload: { ...common, ...body() } });

  function body(): object {
    if (what.kind === "link") return { link: leafOf(chain).id };
    if (what.kind === "epoch") return { jkt: key.jkt, epoch: what.epoch };
    if (!("jkt" in what)) return { jkt: key.jkt };
    if (what.below === "link") return { jkt: what.jkt, under: leafOf(chain).id };
    return { jkt: what.jkt, anchor: inspectCapability(chain)[0]!.claims.iss };
  }
}

/**
 * The part of a chain that ends in its link number `index` (root 0; negative counts from the end).
 * @throws `client.usage` when there is no such link
 */
export function chainUpTo(chain: string, index: number): string {
  const links = chain.split("~");
  const at = index < 0 ? links.length + index : index;
  if (!Number.isInteger(at) || at < 0 || at >= links.length) {
    throw new ClientError("client.usage", `the chain has ${links.length} links; there is no link ${index}`);
  }
  return links.slice(0, at + 1).join("~");
}
