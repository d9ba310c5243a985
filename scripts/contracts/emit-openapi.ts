/** gen/openapi.json: OpenAPI 3.1 of every surface. Complete on purpose: nothing is described elsewhere. */
import { COMMON_ERRORS } from "./lint.ts";
import type { Contract, Schema, SurfaceDocument } from "./load.ts";
import { resolveRef } from "./refs.ts";

const DROPPED = new Set(["$schema", "$comment", "$defs", "x-codes", "x-limit", "x-open"]);

/** Media types that travel as text or bytes, not as a JSON value that a schema describes. */
const BODY_OF: Record<string, { schema: unknown; note: string }> = {
  "text/event-stream": { schema: { type: "string" }, note: "Server-sent events; JSON-RPC messages on MCP surfaces." },
  "text/plain": { schema: { type: "string", maxLength: 65536 }, note: "A text of C2SP." },
  "application/octet-stream": { schema: { type: "string", format: "binary" }, note: "Bytes of C2SP." },
  "application/x-ndjson": { schema: { type: "string" }, note: "A JSON value a line." },
  "application/jose": { schema: { type: "string", maxLength: 1048576 }, note: "A compact JWS." },
  "application/json": { schema: { type: "object" }, note: "A JSON-RPC message or document." },
};

function convert(contract: Contract, home: string, node: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => convert(contract, home, item));
  if (node === null || typeof node !== "object") return node;
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(node)) {
    if (name === "properties") {
      const fields = Object.entries(value as Record<string, Schema>);
      out.properties = Object.fromEntries(fields.map(([field, schema]) => [field, convert(contract, home, schema)]));
    } else if (name === "$ref" && typeof value === "string") {
      out.$ref = `#/components/schemas/${resolveRef(contract, home, value).title}`;
    } else if (!DROPPED.has(name)) {
      out[name] = convert(contract, home, value);
    }
  }
  return out;
}

