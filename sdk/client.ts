import {
  type AuditEventPage,
  type AuditQuery,
  type AuditRecord,
  type AuthorizeRequest,
  type AuthorizeResponse,
  type BatchRequest,
  type BatchResponse,
  type Head,
  type RevocationResponse,
  type SchemaName,
  type SchemaTypes,
  validate,
} from "@talos/contracts";
import { headVerify } from "@talos/core";
import { Audit } from "./audit.ts";
import { audienceOf } from "./capability.ts";
import { ClientError, readBounded, toError } from "./errors.ts";
import { type FetchOptions, Transport } from "./fetch.ts";
import type { GatewayIdentity } from "./gateway-keys.ts";
import type { Key } from "./keys.ts";
import { Privacy } from "./privacy.ts";
import { type Revocation, revocationStatement } from "./revocation.ts";
import { Sinks } from "./sinks.ts";

/** The longest answer: a page of 200 events of 16 KiB each, and what stands around them. */
const ANSWER_BYTES = 4 * 1_048_576;
const TIMEOUT_MS = 30_000;

export type AuditFilter = Omit<AuditQuery, "cursor" | "limit"> & { page_size?: number };
export type { AuditRecord };

/** One tenant of one gateway, spoken to with one capability. Refusals are thrown as `GatewayError`. */
export class Client {
  readonly aud: string;
  readonly transport: Transport;
  /** the signing fetch, for MCP clients and everything else under the audience */
  readonly fetch: typeof fetch;
  /** the tenant's webhook sinks */
  readonly sinks = new Sinks((method, path, shape, options) => this.#ask(method, path, shape, options));

  /** the tenant's record as a log: proofs, stream, export, events of one's own */
  readonly audit = new Audit(
    (method, path, shape, options) => this.#ask(method, path, shape, options),
    (path, headers, signal) => this.#get(path, headers, signal),
  );
  /** what is kept of calls: opening it, erasing it, holding it */
  readonly privacy = new Privacy((method, path, shape, options) => this.#ask(method, path, shape, options));

  constructor(options: FetchOptions) {
    this.transport = new Transport(options);
    this.aud = this.transport.aud;
    this.fetch = (input, init) => this.transport.send(input, init);
  }

  /** The MCP endpoint of a registered server. */
  mcpUrl(server: string): URL {
    return new URL(`${this.aud}/mcp/${server}`);
  }

  gateway(): Promise<GatewayIdentity> {
    return this.transport.gateway();
  }

  /** Ask whether one's own call would be allowed; it consumes what the call would (gateway.md#authorize). */
  authorize(question: Omit<AuthorizeRequest, "context">, signal?: AbortSignal): Promise<AuthorizeResponse> {
    return this.#ask("POST", "/v1/authorize", "gateway/authorize-response", { body: question, signal });
  }

  /** Up to 32 questions under one proof; the answers are in the same order. */
  authorizeBatch(items: BatchRequest["items"], signal?: AbortSignal): Promise<BatchResponse> {
    return this.#ask("POST", "/v1/authorize/batch", "gateway/batch-response", { body: { items }, signal });
  }

  /** What is in force, verified against the gateway's keys. */
  async head(signal?: AbortSignal): Promise<Head> {
    const { head } = await this.#ask("GET", "/v1/head", "in-force/head-response", { signal });
    const { keys } = await this.gateway();
    try {
      return headVerify({ jws: head, keys, tenant: this.transport.tenant });
    } catch (cause) {
      throw new ClientError("client.statement_invalid", "of the head", { cause });
    }
  }

  /** Revoke with this client's own key. @param chain ends in the link spoken of; this client's own chain when absent */
  revoke(what: Revocation, chain = this.transport.chain): Promise<RevocationResponse> {
    const { key, aud, now } = this.transport;
    return revoke({ key, aud, chain, what, now_ms: now(), fetch: this.transport.plainFetch });
  }

  /** One record, with the log's promise. It is answered by the log itself, not by the projection. */
  auditEvent(event_id: string, signal?: AbortSignal): Promise<AuditRecord> {
    return this.#ask("GET", `/audit/events/${encodeURIComponent(event_id)}`, "audit/record", { signal });
  }

  /** Records from the projection in Postgres, newest first unless `order` says otherwise, page by page as far as the caller iterates. */
  async *auditEvents(filter: AuditFilter = {}, signal?: AbortSignal): AsyncGenerator<AuditRecord, void, void> {
    const { page_size = 100, ...rest } = filter;
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ limit: String(page_size) });
      for (const [name, value] of Object.entries(rest)) if (value !== undefined) query.set(name, String(value));
      if (cursor) query.set("cursor", cursor);
      const page: AuditEventPage = await this.#ask("GET", `/audit/events?${query}`, "audit/page", { signal });
      yield* page.events;
      if (page.next_cursor !== undefined && page.next_cursor === cursor) {
        throw new ClientError("client.answer_invalid", "the cursor stands still"); // or we would ask for ever
      }
      cursor = page.next_cursor;
    } while (cursor);
  }

  /** A GET whose answer is read by whoever asked; nothing bounds its time but the caller's signal. */
  async #get(path: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<Response> {
    const url = `${this.aud}${path}`;
    try {
      return await this.fetch(url, { headers, ...(signal ? { signal } : {}) });
    } catch (cause) {
      if (cause instanceof TypeError) throw new ClientError("client.unreachable", url, { cause });
      throw cause;
    }
  }

  async #ask<N extends SchemaName>(
    method: string,
    path: string,
    shape: N,
    options: { body?: unknown; headers?: Record<string, string>; signal: AbortSignal | undefined },
  ): Promise<SchemaTypes[N]> {
    const headers: Record<string, string> = { accept: "application/json", ...options.headers };
    const init: RequestInit = { method, headers };
    if (options.body !== undefined) {
      init.body = JSON.stringify(options.body);
      headers["content-type"] = "application/json";
    }
    return answer(this.fetch, `${this.aud}${path}`, init, shape, options.signal);
  }
}

