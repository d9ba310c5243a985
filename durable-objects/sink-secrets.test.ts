import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Keysets } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { developmentKeysets } from "../test/fixtures.ts";
import { newKey, shownAgain, signedHeaders, signerOf, type StoredKey } from "./sink-secrets.ts";
import { breakerMs, pauseMs } from "./sink-schedule.ts";

const NOW = Date.now();
const AES = { name: "AES-GCM" } as const;

/** A row that holds a given secret, sealed as the specification says and not by the code under test. */
async function sealed(keysets: Keysets, sink: string, secret: Uint8Array): Promise<StoredKey> {
  const [{ kid, key }] = keysets.purposes.sink as [Keysets["purposes"]["sink"][number]];
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const aes = await crypto.subtle.importKey("raw", Buffer.from(key, "base64url"), "AES-GCM", false, ["encrypt"]);
  const additionalData = new TextEncoder().encode(`talos.sink.v1:${sink}:id:v1`);
  const bytes = await crypto.subtle.encrypt({ ...AES, iv, additionalData }, aes, secret as BufferSource);
  const text = Buffer.concat([iv, new Uint8Array(bytes)]).toString("base64url");
  return { id: "id", algorithm: "v1", kid, sealed: text, public_key: null, created_ms: NOW, expires_ms: null };
}

describe("signatures", () => {
  it.skipIf(process.env.TALOS_VECTORS_DIR === undefined)(
    "are those of the published Standard Webhooks vectors",
    async () => {
      const path = join(process.env.TALOS_VECTORS_DIR ?? "", "webhooks/standard-webhooks.json");
      const { vectors } = JSON.parse(readFileSync(path, "utf8")) as {
        vectors: { secret: string; msg_id: string; timestamp: number; payload: string; signature: string }[];
      };
      expect(vectors.length).toBeGreaterThan(0);
      const keysets = developmentKeysets();
      for (const { secret, msg_id, timestamp, payload, signature } of vectors) {
        const row = await sealed(keysets, "t/s", Buffer.from(secret.slice(6), "base64"));
        const signer = await signerOf(keysets, "t/s", row, NOW);
        const headers = await signedHeaders([signer], msg_id, payload, timestamp * 1_000 + 999);
        expect(headers).toMatchObject({
          "webhook-id": msg_id,
          "webhook-timestamp": String(timestamp),
          "webhook-signature": signature,
        });
      }
    },
  );

  it("of a secret that is another sink's, another key's or another scheme's row cannot be made", async () => {
    const keysets = developmentKeysets();
    const { key, shown } = await newKey(keysets, "t/s", "v1", NOW);
    expect(shown).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await shownAgain(keysets, "t/s", key, NOW)).toBe(shown);
    await expect(signerOf(keysets, "t/other", key, NOW)).rejects.toThrow();
    await expect(signerOf(keysets, "t/s", { ...key, id: "other" }, NOW)).rejects.toThrow();
    await expect(signerOf(keysets, "t/s", { ...key, algorithm: "v1a" }, NOW)).rejects.toThrow();
    await expect(signerOf(developmentKeysets("2"), "t/s", key, NOW)).rejects.toMatchObject({
      code: "config.incomplete",
    });
    const ed = await newKey(keysets, "t/s", "v1a", NOW);
    expect(ed).not.toHaveProperty("shown");
    expect(await shownAgain(keysets, "t/s", ed.key, NOW)).toBeUndefined();
  });
});

describe("the schedule", () => {
  it("has nine pauses of 75 h 35 min in all, a fifth of jitter, and then an end", () => {
    const pauses = Array.from({ length: 10 }, (_, i) => pauseMs(i + 1, undefined, 0.5));
    expect(pauses.at(-1)).toBeNull();
    expect(pauses.reduce<number>((sum, pause) => sum + (pause ?? 0), 0) / 1_000).toBe(75 * 3_600 + 35 * 60 + 5);
    expect([pauseMs(2, undefined, 0), pauseMs(2, undefined, 1)]).toEqual([240_000, 360_000]);
  });

  it("is lengthened by Retry-After, never shortened, up to a day", () => {
    expect(pauseMs(1, 60, 0.5)).toBe(60_000);
    expect(pauseMs(3, 1, 0.5)).toBe(1_800_000);
    expect(pauseMs(1, 10 ** 9, 0.5)).toBe(86_400_000);
    expect(pauseMs(10, 60, 0.5)).toBeNull();
  });

  it("meets a breaker after ten failures, which doubles up to an hour", () => {
    expect([0, 9, 10, 11, 12, 17, 1_000].map(breakerMs)).toEqual([0, 0, 30_000, 60_000, 120_000, 3_600_000, 3_600_000]);
  });
});
