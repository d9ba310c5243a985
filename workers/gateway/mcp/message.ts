/**
 * JSON-RPC messages of an upstream. They are forwarded as the text that came, with the id alone replaced: printing
 * them anew would round integers beyond 2^53 that servers do send. Source: JSON-RPC 2.0; spec gateway.md#mcp.
 */

/** Where a top-level member's value stands in the text. */
export interface Span {
  start: number;
  end: number;
}

/**
 * The top-level members of a JSON object whose syntax was checked already.
 * @returns null for a duplicate name, or a text that is no object
 */
export function topLevel(text: string): Map<string, Span> | null {
  const spans = new Map<string, Span>();
  let at = skipSpace(text, 0);
  if (text[at] !== "{") return null;
  at = skipSpace(text, at + 1);
  while (text[at] === '"') {
    const nameEnd = endOfString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    if (spans.has(name)) return null;
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1); // over the colon
    const end = endOfValue(text, start);
    spans.set(name, { start, end });
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return spans;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at += 1;
  return at;
}

/** Index after the closing quote of the string that opens at `from`. */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  for (; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') {
      at = endOfString(text, at) - 1;
      if (depth === 0) return at + 1;
    } else if (char === "{" || char === "[") depth += 1;
    else if (char === "}" || char === "]") {
      if (depth === 0) break; // the end of the object around a number or word
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (char === "," && depth === 0) break;
  }
  while (" \n\r\t".includes(text[at - 1] ?? "x")) at -= 1;
  return at;
}

export interface UpstreamMessage {
  kind: "request" | "notification" | "response";
  text: string;
  value: Record<string, unknown>;
  spans: Map<string, Span>;
}

/** An upstream's message, or null when the text is none (a batch included: MCP has none since 2025-06-18). */
export function readMessage(text: string): UpstreamMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // not JSON: the caller answers upstream.invalid
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const spans = topLevel(text);
  const record = value as Record<string, unknown>;
  if (spans === null || record.jsonrpc !== "2.0") return null;
  const { id, method } = record;
  const hasResult = spans.has("result");
  const hasError = spans.has("error");
  if (typeof method === "string") {
    if (hasResult || hasError) return null;
    const kind = spans.has("id") ? "request" : "notification";
    return { kind, text, value: record, spans };
  }
  if (hasResult === hasError || typeof id !== "string") return null; // our ids are strings; no other was sent up
  return { kind: "response", text, value: record, spans };
}

/** The text with one top-level member's value replaced by `json`. */
export function replaceMember(message: UpstreamMessage, name: string, json: string): string {
  const span = message.spans.get(name);
  if (span === undefined) return message.text;
  return message.text.slice(0, span.start) + json + message.text.slice(span.end);
}