/**
 * Send a signed revocation statement. It needs no capability of one's own beyond the chain that shows the authority.
 * @throws GatewayError `revocation.not_authorized` when the key has no authority over that link
 */
export function revoke(args: {
  key: Key;
  chain: string;
  what: Revocation;
  aud?: string;
  now_ms?: number;
  fetch?: typeof fetch;
  signal?: AbortSignal;
}): Promise<RevocationResponse> {
  const { aud } = audienceOf(args.chain, args.aud);
  const { key, chain, what } = args;
  const statement = revocationStatement({ key, aud, chain, what, now_ms: args.now_ms ?? Date.now() });
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ statement, chain }),
    redirect: "manual" as const,
  };
  return answer(args.fetch ?? fetch, `${aud}/v1/revocations`, init, "in-force/revocation-response", args.signal);
}

async function answer<N extends SchemaName>(
  fetcher: typeof fetch,
  url: string,
  init: RequestInit,
  shape: N,
  signal?: AbortSignal,
): Promise<SchemaTypes[N]> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetcher(url, { ...init, signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
  } catch (cause) {
    if (timeout.aborted) throw new ClientError("client.timeout", url, { cause });
    // `fetch` reports every failure of the network as a TypeError.
    if (cause instanceof TypeError) throw new ClientError("client.unreachable", url, { cause });
    throw cause;
  }
  if (!response.ok) throw await toError(response);
  const bytes = await readBounded(response.body, ANSWER_BYTES);
  let value: unknown = null;
  try {
    if (bytes) value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ClientError("client.answer_invalid", `${url}: not JSON`, { cause });
  }
  const checked = validate(shape, value);
  if (!checked.ok) throw new ClientError("client.answer_invalid", `${url}: ${checked.errors[0]}`);
  return checked.value;
}
