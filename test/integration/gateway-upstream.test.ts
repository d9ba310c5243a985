/** Upstreams that fail in every way: bounded, named, recorded; and never a second call. */
import type { ServerResponse } from "node:http";
import { LIMITS } from "@talos/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/dev/ports.ts";
import { grant, person, root, rpc, send, signed } from "../fixtures.ts";
import { type Received, startRawServer, type Upstream } from "../support/mcp-server.ts";
import { MCP_HEADERS, readAnswer, startWorld, TOOLS, type World } from "../support/world.ts";

let world: World;
let raw: Upstream;
let answer: (request: Received, response: ServerResponse) => void | Promise<void> = (_request, response) =>
  void response.end();
let chain: string;
const agent = person("raw agent");

const idOf = ({ body }: Received): unknown => (JSON.parse(body) as { id: unknown }).id;
const json = (response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void => {
  response
    .writeHead(200, { "content-type": "application/json", ...headers })
    .end(typeof value === "string" ? value : JSON.stringify(value));
};
const sse = (response: ServerResponse): void =>
  void response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
const ok = (request: Received, result: unknown = { content: [] }) => ({ jsonrpc: "2.0", id: idOf(request), result });

beforeAll(async () => {
  raw = await startRawServer((request, response) => answer(request, response));
  const down = `http://127.0.0.1:${await freePort()}/mcp`;
  const extra = ["raw", "misdirected", "gone"].flatMap((server) => [
    { tool: `${server}/look`, class: "read" as const, actions: ["call"], rate_class: "read" },
    { tool: `${server}/act`, class: "write" as const, actions: ["call"], rate_class: "write" },
  ]);
  world = await startWorld({
    servers: { gone: down, misdirected: raw.url, raw: raw.url },
    policy: { tools: [...TOOLS, ...extra], rates: { write: { concurrency: 1 } } },
    env: {
      TALOS_UPSTREAM_CREDENTIALS: JSON.stringify({
        "default/raw": { header: "authorization", value: "Bearer upstream-canary-1", origin: new URL(raw.url).origin },
        "default/misdirected": { header: "x-api-key", value: "upstream-canary-2", origin: "https://elsewhere.example" },
      }),
    },
  });
  const grants = ["raw", "misdirected", "gone"].flatMap((server) => [
    grant(`${server}/look`),
    grant(`${server}/act`, { classes: ["write"] }),
  ]);
  chain = root(world.operator, agent, { aud: [world.aud], grants });
});
afterAll(async () => {
  await world.stop();
  await raw.close();
});

const call = async (name: "look" | "act", server = "raw") => {
  const response = await world.mcp(rpc("tools/call", { name, arguments: {} }, "c1"), { as: agent, chain, server });
  return { intent: response.headers.get("talos-intent"), ...(await readAnswer(response)) };
};
const outcomeOf = async (intent: string | null) =>
  (await world.events((event) => event.correlation === intent && event.kind === "outcome")).at(-1);

describe("a failing upstream", () => {
  const cases: [string, typeof answer, { status: number; code: string }, { look: string; act: string }][] = [
    [
      "answers with another content type",
      (_r, s) => void s.writeHead(200, { "content-type": "text/html" }).end("<p>"),
      { status: 502, code: "upstream.invalid" },
      { look: "failed", act: "unknown" },
    ],
    [
      "answers 500",
      (_r, s) => void s.writeHead(500).end(),
      { status: 502, code: "upstream.invalid" },
      { look: "failed", act: "failed" },
    ],
    [
      "redirects",
      (_r, s) => void s.writeHead(307, { location: "http://127.0.0.1:1/" }).end(),
      { status: 502, code: "upstream.invalid" },
      { look: "failed", act: "failed" },
    ],
    [
      "answers with no JSON",
      (_r, s) => json(s, "{"),
      { status: 502, code: "upstream.invalid" },
      { look: "failed", act: "unknown" },
    ],
    [
      "answers another id",
      (_r, s) => json(s, { jsonrpc: "2.0", id: "made up", result: {} }),
      { status: 502, code: "upstream.invalid" },
      { look: "failed", act: "unknown" },
    ],
    [
      "answers nothing to a request",
      (_r, s) => void s.writeHead(202).end(),
      { status: 502, code: "upstream.invalid" },
      { look: "failed", act: "unknown" },
    ],
    ["never answers", () => undefined, { status: 504, code: "upstream.timeout" }, { look: "failed", act: "unknown" }],
    [
      "stops in the middle",
      (_r, s) => void s.writeHead(200, { "content-type": "application/json" }).write('{"jsonrpc":'),
      { status: 504, code: "upstream.timeout" },
      { look: "failed", act: "unknown" },
    ],
    [
      "breaks off",
      (_r, s) => {
        s.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
        s.write("{");
        setTimeout(() => s.destroy(), 50);
      },
      { status: 502, code: "upstream.unreachable" },
      { look: "failed", act: "unknown" },
    ],
    [
      "answers without end",
      (_r, s) => pour(s, "application/json", `"${"x".repeat(65_536)}`),
      { status: 502, code: "upstream.too_large" },
      { look: "failed", act: "unknown" },
    ],
  ];

  it.each(cases)("that %s is bounded, named and recorded", async (_what, behave, said, states) => {
    answer = behave;
    for (const name of ["look", "act"] as const) {
      const before = raw.received.length;
      const got = await call(name);
      expect({ status: got.status, code: got.message.error.data.code }).toEqual(said);
      expect(got.message.id).toBe("c1");
      expect(await outcomeOf(got.intent)).toMatchObject({
        outcome: "failure",
        effect: { state: states[name], code: said.code, server: "raw" },
      });
      expect(raw.received.length).toBe(before + 1);
    }
  });

  it("that cannot be reached is 502; the slot it held is free again", async () => {
    const lone = root(world.operator, agent, { aud: [world.aud], grants: [grant("gone/act", { classes: ["write"] })] });
    for (let i = 0; i < 3; i += 1) {
      const response = await world.mcp(rpc("tools/call", { name: "act", arguments: {} }), {
        as: agent,
        chain: lone,
        server: "gone",
      });
      const got = await readAnswer(response);
      expect({ status: got.status, code: got.message.error.data.code }).toEqual({
        status: 502,
        code: "upstream.unreachable",
      });
      expect(await outcomeOf(got.headers.get("talos-intent"))).toMatchObject({ effect: { state: "unknown" } });
    }
  });
});

function pour(response: ServerResponse, type: string, piece: string): void {
  response.writeHead(200, { "content-type": type });
  let left = 2_000;
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      left -= 1;
      if (!response.write(piece)) {
        response.once("drain", more);
        return;
      }
    }
  };
  more();
}

