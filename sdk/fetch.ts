import { LIMITS } from "@talos/contracts";
import { audienceOf } from "./capability.ts";
import { type CallKind, ClassMemory, kindOf } from "./classes.ts";
import { ClientError, type GatewayProblem, GatewayError, parseProblem, readBounded } from "./errors.ts";
import { fetchGatewayIdentity, type GatewayIdentity } from "./gateway-keys.ts";
import type { Key } from "./keys.ts";
import { openSession, type Session } from "./session.ts";
import { macHeaders, type Signable, signedHeaders } from "./signer.ts";

export interface FetchOptions {
  /** the capability: links joined by `~`, the last one held by `key` */
  chain: string;
  key: Key;
  /** which tenant to talk to; needed only when the capability is for several */
  aud?: string;
  /** open a session and use it (default); false signs every request with the whole chain */
  session?: boolean;
  /** ask for a session that may write (default true) */
  writes?: boolean;
  /** pins the gateway's DID and keys; fetched once from its origin when absent */
  gateway?: GatewayIdentity;
  /** the fetch underneath */
  fetch?: typeof fetch;
  /** milliseconds since the epoch */
  now?: () => number;
  /** sees every answer's headers: the intent's id and its signed promise are there */
  onAnswer?: (answer: Answered) => void;
}

export interface Answered {
  method: string;
  url: string;
  status: number;
  headers: Headers;
  /** which proof the request carried */
  proof: "signed" | "session_signed" | "session_mac";
}

/** A refusal's body is short; what is longer is not ours. */
const REFUSAL_BYTES = 65_536;
/** Set by us alone: a caller's value would either be refused or be a proof that we did not make. */
const OWN_HEADERS = ["talos-capability", "talos-ticket", "signature", "signature-input", "content-digest"];

/**
 * A drop-in `fetch` for one capability. Every request is signed (contracts/spec/proof.md); sessions are opened, renewed
 * and reopened as needed; what the gateway called a read is proved by the session's MAC, everything else by Ed25519.
 * It refuses addresses outside the capability's audience, follows no redirect, and sends nothing again that may have
 * had an effect.
 */
export function createFetch(options: FetchOptions): typeof fetch {
  const transport = new Transport(options);
  return (input, init) => transport.send(input, init);
}

/** The state behind {@link createFetch}: one capability, its session, the classes learned. */
export class Transport {
  readonly aud: string;
  readonly origin: string;
  readonly tenant: string;
  readonly chain: string;
  readonly key: Key;
  readonly now: () => number;
  readonly #options: FetchOptions;
  /** the fetch underneath, unsigned: for what proves itself */
  readonly plainFetch: typeof fetch;
  readonly #classes = new ClassMemory();
  #gateway: Promise<GatewayIdentity> | null = null;
  #current: Session | null = null;
  #opening: Promise<Session> | null = null;

  constructor(options: FetchOptions) {
    const { aud, origin, tenant } = audienceOf(options.chain, options.aud);
    // In plain text anyone on the way could answer as the gateway: its identity would be theirs to choose.
    if (!origin.startsWith("https://") && !isLoopback(origin) && !options.gateway) {
      throw new ClientError("client.usage", `${origin} is neither https nor loopback; pin the gateway's identity`);
    }
    this.aud = aud;
    this.origin = origin;
    this.tenant = tenant;
    this.chain = options.chain;
    this.key = options.key;
    this.now = options.now ?? Date.now;
    this.#options = options;
    this.plainFetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** The gateway's DID and keys: pinned, or fetched once. */
  gateway(): Promise<GatewayIdentity> {
    if (this.#options.gateway) return Promise.resolve(this.#options.gateway);
    this.#gateway ??= fetchGatewayIdentity(this.origin, this.plainFetch).catch((error) => {
      this.#gateway = null; // a failure is not an identity: the next call asks again
      throw error;
    });
    return this.#gateway;
  }

