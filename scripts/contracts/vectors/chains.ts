/** Whole chains, byte for byte, and what each check says of them. Source: contracts/spec/capability.md#Chain, #Decision. */
import { hash, jws, type Key, keyOf, type VectorFile, WORLD } from "./lib.ts";

const HEADER = '{"alg":"EdDSA","typ":"talos-cap+jwt"}';
const { aud, now } = WORLD;

export const operator = keyOf("operator");
export const agent = keyOf("agent");
export const subAgent = keyOf("sub-agent");
const stranger = keyOf("stranger");
const service = keyOf("service");

type Claims = Record<string, unknown>;

export const readFiles = {
  tool: "files/read",
  classes: ["read", "write"],
  actions: ["call"],
  resource: { prefix: "data" },
  args: { limit: [{ op: "range", type: "integer", min: 1, max: 100 }] },
  closed: false,
};
const narrowed = {
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

const without = (claims: Claims, name: string) =>
  Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));

export const root = link(operator, rootClaims());
export const child = link(agent, childClaims(root));
export const chain = `${root}~${child}`;

interface Expect {
  allow: boolean;
  code: string;
  link?: number;
  field?: string;
}
type Case = VectorFile["cases"][number];

const allow: Expect = { allow: true, code: "OK" };
const deny = (code: string, link?: number, field?: string): Expect => ({ allow: false, code, link, field });

/** A case whose root differs; the chain is that root alone. */
const ofRoot = (name: string, changes: Claims, expect: Expect, more: Claims = {}): Case => ({
  name,
  chain: link(operator, rootClaims(changes)),
  expect,
  ...more,
});

/** A case whose child differs. */
const ofChild = (name: string, changes: Claims, expect: Expect, signer = agent): Case => ({
  name,
  chain: `${root}~${link(signer, childClaims(root, changes))}`,
  expect,
});

function valid(): Case[] {
  const grandchild = link(subAgent, {
    ...childClaims(child),
    iss: subAgent.did_key,
    sub: stranger.did_key,
    cnf: { jwk: stranger.jwk },
    depth: 0,
  });
  const webRoot = link(service, rootClaims({ iss: "did:web:service.example" }));
  const longest = [link(operator, rootClaims({ depth: 7 }))];
  for (let depth = 6; depth >= 0; depth--) {
    const claims = childClaims(longest.at(-1) as string, {
      iss: agent.did_key,
      sub: agent.did_key,
      cnf: { jwk: agent.jwk },
      depth,
    });
    longest.push(link(agent, claims));
  }
  return [
    { name: "a root alone", chain: root, expect: allow },
    { name: "a child", chain, expect: allow },
    { name: "a grandchild", chain: `${chain}~${grandchild}`, expect: allow },
    { name: "eight links", chain: longest.join("~"), expect: allow },
    ofRoot("a did:jwk holder", { sub: agent.did_jwk }, allow),
    ofRoot(
      "a did:web holder whom the snapshot lists",
      { sub: "did:web:service.example", cnf: { jwk: service.jwk } },
      allow,
    ),
    { name: "a did:web anchor", chain: webRoot, expect: allow },
    ofRoot("the first second", { nbf: now }, allow),
    ofRoot("the last second", { exp: now + 1 }, allow),
    ofRoot("several tenants", { aud: ["https://a.example/t/x", aud] }, allow),
  ];
}

function structure(): Case[] {
  const widened = (name: string, grant: Claims) =>
    ofChild(`widened: ${name}`, { grants: [{ ...narrowed, ...grant }] }, deny("DELEGATION_INVALID", 1, "grants"));
  return [
    widened("another tool", { tool: "files/write" }),
    widened("the same tool on another server", { tool: "mail/read" }),
    widened("a class more", { classes: ["read", "write", "pay"] }),
    widened("any action", { actions: "*" }),
    widened("a resource outside", { resource: { prefix: "other" } }),
    widened("any resource", { resource: "any" }),
    widened("an argument's range", { args: { limit: [{ op: "range", type: "integer", min: 1, max: 101 }] } }),
    widened("an argument dropped", { args: {} }),
    ofChild("another issuer", { iss: stranger.did_key }, deny("DELEGATION_INVALID", 1, "iss")),
    ofChild("another parent", { par: hash("another") }, deny("DELEGATION_INVALID", 1, "par")),
    {
      name: "a child without par",
      chain: `${root}~${link(agent, without(childClaims(root), "par"))}`,
      expect: deny("DELEGATION_INVALID", 1, "par"),
    },
    ofRoot("a root with par", { par: hash("a parent") }, deny("DELEGATION_INVALID", 0, "par")),
    ofChild("a tenant more", { aud: ["https://a.example/t/x", aud] }, deny("DELEGATION_INVALID", 1, "aud")),
    ofChild("earlier than its parent", { nbf: now - 61 }, deny("DELEGATION_INVALID", 1, "nbf")),
    ofChild("later than its parent", { exp: now + 86401 }, deny("DELEGATION_INVALID", 1, "exp")),
    ofChild("as deep as its parent", { depth: 3 }, deny("DELEGATION_INVALID", 1, "depth")),
    ofRoot("a subject that is another key's DID", { sub: stranger.did_key }, deny("DELEGATION_INVALID", 0, "sub")),
    ofChild(
      "a child's subject that is another key's DID",
      { sub: stranger.did_key },
      deny("DELEGATION_INVALID", 1, "sub"),
    ),
    ofRoot("a did:jwk of another key", { sub: stranger.did_jwk }, deny("DELEGATION_INVALID", 0, "sub")),
    ofRoot("a did:web that nobody lists", { sub: "did:web:unknown.example" }, deny("DELEGATION_INVALID", 0, "sub")),
    ofRoot("a did:web with another key", { sub: "did:web:service.example" }, deny("DELEGATION_INVALID", 0, "sub")),
    { name: "the child alone", chain: child, expect: deny("DELEGATION_INVALID", 0, "par") },
  ];
}

