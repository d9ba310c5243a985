/** The links that vectors are made of: operator → agent → sub-agent, and one change at a time. */
import { hash, jws, type Key, keyOf, type VectorFile, WORLD } from "./lib.ts";

const HEADER = '{"alg":"EdDSA","typ":"talos-cap+jwt"}';
const { aud, now } = WORLD;

export const operator = keyOf("operator");
export const agent = keyOf("agent");
export const subAgent = keyOf("sub-agent");
export const stranger = keyOf("stranger");
export const service = keyOf("service");

export type Claims = Record<string, unknown>;

export const readFiles = {
  tool: "files/read",
  classes: ["read", "write"],
  actions: ["call"],
  resource: { prefix: "data" },
  args: { limit: [{ op: "range", type: "integer", min: 1, max: 100 }] },
  closed: false,
};
export const narrowed = {
  ...readFiles,
  classes: ["read"],
  resource: { prefix: "data/in" },
  args: { limit: [{ op: "range", type: "integer", min: 1, max: 10 }] },
};

export function rootClaims(changes: Claims = {}): Claims {
  return {
    iss: operator.did_key,
    sub: agent.did_key,
    aud: [aud],
    iat: now - 60,
    nbf: now - 60,
    exp: now + 86400,
    jti: "019b76da-a800-7000-8000-000000000001",
    cnf: { jwk: agent.jwk },
    ep: 0,
    depth: 3,
    grants: [readFiles],
    ...changes,
  };
}

export function childClaims(parent: string, changes: Claims = {}): Claims {
  return {
    iss: agent.did_key,
    sub: subAgent.did_key,
    aud: [aud],
    iat: now - 30,
    nbf: now - 30,
    exp: now + 3600,
    jti: "019b76da-a800-7000-8000-000000000002",
    cnf: { jwk: subAgent.jwk },
    ep: 0,
    depth: 2,
    par: hash(parent),
    grants: [narrowed],
    ...changes,
  };
}

export const link = (key: Key, claims: Claims | string, header = HEADER) =>
  jws(key, header, typeof claims === "string" ? claims : JSON.stringify(claims));

export const without = (claims: Claims, name: string) =>
  Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));

export const root = link(operator, rootClaims());
export const child = link(agent, childClaims(root));
export const chain = `${root}~${child}`;

export interface Expect {
  allow: boolean;
  code: string;
  link?: number;
  field?: string;
}
export type Case = VectorFile["cases"][number];

export const allow: Expect = { allow: true, code: "OK" };
export const deny = (code: string, link?: number, field?: string): Expect => ({ allow: false, code, link, field });

/** A case whose root differs; the chain is that root alone. */
export const ofRoot = (name: string, changes: Claims, expect: Expect, more: Claims = {}): Case => ({
  name,
  chain: link(operator, rootClaims(changes)),
  expect,
  ...more,
});

/** A case whose child differs. */
export const ofChild = (name: string, changes: Claims, expect: Expect, signer = agent): Case => ({
  name,
  chain: `${root}~${link(signer, childClaims(root, changes))}`,
  expect,
});
