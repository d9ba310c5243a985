import { Client as McpClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { type Answered, Client, type GatewayProblem, GatewayError, type Key, parseProblem } from "@talos/sdk";
import { expect } from "./steps.ts";

/** One who acts in the scenario: a key, a capability, and a client that remembers what it was answered. */
export class Actor {
  readonly client: Client;
  readonly answers: Answered[] = [];
  /** calls that were answered: so many intents must stand in the record */
  served = 0;
  #mcp: McpClient | null = null;

  constructor(key: Key, chain: string) {
    this.client = new Client({ key, chain, onAnswer: (answer) => void this.answers.push(answer) });
  }

  /** The official MCP client; of Talos it knows nothing but the `fetch` it was handed. */
  async mcp(): Promise<McpClient> {
    if (this.#mcp) return this.#mcp;
    const client = new McpClient({ name: "talos-demo", version: "0.1.0" });
    const transport = new StreamableHTTPClientTransport(this.client.mcpUrl("everything"), { fetch: this.client.fetch });
    await client.connect(transport);
    this.#mcp = client;
    return client;
  }

  /** Call a tool and give the text of its answer. */
  async call(tool: string, args: Record<string, unknown>): Promise<string> {
    const result = await (await this.mcp()).callTool({ name: tool, arguments: args });
    expect(result.isError !== true, `${tool} reports an error: ${JSON.stringify(result.content)}`);
    this.served += 1;
    const [first] = result.content as { type: string; text?: string }[];
    return first?.text ?? "";
  }

  /** Call a tool that must be refused, and give the refusal. */
  async refused(tool: string, args: Record<string, unknown>): Promise<GatewayProblem> {
    let text: string;
    try {
      text = await this.call(tool, args);
    } catch (error) {
      return refusalOf(error);
    }
    throw new Error(`${tool} was not refused, it answered ${text}`);
  }

  /** Each call's answer names, in its headers, the intent under which the call stands in the record. */
  intents(): { id: string; promise: string | null }[] {
    return this.answers.flatMap(({ headers }) => {
      const id = headers.get("talos-intent");
      return id ? [{ id, promise: headers.get("talos-promise") }] : [];
    });
  }

  async close(): Promise<void> {
    await this.#mcp?.close();
    this.#mcp = null;
  }
}

/**
 * What the gateway said, out of whatever was thrown: the official client puts the body of a refusal into its message.
 * @throws the error itself when it is no refusal
 */
export function refusalOf(error: unknown): GatewayProblem {
  if (error instanceof GatewayError) return error.problem;
  if (error instanceof Error && "code" in error && typeof error.code === "number") {
    const body = error.message.slice(error.message.indexOf("{"));
    const problem = parseProblem(body, error.code);
    if (problem) return problem;
  }
  throw error;
}
