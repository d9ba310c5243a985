import { SURFACES, type TalosError } from "@talos/contracts";
import { describe, expect, it, vi } from "vitest";
import {
  b64uEncode,
  CORE_HASH,
  decideRead,
  encodeRequest,
  filterBuild,
  filterLoad,
  finish,
  keyringLoad,
  policyLoad,
  policySign,
  READ_FRAME_BYTES,
  type ReadEvent,
  ReadFacts,
  type RequestFacts,
  type RequestParts,
  sealEvent,
  sealRead,
} from "./index.ts";
import {
  agent,
  call,
  fresh,
  grant,
  maced,
  NOW_MS,
  operator,
  parts,
  principal,
  publisher,
  root,
  session,
  signed,
  snapshot,
  TENANT,
} from "./testing.ts";

/** A second core with a memory of its own: what one consumes, the other has not seen. */
vi.resetModules();
const twin = await import("./index.ts");

type Site = [Parameters<typeof finish>[1], Parameters<typeof finish>[2], Parameters<typeof finish>[3]];

/** The same in force in both cores. */
function sites(change: object = {}, entries: string[] = [], rev_seq = 1): { here: Site; there: Site } {
  const { jws } = policySign({ seed: publisher.seed, snapshot: snapshot(change) });
  const body = filterBuild({ tenant: TENANT, rev_seq, entries });
  const load = { jws, tenant: TENANT, publishers: [publisher.jwk] };
  const revoked = { body: body.body, tenant: TENANT, expected_hash: body.rev_hash };
  const ring = [{ kid: "t-1", status: "primary" as const, key: b64uEncode(new Uint8Array(32).fill(9)) }];
  return {
    here: [policyLoad(load), filterLoad(revoked), keyringLoad(ring, "ticket")],
    there: [twin.policyLoad(load), twin.filterLoad(revoked), twin.keyringLoad(ring, "ticket")],
  };
}

const FACTS: (keyof RequestFacts)[] = [
  ...(["form", "class", "needs", "rate_classes", "rate_class", "links", "root_link", "sub", "root_sub"] as const),
  ...(["anchor", "jkt", "session_id", "nonce", "expires", "proof_hash", "capability_hash", "request_hash"] as const),
  ...(["args_json", "keep", "writes", "not_after", "receipt", "mcp", "decisions"] as const),
];

/** What a core answers, thrown or given, facts spelled out. */
function outcome(run: () => ReturnType<typeof decideRead>): unknown {
  try {
    const { ...answer } = run();
    if (answer.status !== "decided" || answer.request === undefined) return answer;
    const facts: RequestFacts = answer.request;
    return { ...answer, request: Object.fromEntries(FACTS.map((name) => [name, facts[name]])) };
  } catch (error) {
    const { name, code, detail } = error as TalosError;
    if (name !== "TalosError") throw error;
    return { code, detail };
  }
}

/** Numbers that follow from a seed, so that a failure repeats itself. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

const asked = (body: object, surface = "authorize", path = "/v1/authorize"): RequestParts => parts(surface, path, body);
const message = (body: object): RequestParts => parts("mcp.post", "/mcp/files", body, { server: "files" });

/** Reads, and what may not be read, in every shape that a session can send. */
const REQUESTS: RequestParts[] = [
  call("read", { path: "data/in/x" }),
  call("read", { path: "other" }),
  call("read", { path: "data/ü", naïve: "é\u{1f600}", n: 1.5 }),
  call("limited", { limit: 3 }),
  call("limited", { limit: 11 }),
  call("limited", { limit: 3, ["x".repeat(200)]: 1 }),
  call("write", {}),
  call("nothing", {}),
  asked({ tool: "files/read", args: { path: "data/a" } }),
  asked({ tool: "files/read", args: { path: "data/a" }, receipt: true }),
  asked({ tool: "files/@resource", action: "read", resource: "file/-/data/a" }),
  asked({ tool: "files/@resource", action: "read", resource: "file/-/etc" }),
  asked({ tool: "files/delete" }),
  asked({ tool: "unknown/x" }),
  asked({ tool: 7 }),
  asked({ items: [{ tool: "files/read" }, { tool: "files/read", args: { path: "data/b" } }] }, "authorize.batch"),
  parts("authorize", "/v1/authorize", '{"tool":"files/read","tool":"files/read"}'),
  message({ jsonrpc: "2.0", id: 'a"b', method: "tools/list", params: { _meta: { progressToken: 7 } } }),
  message({ jsonrpc: "2.0", method: "notifications/initialized" }),
  message({ jsonrpc: "2.0", id: 3, method: "tasks/get" }),
  message({ jsonrpc: "2.0", id: 3, result: {} }),
  message({ jsonrpc: "2.0", id: 1, method: "resources/read", params: { uri: "file:///data/x" } }),
  message({ jsonrpc: "2.0", id: 1, method: "prompts/get", params: { name: "hello" } }),
  { ...call("read", { path: "data/x" }), headers: { "mcp-method": "tools/call", "mcp-name": "other" } },
  { ...call("read", { path: "data/x" }), headers: { "mcp-method": "tools/call", "idempotency-key": "k" } },
  parts("audit.events.list", "/audit/events", "", { method: "GET" }),
];

