import fc from "fast-check";
import { expect, it } from "vitest";
import { b64uEncode, jwsSign, jwsSignNative, jwsVerify, publicKey } from "./index.ts";

it("signs byte for byte what the core's own signer signs, whatever the key, the header and the payload", async () => {
  const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const names = fc.stringMatching(/^[a-z0-9-]{1,64}$/);
  const payloads = fc.dictionary(
    fc.string({ unit: "grapheme" }),
    fc.oneof(fc.maxSafeInteger(), fc.string(), fc.boolean()),
  );
  await fc.assert(
    fc.asyncProperty(seeds, names, names, payloads, async (seed, kid, typ, payload) => {
      const native = await jwsSignNative({ seed: b64uEncode(seed), typ, kid, payload });
      expect(native).toBe(jwsSign({ seed, typ, kid, payload }));
      const { header } = jwsVerify({ jws: native, typ, x: b64uEncode(publicKey(seed)) });
      expect(header).toEqual({ alg: "EdDSA", kid, typ });
    }),
  );
});

it("keeps keys apart that share a name, and signs on after more keys than it keeps", async () => {
  const common = { typ: "t+jwt", kid: "k", payload: { a: 1 } };
  const seeds = Array.from({ length: 70 }, (_, i) => new Uint8Array(32).fill(i));
  for (const seed of [...seeds, ...seeds]) {
    expect(await jwsSignNative({ ...common, seed: b64uEncode(seed) })).toBe(jwsSign({ ...common, seed }));
  }
});

it("refuses a seed of another length", async () => {
  await expect(jwsSignNative({ seed: "AAAA", typ: "t", kid: "k", payload: {} })).rejects.toThrow();
});