describe("a stream", () => {
  it("with an endless event ends with a named error, and the upstream is told", async () => {
    answer = (_request, response) => {
      pour(response, "text/event-stream", `data: ${"x".repeat(65_536)}\n`);
    };
    const got = await call("act");
    expect(got.status).toBe(200);
    expect(got.message).toMatchObject({ id: "c1", error: { data: { code: "upstream.too_large" } } });
    expect(await outcomeOf(got.intent)).toMatchObject({ effect: { state: "unknown", code: "upstream.too_large" } });
  });

  it("that falls silent ends in time", async () => {
    answer = (_request, response) => {
      sse(response);
      response.write(": hello\n\n");
    };
    const got = await call("look");
    expect(got.message.error.data.code).toBe("upstream.timeout");
  });

  it("passes no answer that nobody asked for, and none twice", async () => {
    answer = (request, response) => {
      sse(response);
      const event = (value: unknown) => response.write(`event: message\ndata: ${JSON.stringify(value)}\n\n`);
      event({ jsonrpc: "2.0", id: "stranger", result: { content: "unasked-canary" } });
      event({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "note" } });
      event(ok(request, { content: [], first: true }));
      event(ok(request, { content: [], second: true }));
      response.end();
    };
    const got = await call("act");
    const all = [...got.before, got.message];
    expect(JSON.stringify(all)).not.toContain("unasked-canary");
    expect(all.filter((message) => message.result?.first === true)).toHaveLength(1);
    expect(all.some((message) => message.result?.second === true)).toBe(false);
    expect(all.some((message) => message.method === "notifications/message")).toBe(true);
    const outcomes = await world.events((event) => event.correlation === got.intent && event.kind === "outcome");
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({ effect: { state: "confirmed" } });
  });

  it("keeps every character of an answer but the id: large integers and spacing stay as sent", async () => {
    answer = (request, response) =>
      json(
        response,
        `{"jsonrpc": "2.0", "result": {"big": 12345678901234567890, "f": 1.0}, "id": ${JSON.stringify(idOf(request))}}`,
      );
    const response = await world.mcp(rpc("tools/call", { name: "look", arguments: {} }, 42), {
      as: agent,
      chain,
      server: "raw",
    });
    expect(await response.text()).toBe(
      '{"jsonrpc": "2.0", "result": {"big": 12345678901234567890, "f": 1.0}, "id": 42}',
    );
  });
});

