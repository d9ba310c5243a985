/**
 * Signing secrets of sinks: 32 random bytes each, sealed under the `sink` keyset (AES-256-GCM, bound to tenant, sink,
 * key and scheme), and what they sign. Source: contracts/spec/webhooks.md#signatures, contracts/spec/keys.md.
 */
import { type Keysets, type SinkKey, TalosError } from "@talos/contracts";
import { b64uDecode, b64uEncode, publicKey } from "@talos/core";
import { openingKeys, primaryKey } from "./keysets.ts";

export type Algorithm = SinkKey["algorithm"];

/** A secret as it lies in a row. */
export interface StoredKey {
  id: string;
  algorithm: Algorithm;
  /** key of the `sink` keyset that sealed it */
  kid: string;
  /** base64url of a 12-byte nonce and the ciphertext */
  sealed: string;
  public_key: string | null;
  created_ms: number;
  expires_ms: number | null;
}

const NONCE = 12;
/** PKCS #8 of an Ed25519 seed, up to the seed (RFC 8410 §7). */
const PKCS8 = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]);
const utf8 = new TextEncoder();
const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

const boundTo = (sink: string, { id, algorithm }: Pick<StoredKey, "id" | "algorithm">): Uint8Array =>
  utf8.encode(`talos.sink.v1:${sink}:${id}:${algorithm}`);

const aesKey = (key: string, use: "encrypt" | "decrypt"): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", b64uDecode(key) as BufferSource, "AES-GCM", false, [use]);

async function seal(keysets: Keysets, sink: string, of: Pick<StoredKey, "id" | "algorithm">, secret: Uint8Array) {
  const { kid, key } = primaryKey(keysets, "sink");
  const iv = crypto.getRandomValues(new Uint8Array(NONCE));
  const how = { name: "AES-GCM", iv, additionalData: boundTo(sink, of) as BufferSource };
  const sealed = await crypto.subtle.encrypt(how, await aesKey(key, "encrypt"), secret as BufferSource);
  return { kid, sealed: b64uEncode(Uint8Array.from([...iv, ...new Uint8Array(sealed)])) };
}

/** A new secret. `shown` is what the receiver needs of an HMAC secret; an Ed25519 seed is shown to nobody. */
export async function newKey(
  keysets: Keysets,
  sink: string,
  algorithm: Algorithm,
  nowMs: number,
): Promise<{ key: StoredKey; shown?: string }> {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const of = { id: b64uEncode(crypto.getRandomValues(new Uint8Array(16))), algorithm };
  const sealed = await seal(keysets, sink, of, secret);
  const public_key = algorithm === "v1a" ? `whpk_${base64(publicKey(secret))}` : null;
  const key = { ...of, ...sealed, public_key, created_ms: nowMs, expires_ms: null };
  return algorithm === "v1" ? { key, shown: shownOf(secret) } : { key };
}

const shownOf = (secret: Uint8Array): string => `whsec_${base64(secret)}`;

/** @throws `config.incomplete` when the key that sealed it is not among the keysets any more */
async function open(keysets: Keysets, sink: string, stored: StoredKey, nowMs: number): Promise<Uint8Array> {
  const opening = openingKeys(keysets, "sink", nowMs).find(({ kid }) => kid === stored.kid);
  if (opening === undefined) throw new TalosError("config.incomplete", { missing: [`sink key ${stored.kid}`] });
  const bytes = b64uDecode(stored.sealed);
  const how = { name: "AES-GCM", iv: bytes.slice(0, NONCE), additionalData: boundTo(sink, stored) as BufferSource };
  const opened = await crypto.subtle.decrypt(how, await aesKey(opening.key, "decrypt"), bytes.slice(NONCE));
  return new Uint8Array(opened);
}

/** The secret of an HMAC key, once more; for the answer to a creation that is repeated. */
export async function shownAgain(keysets: Keysets, sink: string, stored: StoredKey, nowMs: number) {
  return stored.algorithm === "v1" ? shownOf(await open(keysets, sink, stored, nowMs)) : undefined;
}

/** Signs what one delivery is; `rewrapped` is the row under today's primary, where it was sealed by an older one. */
export interface Signer {
  id: string;
  rewrapped?: Pick<StoredKey, "kid" | "sealed">;
  sign(text: string): Promise<string>;
}

/** @throws `config.incomplete` */
export async function signerOf(keysets: Keysets, sink: string, stored: StoredKey, nowMs: number): Promise<Signer> {
  const secret = await open(keysets, sink, stored, nowMs);
  const old = stored.kid !== primaryKey(keysets, "sink").kid;
  const rewrapped = old ? { rewrapped: await seal(keysets, sink, stored, secret) } : {};
  const { id, algorithm } = stored;
  const [format, bytes, how] =
    algorithm === "v1a"
      ? (["pkcs8", Uint8Array.from([...PKCS8, ...secret]), { name: "Ed25519" }] as const)
      : (["raw", secret, { name: "HMAC", hash: "SHA-256" }] as const);
  const key = await crypto.subtle.importKey(format, bytes as BufferSource, how, false, ["sign"]);
  const sign = async (text: string): Promise<string> => {
    const signature = await crypto.subtle.sign(how.name, key, utf8.encode(text) as BufferSource);
    return `${algorithm},${base64(new Uint8Array(signature))}`;
  };
  return { id, ...rewrapped, sign };
}

/** The headers of Standard Webhooks; a signature by each secret, newest first. */
export async function signedHeaders(
  signers: readonly Signer[],
  id: string,
  body: string,
  nowMs: number,
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signatures = await Promise.all(signers.map((signer) => signer.sign(`${id}.${timestamp}.${body}`)));
  return {
    "content-type": "application/cloudevents+json; charset=utf-8",
    "user-agent": "Talos-Webhooks/1",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures.join(" "),
  };
}
