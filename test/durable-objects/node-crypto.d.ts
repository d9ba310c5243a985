// What tests in workerd use of Node's own cryptography, as a second implementation beside ours; all of Node's types
// would declare the platform's globals a second time.
declare module "node:crypto" {
  interface Hmac {
    update(text: string): Hmac;
    digest(encoding: "base64"): string;
  }
  interface KeyObject {
    readonly asymmetricKeyType?: string;
  }
  export function randomInt(max: number): number;
  export function createHmac(algorithm: "sha256", key: Uint8Array): Hmac;
  export function createPublicKey(of: { key: { kty: "OKP"; crv: "Ed25519"; x: string }; format: "jwk" }): KeyObject;
  export function verify(algorithm: null, data: Uint8Array, key: KeyObject, signature: Uint8Array): boolean;
}
