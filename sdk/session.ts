import { validate } from "@talos/contracts";
import { type ClientSession, sessionFinish, sessionShare } from "@talos/core";
import { ClientError, readBounded, toError } from "./errors.ts";
import type { GatewayIdentity } from "./gateway-keys.ts";
import type { Key } from "./keys.ts";
import { signedHeaders } from "./signer.ts";

/** An answer holds a ticket and a statement. */
const ANSWER_BYTES = 65_536;
const OPEN_TIMEOUT_MS = 15_000;
/** Renew this long before the end, so that a proof made now does not arrive after it. Seconds. */
const RENEW_BEFORE_SECONDS = 20;

export interface SessionAsk {
  aud: string;
  tenant: string;
  chain: string;
  key: Key;
  writes: boolean;
  gateway: GatewayIdentity;
  fetch: typeof fetch;
  now: () => number;
}

/** An opened session. Sequence numbers are handed out once each, in order; two requests never share one. */
export class Session {
  readonly ticket: string;
  readonly client: ClientSession;
  #next = 0n;

  constructor(ticket: string, client: ClientSession) {
    this.ticket = ticket;
    this.client = client;
  }

  /** Taken whether or not the request arrives: a number that may have been seen is never used again. */
  takeSequence(): bigint {
    return this.#next++;
  }

  isFresh(now_ms: number): boolean {
    return now_ms / 1000 < this.client.expires_at - RENEW_BEFORE_SECONDS;
  }

  /** Kept out of logs: it holds the MAC key. */
  toJSON(): { session_id: string; expires_at: number; writes: boolean } {
    const { session_id, expires_at, writes } = this.client;
    return { session_id, expires_at, writes };
  }
}

/**
 * Open a session: a signed request with a fresh X25519 share; the gateway's statement is verified against its keys
 * before the MAC key is used (contracts/spec/session.md#opening).
 * @throws GatewayError as refused; `client.statement_invalid` when the statement is not about this session
 */
export async function openSession(ask: SessionAsk): Promise<Session> {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const body = new TextEncoder().encode(JSON.stringify({ share: sessionShare(secret), writes: ask.writes }));
  const url = `${ask.aud}/v1/sessions`;
  const headers = new Headers({ "content-type": "application/json" });
  const signable = {
    method: "POST",
    target_uri: url,
    headers,
    body,
    aud: ask.aud,
    tenant: ask.tenant,
    now_ms: ask.now(),
  };
  for (const [name, value] of Object.entries(
    signedHeaders(signable, { kind: "capability", chain: ask.chain }, ask.key),
  )) {
    headers.set(name, value);
  }
  const signal = AbortSignal.timeout(OPEN_TIMEOUT_MS);
  let response: Response;
  try {
    response = await ask.fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
  } catch (cause) {
    throw new ClientError(signal.aborted ? "client.timeout" : "client.unreachable", url, { cause });
  }
  if (response.status !== 201) throw await toError(response);
  const answer = parseAnswer(await readBounded(response.body, ANSWER_BYTES));
  try {
    const client = sessionFinish({
      secret,
      response: answer,
      chain: ask.chain,
      gateway_keys: ask.gateway.keys,
      gateway_did: ask.gateway.did,
      aud: ask.aud,
      now_ms: ask.now(),
    });
    return new Session(answer.ticket, client);
  } catch (cause) {
    throw new ClientError("client.statement_invalid", "of the opened session", { cause });
  }
}

function parseAnswer(bytes: Uint8Array | null) {
  let value: unknown = null;
  try {
    if (bytes) value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ClientError("client.answer_invalid", "the session's answer is not JSON", { cause });
  }
  const checked = validate("session/response", value);
  if (!checked.ok) throw new ClientError("client.answer_invalid", `the session's answer: ${checked.errors[0]}`);
  return checked.value;
}
