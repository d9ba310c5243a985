/** Whole chains, byte for byte, and what each check says of them. Source: contracts/spec/capability.md#Chain, #Decision. */
import { limits, malformed } from "./chains-refused.ts";
import { hash, type VectorFile, WORLD } from "./lib.ts";
import {
  allow,
  operator,
  agent,
  subAgent,
  stranger,
  service,
  narrowed,
  rootClaims,
  childClaims,
  link,
  without,
  root,
  child,
  chain,
  deny,
  ofRoot,
  ofChild,
  type Claims,
  type Case,
} from "./links.ts";

const { aud, now } = WORLD;

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
