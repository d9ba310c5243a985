/** What a tenant's people do in tests of TenantHead: publish policies, delegate, revoke. All signed by the core. */
import { env, runInDurableObject } from "cloudflare:test";
import type { AuditEventV2, Grant, Head, Keysets, PolicySnapshot } from "@talos/contracts";
import {
  attenuate,
  b64uDecode,
  b64uEncode,
  didKey,
  headVerify,
  inspectChain,
  issueLink,
  jwsSign,
  policySign,
  publicKey,
  thumbprint,
  uuidv7,
} from "@talos/core";

export interface Person {
  seed: Uint8Array;
  x: string;
  did: string;
  jkt: string;
}

export function person(): Person {
  const seed = crypto.getRandomValues(new Uint8Array(32));
  const x = b64uEncode(publicKey(seed));
  return { seed, x, did: didKey(x), jkt: thumbprint(x) };
}

const id = () => uuidv7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
const seconds = () => Math.floor(Date.now() / 1000);
export const audOf = (tenant: string) => `${env.TALOS_ORIGIN}/t/${tenant}`;

const GRANT: Grant = {
  tool: "files/read",
  classes: ["read"],
  actions: ["call"],
  resource: "any",
  args: {},
  closed: false,
};

export function snapshot(
  tenant: string,
  version: number,
  anchors: Person[],
  more: Partial<PolicySnapshot> = {},
): PolicySnapshot {
  const rate = { capacity: 10, refill_per_second: 1, link_share_percent: 50, concurrency: 2 };
  return {
    v: 1,
    tenant,
    version,
    anchors: anchors.map(({ did, x }) => ({ did, jwk: { crv: "Ed25519", kty: "OKP", x } })),
    dids: [],
    servers: [{ name: "files", url: "https://files.test/mcp" }],
    tools: [{ tool: "files/read", class: "read", actions: ["call"], rate_class: "read" }],
    rate_classes: ["control", "read", "session"].map((name) => ({ name, ...rate })),
    roles: [],
    bindings: [],
    forbids: [],
    peps: [],
    revoked_keys: [],
    unregistered: "deny",
    ...more,
  };
}

export function signPolicy(
  policy: PolicySnapshot,
  seed = b64uDecode(env.TEST_PUBLISHER_SEED),
): { jws: string; hash: string } {
  return policySign({ seed, snapshot: policy });
}

/** A publisher's signature over whatever it is, which `policySign` might refuse to make. */
export function signUnchecked(payload: object): string {
  const seed = b64uDecode(env.TEST_PUBLISHER_SEED);
  const kid = thumbprint(b64uEncode(publicKey(seed)));
  return jwsSign({ seed, typ: "talos-policy+jwt", kid, payload });
}

/** A chain from the first person over all others; `ids` are its link ids, root first. */
export function delegate(tenant: string, people: Person[], ep = 0): { chain: string; ids: string[] } {
  const [anchor, first, ...rest] = people as [Person, Person, ...Person[]];
  const life = { iat: seconds(), nbf: seconds() - 10, exp: seconds() + 3_600 };
  const jwk = { crv: "Ed25519" as const, kty: "OKP" as const, x: first.x };
  let chain = issueLink({
    seed: anchor.seed,
    claims: {
      iss: anchor.did,
      sub: first.did,
      aud: [audOf(tenant)],
      ...life,
      jti: id(),
      cnf: { jwk },
      ep,
      depth: 7,
      grants: [GRANT],
    },
  });
  let holder = first;
  for (const next of rest) {
    const claims = { sub: next.did, holder_x: next.x, exp: life.exp, iat: life.iat, jti: id(), grants: [GRANT], ep };
    chain = attenuate({ seed: holder.seed, chain, claims });
    holder = next;
  }
  return { chain, ids: inspectChain(chain).links.map((link) => link.id) };
}

type What =
  | { kind: "link"; link: string }
  | { kind: "key"; jkt: string; under?: string; anchor?: string }
  | { kind: "epoch"; jkt: string; epoch: number };

export function statement(tenant: string, signer: Person, what: What, more: object = {}): string {
  const payload = { aud: audOf(tenant), iat: seconds(), jti: id(), ...what, ...more };
  return jwsSign({ seed: signer.seed, typ: "talos-revocation+jwt", jwk: true, payload });
}

/** The head that the tenant's object signs, verified; or the code it refuses with. */
export async function headOf(tenant: string): Promise<Head> {
  const answer = await env.TENANT_HEADS.getByName(tenant).head();
  if (!answer.ok) throw new Error(answer.code);
  const { purposes } = JSON.parse(env.TALOS_KEYSETS!) as Keysets;
  const keys = purposes.head.map(({ kid, key }) => ({ kid, x: b64uEncode(publicKey(b64uDecode(key))) }));
  return headVerify({ jws: answer.head, keys, tenant });
}

/** The events that the tenant's log holds, in order. */
export async function recorded(tenant: string): Promise<AuditEventV2[]> {
  const rows = await runInDurableObject(env.AUDIT_LOGS.getByName(tenant), (_, { storage }) =>
    storage.sql.exec<{ events: string }>("SELECT events FROM texts ORDER BY first_seq").toArray(),
  );
  const lines = rows.flatMap(({ events }) => events.split("\n"));
  return lines.map((line) => JSON.parse(line.slice(line.indexOf("{"))));
}
