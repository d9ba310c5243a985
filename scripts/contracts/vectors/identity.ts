/** Keys, DIDs and thumbprints. Source: contracts/spec/identity.md. */
import { b64, jcs, keyOf, type VectorFile, WORLD } from "./lib.ts";

const NAMES = ["operator", "agent", "sub-agent", "stranger", "service", "publisher", "gateway"];

export function keys(): VectorFile {
  return {
    spec: "contracts/spec/identity.md#Keys",
    description: "Keys of the byte-exact vectors. The seed of each is SHA-256 of `talos vector: <name>`.",
    cases: NAMES.map((name) => ({ name, ...keyOf(name) })),
  };
}

export function dids(): VectorFile {
  const { did_key, did_jwk, x, jwk } = keyOf("agent");
  const jwkText = (text: string) => `did:jwk:${b64(Buffer.from(text))}`;
  const good = [
    { name: "did:key", did: did_key, x },
    { name: "did:jwk", did: did_jwk, x },
    { name: "did:web of a host", did: "did:web:example.org", url: "https://example.org/.well-known/did.json" },
    {
      name: "did:web with a port",
      did: "did:web:localhost%3A8787",
      url: "https://localhost:8787/.well-known/did.json",
    },
    {
      name: "did:web with a path",
      did: "did:web:example.org:agents:one",
      url: "https://example.org/agents/one/did.json",
    },
    { name: "the gateway's", did: WORLD.gateway, url: `${WORLD.origin}/.well-known/did.json` },
  ];
  const bad: [string, string][] = [
    ["empty", ""],
    ["another method", "did:example:123"],
    ["with a fragment", `${did_key}#${did_key.slice(8)}`],
    ["with a query", `${did_key}?x=1`],
    ["upper-case scheme", did_key.replace("did:", "DID:")],
    ["did:key of another multibase", did_key.replace(":z", ":u")],
    ["did:key, one character less", did_key.slice(0, -1)],
    ["did:key, one character more", `${did_key}1`],
    ["did:key, character outside base58", `${did_key.slice(0, -1)}0`],
    ["did:key of X25519", "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc"],
    ["did:jwk, members in another order", jwkText(JSON.stringify({ kty: "OKP", crv: "Ed25519", x }))],
    ["did:jwk with another member", jwkText(jcs({ ...jwk, alg: "EdDSA" }))],
    ["did:jwk of another curve", jwkText(jcs({ ...jwk, crv: "X25519" }))],
    ["did:jwk with white space", jwkText(JSON.stringify(JSON.parse(jcs(jwk)), null, 1))],
    ["did:jwk with padding", `${did_jwk}=`],
    ["did:jwk with a fragment", `${did_jwk}#0`],
    ["did:jwk of a short key", jwkText(jcs({ ...jwk, x: x.slice(0, -2) }))],
    ["did:web, upper-case host", "did:web:Example.org"],
    ["did:web without a host", "did:web:"],
    ["did:web with a slash", "did:web:example.org/agents"],
    ["did:web with an empty path part", "did:web:example.org::x"],
    ["did:web with a fragment", "did:web:example.org#key"],
    ["did:web, lower-case escape", "did:web:example.org%3a8787"],
    ["longer than did_bytes", `did:web:${"a.".repeat(122)}example`],
  ];
  return {
    spec: "contracts/spec/identity.md#DIDs",
    description: "DIDs and what they encode: a key (`x`) or, for did:web, where its document lies.",
    cases: [...good.map((c) => ({ ...c, valid: true })), ...bad.map(([name, did]) => ({ name, did, valid: false }))],
  };
}
