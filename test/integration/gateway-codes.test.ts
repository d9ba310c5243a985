/** Every decision code, over HTTP, against the shipped entry in workerd with nothing replaced. */
import { DECISION_CODES, type Grant } from "@talos/contracts";
import { b64uDecode, jwsSign, sha256, b64uEncode } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  everything,
  grant,
  maced,
  narrow,
  newUuid,
  nowSeconds,
  type Person,
  person,
  root,
  rpc,
  send,
  sessionSigned,
  signed,
  statement,
} from "../fixtures.ts";
import { AGENT_GRANTS, MCP_HEADERS, startWorld, TOOLS, tampered, type World } from "../support/world.ts";

let world: World;
const seen = new Set<string>();
const barred = person("barred");
const roleless = person("roleless");

beforeAll(async () => {
  world = await startWorld({
    faults: false,
    tenants: ["default", "second"],
    policy: {
      over: {
        roles: [everything(TOOLS), { id: "nothing", grants: [grant("talos/authorize")] }],
        bindings: [
          { id: "everyone", role: "everything", principal: "*", scope: { type: "global" } },
          {
            id: "roleless",
            role: "nothing",
            principal: roleless.did,
            scope: { type: "tool", attributes: { server: "files" } },
          },
        ],
        forbids: [
          {
            id: "barred",
            principal: barred.did,
            tool: "files/*",
            classes: ["read", "write", "destructive", "pay"],
            reason: "under investigation",
          },
        ],
      },
    },
  });
});
afterAll(() => world.stop());

const UNAUTHENTICATED = new Set([
  "NO_CAPABILITY",
  "MALFORMED",
  "DELEGATION_INVALID",
  "SIGNATURE_INVALID",
  "UNTRUSTED_ISSUER",
  "PROOF_INVALID",
  "LIMIT_EXCEEDED",
]);

interface Refused {
  status: number;
  code: string;
  // biome-ignore lint/suspicious/noExplicitAny: the problem as it came
  body: any;
}

async function refusal(response: Response): Promise<Refused> {
  const body = (await response.json()) as { code: string };
  if (!response.ok) seen.add(body.code);
  // Somebody who has not proven to hold the capability learns the code and nothing that helps to forge.
  if (UNAUTHENTICATED.has(body.code) && !response.headers.has("talos-class"))
    expect(body).not.toHaveProperty("decision");
  return { status: response.status, code: body.code, body };
}

const READ = JSON.stringify({ tool: "files/read_file", args: { path: "/desk/x" } });

/** Ask about a call of somebody; refusals of step 9 and later come as 200 with the decision. */
async function decide(as: Person, chain: string, body = READ): Promise<Refused> {
  const response = await world.ask("/v1/authorize", body, { as, chain });
  if (!response.ok) return refusal(response);
  const { decision } = (await response.json()) as { decision: { code: string } };
  seen.add(decision.code);
  return { status: 200, code: decision.code, body: { decision } };
}

const chainFor = (to: Person, grants: Grant[] = AGENT_GRANTS, over = {}): string =>
  root(world.operator, to, { aud: [world.aud], grants, ...over });

/** A link signed as it stands, whatever its claims: what a forger would send. */
function forge(signer: Person, claims: Record<string, unknown>): string {
  const now = nowSeconds();
  return jwsSign({
    seed: signer.seed,
    typ: "talos-cap+jwt",
    payload: {
      iss: signer.did,
      aud: [world.aud],
      iat: now,
      nbf: now - 10,
      exp: now + 600,
      jti: newUuid(),
      ep: 0,
      depth: 0,
      grants: [grant("files/read_file", { resource: { prefix: "/desk" } })],
      ...claims,
    },
  });
}
const childOf = (parent: string) => ({ par: b64uEncode(sha256(new TextEncoder().encode(parent.split("~").at(-1)))) });
const holderOf = (to: Person) => ({ sub: to.did, cnf: { jwk: to.jwk } });

