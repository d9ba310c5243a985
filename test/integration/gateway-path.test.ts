import { jwsVerify } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grant, narrow, nowSeconds, person, root, rpc, send, signed } from "../fixtures.ts";
import { AGENT_GRANTS, INITIALIZE, MCP_HEADERS, readAnswer, startWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

describe("a tool call through the gateway", () => {
  it("reaches the tool, and intent and outcome stand in the record under the answer's promise", async () => {
    const answer = await world.call("write_file", { path: "/desk/a.txt", text: "x" });
    expect(answer.status).toBe(200);
    expect(answer.message.result.content[0].text).toBe("did write /desk/a.txt");
    expect(world.upstream.effects).toContain("write /desk/a.txt");
    expect(answer.headers.get("talos-class")).toBe("write");

    const intentId = answer.headers.get("talos-intent")!;
    const [intent, outcome] = await world.events((event) => event.correlation === intentId);
    expect(intent).toMatchObject({
      kind: "intent",
      event_id: intentId,
      effect: { state: "attempted", server: "files" },
      resource: { resource_type: "tool", resource_id: "files/write_file", class: "write", action: "call" },
      principal: { auth_mode: "signed", did: world.agent.did, jkt: world.agent.jkt, root_sub: world.agent.did },
      decision: { allow: true, code: "OK", policy_version: world.version },
      http: { method: "POST", path: "/t/{tenant}/mcp/{server}" },
    });
    expect(outcome).toMatchObject({
      kind: "outcome",
      outcome: "success",
      effect: { state: "confirmed", server: "files", upstream_status: 200 },
    });
    expect(intent?.commitments?.args).toMatch(/^[\w-]{43}$/);
    expect(outcome?.commitments?.result).toMatch(/^[\w-]{43}$/);
    expect(JSON.stringify([intent, outcome])).not.toContain("a.txt");

    const document = (await (await fetch(`${world.talos.origin}/.well-known/did.json`)).json()) as {
      verificationMethod: { id: string; publicKeyJwk: { x: string } }[];
    };
    const promise = answer.headers.get("talos-promise")!;
    const kid = JSON.parse(atob(promise.split(".")[0]!.replaceAll("-", "+").replaceAll("_", "/"))).kid as string;
    const x = document.verificationMethod.find(({ id }) => id.endsWith(`#${kid}`))!.publicKeyJwk.x;
    expect(jwsVerify({ jws: promise, typ: "talos-promise+jwt", x }).payload).toMatchObject({ event_id: intentId });
  });

  it("passes a narrowed chain of a sub-agent, and says who stands behind it", async () => {
    const sub = person("sub-agent");
    const chain = narrow(world.chain, world.agent, sub, [
      grant("files/read_file", { resource: { prefix: "/desk/sub" } }),
    ]);
    const answer = await world.call("read_file", { path: "/desk/sub/x" }, { as: sub, chain });
    expect(answer.message.result.content[0].text).toBe("contents of /desk/sub/x");
    const [intent] = await world.events((event) => event.event_id === answer.headers.get("talos-intent"));
    expect(intent?.principal).toMatchObject({ did: sub.did, root_sub: world.agent.did });
    expect(intent?.capability?.links).toHaveLength(2);

    const refused = await world.call("read_file", { path: "/desk/other" }, { as: sub, chain });
    expect(refused.status).toBe(403);
    expect(refused.message.error).toMatchObject({
      code: -32001,
      data: { code: "SCOPE_MISMATCH", decision: { allow: false, field: "resource" } },
    });
  });

  it("streams what the server says on the way, before the answer", async () => {
    const answer = await world.call("steps", { count: 3 });
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    expect(answer.before.map((message) => message.params.data)).toEqual(["step 1", "step 2", "step 3"]);
    expect(answer.message.result.content[0].text).toBe("3 steps");
  });

  it("gives the caller's own id back, string or number, and never shows the one that went up", async () => {
    const session = await world.mcpSession();
    for (const id of [7, "seven", "7"]) {
      const response = await world.mcp(rpc("ping", undefined, id), { headers: { "mcp-session-id": session } });
      expect((await readAnswer(response)).message).toEqual({ jsonrpc: "2.0", id, result: {} });
      const up = JSON.parse(world.upstream.received.at(-1)!.body) as { id: string };
      expect(up.id).toMatch(/^[\w-]{100,}$/);
    }
  });
});

describe("lists", () => {
  it("hold what the caller may call and nothing else, with each tool's class", async () => {
    const session = await world.mcpSession();
    const headers = { "mcp-session-id": session };
    const tools = (await readAnswer(await world.mcp(rpc("tools/list"), { headers }))).message.result.tools as {
      name: string;
      _meta: Record<string, string>;
    }[];
    expect(tools.map(({ name }) => name).sort()).toEqual([
      "drop_table",
      "read_file",
      "send_money",
      "slow",
      "steps",
      "write_file",
    ]);
    expect(Object.fromEntries(tools.map(({ name, _meta }) => [name, _meta["talos/class"]]))).toMatchObject({
      read_file: "read",
      drop_table: "destructive",
      send_money: "pay",
    });
    const resources = (await readAnswer(await world.mcp(rpc("resources/list"), { headers }))).message.result
      .resources as { uri: string }[];
    expect(resources.map(({ uri }) => uri)).toEqual(["docs://project/readme"]);
    const prompts = (await readAnswer(await world.mcp(rpc("prompts/list"), { headers }))).message.result.prompts as {
      name: string;
    }[];
    expect(prompts.map(({ name }) => name)).toEqual(["greet"]);
  });

  it("are of one's own grants: another sees another list", async () => {
    const reader = person("reader");
    const chain = root(world.operator, reader, { aud: [world.aud], grants: [grant("files/read_file")] });
    const session = await world.mcpSession({ as: reader, chain });
    const response = await world.mcp(rpc("tools/list"), { as: reader, chain, headers: { "mcp-session-id": session } });
    expect((await readAnswer(response)).message.result.tools.map(({ name }: { name: string }) => name)).toEqual([
      "read_file",
    ]);
  });
});

describe("resources and prompts", () => {
  it("are read by their own grants, and recorded like calls", async () => {
    const headers = { "mcp-session-id": await world.mcpSession() };
    const read = await readAnswer(
      await world.mcp(rpc("resources/read", { uri: "docs://project/readme" }), { headers }),
    );
    expect(read.message.result.contents[0].text).toBe("read me");
    expect(read.headers.get("talos-intent")).not.toBeNull();
    const secret = await readAnswer(
      await world.mcp(rpc("resources/read", { uri: "docs://project/secret" }), { headers }),
    );
    expect(secret.message.error.data.code).toBe("SCOPE_MISMATCH");
    const prompt = await readAnswer(
      await world.mcp(rpc("prompts/get", { name: "greet", arguments: { who: "you" } }), { headers }),
    );
    expect(prompt.message.result.messages[0].content.text).toBe("hello you");
  });
});

describe("what goes up and what comes down", () => {
  it("is our choice: no credential, cookie, proof or forwarding header of the caller reaches the server", async () => {
    const session = await world.mcpSession();
    const request = signed(world.agent, world.chain, {
      aud: world.aud,
      path: "/mcp/files",
      body: rpc("tools/call", { name: "read_file", arguments: { path: "/desk/x" } }),
      headers: {
        ...MCP_HEADERS,
        "mcp-session-id": session,
        authorization: "Bearer caller-canary",
        cookie: "sid=caller-canary",
        "x-forwarded-for": "9.9.9.9",
        traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
      },
    });
    const response = await send(request);
    await response.text();
    const up = world.upstream.received.at(-1)!;
    expect(JSON.stringify(up.headers)).not.toMatch(/canary|talos-|signature|9\.9\.9\.9/);
    expect(up.headers["mcp-session-id"]).not.toBe(session);
    expect(up.headers["traceparent"]).toMatch(new RegExp(`^00-${"a".repeat(32)}-`));
    expect(response.headers.get("set-cookie")).toBeNull();
  });
});

describe("what is refused on MCP surfaces", () => {
  it("tasks, and calls that ask for one", async () => {
    const headers = { "mcp-session-id": await world.mcpSession() };
    for (const message of [rpc("tasks/list"), rpc("tasks/get", { taskId: "x" }), rpc("sampling/createMessage", {})]) {
      const refused = await readAnswer(await world.mcp(message, { headers }));
      expect(refused.status).toBe(403);
      expect(refused.message.error).toMatchObject({ code: -32601, data: { code: "UNKNOWN_TOOL" } });
    }
    const task = rpc("tools/call", { name: "read_file", arguments: { path: "/desk/x" }, task: { ttl: 1000 } });
    const refused = await readAnswer(await world.mcp(task, { headers }));
    expect(refused.status).toBe(403);
    expect(refused.message.error).toMatchObject({ code: -32601, data: { code: "UNKNOWN_TOOL" } });
  });

  it("a header that names another method or tool than the body", async () => {
    const session = await world.mcpSession();
    const body = rpc("tools/call", { name: "read_file", arguments: { path: "/desk/x" } });
    for (const header of [{ "mcp-method": "tools/list" }, { "mcp-name": "write_file" }] as Record<string, string>[]) {
      const refused = await readAnswer(await world.mcp(body, { headers: { "mcp-session-id": session, ...header } }));
      expect(refused.status).toBe(400);
      expect(refused.message.error).toMatchObject({ code: -32020, data: { code: "mcp.header_mismatch" } });
    }
    const agreed = await world.mcp(body, {
      headers: { "mcp-session-id": session, "mcp-method": "tools/call", "mcp-name": "read_file" },
    });
    expect(agreed.status).toBe(200);
  });

  it("a browser's origin that is not listed", async () => {
    const refused = await readAnswer(await world.mcp(INITIALIZE, { headers: { origin: "https://evil.example" } }));
    expect(refused.status).toBe(403);
    expect(refused.message.error.data.code).toBe("request.origin");
  });

  it("a batch, a body of another type, a body that is no message", async () => {
    const batch = await readAnswer(await world.mcp(`[${rpc("ping")}]`));
    expect(batch.status).toBe(400);
    const type = await readAnswer(await world.mcp(rpc("ping"), { headers: { "content-type": "text/plain" } }));
    expect(type.status).toBe(415);
    const none = await readAnswer(await world.mcp('{"hello":1}'));
    expect(none.status).toBe(400);
    expect(none.message.error.code).toBe(-32600);
  });

  it("a grant for one server on another server's tool of the same name", async () => {
    const refused = await world.call(
      "read_file",
      { path: "/desk/x" },
      { mcpSession: await world.mcpSession(), server: "other" },
    );
    expect(refused.status).toBe(403);
    expect(refused.message.error.data.code).toBe("SCOPE_MISMATCH");
    expect(AGENT_GRANTS.some(({ tool }) => tool === "files/read_file")).toBe(true);
  });

  it("a server that the policy does not list, whatever was granted on it, and a name that no server can have", async () => {
    const lost = person("lost");
    const chain = root(world.operator, lost, { aud: [world.aud], grants: [grant("unlisted/read_file")] });
    const unlisted = await readAnswer(await world.mcp(INITIALIZE, { as: lost, chain, server: "unlisted" }));
    expect(unlisted.status).toBe(403);
    expect(unlisted.message.error).toMatchObject({ code: -32001, data: { code: "UNKNOWN_TOOL" } });
    const impossible = await readAnswer(await world.mcp(INITIALIZE, { server: "No_Server" }));
    expect(impossible.status).toBe(404);
    expect(impossible.message.error.data.code).toBe("server.unknown");
  });

  it("an MCP session of another principal, a made-up one, an altered one: 404, all alike", async () => {
    const own = await world.mcpSession();
    const thief = person("thief");
    const chain = root(world.operator, thief, { aud: [world.aud], grants: AGENT_GRANTS });
    const altered = `${own.slice(0, -1)}${own.endsWith("A") ? "B" : "A"}`;
    const tries: [string, Parameters<World["mcp"]>[1]][] = [
      ["another principal's", { as: thief, chain, headers: { "mcp-session-id": own } }],
      ["made up", { headers: { "mcp-session-id": "0193b2a0-7b1c-7000-8000-000000000001" } }],
      ["altered", { headers: { "mcp-session-id": altered } }],
    ];
    const bodies: string[] = [];
    for (const [, over] of tries) {
      const response = await world.mcp(rpc("ping"), over);
      expect(response.status).toBe(404);
      bodies.push((await response.text()).replace(/"request_id":"[^"]*"/, ""));
    }
    expect(new Set(bodies).size).toBe(1);
    const other = await world.mcp(rpc("ping"), { server: "files", headers: { "mcp-session-id": own } });
    expect(other.status).toBe(200);
    for (const method of ["GET", "DELETE"]) {
      const response = await send(
        signed(thief, chain, {
          aud: world.aud,
          path: "/mcp/files",
          method,
          headers: { ...MCP_HEADERS, "mcp-session-id": own },
        }),
      );
      expect(response.status).toBe(404);
    }
  });

  it("records what it refused of an authenticated caller, and nothing of an unauthenticated one", async () => {
    const before = (await world.events()).length;
    const forged = signed(
      world.agent,
      world.chain,
      { aud: world.aud, path: "/mcp/files", body: rpc("ping"), headers: MCP_HEADERS },
      { created: nowSeconds() - 100, expires: nowSeconds() - 70 },
    );
    expect((await send(forged)).status).toBe(401);
    expect(
      (
        await fetch(`${world.aud}/mcp/files`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: rpc("ping"),
        })
      ).status,
    ).toBe(401);
    expect((await world.events()).length).toBe(before);
    await world.mcp(rpc("tools/call", { name: "hidden", arguments: {} }), {
      headers: { "mcp-session-id": await world.mcpSession() },
    });
    const denied = (await world.events()).slice(before).find((event) => event.outcome === "denied");
    expect(denied).toMatchObject({
      kind: "decision",
      decision: { allow: false, code: "SCOPE_MISMATCH" },
      http: { status_code: 403 },
      resource: { resource_id: "files/hidden" },
    });
  });
});

describe("closing a session", () => {
  it("ends it upstream too; from then on it is unknown", async () => {
    const session = await world.mcpSession();
    const closed = await send(
      signed(world.agent, world.chain, {
        aud: world.aud,
        path: "/mcp/files",
        method: "DELETE",
        headers: { ...MCP_HEADERS, "mcp-session-id": session },
      }),
    );
    expect(closed.status).toBe(204);
    const after = await world.mcp(rpc("ping"), { headers: { "mcp-session-id": session } });
    expect(after.status).toBe(404);
  });
});
