/** Links and chains that are refused before any signature is looked at. Source: contracts/spec/capability.md#Link. */
import { agent, type Case, deny, link, ofRoot, operator, readFiles, root, rootClaims, without } from "./links.ts";
import { WORLD } from "./lib.ts";

const { aud, now } = WORLD;

export function limits(): Case[] {
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

export function malformed(): Case[] {
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
    ofRoot("an empty list of audiences", { aud: [] }, bad),
    ofRoot("a jti that is no UUIDv7", { jti: "019b76da-a800-4000-8000-000000000001" }, bad),
    ofRoot("a key with a private half", { cnf: { jwk: { ...agent.jwk, d: agent.seed } } }, bad),
    ofRoot("a negative epoch", { ep: -1 }, bad),
    ofRoot("an empty list of grants", { grants: [] }, bad),
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
