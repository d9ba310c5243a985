import { describe, expect, it } from "vitest";
import { ClassMemory, kindOf } from "./classes.ts";
import { parseProblem, readBounded } from "./errors.ts";
import { didOfOrigin, fetchGatewayIdentity, parseDidDocument } from "./gateway-keys.ts";
import { McpClient } from "./mcp.ts";
import { readEvents } from "./sse.ts";

const stream = (...chunks: string[]) => new Response(chunks.join("")).body!;
const bytes = (text: string) => new TextEncoder().encode(text);

describe("bounded reading", () => {
  it("gives a whole body up to the limit, and nothing of a longer one", async () => {
    expect(await readBounded(stream("12345"), 5)).toEqual(bytes("12345"));
    expect(await readBounded(stream("123456"), 5)).toBeNull();
    expect(await readBounded(null, 5)).toEqual(new Uint8Array(0));
  });
});

describe("problems", () => {
  it("are read from problem+json and from JSON-RPC errors, and from nothing else", () => {
    const problem = { code: "FORBIDDEN", title: "no", retryable: false, request_id: "r" };
    expect(parseProblem(JSON.stringify(problem), 403)).toMatchObject({ code: "FORBIDDEN", status: 403 });
    const rpc = { jsonrpc: "2.0", id: 1, error: { code: -32001, message: "no", data: { code: "REPLAY" } } };
    expect(parseProblem(JSON.stringify(rpc), 409)).toMatchObject({ code: "REPLAY", retryable: false });
    for (const other of [
      "",
      "<html>",
      "[]",
      "null",
      '{"code":"made.up"}',
      '{"error":{"code":-1}}',
      '{"code":"toString"}',
    ]) {
      expect(parseProblem(other, 500)).toBeNull();
    }
  });
});

describe("the gateway's document", () => {
  const did = "did:web:gateway.test%3A8443";
  const method = {
    id: `${did}#k`,
    type: "JsonWebKey",
    controller: did,
    publicKeyJwk: { kty: "OKP", crv: "Ed25519", x: "A" },
  };
  const document = { id: did, verificationMethod: [method], assertionMethod: [`${did}#k`] };

  it("is that of its origin", async () => {
    expect(didOfOrigin("https://gateway.test:8443")).toBe(did);
    expect(parseDidDocument(JSON.stringify(document), did)).toEqual({ did, keys: [{ kid: "k", x: "A" }] });
    const fetcher = async () => Response.json(document);
    expect((await fetchGatewayIdentity("https://gateway.test:8443", fetcher)).did).toBe(did);
  });

  it("is refused when it is another's, empty, too large or moved", async () => {
    for (const wrong of [
      { ...document, id: "did:web:elsewhere.test" },
      { ...document, assertionMethod: [] },
      { ...document, verificationMethod: [{ ...method, id: "did:web:elsewhere.test#k" }] },
      { ...document, verificationMethod: [{ ...method, publicKeyJwk: { kty: "EC" } }] },
    ]) {
      expect(() => parseDidDocument(JSON.stringify(wrong), did)).toThrow(
        expect.objectContaining({ code: "client.gateway_identity" }),
      );
    }
    const answers = [
      () => new Response("x".repeat(100_000)),
      () => new Response("not json"),
      () => new Response(null, { status: 307, headers: { location: "https://elsewhere.test/" } }),
    ];
    for (const answer of answers) {
      const asked = fetchGatewayIdentity("https://gateway.test:8443", async () => answer());
      await expect(asked).rejects.toMatchObject({ code: "client.gateway_identity" });
    }
    const failing = fetchGatewayIdentity("https://gateway.test:8443", () =>
      Promise.reject(new TypeError("fetch failed")),
    );
    await expect(failing).rejects.toMatchObject({ code: "client.unreachable" });
  });
});

