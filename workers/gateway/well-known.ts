/** The gateway's own identity and its contract, for anyone. Source: contracts/spec/identity.md#the-gateways-document. */
import openapi from "@talos/contracts/gen/openapi.json" with { type: "json" };
import { didDocument } from "@talos/core";
import type { AppContext } from "../shared/ports.ts";
import { configOf, inUse } from "./config.ts";

/** Keys are staged long before they sign, so a copy a minute old misses none. */
const CACHE = "public, max-age=60";

const asJson = (value: unknown, type: string): Response =>
  new Response(JSON.stringify(value), { headers: { "content-type": type, "cache-control": CACHE } });

export function didJson(c: AppContext): Response {
  const { did, published } = configOf(c.env, c.get("now_ms"));
  const keys = inUse(published, c.get("now_ms")).map(({ kid, x }) => ({ kid, x }));
  return asJson(didDocument(did, keys), "application/did+json");
}

export function keyDirectory(c: AppContext): Response {
  const { published } = configOf(c.env, c.get("now_ms"));
  const keys = inUse(published, c.get("now_ms")).map(({ x, jkt }) => ({ kty: "OKP", crv: "Ed25519", x, kid: jkt }));
  return asJson({ keys }, "application/http-message-signatures-directory+json");
}

export const openapiJson = (): Response => asJson(openapi, "application/json");
