/**
 * An upstream for tests that send much: one JSON answer a call, no state but an account of what arrived. Its tools are
 * `look` (read) and `act` (write); both answer with the argument `n` that they were called with.
 */
import type { Grant, ToolEntry } from "@talos/contracts";
import { grant } from "../fixtures.ts";
import { startRawServer, type Upstream } from "./mcp-server.ts";

export const TOOLS_REGISTRY: ToolEntry[] = [
  { tool: "tools/act", class: "write", actions: ["call"], rate_class: "write" },
  { tool: "tools/look", class: "read", actions: ["call"], rate_class: "read" },
];

export const TOOLS_GRANTS: Grant[] = [
  grant("talos/audit.events"),
  grant("tools/act", { classes: ["write"] }),
  grant("tools/look"),
];

interface Call {
  id: string;
  method: string;
  params?: { name?: string; arguments?: { n?: string } };
}

export interface Tools extends Upstream {
  /** `n` of every `act` that arrived, in order */
  acts: string[];
  /** every argument object that arrived, by its `n` */
  arguments: Map<string, unknown>;
}

export async function startTools(): Promise<Tools> {
  const acts: string[] = [];
  const seen = new Map<string, unknown>();
  const server = await startRawServer(({ method, body }, response) => {
    if (method !== "POST") return void response.writeHead(405).end();
    const message = JSON.parse(body) as Call;
    const n = message.params?.arguments?.n ?? "";
    if (message.method === "tools/call") {
      seen.set(n, message.params?.arguments);
      if (message.params?.name === "act") acts.push(n);
    }
    const result =
      message.method === "initialize"
        ? { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "tools", version: "1" } }
        : message.method === "tools/call"
          ? { content: [{ type: "text", text: `${message.params?.name} ${n}` }] }
          : {};
    const session = message.method === "initialize" ? { "mcp-session-id": `tools-${acts.length}` } : {};
    response
      .writeHead(200, { "content-type": "application/json", ...session })
      .end(JSON.stringify({ jsonrpc: "2.0", id: message.id, result }));
  });
  return Object.assign(server, { acts, arguments: seen });
}
