import { type Decision, ERRORS, type Keysets, type PolicySnapshot } from "@talos/contracts";
import {
  b64uDecode,
  b64uEncode,
  begin,
  didDocument,
  encodeRequest,
  filterBuild,
  filterLoad,
  finish,
  type KeyringHandle,
  keyringLoad,
  openSession,
  type PolicyHandle,
  policyLoad,
  policySign,
  REQUEST_HEADERS,
  type RequestHeaders,
  type RequestParts,
  type SealingKey,
  verifyChecks,
  verifyRevocation,
} from "@talos/core";
import { grant, Key, newId } from "@talos/sdk";
import { generateKeysets, promoteKeys, stageKeys } from "@talos/sdk/node";

/** A request as the gateway saw it, with what it decided. */
export interface Seen {
  method: string;
  path: string;
  headers: Headers;
  body: string;
  form?: string;
  decision: Decision;
}

/**
 * A gateway without network, for the SDK's tests: the same core that runs at the edge judges every request, so what
 * passes here is a proof that the edge takes. Admission and upstreams are not its business.
 */
export class CoreGateway {
  readonly origin = "https://gateway.test";
  readonly tenant = "default";
  readonly aud = `${this.origin}/t/${this.tenant}`;
  readonly did = "did:web:gateway.test";
  readonly operator = Key.generate();
  readonly seen: Seen[] = [];
  /** added to the clock of the client to give the gateway's, ms */
  skew_ms = 0;
  /** answers allowed requests; by default 200 with an empty JSON object */
  answer: (request: Request, seen: Seen) => Response | Promise<Response> = () => Response.json({});
  now: () => number = Date.now;

  #keysets: Keysets = generateKeysets("development", Date.now());
  #tickets: KeyringHandle;
  #policy: PolicyHandle;
  readonly #publisher = Key.generate();
  #version = 0;

  constructor(tools: Partial<Record<string, "read" | "write">>) {
    this.#tickets = this.#ring();
    this.#policy = this.#load(tools);
  }

