/**
 * What the byte-exact vectors are computed with: node:crypto and the text of the specification, nothing of the core. A
 * second implementation on purpose; where it and the core differ, one of them reads the specification wrongly.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  sign as nodeSign,
} from "node:crypto";

export const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
export const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest();
export const hash = (bytes: Uint8Array | string) => b64(sha256(bytes));

/** RFC 8785 for what vectors hold: no floats, so ECMAScript's own printing and order of code units is the whole of it. */
export function jcs(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jcs).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${jcs(member)}`).join(",")}}`;
}

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** base58btc of bytes that do not begin with zero, as the prefix 0xed01 sees to. */
export function base58(bytes: Uint8Array): string {
  let number = BigInt(`0x${hex(bytes)}`);
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return text;
}

export interface Key {
  seed: string;
  x: string;
  jwk: { crv: "Ed25519"; kty: "OKP"; x: string };
  jkt: string;
  did_key: string;
  did_jwk: string;
}

function privateKey(seed: Uint8Array, oid: "2b6570" | "2b656e"): KeyObject {
  const der = Buffer.concat([Buffer.from(`302e02010030050603${oid}04220420`, "hex"), seed]);
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

const publicBytes = (key: KeyObject) => createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);

/** The 32 bytes that a name stands for in every vector: SHA-256 of `talos vector: <name>`. */
export const seedOf = (name: string) => sha256(`talos vector: ${name}`);

export function keyOf(name: string): Key {
  const seed = seedOf(name);
  const x = publicBytes(privateKey(seed, "2b6570"));
  const jwk = { crv: "Ed25519", kty: "OKP", x: b64(x) } as const;
  const didKey = `did:key:z${base58(Buffer.concat([Buffer.from([0xed, 0x01]), x]))}`;
  return {
    seed: b64(seed),
    x: b64(x),
    jwk,
    jkt: hash(jcs(jwk)),
    did_key: didKey,
    did_jwk: `did:jwk:${b64(Buffer.from(jcs(jwk)))}`,
  };
}

export function ed25519(key: Key, message: Uint8Array | string): Buffer {
  return nodeSign(null, Buffer.from(message), privateKey(Buffer.from(key.seed, "base64url"), "2b6570"));
}

/** Compact JWS over exactly these texts; canonical or not is the caller's choice. */
export function jws(key: Key, header: string, payload: string): string {
  const input = `${b64(Buffer.from(header))}.${b64(Buffer.from(payload))}`;
  return `${input}.${b64(ed25519(key, input))}`;
}

export const x25519Public = (secret: Uint8Array) => publicBytes(privateKey(secret, "2b656e"));

export function x25519(secret: Uint8Array, peer: Uint8Array): Buffer {
  const der = Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), peer]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  return diffieHellman({ privateKey: privateKey(secret, "2b656e"), publicKey });
}

export const hkdf = (ikm: Uint8Array, salt: Uint8Array, info: Uint8Array | string) =>
  Buffer.from(hkdfSync("sha256", ikm, salt, info, 32));

export interface VectorFile {
  spec: string;
  description: string;
  cases: ({ name: string } & Record<string, unknown>)[];
  [more: string]: unknown;
}

/** The constants that every byte-exact vector shares. */
export const WORLD = {
  origin: "https://gateway.example",
  tenant: "default",
  aud: "https://gateway.example/t/default",
  gateway: "did:web:gateway.example",
  /** 2026-01-01T00:00:00Z, seconds. */
  now: 1767225600,
};
