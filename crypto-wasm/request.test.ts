import { LIMITS } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import {
  attenuate,
  authorize,
  authorizePure,
  b64uEncode,
  begin,
  encodeRequest,
  filterList,
  finish,
  inspectChain,
  jwsSign,
  openSession,
  type RequestParts,
  recheck,
  type Verdict,
  verifyChecks,
} from "./index.ts";
import {
  AUD,
  agent,
  call,
  filter,
  fresh,
  GATEWAY,
  grant,
  maced,
  NOW,
  NOW_MS,
  operator,
  parts,
  policy,
  principal,
  receiptKey,
  root,
  session,
  signed,
  tickets,
} from "./testing.ts";

const inForce = policy();
const nothing = filter();
const chain = root();
const none = async () => ({ rev_seq: 1, items: {} });

async function decide(request: RequestParts, p = inForce, f = nothing) {
  return authorize(encodeRequest(request), p, f, tickets, none);
}
const code = async (request: RequestParts, p = inForce, f = nothing) => (await decide(request, p, f)).decision.code;
const sub = principal("sub-agent");

function child(change: object = {}): string {
  const claims = {
    sub: sub.did,
    holder_x: sub.x,
    iat: NOW,
    exp: NOW + 600,
    jti: "01945533-3158-7c85-992d-9865f1715694",
  };
  return attenuate({
    seed: agent.seed,
    chain,
    claims: { ...claims, grants: [grant("files/read", { resource: { prefix: "data/in" } })], ...change },
  });
}

