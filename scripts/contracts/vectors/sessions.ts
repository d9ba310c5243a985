/** Opening a session and sealing. Source: contracts/spec/session.md. */
import { createCipheriv } from "node:crypto";
import { agent, chain, child, operator, readFiles, root, subAgent } from "./links.ts";
import { b64, hash, hex, hkdf, jcs, jws, keyOf, seedOf, type VectorFile, WORLD, x25519, x25519Public } from "./lib.ts";

const { aud, gateway, now, tenant } = WORLD;

const u16 = (bytes: Uint8Array) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);

/** Text of a sealed thing: base64url(0x01, length of kid, kid, salt, ciphertext, tag). */
function seal(purpose: "ticket" | "mcp", kid: string, key: Uint8Array, salt: Uint8Array, plaintext: string): string {
  const name = Buffer.from(kid);
  const header = Buffer.concat([Buffer.from([1, name.length]), name, salt]);
  const cipher = createCipheriv("chacha20-poly1305", hkdf(key, salt, `talos-${purpose}-1`), Buffer.alloc(12), {
    authTagLength: 16,
  });
  cipher.setAAD(header, { plaintextLength: Buffer.byteLength(plaintext) });
  const sealed = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final()]);
  return b64(Buffer.concat([header, sealed, cipher.getAuthTag()]));
}

const clientSecret = seedOf("client X25519");
const serverSecret = seedOf("server X25519");
const sessionId = seedOf("session id").subarray(0, 16);
const clientShare = x25519Public(clientSecret);
const serverShare = x25519Public(serverSecret);
const parts = [clientShare, serverShare, Buffer.from(hash(child), "base64url"), Buffer.from(gateway), Buffer.from(aud)];
const info = Buffer.concat([Buffer.from("talos-session-1\0"), ...parts.map(u16)]);
const shared = x25519(clientSecret, serverShare);
const macKey = hkdf(shared, sessionId, info);
const core = hash("a core");

const leafGrant = {
  ...readFiles,
  classes: ["read"],
  resource: { prefix: "data/in" },
  args: { limit: [{ op: "range", type: "integer", min: 1, max: 10 }] },
};
const plaintext = jcs({
  v: 1,
  sid: b64(sessionId),
  tenant,
  aud,
  nbf: now - 30,
  exp: now + 600,
  links: [
    { id: hash(root), iss: operator.did_key, ep: 0, jkt: operator.jkt },
    { id: hash(child), iss: agent.did_key, ep: 0, jkt: agent.jkt },
  ],
  anchor: operator.did_key,
  sub: subAgent.did_key,
  root_sub: agent.did_key,
  holder: subAgent.x,
  writes: false,
  grants: [leafGrant],
  core,
  mac: b64(macKey),
});
const ticketKey = seedOf("ticket key");
const ticketSalt = seedOf("ticket salt");
const ticket = seal("ticket", "t-1", ticketKey, ticketSalt, plaintext);

export const session = { ticket, id: b64(sessionId), macKey };

