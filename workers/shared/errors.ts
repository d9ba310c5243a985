/**
 * How failures leave the Worker: RFC 9457 problems, or JSON-RPC errors on MCP surfaces. What helps us goes to the log;
 * the caller gets the code's public message. Source: contracts/spec/gateway.md#problems, #mcp-streamable-http-2025-11-25.
 */
import { type Decision, ERRORS, type ErrorCode, TalosError } from "@talos/contracts";
import type { AppContext } from "./ports.ts";

/** What a failure may show its caller beyond the code. */
export interface Shown {
  /** the decision, for the holder of the capability */
  decision?: Decision;
  retry_after_ms?: number;
  /** id of the durable intent of a call whose fate the caller must look up */
  intent_id?: string;
  /** the event at fault, among several */
  event_id?: string;
  /** the version in force, for a publisher whose number is not the next */
  policy_version?: number;
  /** methods of a 405 */
  allow?: string;
}

/** A failure with something to show; everything in `detail` still stays with us. */
export class PublicError extends TalosError {
  readonly shown: Shown;
  constructor(code: ErrorCode, shown: Shown, detail: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(code, detail, options);
    this.shown = shown;
  }
}

/** JSON-RPC error numbers of MCP surfaces. */
export const RPC = {
  malformed: -32600,
  method: -32601,
  refused: -32001,
  limit: -32002,
  dependency: -32003,
  header: -32020,
} as const;

const HEADER_MISMATCH = new Set<ErrorCode>(["mcp.header_mismatch"]);
const LIMITED = new Set<ErrorCode>([
  "LIMIT_EXCEEDED",
  "request.body_too_large",
  "request.header_too_large",
  "rate.exhausted",
  "concurrency.exhausted",
  "revocation.limit",
]);
const SHAPE = new Set<ErrorCode>([
  "MALFORMED",
  "contract.invalid",
  "request.malformed",
  "request.media_type",
  "method.not_allowed",
]);

/** The JSON-RPC number of a code. */
export function rpcNumber(code: ErrorCode): number {
  if (HEADER_MISMATCH.has(code)) return RPC.header;
  if (LIMITED.has(code)) return RPC.limit;
  if (SHAPE.has(code)) return RPC.malformed;
  return ERRORS[code].status >= 500 ? RPC.dependency : RPC.refused;
}

/** Anything thrown, as a TalosError: what has no name here is `internal`. */
export function named(error: unknown): TalosError {
  return error instanceof TalosError ? error : new TalosError("internal", {}, { cause: error });
}

/** Seconds for `retry-after`, at least 1, where the status takes it or a time is known. */
function retryAfter(error: TalosError): number | undefined {
  const { status } = ERRORS[error.code];
  if (status !== 429 && status !== 503 && shownOf(error).retry_after_ms === undefined) return undefined;
  return Math.max(1, Math.ceil((shownOf(error).retry_after_ms ?? 1_000) / 1_000));
}

const shownOf = (error: TalosError): Shown => (error instanceof PublicError ? error.shown : {});

/** What both forms of an error body share. */
function facts(error: TalosError, requestId: string): Record<string, unknown> {
  const { decision, retry_after_ms, intent_id, event_id, policy_version } = shownOf(error);
  const seconds = retryAfter(error);
  return {
    code: error.code,
    request_id: requestId,
    retryable: ERRORS[error.code].retryable,
    ...(decision === undefined ? {} : { decision }),
    ...(intent_id === undefined ? {} : { intent_id }),
    ...(event_id === undefined ? {} : { event_id }),
    ...(policy_version === undefined ? {} : { policy_version }),
    ...(seconds === undefined ? {} : { retry_after_ms: retry_after_ms ?? seconds * 1_000 }),
  };
}

/** `application/problem+json` (RFC 9457). */
export function problem(error: TalosError, requestId: string): Response {
  const { status, message } = ERRORS[error.code];
  const body = { type: `urn:talos:error:${error.code}`, title: message, status, ...facts(error, requestId) };
  return Response.json(body, { status, headers: headersOf(error, "application/problem+json") });
}

/**
 * A JSON-RPC error.
 * @param idJson JSON text of the id, or undefined when no message was read
 */
export function rpcError(
  error: TalosError,
  requestId: string,
  idJson: string | undefined,
  number = rpcNumber(error.code),
): Response {
  const { status } = ERRORS[error.code];
  return new Response(rpcErrorText(error, requestId, idJson, number), {
    status,
    headers: headersOf(error, "application/json"),
  });
}

/** The JSON text of a JSON-RPC error, for streams. */
export function rpcErrorText(
  error: TalosError,
  requestId: string,
  idJson: string | undefined,
  number = rpcNumber(error.code),
): string {
  const inner = JSON.stringify({ code: number, message: ERRORS[error.code].message, data: facts(error, requestId) });
  return `{"jsonrpc":"2.0","id":${idJson ?? "null"},"error":${inner}}`;
}

function headersOf(error: TalosError, type: string): Headers {
  const headers = new Headers({ "content-type": type });
  const seconds = retryAfter(error);
  if (seconds !== undefined) headers.set("retry-after", String(seconds));
  const { allow } = shownOf(error);
  if (allow !== undefined) headers.set("allow", allow);
  return headers;
}

/** JSON-RPC number that a handler chose for this failure (an unknown method, say). */
const numbers = new WeakMap<TalosError, number>();
export function withRpcNumber<E extends TalosError>(error: E, number: number): E {
  numbers.set(error, number);
  return error;
}

/** For the log. A member that no contract knows has its name from the caller, who may have put anything there. */
function loggable({ detail }: TalosError): Record<string, unknown> {
  if (detail.detail !== "unknown member") return detail;
  const { field: _chosen, ...rest } = detail;
  return rest;
}

/** Hono's onError: log through the redactor, answer in the surface's form. */
export function onError(error: unknown, c: AppContext): Response {
  const failure = named(error);
  const level = ERRORS[failure.code].status >= 500 ? "error" : "info";
  const cause = failure.code === "internal" || failure.cause !== undefined ? { error: failure.cause ?? failure } : {};
  c.get("log")(level, "request.failed", { code: failure.code, detail: loggable(failure), ...cause });
  const surface: string | undefined = c.get("surface");
  if (surface?.startsWith("mcp.") === true)
    return rpcError(failure, c.get("request_id"), c.get("rpc_id"), numbers.get(failure));
  return problem(failure, c.get("request_id"));
}
