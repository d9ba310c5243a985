import { b64uDecode, b64uEncode, didJwk, didKey, ed25519Sign, publicKey, thumbprint } from "@talos/core";
import { ClientError, isRecord } from "./errors.ts";

/** An Ed25519 public key, RFC 8037; exactly these members (contracts/spec/identity.md#keys). */
export interface PublicJwk {
  crv: "Ed25519";
  kty: "OKP";
  x: string;
}

/** The private form of RFC 8037: what a key file holds. */
export interface PrivateJwk extends PublicJwk {
  d: string;
}

/**
 * An Ed25519 key pair and its names. The seed is a private field: printing, inspecting or serialising a `Key` shows
 * its public half only. `secretJwk()` is the one way to the secret.
 */
export class Key {
  readonly jwk: PublicJwk;
  /** RFC 7638 thumbprint: the `keyid` of proofs. */
  readonly jkt: string;
  /** `did:key` form; agents are known by it. */
  readonly did: string;
  readonly #seed: Uint8Array;

  /** @param seed 32 bytes; copied */
  constructor(seed: Uint8Array) {
    if (seed.length !== 32) throw new ClientError("client.key_file", "an Ed25519 seed has 32 bytes");
    this.#seed = Uint8Array.from(seed);
    const x = b64uEncode(publicKey(this.#seed));
    this.jwk = { crv: "Ed25519", kty: "OKP", x };
    this.jkt = thumbprint(x);
    this.did = didKey(x);
  }

  /** A new key from the platform's random numbers. */
  static generate(): Key {
    return new Key(crypto.getRandomValues(new Uint8Array(32)));
  }

  /**
   * @throws `client.key_file` when it is not an Ed25519 private JWK, or `x` is not the public half of `d`
   */
  static fromJwk(value: unknown): Key {
    if (!isRecord(value) || value.kty !== "OKP" || value.crv !== "Ed25519") {
      throw new ClientError("client.key_file", "not an Ed25519 JWK");
    }
    if (typeof value.d !== "string" || typeof value.x !== "string") {
      throw new ClientError("client.key_file", "a private JWK has `d` and `x`");
    }
    const key = new Key(decode(value.d));
    // A pair whose halves disagree would sign under a name that is not its own.
    if (key.jwk.x !== value.x) throw new ClientError("client.key_file", "`x` is not the public half of `d`");
    return key;
  }

  /** The same key as a `did:jwk`, for services. */
  get didJwk(): string {
    return didJwk(this.jwk.x);
  }

  sign(message: Uint8Array): Uint8Array {
    return ed25519Sign(this.#seed, message);
  }

  /** The seed, for the core's signing functions. Handle it like the key itself. */
  seed(): Uint8Array {
    return Uint8Array.from(this.#seed);
  }

  /** The private JWK. This is the secret: store it with mode 0600 and nowhere else. */
  secretJwk(): PrivateJwk {
    return { ...this.jwk, d: b64uEncode(this.#seed) };
  }

  toJSON(): { did: string; jkt: string; jwk: PublicJwk } {
    return { did: this.did, jkt: this.jkt, jwk: this.jwk };
  }
}

function decode(text: string): Uint8Array {
  try {
    return b64uDecode(text);
  } catch (cause) {
    throw new ClientError("client.key_file", "`d` is not base64url", { cause });
  }
}