describe("a resumed stream", () => {
  it("brings the answer of an earlier call, released once its outcome is durable; a changed one is not", async () => {
    let up: Received | undefined;
    answer = (request, response) => {
      if (request.method === "GET") {
        sse(response);
        expect(request.headers["last-event-id"]).toBe("e1");
        for (const value of [7, 7, 8])
          response.write(`id: e2\ndata: ${JSON.stringify(ok(up!, { content: [], value }))}\n\n`);
        response.end();
        return;
      }
      if (request.body.includes("initialize")) {
        json(
          response,
          ok(request, { protocolVersion: "2025-11-25", capabilities: { tasks: { list: {} }, tools: {} } }),
          { "mcp-session-id": "upstream-session-1", "set-cookie": "a=b", "x-internal": "1" },
        );
        return;
      }
      up = request;
      sse(response);
      response.end("id: e1\ndata:\n\n");
    };
    const opened = await world.mcp(rpc("initialize", {}), { as: agent, chain, server: "raw" });
    expect(await opened.json()).toMatchObject({ result: { capabilities: { tools: {} } } });
    expect(opened.headers.get("set-cookie")).toBeNull();
    expect(opened.headers.get("x-internal")).toBeNull();
    const session = opened.headers.get("mcp-session-id")!;
    expect(session).not.toContain("upstream-session-1");

    const broken = await world.mcp(rpc("tools/call", { name: "act", arguments: {} }, "r1"), {
      as: agent,
      chain,
      server: "raw",
      headers: { "mcp-session-id": session },
    });
    expect(await broken.text()).toBe("id: e1\ndata: \n\n");
    const intent = broken.headers.get("talos-intent");
    expect(await outcomeOf(intent)).toMatchObject({ effect: { state: "unknown" } });

    const listen = signed(agent, chain, {
      aud: world.aud,
      path: "/mcp/raw",
      method: "GET",
      headers: { ...MCP_HEADERS, "mcp-session-id": session, "last-event-id": "e1" },
    });
    const text = await (await send(listen)).text();
    expect(text.match(/"value":7/g)).toHaveLength(2);
    expect(text).toContain('"id":"r1"');
    expect(text).not.toContain('"value":8');
    expect(text).toContain("outcome.unrecorded");
    const outcomes = await world.events((event) => event.correlation === intent && event.kind === "outcome");
    expect(outcomes.map(({ effect }) => effect?.state)).toEqual(["unknown", "confirmed"]);
  });
});

describe("initialize", () => {
  it("offers no tasks", async () => {
    answer = (request, response) =>
      json(response, ok(request, { protocolVersion: "2025-11-25", capabilities: { tasks: { list: {} }, tools: {} } }));
    const opened = await world.mcp(rpc("initialize", {}), { as: agent, chain, server: "raw" });
    expect(((await opened.json()) as { result: { capabilities: object } }).result.capabilities).toEqual({ tools: {} });
  });
});

describe("credentials of upstreams", () => {
  it("go up to their own origin, and to no other that a policy may name", async () => {
    answer = (request, response) => json(response, ok(request));
    await call("look");
    expect(raw.received.at(-1)!.headers.authorization).toBe("Bearer upstream-canary-1");
    const before = raw.received.length;
    const misdirected = await call("act", "misdirected"); // the policy sends this server's calls elsewhere
    expect(misdirected.message.error.data.code).toBe("upstream.unreachable");
    expect(await outcomeOf(misdirected.intent)).toMatchObject({ effect: { state: "not_dispatched" } });
    expect(raw.received.length).toBe(before);
  });

  it("never appear in a log line, whatever failed", async () => {
    answer = (_request, response) => void response.writeHead(500).end("upstream-canary-1");
    await call("look");
    await call("look", "misdirected");
    expect(world.talos.logs.length).toBeGreaterThan(0);
    const text = world.talos.logs.join("\n");
    expect(text).not.toMatch(/upstream-canary/);
    for (const keys of Object.values(world.talos.keysets.purposes))
      for (const { key } of keys) expect(text).not.toContain(key);
    expect(text).not.toContain(chain);
  });
});

