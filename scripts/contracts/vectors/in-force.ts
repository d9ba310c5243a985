/** Heads, revocations and policies, byte for byte. Source: contracts/spec/in-force.md. */
import { agent, chain, child, operator, readFiles, root, subAgent } from "./links.ts";
import { b64, hash, hex, jcs, jws, type Key, keyOf, sha256, type VectorFile, WORLD } from "./lib.ts";

const { aud, now, tenant } = WORLD;
const gatewayKey = keyOf("gateway");
const stranger = keyOf("stranger");

type Case = VectorFile["cases"][number];

const headOf = (changes: Record<string, unknown>, key = gatewayKey, header: Record<string, unknown> = {}) =>
  jws(
    key,
    jcs({ alg: "EdDSA", kid: "h-1", typ: "talos-head+jwt", ...header }),
    jcs({
      as_of_ms: now * 1000,
      policy_hash: hash("p"),
      policy_version: 1,
      rev_hash: hash("r"),
      rev_seq: 0,
      tenant,
      ...changes,
    }),
  );

export function heads(): VectorFile {
  const bad = (name: string, head: string, code: string): Case => ({ name, head, valid: false, code });
  return {
    spec: "contracts/spec/in-force.md#Head",
    description: "Heads of the tenant under key h-1 (`gateway` of identity/keys.json).",
    tenant,
    keys: [{ kid: "h-1", x: gatewayKey.x }],
    cases: [
      { name: "a head", head: headOf({}), valid: true },
      { name: "without a policy", head: headOf({ policy_version: 0, policy_hash: "" }), valid: true },
      bad("another tenant", headOf({ tenant: "other" }), "head.inconsistent"),
      bad("another key", headOf({}, stranger), "head.inconsistent"),
      bad("an unknown kid", headOf({}, gatewayKey, { kid: "h-2" }), "head.inconsistent"),
      bad("another typ", headOf({}, gatewayKey, { typ: "talos-receipt+jwt" }), "head.inconsistent"),
      bad("a member more", headOf({ x: 1 }), "head.inconsistent"),
    ],
  };
}

/** Blocked Bloom filter of the entries' items; see the page for every number here. */
function filterOf(items: string[]): Buffer {
  let blocks = 1;
  while (blocks * 512 < items.length * 16) blocks *= 2;
  const filter = Buffer.alloc(blocks * 64);
  for (const item of items) {
    const h = sha256(item);
    const block = h.readUInt32LE(0) % blocks;
    for (let i = 0; i < 8; i++) {
      const bit = h.readUInt16LE(4 + 2 * i) & 0x1ff;
      const at = block * 64 + (bit >> 3);
      filter[at] = (filter[at] as number) | (1 << (bit & 7));
    }
  }
  return filter;
}

/** What is looked up of an entry: its first two parts. */
const itemOf = (entry: string) => entry.split(":").slice(0, 2).join(":");

function bodyCase(name: string, rev_seq: number, entries: string[]): Case {
  const sorted = [...entries].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const items = [...new Set(sorted.map(itemOf))];
  const filter = filterOf(items);
  const body = jcs({ v: 1, tenant, rev_seq, entries_hash: hash(sorted.join("\n")), filter: b64(filter) });
  return { name, rev_seq, entries: sorted, items, body, rev_hash: hash(body) };
}

export function revocationBodies(): VectorFile {
  const many = Array.from({ length: 200 }, (_, i) => `link:${hash(`link ${i}`)}`);
  return {
    spec: "contracts/spec/in-force.md#Revocation body",
    description: "Entries and the body that KV holds for them. Every item of an entry hits the filter.",
    tenant,
    cases: [
      bodyCase("nothing revoked", 0, []),
      bodyCase("a link", 1, [`link:${hash(child)}`]),
      bodyCase("one of every kind", 5, [
        `link:${hash(child)}`,
        `key:${subAgent.jkt}`,
        `key:${stranger.jkt}:under:${hash(root)}`,
        `key:${stranger.jkt}:anchor:${operator.did_key}`,
        `epoch:${agent.jkt}:3`,
      ]),
      bodyCase("32 items fill one block", 32, many.slice(0, 32)),
      bodyCase("33 items need two", 33, many.slice(0, 33)),
      bodyCase("200 links", 200, many),
    ],
  };
}

