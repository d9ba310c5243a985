/** What the log signed, checked with node:crypto against the keys that the gateway publishes: nothing of the core. */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { AuditPromise } from "@talos/contracts";

export type Keys = Map<string, KeyObject>;

interface Document {
  verificationMethod: { id: string; publicKeyJwk: { kty: string; crv: string; x: string } }[];
}

/** The keys that a gateway publishes at the moment, by kid. */
export async function publishedKeys(origin: string): Promise<Keys> {
  const document = (await (await fetch(`${origin}/.well-known/did.json`)).json()) as Document;
  return new Map(
    document.verificationMethod.map(({ id, publicKeyJwk }) => [
      id.split("#")[1]!,
      createPublicKey({ key: publicKeyJwk, format: "jwk" }),
    ]),
  );
}

/**
 * The payload of a compact JWS.
 * @throws Error when its type is another, its kid not published, or the signature not of that key
 */
export function verified<T = AuditPromise>(jws: string, typ: string, keys: Keys): T {
  const [header, payload, signature] = jws.split(".") as [string, string, string];
  const said = JSON.parse(Buffer.from(header, "base64url").toString()) as { alg: string; typ: string; kid: string };
  const key = keys.get(said.kid);
  if (said.alg !== "EdDSA" || said.typ !== typ) throw new Error(`not a ${typ}: ${JSON.stringify(said)}`);
  if (key === undefined) throw new Error(`no published key ${said.kid}`);
  const bytes = Buffer.from(signature, "base64url");
  if (!verify(null, Buffer.from(`${header}.${payload}`), key, bytes)) throw new Error("the signature is not its key's");
  return JSON.parse(Buffer.from(payload, "base64url").toString()) as T;
}

export const promised = (jws: string, keys: Keys): AuditPromise => verified(jws, "talos-promise+jwt", keys);
