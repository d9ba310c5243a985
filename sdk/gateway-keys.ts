import type { PublishedKey } from "@talos/core";
import { ClientError, isRecord, readBounded } from "./errors.ts";

/** The gateway's name and the keys that it signs statements, promises and heads with. */
export interface GatewayIdentity {
  did: string;
  keys: PublishedKey[];
}

/** A document holds a dozen keys of about 250 bytes. */
const DOCUMENT_BYTES = 65_536;
const FETCH_TIMEOUT_MS = 10_000;

/** The `did:web` of an origin: port and all, no path (W3C did:web §2.5). */
export function didOfOrigin(origin: string): string {
  return `did:web:${new URL(origin).host.replace(":", "%3A")}`;
}

/**
 * Fetch and check the gateway's DID document from its origin. Trust is the origin's TLS (loopback in development);
 * whoever wants none of that pins an identity instead.
 * @throws `client.unreachable`, `client.gateway_identity`
 */
export async function fetchGatewayIdentity(origin: string, fetcher: typeof fetch = fetch): Promise<GatewayIdentity> {
  const did = didOfOrigin(origin);
  let response: Response;
  try {
    response = await fetcher(`${origin}/.well-known/did.json`, {
      redirect: "manual", // another origin's document says nothing about this one
      headers: { accept: "application/did+json, application/json" },
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
  } catch (cause) {
    throw new ClientError("client.unreachable", `${origin}/.well-known/did.json`, { cause });
  }
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new ClientError("client.gateway_identity", `${origin}/.well-known/did.json answered ${response.status}`);
  }
  const bytes = await readBounded(response.body, DOCUMENT_BYTES);
  if (!bytes) throw new ClientError("client.gateway_identity", "the document is too large");
  return parseDidDocument(new TextDecoder().decode(bytes), did);
}

/**
 * The Ed25519 assertion keys of a DID document.
 * @throws `client.gateway_identity` when it is another DID's or holds none
 */
export function parseDidDocument(text: string, did: string): GatewayIdentity {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new ClientError("client.gateway_identity", "the document is not JSON", { cause });
  }
  if (!isRecord(document) || document.id !== did) {
    throw new ClientError("client.gateway_identity", `the document is not ${did}'s`);
  }
  const asserted = new Set(Array.isArray(document.assertionMethod) ? document.assertionMethod : []);
  const methods = Array.isArray(document.verificationMethod) ? document.verificationMethod : [];
  const keys: PublishedKey[] = [];
  for (const method of methods) {
    if (!isRecord(method) || typeof method.id !== "string" || !asserted.has(method.id)) continue;
    const jwk = method.publicKeyJwk;
    if (!method.id.startsWith(`${did}#`) || !isRecord(jwk)) continue;
    if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519" || typeof jwk.x !== "string") continue;
    keys.push({ kid: method.id.slice(did.length + 1), x: jwk.x });
  }
  if (keys.length === 0) throw new ClientError("client.gateway_identity", "the document publishes no key");
  return { did, keys };
}
