/** Decisions on request: one, many, with a receipt, for a third party, in AuthZEN's form. */
import { validate } from "@talos/contracts";
import { contentDigest, jwsVerify, signRequest } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  grant,
  maced,
  narrow,
  nonce,
  nowSeconds,
  openSession,
  type Person,
  person,
  root,
  send,
  signed,
} from "../fixtures.ts";
import { AGENT_GRANTS, startWorld, type World } from "../support/world.ts";

let world: World;
const pep = person("third party");
const stranger = person("unlisted third party");
let pepChain: string;

beforeAll(async () => {
  world = await startWorld({
    policy: {
      over: { peps: [{ jkt: pep.jkt, origins: ["https://pep.example/api"], servers: ["files"] }] },
      rates: { session: { capacity: 3, refill_per_second: 1 } },
    },
  });
  pepChain = root(world.operator, pep, { aud: [world.aud], grants: [grant("talos/authorize")] });
});
afterAll(() => world.stop());

const READ = { tool: "files/read_file", args: { path: "/desk/x" } };
const ask = (body: object, over = {}) => world.ask("/v1/authorize", JSON.stringify(body), over);

describe("authorize", () => {
  it("answers with the decision, what it rests on, and what was asked where it failed", async () => {
    const allowed = await (await ask(READ)).json();
    expect(validate("gateway/authorize-response", allowed)).toMatchObject({ ok: true });
    expect(allowed).toMatchObject({ decision: { allow: true, code: "OK" }, policy_version: world.version });
    const denied = await (await ask({ ...READ, args: { path: "/etc/x" } })).json();
    expect(denied).toMatchObject({
      decision: { allow: false, code: "SCOPE_MISMATCH", field: "resource", need: { resource: "/etc/x" } },
    });
  });

  it("refuses a body of another shape, and a resource for a tool that reads it from its arguments", async () => {
    for (const body of [{}, { tool: 1 }, { ...READ, extra: 1 }, { tool: "nonsense" }])
      expect((await ask(body)).status).toBe(400);
    expect((await (await ask({ ...READ, resource: "/desk/x" })).json()) as object).not.toMatchObject({
      decision: { allow: true },
    });
  });

  it("is recorded as a decision, within the buffer's window", async () => {
    const response = await ask({ ...READ, args: { path: "/desk/recorded" } });
    const id = response.headers.get("x-request-id");
    const [event] = await world.events((one) => one.request_id === id);
    expect(event).toMatchObject({
      kind: "decision",
      surface_id: "authorize",
      outcome: "success",
      resource: { resource_id: "files/read_file" },
      http: { status_code: 200 },
    });
    expect(JSON.stringify(event)).not.toContain("recorded");
  });

  it("gives a receipt on request, whose event is durable first and which anyone can verify", async () => {
    const body = JSON.stringify({ ...READ, receipt: true });
    const response = await world.ask("/v1/authorize", body);
    const { receipt } = (await response.json()) as { receipt: string };
    const events = await world.talos.recorded();
    const { verificationMethod } = (await (await fetch(`${world.talos.origin}/.well-known/did.json`)).json()) as {
      verificationMethod: { id: string; publicKeyJwk: { x: string } }[];
    };
    const { x } = verificationMethod.find(({ id }) => id.includes("receipt"))!.publicKeyJwk;
    const { payload } = jwsVerify({ jws: receipt, typ: "talos-receipt+jwt", x });
    expect(validate("audit/receipt", payload)).toMatchObject({ ok: true });
    const digest = contentDigest(new TextEncoder().encode(body));
    expect(payload).toMatchObject({
      allow: true,
      code: "OK",
      tenant: "default",
      request_hash: Buffer.from(digest.slice(9, -1), "base64").toString("base64url"),
    });
    expect(events.some(({ event_id }) => event_id === payload["event_id"])).toBe(true);
  });
});