  /** The session in use, opened when there is none or its end is near. */
  session(signal?: AbortSignal): Promise<Session> {
    if (this.#current?.isFresh(this.now())) return Promise.resolve(this.#current);
    // One opening serves every request that waits; a caller that gives up does not take it from the others.
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return withSignal(this.#opening, signal);
  }

  async #open(): Promise<Session> {
    const { aud, tenant, chain, key, now } = this;
    const gateway = await this.gateway();
    const ask = { aud, tenant, chain, key, now, gateway, fetch: this.plainFetch, writes: this.#options.writes ?? true };
    try {
      this.#current = await openSession(ask);
    } catch (error) {
      if (error instanceof GatewayError) this.#checkClock(error.problem, error.problem.request_id ?? null);
      throw error;
    }
    return this.#current;
  }

  /** `fetch`, signed. @throws ClientError before anything is sent; what the fetch underneath throws */
  async send(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const request = toRequest(input, init);
    const url = this.#ownUrl(request.url);
    const body = await withSignal(readBounded(request.body, LIMITS.body_bytes), request.signal);
    if (!body) throw new ClientError("client.body_too_large", `the limit is ${LIMITS.body_bytes} bytes`);
    const kind = kindOf(request.method, url, body);
    const headers = ownHeaders(request.headers, kind);

    for (let attempt = 0; ; attempt++) {
      const session = this.#options.session === false ? null : await this.session(request.signal);
      const sent = this.#prove({ request, url, body, headers, kind, session });
      const response = await this.plainFetch(url.href, {
        method: request.method,
        headers: sent.headers,
        redirect: "manual", // the proof is for this address; another one has no business with the capability
        signal: request.signal,
        ...(request.body === null ? {} : { body }),
      });
      this.#classes.learn(kind, response.headers.get("talos-class"));
      this.#options.onAnswer?.({
        method: request.method,
        url: url.href,
        status: response.status,
        headers: response.headers,
        proof: sent.proof,
      });
      if (response.status !== 401) return response;
      const { problem, again } = await peek(response);
      if (attempt > 0 || !problem || !(await this.#recover(problem, response, session, sent.proof, kind)))
        return again();
    }
  }

  /**
   * What to do about a 401. It is the answer of the checks before admission (contracts/spec/capability.md#decision):
   * nothing was consumed and nothing left the gateway, so one more try repeats no effect.
   * @returns whether to try once more
   */
  async #recover(
    problem: GatewayProblem,
    response: Response,
    session: Session | null,
    proof: Answered["proof"],
    kind: CallKind,
  ): Promise<boolean> {
    this.#checkClock(problem, response.headers.get("x-request-id"));
    if (!session) return false;
    if (problem.code === "PROOF_INVALID" && proof === "session_mac") {
      this.#classes.unlearn(kind); // the registry's class may have changed: sign it
      return true;
    }
    // EXPIRED: its life or the gateway's core; MALFORMED: no key of the gateway opens the ticket any more.
    if (problem.code !== "EXPIRED" && problem.code !== "MALFORMED") return false;
    if (this.#current === session) this.#current = null;
    try {
      await this.session();
      return true;
    } catch (error) {
      if (error instanceof GatewayError) return false; // the capability itself is at its end: the first answer says so
      throw error;
    }
  }

  #prove(sending: {
    request: Request;
    url: URL;
    body: Uint8Array;
    headers: Headers;
    kind: CallKind;
    session: Session | null;
  }): { headers: Headers; proof: Answered["proof"] } {
    const { session, url } = sending;
    const signable: Signable = {
      method: sending.request.method,
      target_uri: url.origin + url.pathname + url.search,
      headers: sending.headers,
      body: sending.body,
      aud: this.aud,
      tenant: this.tenant,
      now_ms: this.now(),
    };
    const mac = session !== null && this.#classes.isRead(sending.kind);
    const proof = session === null ? "signed" : mac ? "session_mac" : "session_signed";
    const added =
      session === null
        ? signedHeaders(signable, { kind: "capability", chain: this.chain }, this.key)
        : mac
          ? macHeaders(signable, session.ticket, session.client, session.takeSequence())
          : signedHeaders(signable, { kind: "ticket", ticket: session.ticket }, this.key);
    const headers = new Headers(sending.headers);
    for (const [name, value] of Object.entries(added)) headers.set(name, value);
    return { headers, proof };
  }

  /** A capability is shown to its audience only: any other address is refused before anything is sent. */
  #ownUrl(text: string): URL {
    const url = new URL(text);
    url.hash = "";
    const own = url.origin === this.origin && url.pathname.startsWith(`/t/${this.tenant}/`);
    if (!own || url.username !== "" || url.password !== "") {
      throw new ClientError("client.foreign_url", `${url.origin}${url.pathname} is not under ${this.aud}`);
    }
    return url;
  }

  /** A refused proof with a clock apart: say that, since nothing in the answer does. */
  #checkClock(problem: GatewayProblem, request_id: string | null): void {
    if (problem.code !== "PROOF_INVALID" && problem.code !== "NOT_YET_VALID") return;
    const theirs = timeOfId(request_id);
    if (theirs === null) return;
    const ahead = Math.round((this.now() - theirs) / 1000);
    if (Math.abs(ahead) <= LIMITS.proof_skew_seconds) return;
    const which = ahead > 0 ? "ahead of" : "behind";
    throw new ClientError(
      "client.clock_skew",
      `it is ${Math.abs(ahead)} s ${which} the gateway's; set it and try again`,
    );
  }
}

function isLoopback(origin: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(origin).hostname);
}

/** The time in a UUIDv7 (RFC 9562 §5.7): the gateway gives every answer one, and a Date header not always. */
export function timeOfId(id: string | null): number | null {
  if (id === null || !/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id)) return null;
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

function toRequest(input: string | URL | Request, init?: RequestInit): Request {
  // The fetch standard asks for `duplex` with a stream body; callers of a drop-in need not know.
  const stream = init?.body instanceof ReadableStream ? { duplex: "half" } : {};
  return new Request(input, { ...init, ...stream, redirect: "manual" } as RequestInit);
}

function ownHeaders(given: Headers, kind: CallKind): Headers {
  const headers = new Headers(given);
  for (const name of OWN_HEADERS) headers.delete(name);
  if (!kind.mcp) return headers;
  headers.delete("mcp-method");
  headers.delete("mcp-name");
  const { method, name } = kind.mcp;
  if (isCoverable(method)) headers.set("mcp-method", method);
  if (name !== undefined && isCoverable(name)) headers.set("mcp-name", name);
  return headers;
}

/** Visible ASCII and single spaces, within the bound: all that a covered header may hold. */
function isCoverable(value: string): boolean {
  return value.length <= LIMITS.covered_header_bytes && /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(value);
}

async function peek(response: Response): Promise<{ problem: GatewayProblem | null; again: () => Response }> {
  const bytes = await readBounded(response.body, REFUSAL_BYTES);
  if (!bytes) throw new ClientError("client.answer_invalid", `a refusal of more than ${REFUSAL_BYTES} bytes`);
  const { status, statusText, headers } = response;
  return {
    problem: parseProblem(new TextDecoder().decode(bytes), status),
    again: () => new Response(bytes, { status, statusText, headers }),
  };
}

function withSignal<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort(); // before anything is sent
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