describe("a request", () => {
  it("is allowed with a chain, and its facts say who asked for what", async () => {
    const { decision, request } = await decide(signed(call("read", { path: "data/in/x" }), { chain: child() }, sub));
    expect(decision).toEqual({ allow: true, code: "OK" });
    expect(request).toMatchObject({
      form: "signed",
      class: "read",
      rate_class: "read",
      sub: sub.did,
      root_sub: agent.did,
      anchor: operator.did,
      jkt: sub.jkt,
      writes: true,
      expires: NOW + 60,
      not_after: NOW + 600,
      args_json: '{"path":"data/in/x"}',
      needs: [{ tool: "files/read", class: "read", action: "call", resource: "data/in/x" }],
      mcp: { kind: "request", method: "tools/call", id_json: "1", name: "read", call: true },
    });
    expect(request?.links).toHaveLength(2);
    expect(request?.root_link).toBe(request?.links[0]);
  });

  it("is refused with the reason, shown with what was asked", async () => {
    const { decision, request } = await decide(signed(call("read", { path: "other" }), { chain }));
    expect(decision).toMatchObject({ allow: false, code: "SCOPE_MISMATCH", field: "resource", link: 0, grant: 4 });
    expect(decision.need).toMatchObject({ tool: "files/read", resource: "other" });
    expect(request).toBeDefined();
  });

  it("has every code of the order, each at its place", async () => {
    const read = call("read", { path: "data/a" });
    const good = signed(read, { chain });
    const stranger = principal("stranger");
    const open = await session(chain);
    const table: [string, Promise<string>][] = [
      ["NO_CAPABILITY", code(read)],
      ["MALFORMED", code({ ...good, headers: { ...good.headers, "talos-ticket": "x" } })],
      ["MALFORMED", code(signed(read, { chain: `${chain}A` }))],
      ["MALFORMED", code(signed(read, { ticket: "AAAA" }))],
      ["MALFORMED", code(signed(parts("mcp.post", "/mcp/files", '{"a":1,"a":2}', { server: "files" }), { chain }))],
      ["LIMIT_EXCEEDED", code({ ...good, headers: { ...good.headers, "idempotency-key": "k".repeat(2_049) } })],
      ["PROOF_INVALID", code({ ...good, now_ms: NOW_MS + 60_000 })],
      ["PROOF_INVALID", code(signed(read, { chain }, stranger))],
      ["PROOF_INVALID", code(signed(call("write"), { ticket: open.ticket }))],
      ["PROOF_INVALID", code(maced(call("write"), open, 1))],
      ["SIGNATURE_INVALID", code(signed(read, { chain: forge(chain) }))],
      ["UNTRUSTED_ISSUER", code(good, policy({ anchors: [{ did: stranger.did, jwk: stranger.jwk }] }))],
      ["AUDIENCE_MISMATCH", code({ ...good, aud: `${AUD}x` })],
      ["NOT_YET_VALID", code(signed(read, { chain: root({ nbf: NOW + 100 }) }))],
      ["EXPIRED", code(signed(read, { chain: root({ exp: NOW }) }))],
      ["REVOKED", code(good, policy({ revoked_keys: [agent.jkt] }))],
      ["REVOCATION_STALE", code({ ...good, head_as_of_ms: NOW_MS - 120_001 })],
      ["REVOCATION_STALE", code({ ...signed(call("write"), { chain }), head_as_of_ms: NOW_MS - 30_001 })],
      ["UNKNOWN_TOOL", code(signed(call("nothing"), { chain }))],
      ["SCOPE_MISMATCH", code(signed(read, { chain: root({ grants: [grant("files/write")] }) }))],
      ["CLASS_MISMATCH", code(signed(call("write"), { chain: root({ grants: [grant("files/write")] }) }))],
      ["ARGUMENT_MISMATCH", code(signed(call("limited", { limit: 11 }), { chain }))],
      ["ARGUMENT_MISMATCH", code(signed(call("limited", { limit: 1, more: 1 }), { chain }))],
      ["ROLE_DENIED", code(good, policy({ bindings: [] }))],
      [
        "FORBIDDEN",
        code(
          good,
          policy({ forbids: [{ id: "f", principal: operator.did, tool: "files/*", classes: ["read"], reason: "r" }] }),
        ),
      ],
      ["OK", code(good)],
      ["OK", code(signed(read, { ticket: open.ticket }))],
      ["OK", code(maced(read, open, 2))],
      ["REPLAY", code(maced(read, open, 2))],
    ];
    const got: string[] = [];
    for (const [, answer] of table) got.push(await answer);
    expect(got).toEqual(table.map(([expected]) => expected));
  });

  it("is refused when a child is wider than its parent, although its own signatures are right", async () => {
    // The core does not make such a child, so it is signed as any artefact.
    const narrow = root({ grants: [grant("files/read", { resource: { prefix: "data/in" } })] });
    const { id, claims } = inspectChain(narrow).links[0]!;
    const wider = (change: object) => {
      const own = { iss: agent.did, sub: sub.did, cnf: { jwk: sub.jwk }, par: id, depth: 1 };
      return `${narrow}~${jwsSign({ seed: agent.seed, typ: "talos-cap+jwt", payload: { ...claims, ...own, ...change } })}`;
    };
    const ask = (text: string) => decide(signed(call("read", { path: "data/in/x" }), { chain: text }, sub));
    expect((await ask(wider({}))).decision.code).toBe("OK");
    for (const [field, change] of Object.entries({
      grants: { grants: [grant("files/read", { resource: { prefix: "data" } })] },
      exp: { exp: claims.exp + 1 },
      nbf: { nbf: claims.nbf - 1, iat: claims.nbf - 1 },
      aud: { aud: [AUD, `${AUD}x`] },
      depth: { depth: 3 },
      par: { par: "A".repeat(43) },
      iss: { iss: operator.did },
      sub: { sub: operator.did },
    })) {
      expect((await ask(wider(change))).decision, field).toMatchObject({ code: "DELEGATION_INVALID", link: 1, field });
    }
    expect(() => child({ grants: [grant("files/read", { resource: "any" })] })).toThrow(
      expect.objectContaining({ code: "DELEGATION_INVALID" }),
    );
  });

  it("asks for a look-up when the filter hits, consumes nothing by it, and believes only exact entries", async () => {
    const { request } = await decide(signed(call("read", { path: "data/a" }), { chain }));
    const link = request!.root_link;
    const revoked = filter([`link:${link}`], 2);
    const open = await session(chain);
    const frame = encodeRequest(maced(call("read", { path: "data/a" }), open, 7));
    const asked = finish(frame, inForce, revoked, tickets, []);
    expect(asked).toEqual({ status: "lookup", items: [`link:${link}`] });
    const answer = (rev_seq: number, entries: string[]) => ({ rev_seq, items: { [`link:${link}`]: entries } });
    expect(finish(frame, inForce, revoked, tickets, [], answer(1, []))).toEqual(asked);
    expect(() => finish(frame, inForce, revoked, tickets, [], answer(2, [`link:${"A".repeat(43)}`]))).toThrow(
      expect.objectContaining({ code: "head.inconsistent" }),
    );
    expect(finish(frame, inForce, revoked, tickets, [], answer(2, []))).toMatchObject({ decision: { code: "OK" } });
    expect(finish(frame, inForce, revoked, tickets, [], answer(2, []))).toMatchObject({ decision: { code: "REPLAY" } });
    const again = encodeRequest(maced(call("read", { path: "data/a" }), open, 8));
    const dead = finish(again, inForce, revoked, tickets, [], answer(2, [`link:${link}`]));
    expect(dead).toMatchObject({ decision: { allow: false, code: "REVOKED", link: 0 } });
  });

  it("is decided again for an open stream: its proof may be old and its sequence used, its chain may not", async () => {
    const open = await session(chain);
    const request = maced(call("read", { path: "data/a" }), open, 1);
    expect(await code(request)).toBe("OK");
    const later = { now_ms: NOW_MS + 300_000, head_as_of_ms: NOW_MS + 300_000 };
    const again = (change: object) => recheck(encodeRequest({ ...request, ...change }), inForce, nothing, tickets, []);
    expect(again(later)).toMatchObject({ decision: { code: "OK" } });
    expect(again(later)).toMatchObject({ decision: { code: "OK" } });
    expect(again({ now_ms: NOW_MS + 700_000, head_as_of_ms: NOW_MS + 700_000 })).toMatchObject({
      decision: { code: "EXPIRED" },
    });
    const headers = { ...request.headers, signature: `talos=:${"A".repeat(43)}=:` };
    expect(again({ ...later, headers })).toMatchObject({ decision: { code: "PROOF_INVALID" } });
  });
});