function trustAndTime(): Case[] {
  const spliced = `${root}~${link(stranger, childClaims(root))}`;
  return [
    { name: "a root signed by a stranger", chain: link(stranger, rootClaims()), expect: deny("SIGNATURE_INVALID", 0) },
    { name: "a child signed by a stranger", chain: spliced, expect: deny("SIGNATURE_INVALID", 1) },
    {
      name: "a root issued by a stranger",
      chain: link(stranger, rootClaims({ iss: stranger.did_key })),
      expect: deny("UNTRUSTED_ISSUER", 0),
    },
    {
      name: "a did:web issuer that nobody lists",
      chain: link(service, rootClaims({ iss: "did:web:unknown.example" })),
      expect: deny("UNTRUSTED_ISSUER", 0),
    },
    ofRoot("for another tenant", { aud: ["https://gateway.example/t/other"] }, deny("AUDIENCE_MISMATCH", 0)),
    ofRoot("for another origin", { aud: ["https://other.example/t/default"] }, deny("AUDIENCE_MISMATCH", 0)),
    ofRoot("not yet valid", { nbf: now + 1 }, deny("NOT_YET_VALID", 0)),
    ofRoot("expired", { exp: now }, deny("EXPIRED", 0)),
    ofChild("a child not yet valid", { nbf: now + 1 }, deny("NOT_YET_VALID", 1)),
    ofChild("a child expired", { exp: now }, deny("EXPIRED", 1)),
    { name: "the same chain a day later", chain, now: now + 86400, expect: deny("EXPIRED", 0) },
    ofRoot(
      "another tenant and expired: audience first",
      { aud: ["https://gateway.example/t/other"], exp: now },
      deny("AUDIENCE_MISMATCH", 0),
    ),
  ];
}

function limits(): Case[] {
  const audiences = Array.from({ length: 9 }, (_, i) => `https://gateway.example/t/t${i}`);
  const grants = Array.from({ length: 65 }, (_, i) => ({
    ...readFiles,
    tool: `f/t${String(i).padStart(2, "0")}`,
    args: {},
    resource: "any",
  }));
  return [
    { name: "nine links", chain: Array(9).fill(root).join("~"), expect: deny("LIMIT_EXCEEDED") },
    ofRoot("depth 8", { depth: 8 }, deny("LIMIT_EXCEEDED", 0)),
    ofRoot("nine audiences", { aud: audiences }, deny("LIMIT_EXCEEDED", 0)),
    ofRoot("a link beyond 4,096 bytes", { grants }, deny("LIMIT_EXCEEDED", 0)),
    { name: "a chain beyond 16,384 bytes", chain: "A".repeat(16385), expect: deny("LIMIT_EXCEEDED") },
  ];
}