const DAMAGES: ((request: RequestParts, pick: (below: number) => number) => RequestParts)[] = [
  (request) => request,
  (request) => request,
  (request) => ({ ...request, now_ms: NOW_MS + 60_000 }),
  (request) => ({ ...request, now_ms: NOW_MS - 6_000 }),
  (request) => ({ ...request, head_as_of_ms: NOW_MS - 120_001 }),
  ({ head_as_of_ms: _, ...request }) => request,
  (request) => ({ ...request, aud: `${request.aud}x` }),
  (request) => ({ ...request, tenant: "other" }),
  (request) => ({ ...request, target_uri: `${request.target_uri}?x` }),
  (request) => ({ ...request, body: request.body.slice(1) }),
  (request, pick) => {
    const names = Object.keys(request.headers) as (keyof RequestParts["headers"])[];
    const name = names[pick(names.length)]!;
    const value = request.headers[name]!;
    const at = pick(value.length);
    const changed = value.slice(0, at) + String.fromCharCode(33 + pick(94)) + value.slice(at + 1);
    return { ...request, headers: { ...request.headers, [name]: changed } };
  },
  (request, pick) => {
    const names = Object.keys(request.headers) as (keyof RequestParts["headers"])[];
    const { [names[pick(names.length)]!]: _, ...headers } = request.headers;
    return { ...request, headers };
  },
];

