/** Keys for tests inside workerd: made anew at every run, so that none can be mistaken for one of a deployment. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seedOfRun } from "./random.ts";

const PURPOSES = ["ticket", "mcp", "head", "promise", "receipt", "ip", "sink", "values"];

/** A tenant for each test, since objects keep their rows while a file runs. */
const tenants = Array.from({ length: 100 }, (_, i) => `tenant-${i}`);

/** Variables and secrets of the worker under test. `TEST_*` are the other side's private halves. */
export function testBindings(): Record<string, string> {
  const publisher = seed();
  const created = Math.floor(Date.now() / 1000);
  const key = (kid: string, status: string) => ({
    kid,
    status,
    key: randomBytes(32).toString("base64url"),
    created_at: created,
  });
  const purposes = Object.fromEntries(
    PURPOSES.map((purpose) => [purpose, [key(`dev-${purpose}-1`, "primary"), key(`dev-${purpose}-2`, "staged")]]),
  );
  return {
    TALOS_MODE: "development",
    TALOS_ORIGIN: "http://talos.test",
    TALOS_KEYSETS: JSON.stringify({ v: 1, environment: "development", purposes }),
    TALOS_PUBLISHERS: JSON.stringify(Object.fromEntries(tenants.map((tenant) => [tenant, [publisher.jwk]]))),
    TEST_PUBLISHER_SEED: publisher.seed,
    TEST_PUBLISHER_JWK: JSON.stringify(publisher.jwk),
    TEST_CRASHES: process.env.TALOS_CRASHES ?? "2",
    TEST_SEED: String(seedOfRun()),
    TEST_WYCHEPROOF_ED25519: published("wycheproof/ed25519_test.json"),
  };
}

/** A file of published vectors, since a worker has no files; empty without TALOS_VECTORS_DIR. */
function published(name: string): string {
  const dir = process.env.TALOS_VECTORS_DIR;
  return dir ? readFileSync(join(dir, name), "utf8") : "";
}

function seed(): { seed: string; jwk: { crv: string; kty: string; x: string } } {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d } = privateKey.export({ format: "jwk" });
  return { seed: d!, jwk: publicJwk(createPublicKey(privateKey)) };
}

function publicJwk(key: KeyObject): { crv: string; kty: string; x: string } {
  const { x } = key.export({ format: "jwk" });
  return { crv: "Ed25519", kty: "OKP", x: x! };
}