describe("authorize/batch", () => {
  const batch = (items: object[], prove = signed as typeof signed) =>
    send(
      prove(world.agent, world.chain, { aud: world.aud, path: "/v1/authorize/batch", body: JSON.stringify({ items }) }),
    );

  it("decides each item, in order, under one proof", async () => {
    const response = await batch([
      READ,
      { ...READ, args: { path: "/etc/x" } },
      { tool: "files/ghost" },
      { tool: "files/send_money", args: { amount: 3 } },
    ]);
    const body = (await response.json()) as { decisions: { code: string }[] };
    expect(validate("gateway/batch-response", body)).toMatchObject({ ok: true });
    expect(body.decisions.map(({ code }) => code)).toEqual(["OK", "SCOPE_MISMATCH", "UNKNOWN_TOOL", "OK"]);
  });

  it("under a MAC takes reads only", async () => {
    const session = await world.session();
    const post = (items: object[]) =>
      send(maced(session, { aud: world.aud, path: "/v1/authorize/batch", body: JSON.stringify({ items }) }));
    expect((await post([READ, READ])).status).toBe(200);
    const mixed = await post([READ, { tool: "files/write_file", args: { path: "/desk/x" } }]);
    expect(await mixed.text()).toContain("PROOF_INVALID");
  });

  it("holds at most 32 items", async () => {
    expect((await batch(Array.from({ length: 33 }, () => READ))).status).toBe(400);
  });

  it("costs a token an item: all or nothing", async () => {
    const holder = person("batch holder");
    const tight = await startWorld({ policy: { rates: { read: { capacity: 5, refill_per_second: 1 } } } });
    try {
      const chain = root(tight.operator, holder, { aud: [tight.aud], grants: AGENT_GRANTS });
      const post = (count: number) =>
        tight.ask("/v1/authorize/batch", JSON.stringify({ items: Array.from({ length: count }, () => READ) }), {
          as: holder,
          chain,
        });
      expect((await post(3)).status).toBe(200);
      const refused = await post(3);
      expect(refused.status).toBe(429);
      expect(await refused.json()).toMatchObject({ code: "rate.exhausted" });
      expect((await post(2)).status).toBe(200);
    } finally {
      await tight.stop();
    }
  });
});

/** A request that the agent sent to the third party, as the third party hands it on. */
function inner(over: { target?: string; by?: Person; chain?: string; nonce?: string; body?: string } = {}) {
  const body = new TextEncoder().encode(over.body ?? "{}");
  const digest = contentDigest(body);
  const target = over.target ?? "https://pep.example/api/files?x=1";
  const by = over.by ?? world.agent;
  const chain = over.chain ?? world.chain;
  const created = nowSeconds();
  const parts = {
    surface: "",
    method: "POST",
    target_uri: target,
    tenant: "",
    aud: world.aud,
    headers: { "talos-capability": chain },
    body,
    now_ms: Date.now(),
  };
  const proof = signRequest({ parts, seed: by.seed, created, expires: created + 30, nonce: over.nonce ?? nonce() });
  return {
    capability: chain,
    signature_input: proof["signature-input"],
    signature: proof.signature,
    components: { "@method": "POST", "@target-uri": target, "content-digest": digest },
  };
}

describe("a third party", () => {
  const third = (talos: object, over: { as?: Person; chain?: string; tool?: object } = {}) =>
    ask({ ...(over.tool ?? READ), context: { talos } }, { as: over.as ?? pep, chain: over.chain ?? pepChain });

  it("asks for a caller and learns yes or no and the code, nothing else", async () => {
    const yes = (await (await third(inner())).json()) as { decision: object };
    expect(yes.decision).toEqual({ allow: true, code: "OK" });
    const no = (await (await third(inner(), { tool: { ...READ, args: { path: "/etc/x" } } })).json()) as {
      decision: object;
    };
    expect(no.decision).toEqual({ allow: false, code: "SCOPE_MISMATCH" });
    const events = await world.events((event) => event.on_behalf !== undefined);
    expect(events.at(-1)).toMatchObject({
      principal: { did: pep.did },
      on_behalf: { did: world.agent.did },
      decision: { allow: false, code: "SCOPE_MISMATCH" },
    });
  });

  it("cannot use one proof of the caller twice", async () => {
    const once = inner();
    expect(((await (await third(once)).json()) as { decision: object }).decision).toEqual({ allow: true, code: "OK" });
    expect(((await (await third(once)).json()) as { decision: object }).decision).toEqual({
      allow: false,
      code: "REPLAY",
    });
  });

  it.each([
    ["an origin of its own only", () => inner({ target: "https://elsewhere.example/api/files" })],
    ["a path below the listed one, by segments", () => inner({ target: "https://pep.example/apix" })],
    ["the caller's own signature", () => inner({ by: person("impostor") })],
  ])("is held to %s", async (_what, make) => {
    const response = await third(make());
    expect(JSON.stringify(await response.json())).not.toContain('"allow":true');
  });

  it("is held to servers listed for it, to being listed, and to its own grant", async () => {
    const elsewhere = await third(inner(), { tool: { tool: "other/read_file", args: { path: "/desk/x" } } });
    expect(JSON.stringify(await elsewhere.json())).not.toContain('"allow":true');
    const unlisted = root(world.operator, stranger, { aud: [world.aud], grants: [grant("talos/authorize")] });
    expect(JSON.stringify(await (await third(inner(), { as: stranger, chain: unlisted })).json())).not.toContain(
      '"allow":true',
    );
    const plain = root(world.operator, pep, { aud: [world.aud], grants: AGENT_GRANTS });
    expect((await third(inner(), { chain: plain })).status).toBe(403);
  });
});