describe("classes", () => {
  const url = new URL("https://gateway.test/t/default/mcp/demo");
  const kind = (method: string, name?: string) =>
    kindOf("POST", url, bytes(JSON.stringify({ method, params: name ? { name } : {} })));

  it("are reads only where the contract or the gateway says so", () => {
    const memory = new ClassMemory();
    expect(memory.isRead(kind("tools/list"))).toBe(true);
    expect(memory.isRead(kind("notifications/initialized"))).toBe(true);
    expect(memory.isRead(kind("tools/call", "a"))).toBe(false);
    memory.learn(kind("tools/call", "a"), "read");
    memory.learn(kind("tools/call", "b"), "destructive");
    memory.learn(kind("tools/call", "c"), "READ, write");
    expect(memory.isRead(kind("tools/call", "a"))).toBe(true);
    expect(memory.isRead(kind("tools/call", "b"))).toBe(false);
    expect(memory.isRead(kind("tools/call", "c"))).toBe(false);
    memory.unlearn(kind("tools/call", "a"));
    expect(memory.isRead(kind("tools/call", "a"))).toBe(false);
  });

  it("of a body that is no message are unknown", () => {
    const memory = new ClassMemory();
    for (const body of ["", "[]", "{", '{"method":1}']) {
      expect(kindOf("POST", url, bytes(body)).mcp).toBeUndefined();
      expect(memory.isRead(kindOf("POST", url, bytes(body)))).toBe(false);
    }
  });
});

describe("event streams", () => {
  const all = async (...chunks: string[]) => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(bytes(chunk));
        controller.close();
      },
    });
    const events = [];
    for await (const event of readEvents(body, 64)) events.push(event);
    return events;
  };

  it("are parsed however they are cut", async () => {
    const text = ": hello\r\nid: 7\r\nevent: message\r\ndata: one\r\ndata: two\r\n\r\ndata:three\n\n";
    const expected = [
      { event: "message", data: "one\ntwo", id: "7" },
      { event: "message", data: "three" },
    ];
    expect(await all(text)).toEqual(expected);
    expect(await all(...text)).toEqual(expected);
  });

  it("lose an event that was not finished, and refuse one without end", async () => {
    expect(await all("data: half\n")).toEqual([]);
    expect(await all("id: 1\ndata:\n\n")).toEqual([]);
    await expect(all(`data: ${"x".repeat(100)}`)).rejects.toMatchObject({ code: "client.answer_invalid" });
    await expect(all(...Array.from({ length: 20 }, () => "data: 1234\n"))).rejects.toMatchObject({
      code: "client.answer_invalid",
    });
  });
});

describe("the small MCP client", () => {
  type Message = { id?: number; method: string };
  const server =
    (answer: (message: Message) => Response): typeof fetch =>
    async (_input, init) => {
      const message = JSON.parse(String(init!.body)) as Message;
      if (message.id === undefined) return new Response(null, { status: 202 });
      return message.method === "initialize"
        ? Response.json({ jsonrpc: "2.0", id: message.id, result: {} })
        : answer(message);
    };
  const connect = (answer: (message: Message) => Response) =>
    McpClient.connect(new URL("https://gateway.test/mcp"), server(answer));

  it("takes the answer with its id from a stream, past what else comes", async () => {
    const client = await connect(({ id }) => {
      const messages = [{ method: "notifications/message" }, { id: 99, result: {} }, { id, result: { content: [1] } }];
      const text = messages.map((message) => `data: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`).join("");
      return new Response(text, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
    });
    expect(await client.callTool("a", {})).toEqual({ content: [1] });
  });

  it("tells the gateway's refusals from the server's errors", async () => {
    const refusing = await connect(({ id }) =>
      Response.json(
        { jsonrpc: "2.0", id, error: { code: -32001, message: "no", data: { code: "FORBIDDEN" } } },
        { status: 403 },
      ),
    );
    await expect(refusing.callTool("a", {})).rejects.toMatchObject({
      name: "TalosError",
      code: "FORBIDDEN",
      status: 403,
    });
    const failing = await connect(({ id }) =>
      Response.json({ jsonrpc: "2.0", id, error: { code: -32602, message: "bad" } }),
    );
    await expect(failing.callTool("a", {})).rejects.toMatchObject({ name: "McpError", code: -32602 });
  });

  it("gives up on a list that never ends and a stream without an answer", async () => {
    const endless = await connect(({ id }) =>
      Response.json({ jsonrpc: "2.0", id, result: { tools: [], nextCursor: "x" } }),
    );
    await expect(endless.listTools()).rejects.toMatchObject({ code: "client.answer_invalid" });
    const silent = await connect(
      () => new Response("data: {}\n\n", { headers: { "content-type": "text/event-stream" } }),
    );
    await expect(silent.callTool("a", {})).rejects.toMatchObject({ code: "client.answer_invalid" });
  });
});
