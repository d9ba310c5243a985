import type { ToolClass } from "@talos/core";
import { isRecord } from "./errors.ts";

/** What a request is, as far as the client can tell from its own bytes. */
export interface CallKind {
  /** calls of one kind have one class */
  key: string;
  mcp?: { method: string; name?: string };
}

/** MCP messages that are reads by contract (contracts/spec/gateway.md#mcp-streamable-http-2025-11-25). */
const READ_METHODS = new Set([
  "initialize",
  "ping",
  "tools/list",
  "resources/list",
  "resources/templates/list",
  "prompts/list",
  "completion/complete",
]);

/** Enough for the tools that one agent uses; the oldest goes first, and costs one Ed25519 signature to learn again. */
const REMEMBERED = 1_024;

/**
 * Which class a call has, so far as the gateway said. Only what it called `read` may be proved by a MAC; everything
 * that is not known to be a read is signed, which the gateway takes for every class.
 */
export class ClassMemory {
  readonly #classes = new Map<string, ToolClass>();

  isRead(kind: CallKind): boolean {
    const learned = this.#classes.get(kind.key);
    if (learned !== undefined) return learned === "read";
    const method = kind.mcp?.method;
    if (method !== undefined) return READ_METHODS.has(method) || method.startsWith("notifications/");
    return isReadSurface(kind.key);
  }

  learn(kind: CallKind, header: string | null): void {
    if (header !== "read" && header !== "write" && header !== "destructive" && header !== "pay") return;
    this.#classes.delete(kind.key);
    this.#classes.set(kind.key, header);
    if (this.#classes.size > REMEMBERED) this.#classes.delete(this.#classes.keys().next().value!);
  }

  /** The gateway refused a MAC for it: whatever it is now, it is to be signed. */
  unlearn(kind: CallKind): void {
    this.learn(kind, "write");
  }
}

/** GETs of one's own MCP session, of heads and of the record are reads; what a POST asks is learned. */
function isReadSurface(key: string): boolean {
  return key.startsWith("GET ") || /^DELETE \S*\/mcp\/[^/]+$/.test(key);
}

/** Name the kind of a request: method and path, and for MCP the message and the tool. */
export function kindOf(method: string, url: URL, body: Uint8Array): CallKind {
  const key = `${method} ${url.pathname}`;
  const mcp = method === "POST" && /\/mcp\/[^/]+$/.test(url.pathname) ? mcpCall(body) : undefined;
  if (!mcp) return { key };
  return { key: `${key} ${mcp.method} ${mcp.name ?? ""}`, mcp };
}

function mcpCall(body: Uint8Array): { method: string; name?: string } | undefined {
  let message: unknown;
  try {
    message = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined; // not for us to judge: the gateway refuses it by its own reading of the bytes
  }
  if (!isRecord(message) || typeof message.method !== "string") return undefined;
  const params = isRecord(message.params) ? message.params : {};
  const name = params.name ?? params.uri;
  return typeof name === "string" ? { method: message.method, name } : { method: message.method };
}