describe("AuthZEN", () => {
  const evaluation = (over: object = {}, talos: object = { ...inner(), ...READ }) => ({
    subject: { type: "agent", id: world.agent.did },
    action: { name: "call" },
    resource: { type: "tool", id: READ.tool },
    context: { talos },
    ...over,
  });
  const post = (path: string, body: object) => world.ask(path, JSON.stringify(body), { as: pep, chain: pepChain });

  it("answers an evaluation", async () => {
    const yes = await (await post("/access/v1/evaluation", evaluation())).json();
    expect(validate("authzen/evaluation-response", yes)).toMatchObject({ ok: true });
    expect(yes).toMatchObject({ decision: true, context: { code: "OK" } });
    const no = await (
      await post("/access/v1/evaluation", evaluation({}, { ...inner(), ...READ, args: { path: "/etc/x" } }))
    ).json();
    expect(no).toMatchObject({ decision: false, context: { code: "SCOPE_MISMATCH" } });
  });

  it("wants subject, action and resource to be what the proof and the tool say", async () => {
    for (const over of [
      { subject: { type: "agent", id: pep.did } },
      { action: { name: "read" } },
      { resource: { type: "tool", id: "files/write_file" } },
    ]) {
      expect((await post("/access/v1/evaluation", evaluation(over))).status).toBe(400);
    }
  });

  it("answers many, each on its own", async () => {
    const twice = inner();
    const evaluations = [
      { context: { talos: { ...inner(), ...READ } } },
      { context: { talos: { ...inner(), ...READ, args: { path: "/etc/x" } } } },
      { context: { talos: { ...twice, ...READ } } },
      { context: { talos: { ...twice, ...READ } } },
    ];
    const { context: _none, ...defaults } = evaluation();
    const response = await post("/access/v1/evaluations", { ...defaults, evaluations });
    const body = (await response.json()) as { evaluations: { decision: boolean; context: { code: string } }[] };
    expect(validate("authzen/evaluations-response", body)).toMatchObject({ ok: true });
    expect(body.evaluations.map(({ context }) => context.code)).toEqual(["OK", "SCOPE_MISMATCH", "OK", "REPLAY"]);
  });

  it("is refused to a holder without the grant", async () => {
    expect((await world.ask("/access/v1/evaluation", JSON.stringify(evaluation()))).status).toBe(403);
  });
});

describe("the token bucket", () => {
  it("refuses a burst with the time to wait, and a fresh sub-agent of the same root has no more", async () => {
    const holder = person("burster");
    const chain = root(world.operator, holder, { aud: [world.aud], grants: AGENT_GRANTS });
    const sub = person("fresh sub-agent");
    const longer = narrow(chain, holder, sub, [grant("files/slow")]);
    const began = Date.now();
    const open = (as: Person, own: string) =>
      openSession(world.aud, as, own).then(
        () => "opened",
        (error: Error) => error.message,
      );
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? open(holder, chain) : open(sub, longer))),
    );
    const opened = answers.filter((answer) => answer === "opened").length;
    expect(opened).toBeGreaterThan(0);
    expect(opened).toBeLessThanOrEqual(3 + Math.ceil((Date.now() - began) / 1_000));
    for (const answer of answers.filter((one) => one !== "opened")) {
      expect(answer).toMatch(/429.*"code":"rate.exhausted".*"retryable":true.*"retry_after_ms":\d+/s);
    }
  });
});