describe("a read in one call", () => {
  it("is answered as by finish, on three thousand requests, whole, damaged and replayed", async () => {
    const pick = random(20_261_127);
    const chain = root();
    const stranger = principal("stranger");
    const inForce = [
      sites(),
      sites(),
      sites(),
      sites({ revoked_keys: [agent.jkt] }),
      sites({ bindings: [] }),
      sites({ anchors: [{ did: stranger.did, jwk: stranger.jwk }] }),
      sites({ forbids: [{ id: "f", principal: operator.did, tool: "files/*", classes: ["read"], reason: "r" }] }),
      sites({}, [`key:${agent.jkt}`], 2),
    ];
    const sessions = [await session(chain), await session(chain, true)];
    const codes = new Map<string, number>();
    const sent: RequestParts[] = [];
    for (let i = 0; i < 3_000; i += 1) {
      const { here, there } = inForce[pick(inForce.length)]!;
      const own = sessions[pick(sessions.length)]!;
      const whole = maced(REQUESTS[pick(REQUESTS.length)]!, own, pick(4) === 0 ? pick(2_000) : i);
      const request =
        pick(8) === 0 && sent.length > 0 ? sent[pick(sent.length)]! : DAMAGES[pick(DAMAGES.length)]!(whole, pick);
      sent.push(request);
      const short = outcome(() => decideRead(request, ...here));
      const long = outcome(() => twin.finish(encodeRequest(request), ...there, []));
      expect(short, `request ${i}`).toEqual(long);
      const { decision, code, status } = short as { decision?: { code: string }; code?: string; status?: string };
      const name = decision?.code ?? code ?? status!;
      codes.set(name, (codes.get(name) ?? 0) + 1);
    }
    const expected = [
      ...["OK", "lookup", "NO_CAPABILITY", "MALFORMED", "PROOF_INVALID", "REPLAY", "UNTRUSTED_ISSUER", "REVOKED"],
      ...["AUDIENCE_MISMATCH", "REVOCATION_STALE", "UNKNOWN_TOOL", "SCOPE_MISMATCH", "ARGUMENT_MISMATCH"],
      ...["ROLE_DENIED", "FORBIDDEN", "contract.invalid", "mcp.header_mismatch", "internal"],
    ];
    expect(expected.filter((name) => !codes.has(name))).toEqual([]);
  });

  it("gives short facts to a read of a session alone, and the proof's hash only where it is to be recorded", async () => {
    const site = sites().here;
    const open = await session(root());
    const decided = decideRead(maced(call("read", { path: "data/x" }), open, 1), ...site);
    const plain = decideRead(maced(call("read", { path: "data/x" }), open, 2), ...site, false);
    if (decided.status !== "decided" || plain.status !== "decided") throw new Error("a look-up");
    expect(decided.request).toBeInstanceOf(ReadFacts);
    expect(decided.request?.proof_hash).toMatch(/^[\w-]{43}$/);
    expect(() => plain.request?.proof_hash).toThrow(expect.objectContaining({ code: "internal" }));
    expect((decided.request as ReadFacts).session).toBe((plain.request as ReadFacts).session);
    // Whatever needs a verifier is not decided here: its verdicts are missing.
    const verified = signed(call("read", { path: "data/x" }), { ticket: open.ticket });
    expect(() => decideRead(verified, ...site)).toThrow(expect.objectContaining({ code: "internal" }));
  });

  it("keeps to its own bound of size", async () => {
    const site = sites().here;
    const long = maced(call("read", { path: "data/x", blob: "x".repeat(READ_FRAME_BYTES) }), await session(root()), 1);
    expect(() => decideRead(long, ...site)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
    expect(finish(encodeRequest(long), ...site, [])).toMatchObject({ decision: { allow: true } });
  });

  it("does not mistake one request for another when the core's memory grew in between", async () => {
    const site = sites().here;
    const open = await session(root());
    const first = decideRead(maced(call("read", { path: "data/first" }), open, 1), ...site);
    const large = maced(call("read", { path: "data/second", blob: "x".repeat(80_000) }), open, 2);
    const second = decideRead(large, ...site);
    // A body of a megabyte makes the core ask for more memory, which detaches every view.
    expect(() =>
      finish(encodeRequest(parts("authorize", "/v1/authorize", "x".repeat(1_048_576))), ...site, []),
    ).not.toThrow();
    const third = decideRead(maced(call("read", { path: "data/third" }), open, 3), ...site);
    const paths = [first, second, third].map((one) => one.status === "decided" && one.request?.needs[0]?.resource);
    expect(paths).toEqual(["data/first", "data/second", "data/third"]);
  });
});

describe("the event of a read", () => {
  const event = (facts: ReadFacts, surface: "authorize" | "mcp.post"): ReadEvent => ({
    ...{ surface_id: surface, tenant: TENANT, event_id: "01945533-3158-7c85-992d-9865f1715694" },
    ...{ ts: "2027-01-15T08:00:00.000Z", request_id: "01945533-3158-7c85-992d-9865f1715695", status_code: 200 },
    ...{ client_ip_hash: "ab".repeat(32), client_ip_hash_key_id: "ip-1" },
    ...{ policy_hash: b64uEncode(fresh(32)), policy_version: 3, rev_seq: 0, rev_as_of_ms: 2 ** 41 + 5 },
    denied: facts.decision.allow ? undefined : facts.decision,
    meta: { receipt: facts.receipt, mcp_method: "tools/call", more: "é" },
  });

  /** The event as a gateway writes it member by member. */
  function spelled(of: ReadEvent, facts: ReadFacts): object {
    const surface = SURFACES[of.surface_id as "authorize"];
    const { allow, code, link, grant: at, field } = facts.decision;
    const need = facts.needs[0];
    return {
      ...{ schema_id: "talos.audit_event", schema_version: "v2", kind: "decision", meta: of.meta },
      ...{ event_id: of.event_id, ts: of.ts, tenant: of.tenant, request_id: of.request_id, surface_id: of.surface_id },
      audit_action: surface.audit_action ?? of.surface_id,
      outcome: allow ? "success" : "denied",
      principal: {
        ...{ auth_mode: facts.form, did: facts.sub, jkt: facts.jkt, root_sub: facts.root_sub },
        session_id: facts.session_id,
      },
      http: {
        ...{ method: surface.method, path: surface.path, status_code: of.status_code },
        ...(of.client_ip_hash === undefined
          ? {}
          : { client_ip_hash: of.client_ip_hash, client_ip_hash_alg: "HMAC-SHA256", client_ip_hash_key_id: "ip-1" }),
      },
      resource:
        need === undefined
          ? { resource_type: "surface", resource_id: of.surface_id }
          : { resource_type: "tool", resource_id: need.tool, class: need.class, action: need.action },
      decision: {
        ...{ allow, code },
        ...(link === undefined ? {} : { link }),
        ...(at === undefined ? {} : { grant: at }),
        ...(field === undefined ? {} : { field: Array.from(field).slice(0, 160).join("") }),
        ...{ policy_version: of.policy_version, policy_hash: of.policy_hash, core_hash: CORE_HASH },
        ...{ rev_seq: of.rev_seq, rev_as_of_ms: of.rev_as_of_ms },
      },
      capability: { hash: facts.capability_hash, links: facts.links },
      proof: { form: facts.form, nonce: facts.nonce, hash: facts.proof_hash },
    };
  }

  it("has the bytes of the event that is spelled out, allowed and denied, with and without an address", async () => {
    const site = sites().here;
    const open = await session(root({ grants: [grant("files/limited", { closed: true }), grant("files/read")] }));
    let sealed = 0;
    for (const [i, request] of REQUESTS.entries()) {
      let decided: ReturnType<typeof decideRead>;
      try {
        decided = decideRead(maced(request, open, i), ...site);
      } catch {
        continue; // no request of its surface
      }
      if (decided.status !== "decided" || !(decided.request instanceof ReadFacts)) continue;
      const facts = decided.request;
      const surface = request.surface as "authorize" | "mcp.post";
      for (const of of [
        event(facts, surface),
        { ...event(facts, surface), client_ip_hash: undefined, client_ip_hash_key_id: undefined },
      ]) {
        expect(sealRead(of, facts)).toEqual(sealEvent({ surface, event: spelled(of, facts) }));
        sealed += 1;
      }
    }
    expect(sealed).toBeGreaterThan(30);
  });

  it("is sealed by another core than the one that decided: everything is in its facts", async () => {
    const site = sites().here;
    const open = await session(root());
    const decided = decideRead(maced(call("read", { path: "data/x" }), open, 1), ...site);
    const facts = decided.status === "decided" ? decided.request : undefined;
    if (!(facts instanceof ReadFacts)) throw new Error("not a read");
    const of = event(facts, "mcp.post");
    expect(twin.sealRead(of, facts)).toEqual(sealRead(of, facts));
  });

  it("is refused without the proof's hash, and as every event is", async () => {
    const site = sites().here;
    const open = await session(root());
    const decided = decideRead(maced(call("read", { path: "data/x" }), open, 1), ...site, false);
    const bare = decided.status === "decided" ? decided.request : undefined;
    const again = decideRead(maced(call("read", { path: "data/x" }), open, 2), ...site);
    const facts = again.status === "decided" ? again.request : undefined;
    if (!(bare instanceof ReadFacts && facts instanceof ReadFacts)) throw new Error("not a read");
    expect(() => sealRead(event(bare, "mcp.post"), bare)).toThrow(
      expect.objectContaining({ code: "request.malformed" }),
    );
    const refused = (change: Partial<ReadEvent>) => () => sealRead({ ...event(facts, "mcp.post"), ...change }, facts);
    expect(refused({ event_id: "1" })).toThrow(expect.objectContaining({ code: "contract.invalid" }));
    expect(refused({ surface_id: "nothing" })).toThrow(expect.objectContaining({ code: "contract.invalid" }));
    expect(refused({ rev_seq: -1 })).toThrow(expect.objectContaining({ code: "request.malformed" }));
    expect(refused({ meta: { mcp_name: "x".repeat(2_000) } })).toThrow(
      expect.objectContaining({ code: "contract.invalid" }),
    );
  });
});