describe("verdicts", () => {
  it("of another request, missing, reordered, superfluous or unreadable ones are refused", async () => {
    const frameOf = (path: string) => encodeRequest(signed(call("read", { path }), { chain: child() }, sub));
    const [mine, other] = [frameOf("data/in/a"), frameOf("data/in/b")];
    const verdictsOf = async (frame: Uint8Array): Promise<Verdict[]> => {
      const began = begin(frame, inForce, tickets);
      if (began.status !== "checks") throw new Error("refused");
      return verifyChecks(began.checks);
    };
    const [own, foreign] = [await verdictsOf(mine), await verdictsOf(other)];
    expect(own).toHaveLength(3);
    expect(finish(mine, inForce, nothing, tickets, own)).toMatchObject({ decision: { code: "OK" } });
    const refused = (verdicts: Verdict[]) =>
      expect(() => finish(mine, inForce, nothing, tickets, verdicts)).toThrow(
        expect.objectContaining({ code: "internal" }),
      );
    refused([]);
    refused(own.slice(0, 2));
    refused([own[1]!, own[0]!, own[2]!]);
    refused([...own, own[2]!]);
    refused([own[0]!, own[1]!, foreign[2]!]);
    refused(foreign);
    const longer = Uint8Array.from([...own[2]!.record, 1]);
    refused([own[0]!, own[1]!, { record: longer, ok: true }]);
    // Not a bit of what was verified may differ from what is asked about now: key, signature, length, message.
    for (const at of [0, 31, 32, 95, 96, 100, own[2]!.record.length - 1]) {
      const changed = own[2]!.record.slice();
      changed[at]! ^= 1;
      refused([own[0]!, own[1]!, { record: changed, ok: true }]);
    }
    const no = own.map((verdict, index) => ({ ...verdict, ok: index !== 2 }));
    expect(finish(mine, inForce, nothing, tickets, no)).toMatchObject({ decision: { code: "PROOF_INVALID" } });
    const noLink = own.map((verdict, index) => ({ ...verdict, ok: index === 2 }));
    expect(finish(mine, inForce, nothing, tickets, noLink)).toMatchObject({
      decision: { code: "SIGNATURE_INVALID", link: 0 },
    });
  });

  it("reach their own request when a thousand are interleaved", async () => {
    const random = randomNumbers(11);
    const one = async (index: number) => {
      const kind = index % 4;
      const path = kind === 1 ? "elsewhere" : `data/in/${index}`;
      const request = signed(call("read", { path }), { chain: child() }, sub);
      if (kind === 2) request.headers.signature = signed(call("read", { path }), { chain: root() }).headers.signature!;
      if (kind === 3) request.headers["talos-capability"] = forge(request.headers["talos-capability"]!);
      const frame = encodeRequest(request);
      const began = begin(frame, inForce, tickets);
      if (began.status !== "checks") return began.decision.code;
      const verdicts = await verifyChecks(began.checks);
      for (let waits = random(5); waits > 0; waits -= 1) await new Promise((resolve) => setImmediate(resolve));
      const finished = finish(frame, inForce, nothing, tickets, verdicts);
      if (finished.status !== "decided") return finished.status;
      if (kind === 0) expect(finished.request?.args_json).toBe(`{"path":"data/in/${index}"}`);
      return finished.decision.code;
    };
    const codes = await Promise.all(Array.from({ length: 1_000 }, (_, index) => one(index)));
    const expected = ["OK", "SCOPE_MISMATCH", "PROOF_INVALID", "SIGNATURE_INVALID"];
    expect(codes).toEqual(codes.map((_, index) => expected[index % 4]));
  }, 60_000);
});

