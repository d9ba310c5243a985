/** From what is sent to what is proved: snapshots by their publisher, statements by their chain. All by the core. */
import { TalosError } from "@talos/contracts";
import {
  b64uDecode,
  didKey,
  free,
  inspectChain,
  jwsVerify,
  type PolicyHandle,
  policyLoad,
  thumbprint,
  verifyRevocation,
} from "@talos/core";
import type { Env } from "./env.ts";
import type { PolicyJob, RevocationJob } from "./head-plan.ts";
import type { HeadStore } from "./head-store.ts";
import { publishersOf } from "./publishers.ts";
import { signerDepth } from "./revocations.ts";
import type { RevokeAsk } from "./types.ts";

type Read<J> = Omit<J, "settle" | "request_id" | "http">;

export class ChangeReader {
  readonly #env: Env;
  readonly #tenant: string;
  readonly #store: HeadStore;

  constructor(env: Env, tenant: string, store: HeadStore) {
    this.#env = env;
    this.#tenant = tenant;
    this.#store = store;
  }

  /** @throws `policy.invalid`, `SIGNATURE_INVALID`, `MALFORMED`, `config.incomplete` */
  policy(jws: string): Read<PolicyJob> {
    const publishers = publishersOf(this.#env.TALOS_PUBLISHERS, this.#tenant);
    const loaded = policyLoad({ jws, tenant: this.#tenant, publishers });
    free(loaded);
    const { version, hash, snapshot } = loaded;
    // Source: contracts/spec/in-force.md#policy-snapshot. The core knows no modes.
    if (this.#env.TALOS_MODE !== "development" && snapshot.unregistered !== "deny") {
      throw new TalosError("policy.invalid", { why: "unlisted tools must be denied in production" });
    }
    const jkt = headerOf(jws).kid;
    const publisher = publishers.find(({ x }) => thumbprint(x) === jkt);
    if (publisher === undefined) throw new TalosError("policy.invalid", { why: "no publisher of the tenant" });
    return {
      kind: "policy",
      version,
      hash,
      jws,
      publisher: { did: didKey(publisher.x), jkt: thumbprint(publisher.x) },
    };
  }

  /** @throws `policy.unavailable`, `revocation.not_authorized` and the codes of statement and chain */
  revocation({ statement, chain, aud }: RevokeAsk, nowMs: number): Read<RevocationJob> {
    const policy = this.#inForce();
    try {
      const verified = verifyRevocation({ statement, chain, aud, now_ms: nowMs, policy });
      const { entries, jkt, jti, kind, links, root_link, expires_at } = verified;
      const { header } = jwsVerify<{ jwk: { x: string } }>({ jws: statement, typ: "talos-revocation+jwt" });
      const holders = inspectChain(chain).links.map((link) => link.jkt_holder);
      const facts = { jti, kind, entries, did: didKey(header.jwk.x), jkt, links };
      return { kind: "revocation", facts, root_link, expires_at, depth: signerDepth(holders, jkt) };
    } finally {
      free(policy); // not kept: core memory outlives the object, and statements are rare
    }
  }

  #inForce(): PolicyHandle {
    const { policy_hash } = this.#store.inForce()!;
    const jws = this.#store.body("policy", policy_hash);
    if (jws === null) throw new TalosError("policy.unavailable", { why: "none is published" });
    const publishers = publishersOf(this.#env.TALOS_PUBLISHERS, this.#tenant);
    return policyLoad({ jws, tenant: this.#tenant, publishers, expected_hash: policy_hash });
  }
}

/** The protected header of a JWS that the core has verified. */
function headerOf(jws: string): { kid?: unknown } {
  return JSON.parse(new TextDecoder().decode(b64uDecode(jws.slice(0, jws.indexOf(".")))));
}
