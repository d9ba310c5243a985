/** An open stream ends with the right to it. Takes as long as the re-check (`sse_recheck_ms`). */
import { LIMITS } from "@talos/contracts";
import { b64uEncode, sha256 } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nowSeconds, person, root, send, signed, statement } from "../fixtures.ts";
import { AGENT_GRANTS, MCP_HEADERS, startWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

async function listen(name: string, over = {}): Promise<{ chain: string; ended: Promise<number> }> {
  const holder = person(name);
  const chain = root(world.operator, holder, { aud: [world.aud], grants: AGENT_GRANTS, ...over });
  const session = await world.mcpSession({ as: holder, chain });
  const response = await send(
    signed(holder, chain, {
      aud: world.aud,
      path: "/mcp/files",
      method: "GET",
      headers: { ...MCP_HEADERS, "mcp-session-id": session },
    }),
  );
  expect(response.status).toBe(200);
  const began = Date.now();
  return { chain, ended: response.text().then(() => Date.now() - began) };
}

describe("an open stream", () => {
  it("ends at revocation within the re-check, at expiry at once, and lives on otherwise", {
    timeout: 60_000,
  }, async () => {
    const revoked = await listen("listener revoked");
    const expiring = await listen("listener expiring", { exp: nowSeconds() + 6 });
    const living = await listen("listener living");
    const link = b64uEncode(sha256(new TextEncoder().encode(revoked.chain)));
    const body = JSON.stringify({
      statement: statement(world.operator, world.aud, { kind: "link", link }),
      chain: revoked.chain,
    });
    expect(
      (
        await fetch(`${world.aud}/v1/revocations`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        })
      ).status,
    ).toBe(200);

    expect(await expiring.ended).toBeLessThan(9_000);
    expect(await revoked.ended).toBeLessThan(LIMITS.sse_recheck_ms + 5_000);
    const still = await Promise.race([
      living.ended,
      new Promise((resolve) => setTimeout(() => resolve("open"), 1_000)),
    ]);
    expect(still).toBe("open");
  });
});

describe("a listening stream", () => {
  it("holds a concurrency slot of its root as long as it is open", async () => {
    const narrow = await startWorld({ policy: { rates: { read: { concurrency: 1 } } } });
    try {
      const holder = person("listener in a slot");
      const chain = root(narrow.operator, holder, { aud: [narrow.aud], grants: AGENT_GRANTS });
      const session = await narrow.mcpSession({ as: holder, chain });
      const headers = { ...MCP_HEADERS, "mcp-session-id": session };
      const get = (init: RequestInit = {}) =>
        send(signed(holder, chain, { aud: narrow.aud, path: "/mcp/files", method: "GET", headers }), init);
      const leaving = new AbortController();
      expect((await get({ signal: leaving.signal })).status).toBe(200);
      const refused = await get();
      expect(refused.status).toBe(429);
      expect(await refused.text()).toContain('"concurrency.exhausted"');
      leaving.abort();
      const after = new AbortController();
      await expect.poll(async () => (await get({ signal: after.signal })).status, { timeout: 15_000 }).toBe(200);
      after.abort();
    } finally {
      await narrow.stop();
    }
  });
});