function components(contract: Contract): Record<string, unknown> {
  const out: [string, unknown][] = [];
  for (const [name, schema] of contract.schemas) {
    if (name === "meta" || name === "surface") continue;
    for (const def of Object.values(schema.$defs ?? {})) out.push([def.title as string, convert(contract, name, def)]);
    if (!schema["x-open"]) out.push([schema.title as string, convert(contract, name, schema)]);
  }
  return Object.fromEntries(out.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const SECURITY: Record<SurfaceDocument["permission"], Record<string, string[]>[]> = {
  public: [],
  statement: [],
  publisher: [],
  holder: [
    { capability: [], signature: [] },
    { ticket: [], signature: [] },
  ],
  grant: [
    { capability: [], signature: [] },
    { ticket: [], signature: [] },
  ],
  body: [
    { capability: [], signature: [] },
    { ticket: [], signature: [] },
  ],
  mcp: [
    { capability: [], signature: [] },
    { ticket: [], signature: [] },
  ],
};

function content(contract: Contract, mediaType: string, schema: string | null): Record<string, unknown> {
  const title = schema === null ? null : contract.schemas.get(schema)?.title;
  const other = BODY_OF[mediaType];
  return {
    [mediaType]: {
      schema: title
        ? { $ref: `#/components/schemas/${title}` }
        : { ...(other?.schema as object), description: other?.note },
    },
  };
}

function responses(contract: Contract, surface: SurfaceDocument): Record<string, unknown> {
  const out: Record<string, { description: string; content?: Record<string, unknown>; headers?: unknown }> = {};
  const mcp = surface.permission === "mcp";
  const headers = {
    "x-request-id": { $ref: "#/components/headers/RequestId" },
    ...(surface.class === null ? {} : { "talos-class": { $ref: "#/components/headers/Class" } }),
    ...(mcp
      ? {
          "talos-intent": { $ref: "#/components/headers/Intent" },
          "talos-promise": { $ref: "#/components/headers/Promise" },
        }
      : {}),
  };
  for (const { status, media_type, schema, description } of surface.responses) {
    const known = out[status];
    const body = media_type === null ? undefined : content(contract, media_type, schema);
    if (known) known.content = { ...known.content, ...body };
    else out[status] = { description, headers, ...(body ? { content: body } : {}) };
  }
  const codes = [...new Set([...surface.errors, ...COMMON_ERRORS])].filter(
    (code) => surface.tenant || code !== "tenant.unknown",
  );
  for (const status of new Set(codes.map((code) => contract.errors[code]?.status as number))) {
    const mine = codes.filter((code) => contract.errors[code]?.status === status).sort();
    const description = mine.map((code) => `\`${code}\`: ${contract.errors[code]?.message}`).join(" ");
    const retry = mine.some((code) => contract.errors[code]?.retryable);
    const name = mcp ? "JsonRpcError" : "Problem";
    out[status] = {
      description,
      headers: retry ? { ...headers, "retry-after": { $ref: "#/components/headers/RetryAfter" } } : headers,
      content: {
        [mcp ? "application/json" : "application/problem+json"]: { schema: { $ref: `#/components/schemas/${name}` } },
      },
    };
  }
  return Object.fromEntries(Object.entries(out).sort(([a], [b]) => Number(a) - Number(b)));
}

function operation(contract: Contract, surface: SurfaceDocument): Record<string, unknown> {
  const { name, summary, description, permission, parameters, request } = surface;
  const definition = (schema: string) => {
    const [file = "", def = ""] = schema.split("#");
    return { $ref: `#/components/schemas/${contract.schemas.get(file)?.$defs?.[def]?.title}` };
  };
  return {
    operationId: name,
    tags: [name.split(".")[0]],
    summary,
    description,
    security: SECURITY[permission],
    ...(parameters.length > 0
      ? {
          parameters: parameters.map((p) => ({
            name: p.name,
            in: p.in,
            required: p.required,
            description: p.description,
            schema: definition(p.schema),
          })),
        }
      : {}),
    ...(request
      ? { requestBody: { required: true, content: content(contract, request.media_type, request.schema) } }
      : {}),
    responses: responses(contract, surface),
    "x-talos-permission": permission,
    ...(surface.tool ? { "x-talos-tool": surface.tool, "x-talos-action": surface.action } : {}),
    "x-talos-class": surface.class,
    "x-talos-rate-class": surface.rate_class,
    "x-talos-audit-action": surface.audit_action,
  };
}

const JSON_RPC_ERROR = {
  description: "JSON-RPC 2.0 error, the shape of a refusal on MCP surfaces.",
  type: "object",
  required: ["jsonrpc", "id", "error"],
  properties: {
    jsonrpc: { const: "2.0" },
    id: { description: "Of the message, where it had one.", type: ["string", "integer", "null"] },
    error: {
      type: "object",
      required: ["code", "message", "data"],
      properties: {
        code: {
          description:
            "-32600 malformed, -32601 unknown method, -32001 refused, -32002 a limit, -32003 a dependency, -32020 header mismatch.",
          type: "integer",
        },
        message: { type: "string" },
        data: {
          type: "object",
          required: ["code", "request_id", "retryable"],
          properties: { code: { type: "string" }, request_id: { type: "string" }, retryable: { type: "boolean" } },
        },
      },
    },
  },
};

const header = (name: string, description: string) => ({ type: "apiKey", in: "header", name, description });

export function emitOpenapi(contract: Contract, hash: string): string {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const surface of contract.surfaces) {
    paths[surface.path] = { ...paths[surface.path], [surface.method.toLowerCase()]: operation(contract, surface) };
  }
  const sorted = Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
  const document = {
    openapi: "3.1.0",
    info: {
      title: "Talos",
      version: "0.1.0",
      summary: "A trust layer for AI agents at the edge.",
      description:
        "Generated from the surface documents. Requests are proved by HTTP message signatures (RFC 9421); bodies are covered by content-digest (RFC 9530).",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      "x-contract-hash": hash,
    },
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    paths: sorted,
    components: {
      securitySchemes: {
        capability: header("talos-capability", "The chain of links, joined by `~`."),
        ticket: header("talos-ticket", "A ticket that `sessions.open` gave out."),
        signature: header(
          "signature",
          "With `signature-input` and `content-digest`: the proof of possession, label `talos`.",
        ),
      },
      headers: {
        RequestId: { description: "Id of the request, a UUIDv7.", schema: { $ref: "#/components/schemas/RequestId" } },
        Class: {
          description:
            "Class of the request, from the registry: which proof the next one may use. Absent when nobody was authenticated.",
          schema: { $ref: "#/components/schemas/ToolClass" },
        },
        Intent: {
          description: "Id of the recorded intent of a dispatched call.",
          schema: { $ref: "#/components/schemas/Uuidv7" },
        },
        Promise: {
          description: "The log's promise for that intent, a JWS.",
          schema: { $ref: "#/components/schemas/CompactJws" },
        },
        RetryAfter: { description: "Not before, in seconds.", schema: { type: "integer", minimum: 0 } },
      },
      schemas: { ...components(contract), JsonRpcError: JSON_RPC_ERROR },
    },
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}