describe("a caller that leaves", () => {
  it("ends the upstream's request, and the outcome is recorded all the same", async () => {
    let closed = false;
    answer = (_request, response) => {
      sse(response);
      // Never silent for long, so that nothing but the caller's leaving ends it.
      const alive = setInterval(() => response.write(": working\n\n"), 300);
      response.on("close", () => {
        clearInterval(alive);
        closed = true;
      });
    };
    const leaving = new AbortController();
    const request = signed(agent, chain, {
      aud: world.aud,
      path: "/mcp/raw",
      body: rpc("tools/call", { name: "act", arguments: {} }),
      headers: MCP_HEADERS,
    });
    const response = await send(request, { signal: leaving.signal });
    const intent = response.headers.get("talos-intent");
    await response.body!.getReader().read();
    leaving.abort();
    await expect.poll(() => closed, { timeout: 15_000 }).toBe(true);
    await expect.poll(() => outcomeOf(intent), { timeout: 5_000 }).toMatchObject({ effect: { state: "unknown" } });
    expect((await outcomeOf(intent))?.effect).not.toHaveProperty("code"); // nothing failed: nobody was there any more
  });

  it("is noticed on a stream where neither side says anything", { timeout: 30_000 }, async () => {
    let closed = false;
    answer = (request, response) => {
      if (request.method === "GET") {
        sse(response);
        response.on("close", () => {
          closed = true;
        });
        return;
      }
      json(response, ok(request, { protocolVersion: "2025-11-25", capabilities: {} }), { "mcp-session-id": "quiet" });
    };
    const opened = await world.mcp(rpc("initialize", {}), { as: agent, chain, server: "raw" });
    const headers = { ...MCP_HEADERS, "mcp-session-id": opened.headers.get("mcp-session-id")! };
    const leaving = new AbortController();
    const listen = signed(agent, chain, { aud: world.aud, path: "/mcp/raw", method: "GET", headers });
    expect((await send(listen, { signal: leaving.signal })).status).toBe(200);
    leaving.abort();
    await expect.poll(() => closed, { timeout: 25_000 }).toBe(true);
  });

  it("before any header came has its outcome recorded too", async () => {
    answer = () => undefined;
    const leaving = new AbortController();
    const request = signed(agent, chain, {
      aud: world.aud,
      path: "/mcp/raw",
      body: rpc("tools/call", { name: "act", arguments: {} }),
      headers: MCP_HEADERS,
    });
    const before = raw.received.length;
    const gone = send(request, { signal: leaving.signal }).catch(() => "gone");
    await expect.poll(() => raw.received.length, { timeout: 2_000 }).toBe(before + 1);
    leaving.abort();
    expect(await gone).toBe("gone");
    const intents = await world.events((event) => event.kind === "intent" && event.resource?.resource_id === "raw/act");
    await expect
      .poll(() => outcomeOf(intents.at(-1)!.event_id), { timeout: 6_000 })
      .toMatchObject({ effect: { state: "unknown" } });
  });
});

describe("bounds", () => {
  it("hold one call of a class with one slot, and free it when the call ends", async () => {
    const held: (() => void)[] = [];
    answer = (request, response) => void held.push(() => json(response, ok(request)));
    const lone = root(world.operator, agent, { aud: [world.aud], grants: [grant("raw/act", { classes: ["write"] })] });
    const act = () =>
      world.mcp(rpc("tools/call", { name: "act", arguments: {} }), { as: agent, chain: lone, server: "raw" });
    const first = act();
    await expect.poll(() => held.length, { timeout: 2_000 }).toBe(1);
    const second = await readAnswer(await act());
    expect(second.status).toBe(429);
    expect(second.message.error).toMatchObject({
      code: -32002,
      data: { code: "concurrency.exhausted", retryable: true },
    });
    expect(second.headers.get("retry-after")).not.toBeNull();
    held[0]!();
    expect((await first).status).toBe(200);
    await expect
      .poll(
        async () => {
          const third = act();
          await new Promise((resolve) => setTimeout(resolve, 100));
          held[1]?.();
          return (await third).status;
        },
        { timeout: 5_000 },
      )
      .toBe(200);
    expect(LIMITS.gate_slot_ttl_ms).toBeGreaterThan(0);
  });
});