function malformed(): Case[] {
  const bad = deny("MALFORMED", 0);
  const claims = JSON.stringify(rootClaims());
  const text = (name: string, payload: string) => ({ name, chain: link(operator, payload), expect: bad });
  const headed = (name: string, header: string) => ({ name, chain: link(operator, claims, header), expect: bad });
  const altered = `${root.slice(0, -1)}${root.endsWith("A") ? "B" : nextBit(root.at(-1) as string)}`;
  return [
    { name: "empty", chain: "", expect: bad },
    { name: "an empty link at the end", chain: `${root}~`, expect: deny("MALFORMED", 1) },
    { name: "two parts", chain: root.slice(0, root.lastIndexOf(".")), expect: bad },
    { name: "four parts", chain: `${root}.AA`, expect: bad },
    { name: "padding", chain: `${root}==`, expect: bad },
    { name: "altered trailing bits", chain: altered, expect: bad },
    { name: "white space", chain: ` ${root}`, expect: bad },
    headed("alg none", '{"alg":"none","typ":"talos-cap+jwt"}'),
    headed("another typ", '{"alg":"EdDSA","typ":"JWT"}'),
    headed("no typ", '{"alg":"EdDSA"}'),
    headed("another header member", '{"alg":"EdDSA","kid":"x","typ":"talos-cap+jwt"}'),
    headed("a header member twice", '{"alg":"EdDSA","alg":"EdDSA","typ":"talos-cap+jwt"}'),
    text("a member twice", claims.replace("{", '{"depth":0,')),
    text("a member twice after unescaping", claims.replace("{", '{"\\u0064epth":0,')),
    text("a float", claims.replace('"ep":0', '"ep":0.0')),
    text("an exponent", claims.replace('"depth":3', '"depth":3e0')),
    text("another member", claims.replace("{", '{"scope":"*",')),
    text("not an object", "[]"),
    text("more after the claims", `${claims} {}`),
    ...["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "cnf", "ep", "depth", "grants"].map((name) =>
      text(`no ${name}`, JSON.stringify(without(rootClaims(), name))),
    ),
    ofRoot("nothing lived", { nbf: now, exp: now }, bad),
    ofRoot("a life above 400 days", { nbf: now, exp: now + 34560001 }, bad),
    ofRoot("audiences out of order", { aud: [aud, "https://a.example/t/x"] }, bad),
    ofRoot("an audience twice", { aud: [aud, aud] }, bad),
    ofRoot("no audience", { aud: [] }, bad),
    ofRoot("a jti that is no UUIDv7", { jti: "019b76da-a800-4000-8000-000000000001" }, bad),
    ofRoot("a key with a private half", { cnf: { jwk: { ...agent.jwk, d: agent.seed } } }, bad),
    ofRoot("a negative epoch", { ep: -1 }, bad),
    ofRoot("no grants", { grants: [] }, bad),
    ofRoot("a grant twice", { grants: [readFiles, readFiles] }, bad),
    ofRoot("grants out of order", { grants: [readFiles, { ...readFiles, tool: "a/read" }] }, bad),
    ofRoot("classes out of order", { grants: [{ ...readFiles, classes: ["write", "read"] }] }, bad),
    ofRoot("actions out of order", { grants: [{ ...readFiles, actions: ["read", "call"] }] }, bad),
    ofRoot(
      "values out of order",
      { grants: [{ ...readFiles, args: { n: [{ op: "in", type: "integer", values: [2, 1] }] } }] },
      bad,
    ),
    ofRoot(
      "atoms out of order",
      {
        grants: [
          {
            ...readFiles,
            args: {
              n: [
                { op: "range", type: "integer", min: 0, max: 9 },
                { op: "not_in", type: "integer", values: [1] },
              ],
            },
          },
        ],
      },
      bad,
    ),
    ofRoot(
      "two atoms of one op",
      {
        grants: [
          {
            ...readFiles,
            args: {
              n: [
                { op: "eq", type: "integer", value: 1 },
                { op: "eq", type: "integer", value: 1 },
              ],
            },
          },
        ],
      },
      bad,
    ),
    ofRoot(
      "an empty range",
      { grants: [{ ...readFiles, args: { n: [{ op: "range", type: "integer", min: 2, max: 1 }] } }] },
      bad,
    ),
    ofRoot(
      "an unknown atom",
      { grants: [{ ...readFiles, args: { n: [{ op: "regex", type: "string", value: ".*" }] } }] },
      bad,
    ),
    ofRoot("a prefix that climbs", { grants: [{ ...readFiles, resource: { prefix: "data/.." } }] }, bad),
    ofRoot("a wildcard tool", { grants: [{ ...readFiles, tool: "files/*" }] }, bad),
  ];
}

/** The base64url digit whose lowest bit differs: for the last of 64 bytes' 86 digits that bit is unused. */
function nextBit(digit: string): string {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return digits[digits.indexOf(digit) ^ 1] as string;
}

export function chains(): VectorFile {
  return {
    spec: "contracts/spec/capability.md#Decision",
    description:
      "Chains and the first check that fails, before revocation and grants. Expected members that are not listed are free.",
    aud,
    now,
    anchors: [
      { did: operator.did_key, jwk: operator.jwk },
      { did: "did:web:service.example", jwk: service.jwk },
    ],
    dids: [{ did: "did:web:service.example", jkt: service.jkt }],
    link_ids: [hash(root), hash(child)],
    cases: [...valid(), ...structure(), ...trustAndTime(), ...limits(), ...malformed()],
  };
}