/** The same chain with one bit of the last link's S changed: every hash of a parent still holds. */
function forge(chainText: string): string {
  const at = chainText.length - 20;
  return `${chainText.slice(0, at)}${chainText[at] === "A" ? "B" : "A"}${chainText.slice(at + 1)}`;
}

/** Whole numbers below n, the same in every run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

describe("begin, WebCrypto and finish", () => {
  it("decide as the pure core does, on a thousand requests, whole and damaged", async () => {
    const random = randomNumbers(5);
    const chains = [chain, child(), root({ grants: [grant("files/read")] }), root({ exp: NOW })];
    const open = await session(chain, true);
    const tools = ["read", "write", "delete", "limited", "nothing", "@x"];
    const codes = new Map<string, number>();
    for (let round = 0; round < 1_000; round += 1) {
      const tool = tools[random(tools.length)]!;
      const args = [{ path: "data/in/x" }, { path: "/etc" }, { limit: random(20) }, {}][random(4)]!;
      const which = random(5);
      const request =
        which === 4
          ? signed(call(tool, args), { ticket: open.ticket })
          : signed(call(tool, args), { chain: chains[which]! }, which === 1 ? sub : agent);
      const frame = Uint8Array.from(encodeRequest(request));
      // Three of four are damaged, anywhere behind the surface's name.
      if (random(4) > 0) frame[12 + random(frame.length - 12)]! ^= 1 << random(8);
      const outcome = async (run: () => Promise<unknown> | unknown) => {
        try {
          const { decision, request: facts } = (await run()) as { decision: unknown; request?: unknown };
          return { decision, facts };
        } catch (error) {
          return { thrown: (error as { code: string }).code };
        }
      };
      const split = await outcome(() => authorize(frame, inForce, nothing, tickets, none));
      const pure = await outcome(() => authorizePure(frame, inForce, nothing, tickets));
      expect(split).toEqual(pure);
      const name = "thrown" in split ? split.thrown! : (split.decision as { code: string }).code;
      codes.set(name, (codes.get(name) ?? 0) + 1);
    }
    expect(codes.size).toBeGreaterThan(8);
    expect(codes.get("OK")).toBeGreaterThan(20);
  }, 120_000);
});

describe("bound parts", () => {
  const body = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "read", arguments: { path: "data/a" } } };
  const headers = {
    "mcp-session-id": "session",
    "mcp-method": "tools/call",
    "mcp-name": "read",
    "last-event-id": "7",
    "idempotency-key": "key",
  };
  const whole = () => parts("mcp.post", "/mcp/files?a=1", body, { server: "files", headers: { ...headers } });
  type Change = (request: RequestParts) => RequestParts;
  const uri =
    (from: string, to: string): Change =>
    (request) => ({ ...request, target_uri: request.target_uri.replace(from, to) });
  const header =
    (name: keyof RequestParts["headers"], value?: string): Change =>
    (request) => ({ ...request, headers: { ...request.headers, [name]: value } });
  const input =
    (from: RegExp, to: string): Change =>
    (request) =>
      header("signature-input", request.headers["signature-input"]!.replace(from, to))(request);
  const changes: [string, Change][] = [
    ["path", uri("/mcp/files", "/mcp/other")],
    ["query", uri("a=1", "a=2")],
    ["origin", uri("talos", "evil")],
    ["body", (request) => ({ ...request, body: new TextEncoder().encode(JSON.stringify({ ...body, id: 2 })) })],
    ["nonce", input(/nonce="[^"]*"/, `nonce="${b64uEncode(fresh(16))}"`)],
    ["created", input(/created=\d+/, `created=${NOW - 1}`)],
    ["expires", input(/expires=\d+/, `expires=${NOW + 59}`)],
    ["digest", header("content-digest", `sha-256=:${"A".repeat(43)}=:`)],
    ["no digest", header("content-digest")],
    ["no input", header("signature-input")],
    ["no signature", header("signature")],
    ...Object.keys(headers).map((name): [string, Change] => [`no ${name}`, header(name as keyof typeof headers)]),
    ["another session", header("mcp-session-id", "other")],
    ["another event", header("last-event-id", "8")],
    ["another key", header("idempotency-key", "other")],
  ];
  it.each(changes)("a change of %s is refused", async (_, change) => {
    const request = signed(whole(), { chain });
    expect(await code(request)).toBe("OK");
    expect(await code(change(request))).toBe("PROOF_INVALID");
  });

  it("another method is refused", async () => {
    const request = signed(parts("head.get", "/v1/head", "", { method: "GET" }), { chain });
    expect(await code(request)).toBe("OK");
    expect(await code({ ...request, method: "POST" })).toBe("PROOF_INVALID");
  });

  it("another credential under the same proof is refused", async () => {
    const request = signed(whole(), { chain });
    request.headers["talos-capability"] = root({ depth: 2 });
    expect(await code(request)).toBe("PROOF_INVALID");
  });

  it("a sequence or a session that was not proved is refused", async () => {
    const [one, two] = [await session(chain), await session(chain)];
    const request = maced(whole(), one, 5);
    const input = request.headers["signature-input"]!;
    const changed = (to: string) => ({ ...request, headers: { ...request.headers, "signature-input": to } });
    expect(await code(changed(input.replace('nonce="5"', 'nonce="6"')))).toBe("PROOF_INVALID");
    expect(await code(changed(input.replace('nonce="5"', 'nonce="05"')))).toBe("PROOF_INVALID");
    expect(await code(changed(input.replace(one.session_id, two.session_id)))).toBe("PROOF_INVALID");
    expect(await code({ ...request, headers: { ...request.headers, "talos-ticket": two.ticket } })).toBe(
      "PROOF_INVALID",
    );
    expect(await code(request)).toBe("OK");
  });
});

describe("sessions", () => {
  it("are opened with a chain only, and never for a refused request", async () => {
    const open = await session(chain);
    const ask = parts("sessions.open", "/v1/sessions", { share: b64uEncode(fresh(32)), writes: false });
    expect(await code(signed(ask, { ticket: open.ticket }))).toBe("PROOF_INVALID");
    const args = {
      policy: inForce,
      filter: nothing,
      tickets,
      receipt: { kid: "r-1", seed: receiptKey.seed },
      gateway_did: GATEWAY,
    };
    const bytes = () => ({ session_id: fresh(16), server_secret: fresh(32), salt: fresh(32) });
    const frame = encodeRequest(signed(ask, { chain: root({ exp: NOW }) }));
    const began = begin(frame, inForce, tickets);
    const verdicts = began.status === "checks" ? await verifyChecks(began.checks) : [];
    expect(() => openSession({ frame, verdicts, ...args, ...bytes() })).toThrow(
      expect.objectContaining({ code: "EXPIRED" }),
    );
    const zero = parts("sessions.open", "/v1/sessions", { share: b64uEncode(new Uint8Array(32)), writes: false });
    const weak = encodeRequest(signed(zero, { chain }));
    const weakBegan = begin(weak, inForce, tickets);
    const weakVerdicts = weakBegan.status === "checks" ? await verifyChecks(weakBegan.checks) : [];
    expect(() => openSession({ frame: weak, verdicts: weakVerdicts, ...args, ...bytes() })).toThrow(
      expect.objectContaining({ code: "PROOF_INVALID" }),
    );
  });

  it("write only when opened for it, and then only signed", async () => {
    const writing = await session(chain, true);
    expect(await code(signed(call("write"), { ticket: writing.ticket }))).toBe("OK");
    expect(await code(maced(call("write"), writing, 1))).toBe("PROOF_INVALID");
  });

  it("find their window where it was, although their ticket was evicted in between", async () => {
    const first = await session(chain);
    const read = (of: typeof first) => maced(call("read", { path: "data/a" }), of, 1);
    const captured = read(first);
    expect(await code(captured)).toBe("OK");
    for (let others = 0; others <= LIMITS.open_tickets; others += 1) {
      expect(await code(read(await session(chain, false, { policy: inForce, filter: nothing })))).toBe("OK");
    }
    expect(await code(captured)).toBe("REPLAY");
  }, 60_000);

  it("are checked again by what is in force: anchor, roles, revocation of a key", async () => {
    const open = await session(chain);
    let sequence = 0;
    const read = () => {
      sequence += 1;
      return maced(call("read", { path: "data/a" }), open, sequence);
    };
    const other = principal("another anchor");
    expect(await code(read(), policy({ anchors: [{ did: other.did, jwk: other.jwk }] }))).toBe("UNTRUSTED_ISSUER");
    expect(await code(read(), policy({ bindings: [] }))).toBe("ROLE_DENIED");
    expect(await code(read(), policy({ revoked_keys: [operator.jkt] }))).toBe("REVOKED");
  });
});

describe("batches, third parties and lists", () => {
  const ask = (tool: string, args: object = {}) => ({ tool, args });

  it("a batch is decided item by item; a MAC must do for all of them", async () => {
    const body = { items: [ask("files/read", { path: "data/a" }), ask("files/write"), ask("files/none")] };
    const batch = parts("authorize.batch", "/v1/authorize/batch", body);
    const { decision, request } = await decide(signed(batch, { chain }));
    expect(decision.code).toBe("OK");
    expect(request?.decisions?.map((each) => each.code)).toEqual(["OK", "OK", "UNKNOWN_TOOL"]);
    expect(request?.rate_classes).toEqual(["read", "read", "read"]);
    expect(await code(maced(batch, await session(chain), 1))).toBe("PROOF_INVALID");
  });

  it("a third party learns a code, for its places and servers alone", async () => {
    const report = (tool: string, uri = "https://pep.example/tools/x", inner = chain, who = agent) => {
      const own = signed({ ...parts("", "", "inner"), target_uri: uri }, { chain: inner }, who);
      const components = { "@method": "POST", "@target-uri": uri, "content-digest": own.headers["content-digest"] };
      const { "signature-input": signature_input, signature } = own.headers;
      const talos = { capability: inner, signature_input, signature, components };
      return parts("authorize", "/v1/authorize", { ...ask(tool, { path: "data/a" }), context: { talos } });
    };
    const inner = async (request: RequestParts) => (await decide(signed(request, { chain }))).inner?.[0]?.decision;
    expect(await inner(report("files/read"))).toEqual({ allow: true, code: "OK" });
    expect(await inner(report("files/read", "https://pep.example/tool"))).toEqual({ allow: false, code: "FORBIDDEN" });
    expect(await inner(report("other/read"))).toEqual({ allow: false, code: "FORBIDDEN" });
    expect(await inner(report("files/read", undefined, root({ exp: NOW })))).toEqual({ allow: false, code: "EXPIRED" });
    expect(await inner(report("files/read", undefined, chain, principal("thief")))).toEqual({
      allow: false,
      code: "PROOF_INVALID",
    });
    const unlisted = await decide(signed(report("files/read"), { chain }), policy({ peps: [] }));
    expect(unlisted).toMatchObject({ decision: { code: "ROLE_DENIED", field: "peps" } });
    expect(unlisted.inner).toBeUndefined();
    const whole = await decide(signed(report("files/read", undefined, child(), sub), { chain }));
    expect(whole.inner?.[0]?.request).toMatchObject({ sub: sub.did, needs: [{ tool: "files/read" }] });
    expect(whole.request).toMatchObject({ sub: agent.did, needs: [{ tool: "talos/authorize" }] });
  });

  it("AuthZEN says the same thing twice or is no request", async () => {
    const uri = "https://pep.example/tools/x";
    const own = signed({ ...parts("", "", "inner"), target_uri: uri }, { chain });
    const components = { "@method": "POST", "@target-uri": uri, "content-digest": own.headers["content-digest"] };
    const { "signature-input": signature_input, signature } = own.headers;
    const talos = {
      capability: chain,
      signature_input,
      signature,
      components,
      ...ask("files/read", { path: "data/a" }),
    };
    const evaluation = (change: object = {}) => ({
      subject: { type: "agent", id: agent.did },
      action: { name: "call" },
      resource: { type: "tool", id: "files/read" },
      context: { talos },
      ...change,
    });
    const send = (body: object) =>
      decide(signed(parts("authzen.evaluation", "/access/v1/evaluation", body), { chain }));
    expect((await send(evaluation())).inner).toMatchObject([{ decision: { allow: true, code: "OK" } }]);
    for (const change of [
      { subject: { type: "agent", id: operator.did } },
      { action: { name: "read" } },
      { resource: { type: "tool", id: "files/write" } },
      { context: {} },
    ]) {
      await expect(send(evaluation(change))).rejects.toMatchObject({ code: "contract.invalid" });
    }
    const several = { ...evaluation(), evaluations: [{}, { resource: { type: "tool", id: "files/read" } }] };
    const list = await decide(signed(parts("authzen.evaluations", "/access/v1/evaluations", several), { chain }));
    expect(list.inner?.map((each) => each.decision.code)).toEqual(["OK", "OK"]);
  });

  it("a list shows what a grant, a role and no rule forbids", async () => {
    const body = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    const frame = encodeRequest(
      signed(parts("mcp.post", "/mcp/files", body, { server: "files" }), { chain: child() }, sub),
    );
    const began = begin(frame, inForce, tickets);
    const verdicts = began.status === "checks" ? await verifyChecks(began.checks) : [];
    const list = (p = inForce) =>
      filterList(frame, p, tickets, verdicts, "tools", ["read", "write", "nothing", "@resource"]);
    expect(list()).toEqual({ allowed: [true, false, false, false], classes: ["read", "write", null, null] });
    const forbid = { id: "f", principal: "*" as const, tool: "files/read", classes: ["read" as const], reason: "r" };
    expect(list(policy({ forbids: [forbid] })).allowed[0]).toBe(false);
    expect(list(policy({ bindings: [] })).allowed[0]).toBe(false);
  });
});