describe("steps 1 to 5: no answer but the code", () => {
  it("NO_CAPABILITY without a credential", async () => {
    const { status, code, body } = await refusal(
      await fetch(`${world.aud}/v1/authorize`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: READ,
      }),
    );
    expect([status, code]).toEqual([401, "NO_CAPABILITY"]);
    expect(body).not.toHaveProperty("decision");
  });

  it("MALFORMED for two credentials, a chain that is none, duplicate keys in the body", async () => {
    const request = signed(world.agent, world.chain, { aud: world.aud, path: "/v1/authorize", body: READ });
    const small = chainFor(world.agent, [grant("files/slow")]);
    for (const headers of [
      { "talos-ticket": "AAAA" },
      { "talos-capability": "not a chain" },
      { "talos-capability": `${small}, ${small}` },
    ] as Record<string, string>[]) {
      expect(await refusal(await send(tampered(request, { headers })))).toMatchObject({
        status: 401,
        code: "MALFORMED",
      });
    }
    const twice = '{"tool":"files/read_file","tool":"files/write_file","args":{}}';
    expect(await refusal(await world.ask("/v1/authorize", twice))).toMatchObject({ status: 401, code: "MALFORMED" });
  });

  it("LIMIT_EXCEEDED for a chain of nine links", async () => {
    let chain = world.chain;
    let holder = world.agent;
    for (let i = 1; i < 8; i += 1) {
      const next = person(`link ${i}`);
      chain = narrow(chain, holder, next, [grant("files/slow")]);
      holder = next;
    }
    const last = person("link 8");
    const ninth = `${chain}~${forge(holder, { ...holderOf(last), ...childOf(chain), grants: [grant("files/slow")] })}`;
    expect(await decide(last, ninth)).toMatchObject({ status: 400, code: "LIMIT_EXCEEDED" });
  });

  it("PROOF_INVALID for a proof by another key, of another moment, and for a MAC above read", async () => {
    expect(await decide(person("finder"), world.chain)).toMatchObject({ status: 401, code: "PROOF_INVALID" });
    const ask = { aud: world.aud, path: "/v1/authorize", body: READ };
    for (const [created, expires] of [
      [-100, -50],
      [60, 90],
    ] as const) {
      const late = signed(world.agent, world.chain, ask, {
        created: nowSeconds() + created,
        expires: nowSeconds() + expires,
      });
      expect(await refusal(await send(late))).toMatchObject({ status: 401, code: "PROOF_INVALID" });
    }
    const session = await world.session();
    const write = JSON.stringify({ tool: "files/write_file", args: { path: "/desk/x" } });
    const refused = await send(maced(session, { ...ask, body: write }));
    expect(refused.headers.get("talos-class")).toBe("write");
    expect(await refusal(refused)).toMatchObject({ status: 401, code: "PROOF_INVALID" });
    const readOnly = await world.session(false);
    expect(await refusal(await send(sessionSigned(readOnly, { ...ask, body: write })))).toMatchObject({
      status: 401,
      code: "PROOF_INVALID",
    });
  });

  it("DELEGATION_INVALID for a widened child and for a sub that is not its key's DID", async () => {
    const sub = person("widener");
    const wide = `${world.chain}~${forge(world.agent, { ...holderOf(sub), ...childOf(world.chain), grants: [grant("files/read_file")] })}`;
    expect(await decide(sub, wide)).toMatchObject({ status: 401, code: "DELEGATION_INVALID" });
    const forgedSub = forge(world.operator, { sub: world.agent.did, cnf: { jwk: sub.jwk } });
    expect(await decide(sub, forgedSub)).toMatchObject({ status: 401, code: "DELEGATION_INVALID" });
  });

  it("SIGNATURE_INVALID for a changed link; a token has one spelling", async () => {
    const [header, payload, signature] = world.chain.split(".") as [string, string, string];
    const bytes = b64uDecode(signature);
    bytes[0]! ^= 1;
    const broken = `${header}.${payload}.${b64uEncode(bytes)}`;
    expect(await decide(world.agent, broken)).toMatchObject({ status: 401, code: "SIGNATURE_INVALID" });
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const at = alphabet.indexOf(signature.at(-1)!);
    const respelled = `${header}.${payload}.${signature.slice(0, -1)}${alphabet[at + 1]}`;
    expect(await decide(world.agent, respelled)).toMatchObject({ status: 401, code: "MALFORMED" });
  });

  it("UNTRUSTED_ISSUER for a root by a stranger", async () => {
    const chain = root(person("stranger"), world.agent, { aud: [world.aud], grants: AGENT_GRANTS });
    expect(await decide(world.agent, chain)).toMatchObject({ status: 401, code: "UNTRUSTED_ISSUER" });
  });
});