function statementOf(key: Key, claims: Record<string, unknown>, header: Record<string, unknown> = {}): string {
  const payload = { aud, iat: now, jti: "019b76da-a800-7000-8000-0000000000aa", ...claims };
  return jws(key, jcs({ alg: "EdDSA", jwk: key.jwk, typ: "talos-revocation+jwt", ...header }), jcs(payload));
}

export function statements(): VectorFile {
  const link = { kind: "link", link: hash(child) };
  const good = (name: string, statement: string, entry: string, upTo = chain): Case => ({
    name,
    statement,
    chain: upTo,
    valid: true,
    entries: [entry],
  });
  const bad = (name: string, statement: string, code: string, upTo = chain): Case => ({
    name,
    statement,
    chain: upTo,
    valid: false,
    code,
  });
  const denied = "revocation.not_authorized";
  return {
    spec: "contracts/spec/in-force.md#Revocation statement",
    description: "Who may revoke what. The chain is operator → agent → sub-agent; `entries` is what comes into force.",
    aud,
    now,
    anchors: [{ did: operator.did_key, jwk: operator.jwk }],
    cases: [
      good("a link, by its issuer", statementOf(agent, link), `link:${hash(child)}`),
      good("a link, by the anchor", statementOf(operator, link), `link:${hash(child)}`),
      good(
        "the root, by the anchor",
        statementOf(operator, { kind: "link", link: hash(root) }),
        `link:${hash(root)}`,
        root,
      ),
      bad("a link, by its holder", statementOf(subAgent, link), denied),
      bad("a link, by a stranger", statementOf(stranger, link), denied),
      bad("the root, by its holder", statementOf(agent, { kind: "link", link: hash(root) }), denied, root),
      bad("a link that is not the chain's last", statementOf(operator, { kind: "link", link: hash(root) }), denied),
      good(
        "a key, by itself as holder",
        statementOf(subAgent, { kind: "key", jkt: subAgent.jkt }),
        `key:${subAgent.jkt}`,
      ),
      good(
        "a key, by itself as signer",
        statementOf(operator, { kind: "key", jkt: operator.jkt }),
        `key:${operator.jkt}`,
      ),
      bad("a key, by its granter", statementOf(agent, { kind: "key", jkt: subAgent.jkt }), denied),
      bad(
        "a stranger's key, by itself, outside the chain",
        statementOf(stranger, { kind: "key", jkt: stranger.jkt }),
        denied,
      ),
      good(
        "a key under a link, by that link's holder",
        statementOf(subAgent, { kind: "key", jkt: stranger.jkt, under: hash(child) }),
        `key:${stranger.jkt}:under:${hash(child)}`,
      ),
      bad(
        "a key under a link, by that link's issuer",
        statementOf(agent, { kind: "key", jkt: stranger.jkt, under: hash(child) }),
        denied,
      ),
      bad(
        "a key under another link",
        statementOf(subAgent, { kind: "key", jkt: stranger.jkt, under: hash(root) }),
        denied,
      ),
      good(
        "a key in an anchor's chains",
        statementOf(operator, { kind: "key", jkt: stranger.jkt, anchor: operator.did_key }),
        `key:${stranger.jkt}:anchor:${operator.did_key}`,
      ),
      bad(
        "a key in an anchor's chains, by a holder",
        statementOf(agent, { kind: "key", jkt: stranger.jkt, anchor: operator.did_key }),
        denied,
      ),
      bad(
        "a key in another anchor's chains",
        statementOf(operator, { kind: "key", jkt: stranger.jkt, anchor: stranger.did_key }),
        denied,
      ),
      good(
        "an epoch, by that key",
        statementOf(agent, { kind: "epoch", jkt: agent.jkt, epoch: 2 }),
        `epoch:${agent.jkt}:2`,
      ),
      bad("an epoch, by another key", statementOf(operator, { kind: "epoch", jkt: agent.jkt, epoch: 2 }), denied),
      bad(
        "for another tenant",
        statementOf(agent, { ...link, aud: "https://gateway.example/t/other" }),
        "AUDIENCE_MISMATCH",
      ),
      bad("61 seconds old", statementOf(agent, { ...link, iat: now - 61 }), "PROOF_INVALID"),
      bad("61 seconds ahead", statementOf(agent, { ...link, iat: now + 61 }), "PROOF_INVALID"),
      bad("another key than the header's", statementOf(agent, link, { jwk: operator.jwk }), "PROOF_INVALID"),
      bad("a member more", statementOf(agent, { ...link, x: 1 }), "MALFORMED"),
      bad("an unknown kind", statementOf(agent, { kind: "all" }), "MALFORMED"),
      bad("another typ", statementOf(agent, link, { typ: "talos-cap+jwt" }), "MALFORMED"),
    ],
  };
}

