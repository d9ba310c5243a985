import { ClientError, GatewayError, isRecord, parseProblem, readBounded } from "./errors.ts";
import { readEvents } from "./sse.ts";

/** What the gateway lets through at most, and some room. */
const ANSWER_BYTES = 16 * 1_048_576;
const PROTOCOL_VERSION = "2025-11-25";
/** A server that always names a next page would be asked for ever. */
const PAGES = 100;

export interface McpTool {
  name: string;
  title?: string;
  description?: string;
  inputSchema?: unknown;
  _meta?: Record<string, unknown>;
}

export interface McpToolResult {
  content: unknown[];
  isError?: boolean;
  structuredContent?: unknown;
}

/** An error that the server behind the gateway answered (JSON-RPC 2.0 §5.1). */
export class McpError extends Error {
  override readonly name = "McpError";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * A small MCP client (Streamable HTTP, 2025-11-25): list tools, call one. It offers the server no capabilities of its
 * own. Programs with more to say use the official client with our `fetch`.
 */
export class McpClient {
  readonly #url: URL;
  readonly #fetch: typeof fetch;
  #session: string | null = null;
  #next = 1;

  private constructor(url: URL, fetcher: typeof fetch) {
    this.#url = url;
    this.#fetch = fetcher;
  }

  static async connect(url: URL, fetcher: typeof fetch, signal?: AbortSignal): Promise<McpClient> {
    const client = new McpClient(url, fetcher);
    const clientInfo = { name: "talos", version: "0.1.0" };
    const params = { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo };
    await client.#request("initialize", params, signal);
    await client.#send({ jsonrpc: "2.0", method: "notifications/initialized" }, signal);
    return client;
  }

  /** The tools that the caller may call, all pages. */
  async listTools(signal?: AbortSignal): Promise<McpTool[]> {
    const tools: McpTool[] = [];
    let cursor: unknown;
    for (let page = 0; page < PAGES; page++) {
      const result = await this.#request("tools/list", cursor === undefined ? {} : { cursor }, signal);
      if (!Array.isArray(result.tools)) throw new ClientError("client.answer_invalid", "tools/list names no tools");
      tools.push(...(result.tools as McpTool[]));
      cursor = result.nextCursor;
      if (cursor === undefined) return tools;
    }
    throw new ClientError("client.answer_invalid", `tools/list has more than ${PAGES} pages`);
  }

  /** @throws GatewayError when it is refused, McpError when the server answers an error */
  async callTool(name: string, args: Record<string, unknown>, signal?: AbortSignal): Promise<McpToolResult> {
    const result = await this.#request("tools/call", { name, arguments: args }, signal);
    return { ...result, content: Array.isArray(result.content) ? result.content : [] };
  }

  /** End the MCP session. A server may refuse that (405), which changes nothing. */
  async close(): Promise<void> {
    if (this.#session === null) return;
    const headers = { "mcp-session-id": this.#session, "mcp-protocol-version": PROTOCOL_VERSION };
    const response = await this.#fetch(this.#url, { method: "DELETE", headers });
    await response.body?.cancel();
    this.#session = null;
  }

  async #request(method: string, params: object, signal?: AbortSignal): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const response = await this.#send({ jsonrpc: "2.0", id, method, params }, signal);
    if (!response) throw new ClientError("client.answer_invalid", `${method} got no answer`);
    const message = await findAnswer(response, id);
    if (isRecord(message.error)) {
      throw new McpError(Number(message.error.code), String(message.error.message ?? "the server refused"));
    }
    if (!isRecord(message.result)) throw new ClientError("client.answer_invalid", `${method}: no result`);
    return message.result;
  }

  async #send(message: object, signal?: AbortSignal): Promise<Response | null> {
    const headers = new Headers({
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": PROTOCOL_VERSION,
    });
    if (this.#session !== null) headers.set("mcp-session-id", this.#session);
    const init: RequestInit = { method: "POST", headers, body: JSON.stringify(message) };
    if (signal) init.signal = signal;
    const response = await this.#fetch(this.#url, init);
    this.#session = response.headers.get("mcp-session-id") ?? this.#session;
    if (response.status === 202) {
      await response.body?.cancel();
      return null;
    }
    if (response.ok) return response;
    const bytes = await readBounded(response.body, ANSWER_BYTES);
    const problem = bytes && parseProblem(new TextDecoder().decode(bytes), response.status);
    if (problem) throw new GatewayError(problem);
    throw new ClientError("client.answer_invalid", `status ${response.status} from ${this.#url.pathname}`);
  }
}

/** The JSON-RPC response with our id; notifications and requests of the server before it are passed over. */
async function findAnswer(response: Response, id: number): Promise<Record<string, unknown>> {
  const type = response.headers.get("content-type")?.split(";")[0]?.trim();
  if (type === "text/event-stream" && response.body) {
    for await (const { data } of readEvents(response.body, ANSWER_BYTES)) {
      const message = parseMessage(data);
      if (message.id === id && ("result" in message || "error" in message)) return unwrap(message, response.status);
    }
    throw new ClientError("client.answer_invalid", "the stream ended without an answer");
  }
  const bytes = await readBounded(response.body, ANSWER_BYTES);
  if (!bytes) throw new ClientError("client.answer_invalid", `an answer of more than ${ANSWER_BYTES} bytes`);
  return unwrap(parseMessage(new TextDecoder().decode(bytes)), response.status);
}

/** An error with one of our codes in it is the gateway's, also when it comes on a stream that began well. */
function unwrap(message: Record<string, unknown>, status: number): Record<string, unknown> {
  const problem = isRecord(message.error) ? parseProblem(JSON.stringify(message), status) : null;
  if (problem) throw new GatewayError(problem);
  return message;
}

function parseMessage(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ClientError("client.answer_invalid", "a message that is not JSON", { cause });
  }
  if (!isRecord(value)) throw new ClientError("client.answer_invalid", "a message that is not an object");
  return value;
}