describe("steps 6 to 8", () => {
  it("AUDIENCE_MISMATCH for another tenant's token", async () => {
    const chain = root(world.operator, world.agent, { aud: [world.talos.aud("second")], grants: AGENT_GRANTS });
    expect(await decide(world.agent, chain)).toMatchObject({ status: 401, code: "AUDIENCE_MISMATCH" });
  });

  it("EXPIRED and NOT_YET_VALID, also for a parent alone", async () => {
    const now = nowSeconds();
    expect(
      await decide(world.agent, chainFor(world.agent, AGENT_GRANTS, { nbf: now - 100, exp: now - 1 })),
    ).toMatchObject({ status: 401, code: "EXPIRED" });
    expect(await decide(world.agent, chainFor(world.agent, AGENT_GRANTS, { nbf: now + 50 }))).toMatchObject({
      status: 401,
      code: "NOT_YET_VALID",
    });
  });

  it("REVOKED for the child of a revoked link", async () => {
    const holder = person("revoked");
    const sub = person("child of revoked");
    const chain = chainFor(holder);
    const longer = narrow(chain, holder, sub, [grant("files/read_file", { resource: { prefix: "/desk" } })]);
    expect((await decide(sub, longer)).code).toBe("OK");
    const link = b64uEncode(sha256(new TextEncoder().encode(chain)));
    const body = JSON.stringify({ statement: statement(world.operator, world.aud, { kind: "link", link }), chain });
    const post = () =>
      fetch(`${world.aud}/v1/revocations`, { method: "POST", headers: { "content-type": "application/json" }, body });
    const done = await post();
    expect(done.status).toBe(200);
    const first = await done.json();
    expect(first).toMatchObject({ entries: [`link:${link}`] });
    const again = await post();
    expect(await again.json()).toEqual(first);
    await expect.poll(async () => (await decide(sub, longer)).code, { timeout: 10_000 }).toBe("REVOKED");
    expect(await decide(holder, chain)).toMatchObject({ status: 401, code: "REVOKED" });
    expect((await decide(world.agent, world.chain)).code).toBe("OK");
  });

  it("REPLAY for the same proof again, also after the gate was thrown out of memory", async () => {
    const chain = chainFor(world.agent);
    const request = signed(world.agent, chain, { aud: world.aud, path: "/v1/authorize", body: READ });
    expect((await send(request)).status).toBe(200);
    expect(await refusal(await send(request))).toMatchObject({ status: 409, code: "REPLAY" });
    await world.talos.evict("CapabilityGate", `default/${b64uEncode(sha256(new TextEncoder().encode(chain)))}`);
    expect(await refusal(await send(request))).toMatchObject({ status: 409, code: "REPLAY" });
  });
});

describe("steps 9 to 12: the holder sees why", () => {
  it.each([
    ["UNKNOWN_TOOL", { tool: "files/ghost" }, "tool"],
    ["SCOPE_MISMATCH", { tool: "files/read_file", args: { path: "/etc/passwd" } }, "resource"],
    ["SCOPE_MISMATCH", { tool: "other/read_file", args: { path: "/desk/x" } }, "tool"],
    ["CLASS_MISMATCH", { tool: "files/write_file", args: { path: "/desk/x" } }, "class"],
    ["ARGUMENT_MISMATCH", { tool: "files/send_money", args: { amount: 11 } }, "args.amount"],
    ["ARGUMENT_MISMATCH", { tool: "files/send_money", args: { amount: 1.0 } }, undefined],
  ])("%s", async (code, body, field) => {
    const holder = person("seer");
    const grants = AGENT_GRANTS.map((one) =>
      one.tool === "files/write_file" ? { ...one, classes: ["read" as const] } : one,
    );
    const chain = chainFor(holder, [...grants, grant("files/ghost")]);
    const said = await decide(holder, chain, JSON.stringify(body).replace('"amount":1}', '"amount":1.0}'));
    expect(said).toMatchObject({ status: 200, code });
    if (field !== undefined) expect(said.body.decision.field).toBe(field);
  });

  it("ROLE_DENIED when no role allows, FORBIDDEN wins over one that does, also against a sub-agent", async () => {
    expect(await decide(roleless, chainFor(roleless))).toMatchObject({ status: 200, code: "ROLE_DENIED" });
    expect(await decide(barred, chainFor(barred))).toMatchObject({ status: 200, code: "FORBIDDEN" });
    const sub = person("sub of barred");
    const chain = narrow(chainFor(barred), barred, sub, [grant("files/read_file", { resource: { prefix: "/desk" } })]);
    expect(await decide(sub, chain)).toMatchObject({ status: 200, code: "FORBIDDEN" });
  });

  it("on MCP the same refusals are 403 and show the decision", async () => {
    const response = await world.mcp(rpc("tools/call", { name: "ghost", arguments: {} }), {
      as: person("seer"),
      chain: chainFor(person("seer"), [grant("files/ghost")]),
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      id: 1,
      error: { code: -32001, data: { code: "UNKNOWN_TOOL", decision: { allow: false } } },
    });
    expect(MCP_HEADERS.accept).toContain("text/event-stream");
  });
});

describe("last, since it breaks the tenant's head for good", () => {
  it("REVOCATION_STALE for a destructive call when the head cannot be asked; reads go on", async () => {
    await world.talos.sql("TenantHead", "default", "DROP TABLE in_force");
    const drop = JSON.stringify({ tool: "files/drop_table", args: { name: "scratch" } });
    expect(await decide(world.agent, world.chain, drop)).toMatchObject({ status: 503, code: "REVOCATION_STALE" });
    expect((await decide(world.agent, world.chain)).code).toBe("OK");
  });

  it("leaves no decision code untested", () => {
    expect([...DECISION_CODES].filter((code) => !seen.has(code))).toEqual([]);
  });
});