export function policies(): VectorFile {
  const publisher = keyOf("publisher");
  const rate = (name: string) => ({
    name,
    capacity: 100,
    refill_per_second: 10,
    link_share_percent: 50,
    concurrency: 8,
  });
  const snapshot = {
    v: 1,
    tenant,
    version: 1,
    anchors: [{ did: operator.did_key, jwk: operator.jwk }],
    dids: [],
    servers: [{ name: "files", url: "http://127.0.0.1:3001/mcp" }],
    tools: [{ tool: "files/read", class: "read", actions: ["call"], resource_arg: "path", rate_class: "read" }],
    rate_classes: ["control", "read", "session"].map(rate),
    roles: [{ id: "reader", grants: [readFiles] }],
    bindings: [{ id: "everyone", role: "reader", principal: "*", scope: { type: "global" } }],
    forbids: [],
    peps: [],
    revoked_keys: [],
    unregistered: "deny",
  };
  const sign = (changes: Record<string, unknown>, key = publisher, header: Record<string, unknown> = {}) =>
    jws(key, jcs({ alg: "EdDSA", kid: key.jkt, typ: "talos-policy+jwt", ...header }), jcs({ ...snapshot, ...changes }));
  const pretty = jws(
    publisher,
    jcs({ alg: "EdDSA", kid: publisher.jkt, typ: "talos-policy+jwt" }),
    JSON.stringify(snapshot, null, 1),
  );
  const bad = (name: string, text: string, code = "policy.invalid"): Case => ({ name, jws: text, valid: false, code });
  return {
    spec: "contracts/spec/in-force.md#Policy snapshot",
    description: "Snapshots of the tenant by the publisher of identity/keys.json.",
    tenant,
    publishers: [publisher.jwk],
    cases: [
      {
        name: "a snapshot",
        jws: sign({}),
        valid: true,
        policy_hash: hash(jcs(snapshot)),
        payload_hex: hex(Buffer.from(jcs(snapshot))),
      },
      bad("another publisher", sign({}, stranger), "SIGNATURE_INVALID"),
      bad("another tenant", sign({ tenant: "other" })),
      bad("another typ", sign({}, publisher, { typ: "talos-head+jwt" })),
      bad("not canonical", pretty),
      bad("a member more", sign({ x: 1 })),
      bad("a server called talos", sign({ servers: [{ name: "talos", url: "http://127.0.0.1:3001/mcp" }] })),
      bad("a tool of an unknown rate class", sign({ tools: [{ ...snapshot.tools[0], rate_class: "none" }] })),
      bad("a binding to an unknown role", sign({ bindings: [{ ...snapshot.bindings[0], role: "none" }] })),
      bad("a tool twice", sign({ tools: [snapshot.tools[0], snapshot.tools[0]] })),
      bad("an anchor whose DID is another key's", sign({ anchors: [{ did: stranger.did_key, jwk: operator.jwk }] })),
    ],
  };
}