  /** Hand this to the SDK as its `fetch`. */
  readonly fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const response = await this.#serve(request);
    response.headers.set("x-request-id", newId(this.now() + this.skew_ms));
    return response;
  };

  /** What the core says to a revocation: the printed entries. @throws its refusal */
  revocation(statement: string, chain: string): string[] {
    return verifyRevocation({ statement, chain, aud: this.aud, now_ms: this.now(), policy: this.#policy }).entries;
  }

  /** Change the registry's classes, as a new policy would. */
  setTools(tools: Partial<Record<string, "read" | "write">>): void {
    this.#policy = this.#load(tools);
  }

  /** Replace the ticket keys so that no ticket of before opens. */
  forgetTickets(): void {
    const fresh = generateKeysets("development", Date.now());
    this.#keysets = { ...this.#keysets, purposes: { ...this.#keysets.purposes, ticket: fresh.purposes.ticket } };
    this.#tickets = this.#ring();
  }

  /** Rotate the ticket keys as an operator does. */
  rotateTickets(): void {
    const staged = stageKeys(this.#keysets, ["ticket"], Date.now());
    this.#keysets = promoteKeys(staged, ["ticket"], Date.now());
    this.#tickets = this.#ring();
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/.well-known/did.json") return Response.json(didDocument(this.did, this.#published()));
    const body = new Uint8Array(await request.arrayBuffer());
    const parts = this.#parts(request, url, body);
    const frame = encodeRequest(parts);
    const began = begin(frame, this.#policy, this.#tickets);
    if (began.status === "refused") return this.#refuse(request, url, body, began.decision);
    const verdicts = await verifyChecks(began.checks);
    const filter = this.#filter();
    const finished = finish(frame, this.#policy, filter, this.#tickets, verdicts);
    if (finished.status !== "decided") throw new Error("no revocation is in force here, and yet one was asked for");
    const { decision, request: facts } = finished;
    if (!decision.allow) return this.#refuse(request, url, body, decision);
    const seen: Seen = this.#note(request, url, body, decision);
    if (facts?.form) seen.form = facts.form;
    if (parts.surface !== "sessions.open") {
      const response = await this.answer(
        new Request(request.url, { method: request.method, headers: request.headers }),
        seen,
      );
      response.headers.set("talos-class", facts?.class ?? "read");
      return response;
    }
    const { response } = openSession({
      frame,
      policy: this.#policy,
      filter,
      tickets: this.#tickets,
      verdicts,
      receipt: this.#receipt(),
      gateway_did: this.did,
      session_id: crypto.getRandomValues(new Uint8Array(16)),
      server_secret: crypto.getRandomValues(new Uint8Array(32)),
      salt: crypto.getRandomValues(new Uint8Array(32)),
    });
    return Response.json(response, { status: 201 });
  }

  #parts(request: Request, url: URL, body: Uint8Array): RequestParts {
    const headers: RequestHeaders = {};
    for (const name of REQUEST_HEADERS) {
      const value = request.headers.get(name);
      if (value !== null) headers[name] = value;
    }
    const now_ms = this.now() + this.skew_ms;
    const server = /\/mcp\/([^/]+)$/.exec(url.pathname)?.[1];
    const surface = server
      ? `mcp.${request.method.toLowerCase()}`
      : SURFACES_BY_PATH[url.pathname.slice("/t/default".length)];
    return {
      surface: surface ?? "head.get",
      method: request.method,
      target_uri: url.origin + url.pathname + url.search,
      tenant: this.tenant,
      aud: this.aud,
      ...(server ? { server } : {}),
      headers,
      body,
      now_ms,
      head_as_of_ms: now_ms,
    };
  }

  #note(request: Request, url: URL, body: Uint8Array, decision: Decision): Seen {
    const { method, headers } = request;
    const seen = { method, path: url.pathname, headers, body: new TextDecoder().decode(body), decision };
    this.seen.push(seen);
    return seen;
  }

  #refuse(request: Request, url: URL, body: Uint8Array, decision: Decision): Response {
    this.#note(request, url, body, decision);
    const { status, message, retryable } = ERRORS[decision.code as keyof typeof ERRORS];
    const problem = {
      type: `urn:talos:error:${decision.code}`,
      title: message,
      status,
      code: decision.code,
      request_id: newId(this.now() + this.skew_ms),
      retryable,
      decision,
    };
    return Response.json(problem, { status, headers: { "content-type": "application/problem+json" } });
  }

  #load(tools: Partial<Record<string, "read" | "write">>): PolicyHandle {
    this.#version += 1;
    const entries = (Object.entries(tools) as [string, "read" | "write"][]).sort(([a], [b]) => (a < b ? -1 : 1));
    const rate = (name: string) => ({
      name,
      capacity: 100,
      refill_per_second: 100,
      link_share_percent: 50,
      concurrency: 9,
    });
    const snapshot = {
      v: 1,
      tenant: this.tenant,
      version: this.#version,
      anchors: [{ did: this.operator.did, jwk: this.operator.jwk }],
      dids: [],
      servers: [{ name: "demo", url: "https://upstream.test/mcp" }],
      tools: entries.map(([tool, value]) => ({ tool, class: value, actions: ["call"], rate_class: "read" })),
      rate_classes: [rate("control"), rate("read"), rate("session")],
      roles: [{ id: "all", grants: entries.map(([tool]) => grant({ tool, classes: ["read", "write"] })) }],
      bindings: [{ id: "everyone", role: "all", principal: "*", scope: { type: "global" } }],
      forbids: [],
      peps: [],
      revoked_keys: [],
      unregistered: "deny",
    } as unknown as PolicySnapshot;
    const { jws } = policySign({ seed: this.#publisher.seed(), snapshot });
    return policyLoad({ jws, tenant: this.tenant, publishers: [this.#publisher.jwk] });
  }

  #filter() {
    const { body, rev_hash } = filterBuild({ tenant: this.tenant, rev_seq: 0, entries: [] });
    return filterLoad({ body, tenant: this.tenant, expected_hash: rev_hash });
  }

  #ring(): KeyringHandle {
    return keyringLoad(this.#keysets.purposes.ticket as SealingKey[], "ticket");
  }

  #receipt(): { kid: string; seed: Uint8Array } {
    const primary = this.#keysets.purposes.receipt.find(({ status }) => status === "primary")!;
    return { kid: primary.kid, seed: b64uDecode(primary.key) };
  }

  #published(): { kid: string; x: string }[] {
    const { kid, seed } = this.#receipt();
    return [{ kid, x: b64uEncode(b64uDecode(new Key(seed).jwk.x)) }];
  }
}

const SURFACES_BY_PATH: Record<string, string> = {
  "/v1/sessions": "sessions.open",
  "/v1/authorize": "authorize",
  "/v1/authorize/batch": "authorize.batch",
  "/v1/head": "head.get",
};
