/** Every part that a proof binds, changed one at a time, in every form of proof. Source: contracts/spec/proof.md. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AGENT_GRANTS, MCP_HEADERS, startWorld, tampered, type World } from "../support/world.ts";
import {
  type Ask,
  maced,
  nonce,
  person,
  type Proven,
  publish,
  root,
  rpc,
  send,
  type Session,
  sessionSigned,
  signed,
} from "../fixtures.ts";

let world: World;
let session: Session;
let other: Session;
let mcp: string;
let otherMcp: string;
let otherChain: string;

beforeAll(async () => {
  const publisher = person("publisher");
  const publishers = { default: [publisher.jwk], second: [publisher.jwk] };
  world = await startWorld({ tenants: ["default", "second"], publishers });
  await publish(world.talos.aud("second"), publisher, { ...world.policy, tenant: "second" });
  session = await world.session();
  other = await world.session();
  mcp = await world.mcpSession();
  otherMcp = await world.mcpSession();
  otherChain = root(world.operator, world.agent, { aud: [world.aud], grants: AGENT_GRANTS });
});
afterAll(() => world.stop());

const call = (): Ask => ({
  aud: world.aud,
  path: "/mcp/files",
  body: rpc("tools/call", { name: "read_file", arguments: { path: "/desk/x" } }),
  headers: {
    ...MCP_HEADERS,
    "mcp-session-id": mcp,
    "mcp-method": "tools/call",
    "mcp-name": "read_file",
    "idempotency-key": "k1",
  },
});

const forms: [string, (ask: Ask) => Proven][] = [
  ["signed under a chain", (ask) => signed(world.agent, world.chain, ask)],
  ["signed under a ticket", (ask) => sessionSigned(session, ask)],
  ["MAC under a ticket", (ask) => maced(session, ask)],
];

const inInput = (request: Proven, from: RegExp, to: string): Proven => {
  const changed = request.headers["signature-input"]!.replace(from, to);
  expect(changed).not.toBe(request.headers["signature-input"]);
  return tampered(request, { headers: { "signature-input": changed } });
};
const without = (request: Proven, name: string): Proven => {
  const { [name]: _gone, ...headers } = request.headers;
  return { ...request, headers };
};

/** What is changed, how, and the code that answers it where that is not PROOF_INVALID. */
const changes: [string, (request: Proven) => Proven, string?][] = [
  ["the path, to another server", (r) => ({ ...r, url: r.url.replace("/mcp/files", "/mcp/other") })],
  ["the path, to another tenant", (r) => ({ ...r, url: r.url.replace("/t/default/", "/t/second/") })],
  ["the query", (r) => ({ ...r, url: `${r.url}?x=1` })],
  [
    "one byte of the body",
    (r) => ({ ...r, body: new TextEncoder().encode(new TextDecoder().decode(r.body).replace("/desk/x", "/desk/y")) }),
  ],
  [
    "white space in the body",
    (r) => ({ ...r, body: new TextEncoder().encode(`${new TextDecoder().decode(r.body)} `) }),
  ],
  [
    "the digest, to fit another body",
    (r) => tampered(r, { headers: { "content-digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:" } }),
  ],
  ["the MCP session", (r) => tampered(r, { headers: { "mcp-session-id": otherMcp } })],
  ["the MCP session, left out", (r) => without(r, "mcp-session-id")],
  ["mcp-name, left out", (r) => without(r, "mcp-name")],
  ["the idempotency key", (r) => tampered(r, { headers: { "idempotency-key": "k2" } })],
  ["an added last-event-id", (r) => tampered(r, { headers: { "last-event-id": "9" } })],
  ["created", (r) => inInput(r, /created=(\d+)/, `created=${Math.floor(Date.now() / 1000) - 2}`)],
  ["expires", (r) => inInput(r, /expires=\d+/, `expires=${Math.floor(Date.now() / 1000) + 29}`)],
  ["the tag", (r) => inInput(r, /tag="talos-1"/, 'tag="talos-2"')],
  [
    "the algorithm",
    (r) =>
      r.headers["signature-input"]!.includes("ed25519")
        ? inInput(r, /alg="ed25519"/, 'alg="hmac-sha256"')
        : inInput(r, /alg="hmac-sha256"/, 'alg="ed25519"'),
  ],
  ["the key id", (r) => inInput(r, /keyid="./, 'keyid="_')],
  [
    "the label",
    (r) => tampered(r, { headers: { "signature-input": r.headers["signature-input"]!.replace("talos=", "other=") } }),
  ],
  ["a component, left out", (r) => inInput(r, / "content-digest"/, "")],
  ["the order of components", (r) => inInput(r, /"@method" "@target-uri"/, '"@target-uri" "@method"')],
  ["the spelling of the input", (r) => inInput(r, /;created/, "; created")],
  [
    "a bit of the signature",
    (r) =>
      tampered(r, {
        headers: {
          signature: r.headers["signature"]!.replace(/:(.)/, (_all, c: string) => `:${c === "A" ? "B" : "A"}`),
        },
      }),
  ],
  ["the signature, left out", (r) => without(r, "signature")],
  ["a second signature", (r) => tampered(r, { headers: { signature: `${r.headers["signature"]}, talos=:AAAA:` } })],
];

describe.each(forms)("a request %s", (name, prove) => {
  it("is accepted as it is", async () => {
    expect((await send(prove(call()))).status).toBe(200);
  });

  it.each(changes)("is refused when somebody changes %s", async (_what, change, code = "PROOF_INVALID") => {
    const before = world.upstream.received.length;
    const response = await send(change(prove(call())));
    const text = await response.text();
    expect([400, 401], text).toContain(response.status);
    if (code !== "any") expect(text).toContain(`"code":"${code}"`);
    expect(world.upstream.received.length).toBe(before);
  });

  it("is refused with another nonce or sequence than the signed one", async () => {
    const request = prove(call());
    const to = name.startsWith("MAC") ? 'nonce="999"' : `nonce="${nonce()}"`;
    expect((await send(inInput(request, /nonce="[^"]*"/, to))).status).toBe(401);
  });

  it("is refused under another method", async () => {
    const listen: Ask = {
      aud: world.aud,
      path: "/mcp/files",
      method: "GET",
      headers: { ...MCP_HEADERS, "mcp-session-id": mcp },
    };
    const response = await send({ ...prove(listen), method: "DELETE" });
    expect(response.status).toBe(401);
    expect(await response.text()).toContain("PROOF_INVALID");
  });
});

describe("credentials", () => {
  it("cannot be exchanged for another of the same holder", async () => {
    const chain = tampered(signed(world.agent, world.chain, call()), { headers: { "talos-capability": otherChain } });
    expect((await send(chain)).status).toBe(401);
    for (const prove of [sessionSigned, maced] as const) {
      const ticket = tampered(prove(session, call()), { headers: { "talos-ticket": other.ticket } });
      expect((await send(ticket)).status).toBe(401);
    }
  });

  it("are one: a ticket and a chain together are refused", async () => {
    const both = tampered(sessionSigned(session, call()), { headers: { "talos-capability": world.chain } });
    expect(await (await send(both)).text()).toContain("MALFORMED");
  });

  it("of another form do not fit: a MAC proof with its ticket replaced by the chain", async () => {
    const request = maced(session, call());
    const { "talos-ticket": _ticket, ...headers } = request.headers;
    const response = await send({ ...request, headers: { ...headers, "talos-capability": world.chain } });
    expect(response.status).toBe(401);
  });
});

describe("replay", () => {
  it("of a MAC is refused by its sequence, and one too far behind by the window", async () => {
    const own = await world.session();
    const request = maced(own, call(), { sequence: 5_000n });
    expect((await send(request)).status).toBe(200);
    const again = await send(request);
    expect(again.status).toBe(409);
    expect(await again.text()).toContain("REPLAY");
    expect((await send(maced(own, call(), { sequence: 4_990n }))).status).toBe(200);
    const old = await send(maced(own, call(), { sequence: 3_976n }));
    expect(await old.text()).toContain("PROOF_INVALID");
  });

  it("of a refused MAC changes nothing: a wrong one does not use up the sequence", async () => {
    const own = await world.session();
    const request = maced(own, call(), { sequence: 7n });
    const wrong = tampered(request, { headers: { "idempotency-key": "other" } });
    expect((await send(wrong)).status).toBe(401);
    expect((await send(request)).status).toBe(200);
  });
});
