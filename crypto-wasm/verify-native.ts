/**
 * Ed25519 by WebCrypto, once for every caller: the core's checks and the log's. Whoever calls has made the profile's
 * byte checks before (contracts/spec/identity.md); this is the equation alone.
 * @returns false also for a key or signature that WebCrypto cannot take
 * @throws any other failure of the runtime
 */
export async function verifyNative(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey("raw", key as BufferSource, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, signature as BufferSource, message as BufferSource);
  } catch (error) {
    // DataError is WebCrypto's answer to bytes that are no point; anything else is a failure of the runtime.
    if (error instanceof DOMException && error.name === "DataError") return false;
    throw error;
  }
}
