/** Ed25519 by WebCrypto over the texts of notes. */

/** What stands before the seed in PKCS #8 (RFC 8410 §7). */
const PKCS8 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/** @param seed 32 bytes */
export async function signText(seed: Uint8Array, text: string): Promise<Uint8Array> {
  const pkcs8 = Uint8Array.from([...PKCS8, ...seed]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key, new TextEncoder().encode(text)));
}