export function opening(): VectorFile {
  const receiptKey = keyOf("gateway");
  const claims = {
    aud,
    client_share: b64(clientShare),
    exp: now + 600,
    gateway,
    link: hash(child),
    server_share: b64(serverShare),
    session: b64(sessionId),
    ticket_hash: hash(ticket),
  };
  const statement = jws(receiptKey, jcs({ alg: "EdDSA", kid: "r-1", typ: "talos-session+jwt" }), jcs(claims));
  const given = {
    chain,
    client_secret_hex: hex(clientSecret),
    gateway_key: { kid: "r-1", x: receiptKey.x },
    gateway,
    aud,
    now,
  };
  const response = {
    session_id: b64(sessionId),
    ticket,
    share: b64(serverShare),
    expires_at: now + 600,
    writes: false,
    statement,
  };
  const bad = (name: string, changes: Record<string, unknown>, code: string) => ({
    name,
    ...given,
    response: { ...response, ...changes },
    expect: code,
  });
  const stated = (changes: Record<string, unknown>) => ({
    statement: jws(
      receiptKey,
      jcs({ alg: "EdDSA", kid: "r-1", typ: "talos-session+jwt" }),
      jcs({ ...claims, ...changes }),
    ),
  });
  return {
    spec: "contracts/spec/session.md#Opening",
    description:
      "The client's side of an opening: shares, HKDF info, MAC key, statement. What follows the valid one is one change each.",
    cases: [
      {
        name: "opened",
        ...given,
        server_secret_hex: hex(serverSecret),
        shared_hex: hex(shared),
        info_hex: hex(info),
        mac_key_hex: hex(macKey),
        response,
        expect: "OK",
      },
      bad("another ticket", { ticket: `${ticket}A` }, "SIGNATURE_INVALID"),
      bad("another session id", { session_id: b64(Buffer.alloc(16)) }, "SIGNATURE_INVALID"),
      bad("another share", { share: b64(x25519Public(seedOf("another"))) }, "SIGNATURE_INVALID"),
      bad("another end", { expires_at: now + 601 }, "SIGNATURE_INVALID"),
      bad("a statement for another leaf", stated({ link: hash(root) }), "SIGNATURE_INVALID"),
      bad("a statement by another gateway", stated({ gateway: "did:web:other.example" }), "SIGNATURE_INVALID"),
      bad(
        "a statement under another key",
        { statement: jws(keyOf("stranger"), jcs({ alg: "EdDSA", kid: "r-1", typ: "talos-session+jwt" }), jcs(claims)) },
        "SIGNATURE_INVALID",
      ),
      bad(
        "an all-zero share",
        { share: b64(Buffer.alloc(32)), ...stated({ server_share: b64(Buffer.alloc(32)) }) },
        "PROOF_INVALID",
      ),
    ],
  };
}

export function sealing(): VectorFile {
  const mcp = jcs({
    v: 1,
    tenant,
    principal: subAgent.did_key,
    jkt: subAgent.jkt,
    server: "files",
    upstream: "u-1",
    exp: now + 86400,
  });
  const mcpKey = seedOf("mcp key");
  const mcpSalt = seedOf("mcp salt");
  const bytes = Buffer.from(ticket, "base64url");
  const flipped = (at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] as number) ^ 1;
    return b64(copy);
  };
  const opens = (
    name: string,
    purpose: string,
    kid: string,
    key: Uint8Array,
    salt: Uint8Array,
    text: string,
    inside: string,
  ) => ({ name, purpose, kid, key: b64(key), salt_hex: hex(salt), plaintext: inside, text, valid: true });
  const bad = (name: string, text: string, more: Record<string, unknown> = {}) => ({
    name,
    purpose: "ticket",
    kid: "t-1",
    key: b64(ticketKey),
    text,
    valid: false,
    code: "MALFORMED",
    ...more,
  });
  return {
    spec: "contracts/spec/session.md#Sealing",
    description: "Sealed texts of both purposes; what does not open is MALFORMED, whatever the reason.",
    cases: [
      opens("a ticket", "ticket", "t-1", ticketKey, ticketSalt, ticket, plaintext),
      opens("an MCP session id", "mcp", "m-1", mcpKey, mcpSalt, seal("mcp", "m-1", mcpKey, mcpSalt, mcp), mcp),
      bad("another version", flipped(0)),
      bad("another length of kid", flipped(1)),
      bad("another kid", flipped(2)),
      bad("another salt", flipped(5)),
      bad("another ciphertext", flipped(40)),
      bad("another tag", flipped(bytes.length - 1)),
      bad("cut short", b64(bytes.subarray(0, -1))),
      bad("one byte more", b64(Buffer.concat([bytes, Buffer.alloc(1)]))),
      bad("nothing", ""),
      bad("a header alone", b64(bytes.subarray(0, 37))),
      bad("padding", `${ticket}=`),
      bad("under another key", ticket, { key: b64(mcpKey) }),
      bad("under another purpose", ticket, { purpose: "mcp" }),
    ],
  };
}
