/**
 * Upstreams for tests. `startMcpServer` is the official SDK's server over Streamable HTTP, with tools that keep an
 * account of what they did; `startRawServer` answers whatever a test wants to see survived.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";

export interface Received {
  method: string;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface Upstream {
  url: string;
  /** every request that arrived, in order */
  received: Received[];
  close(): Promise<void>;
}

export interface McpUpstream extends Upstream {
  /** what the tools did, e.g. `write /a/b` */
  effects: string[];
}

export function listen(server: Server): Promise<{ port: number; close(): Promise<void> }> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      resolve({
        port,
        close: () =>
          new Promise<void>((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });

function makeServer(effects: string[]): McpServer {
  const server = new McpServer({ name: "test-tools", version: "1.0.0" }, { capabilities: { logging: {} } });
  const act = (what: string) => {
    effects.push(what);
    return text(`did ${what}`);
  };
  server.registerTool("read_file", { inputSchema: { path: z.string() } }, ({ path }) => text(`contents of ${path}`));
  server.registerTool("write_file", { inputSchema: { path: z.string(), text: z.string().optional() } }, ({ path }) =>
    act(`write ${path}`),
  );
  server.registerTool("drop_table", { inputSchema: { name: z.string() } }, ({ name }) => act(`drop ${name}`));
  server.registerTool("send_money", { inputSchema: { amount: z.number() } }, ({ amount }) => act(`pay ${amount}`));
  server.registerTool("hidden", {}, () => act("hidden"));
  server.registerTool("slow", { inputSchema: { ms: z.number() } }, async ({ ms }) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return act(`slept ${ms}`);
  });
  server.registerTool("steps", { inputSchema: { count: z.number() } }, async ({ count }, extra) => {
    for (let step = 1; step <= count; step += 1) {
      await extra.sendNotification({
        method: "notifications/message",
        params: { level: "info", data: `step ${step}` },
      });
    }
    return text(`${count} steps`);
  });
  server.registerResource("readme", "docs://project/readme", {}, (uri) => ({
    contents: [{ uri: uri.href, text: "read me" }],
  }));
  server.registerResource("secret", "docs://project/secret", {}, (uri) => ({
    contents: [{ uri: uri.href, text: "secret" }],
  }));
  server.registerResource("page", new ResourceTemplate("docs://pages/{page}", { list: undefined }), {}, (uri) => ({
    contents: [{ uri: uri.href, text: "a page" }],
  }));
  server.registerPrompt("greet", { argsSchema: { who: z.string() } }, ({ who }) => ({
    messages: [{ role: "user", content: { type: "text", text: `hello ${who}` } }],
  }));
  server.registerPrompt("other", {}, () => ({ messages: [] }));
  return server;
}

/** The official server, with sessions; `json` answers with JSON instead of SSE. */
export async function startMcpServer(options: { json?: boolean } = {}): Promise<McpUpstream> {
  const effects: string[] = [];
  const received: Received[] = [];
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    received.push({ method: request.method ?? "", headers: request.headers, body });
    const message: unknown = body === "" ? undefined : JSON.parse(body);
    const id = request.headers["mcp-session-id"];
    let transport = typeof id === "string" ? transports.get(id) : undefined;
    if (transport === undefined && isInitializeRequest(message)) {
      const made = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        enableJsonResponse: options.json === true,
        onsessioninitialized: (session) => void transports.set(session, made),
      });
      transport = made;
      await makeServer(effects).connect(made);
    }
    if (transport === undefined) {
      response
        .writeHead(404, { "content-type": "application/json" })
        .end('{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}');
      return;
    }
    await transport.handleRequest(request, response, message);
  };
  const { port, close } = await listen(createServer((request, response) => void handle(request, response)));
  return { url: `http://127.0.0.1:${port}/mcp`, received, effects, close };
}

/** A server that answers as `answer` says; `body` has been read. */
export async function startRawServer(
  answer: (request: Received, response: ServerResponse) => void | Promise<void>,
): Promise<Upstream> {
  const received: Received[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const one = { method: request.method ?? "", headers: request.headers, body: await bodyOf(request) };
    received.push(one);
    await answer(one, response);
  };
  const { port, close } = await listen(
    createServer((request, response) => void handle(request, response).catch(() => response.destroy())),
  );
  return { url: `http://127.0.0.1:${port}/mcp`, received, close };
}
