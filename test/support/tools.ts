/**
 * An upstream for tests that send much: one JSON answer a call, no state but an account of what arrived. Its tools are
 * `look` (read) and `act` (write); both answer with the argument `n` that they were called with.
 */
import type { ServerResponse } from "node:http";
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

/**
 * How the upstream treats a call that arrived: `whole` answers it; `down` breaks the connection; `slow` answers later
 * than anybody waits; `wrong` answers another call; `endless` and `endless stream` answer without end.
 */
export type Manner = "whole" | "down" | "slow" | "wrong" | "endless" | "endless stream";

export interface Tools extends Upstream {
  manner: Manner;
  /** `n` of every `act` that arrived, in order */
  acts: string[];
  /** every argument object that arrived, by its `n` */
  arguments: Map<string, unknown>;
}

/** Bytes without end, as fast as they are taken. */
function pour(response: ServerResponse, type: string, piece: string): void {
  response.writeHead(200, { "content-type": type });
  const more = (): void => {
    while (!response.destroyed && response.write(piece));
    if (!response.destroyed) response.once("drain", more);
  };
  more();
}

export async function startTools(): Promise<Tools> {
  const acts: string[] = [];
  const seen = new Map<string, unknown>();
  const shared = { manner: "whole" as Manner };
  const server = await startRawServer(({ method, body }, response) => {
    if (method !== "POST") return void response.writeHead(405).end();
    const message = JSON.parse(body) as Call;
    const n = message.params?.arguments?.n ?? "";
    if (message.method === "tools/call") {
      seen.set(n, message.params?.arguments);
      if (message.params?.name === "act") acts.push(n);
    }
    const { manner } = shared;
    if (manner === "down") return void response.destroy();
    if (manner === "slow") return; // the gateway's deadline ends it
    if (manner === "endless") return pour(response, "application/json", `"${"x".repeat(65_536)}`);
    if (manner === "endless stream") return pour(response, "text/event-stream", `data: ${"x".repeat(65_536)}\n`);
    const result =
      message.method === "initialize"
        ? { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "tools", version: "1" } }
        : message.method === "tools/call"
          ? { content: [{ type: "text", text: `${message.params?.name} ${n}` }] }
          : {};
    const session = message.method === "initialize" ? { "mcp-session-id": `tools-${acts.length}` } : {};
    response
      .writeHead(200, { "content-type": "application/json", ...session })
      .end(JSON.stringify({ jsonrpc: "2.0", id: manner === "wrong" ? "another" : message.id, result }));
  });
  return Object.assign(shared, server, { acts, arguments: seen });
}
