import { ERRORS, type ErrorCode, TalosError } from "@talos/contracts";

/**
 * What can go wrong on our side of the wire. These codes are the client's own: no gateway ever sends them, and none of
 * them means that a request had an effect.
 */
export const CLIENT_ERRORS = {
  "client.usage": "The options do not fit together",
  "client.foreign_url": "The address is not under the audience that the capability is for",
  "client.body_too_large": "The request body is larger than the gateway accepts",
  "client.unreachable": "The gateway cannot be reached",
  "client.timeout": "The gateway did not answer in time",
  "client.clock_skew": "This machine's clock differs too much from the gateway's",
  "client.gateway_identity": "The gateway's DID document is not what its origin or the pin says",
  "client.statement_invalid": "The gateway's signed statement does not verify",
  "client.answer_invalid": "The gateway's answer is not what its contract says",
  "client.key_file": "The key file cannot be used",
  "client.capability_file": "The capability cannot be read",
} as const;

export type ClientErrorCode = keyof typeof CLIENT_ERRORS;

/** A failure on the client's side. `message` is for people and never holds a secret. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientErrorCode;
  constructor(code: ClientErrorCode, detail?: string, options?: ErrorOptions) {
    super(detail ? `${CLIENT_ERRORS[code]}: ${detail}` : CLIENT_ERRORS[code], options);
    this.code = code;
  }
}

/** RFC 9457 as the gateway prints it (contracts/spec/gateway.md#problems), or the `data` of a JSON-RPC error. */
export interface GatewayProblem {
  code: string;
  status: number;
  title: string;
  retryable: boolean;
  request_id?: string;
  retry_after_ms?: number;
  decision?: { allow: boolean; code: string; link?: number; grant?: number; field?: string; need?: unknown };
}

/** A refusal or failure that the gateway named. `code` is from contracts/errors.json. */
export class GatewayError extends TalosError {
  readonly problem: GatewayProblem;
  constructor(problem: GatewayProblem) {
    super(problem.code as ErrorCode, { ...problem });
    this.problem = problem;
    this.message = `${problem.code}: ${problem.title.replace(/\.$/, "")}${reason(problem)}`;
  }
  /** HTTP status of the answer. */
  get status(): number {
    return this.problem.status;
  }
  get retryable(): boolean {
    return this.problem.retryable;
  }
}

function reason(problem: GatewayProblem): string {
  const { decision } = problem;
  if (!decision?.field) return "";
  const asked = decision.need === undefined ? "" : `, asked for ${JSON.stringify(decision.need)}`;
  return ` (at ${decision.field}${asked})`;
}

/** An error body is short; whatever is longer is not one of ours. */
const PROBLEM_BYTES = 65_536;

/**
 * Read a refusal out of a response. Consumes the body.
 * @returns null when the body is neither a problem nor a JSON-RPC error with our code in it
 */
export async function readProblem(response: Response): Promise<GatewayProblem | null> {
  const text = await readBounded(response.body, PROBLEM_BYTES);
  return text === null ? null : parseProblem(new TextDecoder().decode(text), response.status);
}

/** The same for text that was read already. */
export function parseProblem(text: string, status: number): GatewayProblem | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // not JSON, hence not a problem; the caller reports the status
  }
  if (!isRecord(value)) return null;
  const rpc = isRecord(value.error) ? value.error : null;
  const data = rpc && isRecord(rpc.data) ? rpc.data : value;
  const { code, title, retryable, request_id, retry_after_ms, decision } = data;
  if (typeof code !== "string" || !Object.hasOwn(ERRORS, code)) return null;
  return {
    code,
    status,
    title: typeof title === "string" ? title : ERRORS[code as ErrorCode].message,
    retryable: retryable === true,
    ...(typeof request_id === "string" ? { request_id } : {}),
    ...(typeof retry_after_ms === "number" ? { retry_after_ms } : {}),
    ...(isRecord(decision) ? { decision: decision as unknown as GatewayProblem["decision"] & object } : {}),
  };
}

/** Turn a response that is not 2xx into the error to throw. Consumes the body. */
export async function toError(response: Response): Promise<GatewayError | ClientError> {
  const problem = await readProblem(response);
  if (problem) return new GatewayError(problem);
  return new ClientError("client.answer_invalid", `status ${response.status} without a problem body`);
}

/**
 * All of a stream, or null when it is longer than `limit` bytes (the rest is cancelled, not read).
 * A peer decides how long a stream is; the limit is what keeps it from deciding how much memory we use.
 */
export async function readBounded(
  stream: ReadableStream<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (!stream) return new Uint8Array(0);
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
