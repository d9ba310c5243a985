/** Who may revoke what, over HTTP. Source: contracts/spec/in-force.md#revocation-statement. */
import { b64uEncode, sha256 } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grant, narrow, newUuid, nowSeconds, type Person, person, root, statement } from "../fixtures.ts";
import { AGENT_GRANTS, startWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

const linkId = (chain: string): string => b64uEncode(sha256(new TextEncoder().encode(chain.split("~").at(-1))));
const READ = [grant("files/read_file", { resource: { prefix: "/desk" } })];

async function revoke(
  signer: Person,
  chain: string,
  claims: Record<string, unknown>,
): Promise<{ status: number; code?: string }> {
  const body = JSON.stringify({ statement: statement(signer, world.aud, claims), chain });
  const response = await fetch(`${world.aud}/v1/revocations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return { status: response.status, ...((await response.json()) as { code?: string }) };
}

/** What a holder's read is answered with now. */
async function reads(as: Person, chain: string): Promise<string> {
  const response = await world.ask(
    "/v1/authorize",
    JSON.stringify({ tool: "files/read_file", args: { path: "/desk/x" } }),
    { as, chain },
  );
  const body = (await response.json()) as { code?: string; decision?: { code: string } };
  return body.code ?? body.decision!.code;
}

function family(name: string) {
  const parent = person(`${name} parent`);
  const child = person(`${name} child`);
  const parents = root(world.operator, parent, { aud: [world.aud], grants: AGENT_GRANTS });
  const children = narrow(parents, parent, child, READ);
  return { parent, child, parents, children };
}

describe("a link", () => {
  it("is revoked by its issuer or one above, with every chain through it; by nobody below, beside or elsewhere", async () => {
    const { parent, child, parents, children } = family("link");
    const outsider = person("outsider");
    const theirs = root(world.operator, outsider, { aud: [world.aud], grants: AGENT_GRANTS });
    for (const [signer, chain] of [
      [child, parents],
      [child, children],
      [outsider, parents],
      [outsider, theirs],
    ] as const) {
      expect(await revoke(signer, chain, { kind: "link", link: linkId(chain) })).toMatchObject({
        status: 403,
        code: "revocation.not_authorized",
      });
    }
    expect(await reads(child, children)).toBe("OK");
    expect((await revoke(parent, children, { kind: "link", link: linkId(children) })).status).toBe(200);
    expect(await reads(child, children)).toBe("REVOKED");
    expect(await reads(parent, parents)).toBe("OK");
    expect((await revoke(world.operator, parents, { kind: "link", link: linkId(parents) })).status).toBe(200);
    expect(await reads(parent, parents)).toBe("REVOKED");
  });
});

describe("a key", () => {
  it("of a stranger is not revoked by granting to it: only chains below one's own link", async () => {
    const { parent, parents } = family("granter");
    const stranger = person("stranger with a life");
    const own = root(world.operator, stranger, { aud: [world.aud], grants: AGENT_GRANTS });
    const gift = narrow(parents, parent, stranger, READ);
    expect(await revoke(parent, gift, { kind: "key", jkt: stranger.jkt })).toMatchObject({ status: 403 });
    expect((await revoke(parent, parents, { kind: "key", jkt: stranger.jkt, under: linkId(parents) })).status).toBe(
      200,
    );
    expect(await reads(stranger, gift)).toBe("REVOKED");
    expect(await reads(stranger, own)).toBe("OK");
  });

  it("revokes itself everywhere in the tenant", async () => {
    const { child, parents, parent, children } = family("self");
    expect((await revoke(child, children, { kind: "key", jkt: child.jkt })).status).toBe(200);
    expect(await reads(child, children)).toBe("REVOKED");
    expect(await reads(parent, parents)).toBe("OK");
  });

  it("raises its epoch: what it signed before is dead, what it signs after lives", async () => {
    const { parent, child, parents, children } = family("epoch");
    expect((await revoke(parent, parents, { kind: "epoch", jkt: parent.jkt, epoch: 1 })).status).toBe(200);
    expect(await reads(child, children)).toBe("REVOKED");
    expect(await reads(child, narrow(parents, parent, child, READ, { ep: 1 }))).toBe("OK");
  });
});

describe("a statement", () => {
  it("speaks to one audience, for a minute, in one shape", async () => {
    const { parent, parents } = family("statement");
    const link = linkId(parents);
    const post = (claims: Record<string, unknown>) =>
      revoke(world.operator, parents, { kind: "link", link, ...claims });
    expect((await post({ aud: world.talos.aud("elsewhere") })).status).toBe(401);
    expect((await post({ iat: nowSeconds() - 120 })).status).toBe(401);
    expect((await post({ iat: nowSeconds() + 120 })).status).toBe(401);
    expect((await post({ jti: "not a uuid" })).status).toBe(401);
    expect((await post({ extra: 1 })).status).toBe(401);
    expect(await reads(parent, parents)).toBe("OK");
  });

  it("again gets the first answer, however often, and costs its token each time", async () => {
    const { parents } = family("again");
    const body = JSON.stringify({
      statement: statement(world.operator, world.aud, { kind: "link", link: linkId(parents), jti: newUuid() }),
      chain: parents,
    });
    const post = async () =>
      (
        await fetch(`${world.aud}/v1/revocations`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        })
      ).json();
    const first = await post();
    expect(first).toMatchObject({ entries: [`link:${linkId(parents)}`] });
    expect(await post()).toEqual(first);
    expect(await post()).toEqual(first);
  });
});
