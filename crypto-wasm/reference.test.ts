/**
 * The reference's vectors whose meaning is ours too, through the built core. Which do not apply, and why, stands in
 * docs/traceability.md; every file of the folder is in one of the two.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { b64uDecode, b64uEncode, didKey, ed25519Sign, ed25519Verify, jcs, publicKey, sha256 } from "./index.ts";

const dir = process.env.TALOS_VECTORS_DIR;
const SKIPPED = "TALOS_VECTORS_DIR names no folder of published vectors";
const read = (name: string) => JSON.parse(readFileSync(join(dir!, "reference", name), "utf8"));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const utf8 = (text: string) => new TextEncoder().encode(text);
const canonical = (value: unknown) => jcs(JSON.stringify(value));

/** A test of one file of the reference. */
function vectors(name: string, meaning: string, run: (file: ReturnType<typeof read>) => void): void {
  it(`${name}: ${meaning}`, (ctx) => {
    if (!dir) return ctx.skip(SKIPPED);
    run(read(name));
  });
}

describe("the reference's vectors", () => {
  vectors("sdk/signing_verify.json", "keys, DIDs, signatures, and what is refused", ({ vectors, negative_cases }) => {
    for (const { inputs, expected } of vectors) {
      const [seed, message] = [unhex(inputs.seed_hex), utf8(inputs.message_utf8)];
      const [key, signature] = [publicKey(seed), ed25519Sign(seed, message)];
      expect(ed25519Verify(key, signature, message)).toBe(true);
      expect(signature).toHaveLength(64);
      if (expected.did === undefined) continue;
      expect([hex(key), b64uEncode(signature)]).toEqual([expected.public_key_hex, expected.signature_base64url]);
      expect(didKey(b64uEncode(key))).toBe(expected.did);
    }
    const [short, stranger, tampered] = negative_cases.map((one: { inputs: unknown }) => one.inputs);
    expect(() => publicKey(unhex(short.seed_hex))).toThrow(expect.objectContaining({ code: "MALFORMED" }));
    const signature = b64uDecode(stranger.signature_base64url);
    expect(ed25519Verify(unhex(stranger.wrong_public_key_hex), signature, utf8(stranger.message_utf8))).toBe(false);
    const seed = unhex(tampered.seed_hex);
    const proof = ed25519Sign(seed, utf8(tampered.original_message));
    expect(ed25519Verify(publicKey(seed), proof, utf8(tampered.original_message))).toBe(true);
    expect(ed25519Verify(publicKey(seed), proof, utf8(tampered.tampered_message))).toBe(false);
  });

  vectors("schemas/mcp/hashing_vectors.json", "a document's hash is SHA-256 of its canonical form", (file) => {
    const documents = [...file.tool_call_vectors, ...file.document_vectors];
    expect(documents).toHaveLength(2);
    for (const { input, digest } of documents) expect(hex(sha256(utf8(canonical(input))))).toBe(digest);
  });

  vectors("sdk/ratchet/header_canonical_bytes.json", "canonical JSON", ({ test_cases }) => {
    for (const one of test_cases) {
      expect(canonical(one.input_header)).toBe(one.expected_canonical_json);
      expect(b64uEncode(utf8(canonical(one.input_header)))).toBe(one.expected_canonical_b64u);
    }
    expect(test_cases.length).toBeGreaterThan(2);
  });

  vectors("sdk/ratchet/wire_message_canonical.json", "canonical JSON", ({ test_cases }) => {
    const contradictory: string[] = [];
    for (const one of test_cases) {
      expect(canonical(one.input_message)).toBe(one.expected_canonical_json);
      const encoded = b64uEncode(utf8(canonical(one.input_message)));
      if (encoded !== one.expected_wire_message_b64u) contradictory.push(one.id);
    }
    // In this one the file's base64url encodes another `dh` than its own canonical text, which ours equals.
    expect(contradictory).toEqual(["wire_message_nested_permutation"]);
    expect(test_cases.length).toBeGreaterThan(2);
  });

  vectors("crypto/http_attestation_v1.json", "its canonical body and its signature, not its scheme", ({ vectors }) => {
    for (const { input, expected } of vectors) {
      const signed = unhex(expected.signing_input_hex);
      const body = input.raw_body_json === null ? "" : canonical(input.raw_body_json);
      expect(new TextDecoder().decode(signed).startsWith(`${body}\n${input.method}\n`)).toBe(true);
      const key = publicKey(unhex(input.private_key));
      expect(ed25519Verify(key, b64uDecode(expected.signature), signed)).toBe(true);
      expect(b64uEncode(ed25519Sign(unhex(input.private_key), signed))).toBe(expected.signature);
      signed[signed.length - 1]! ^= 1;
      expect(ed25519Verify(key, b64uDecode(expected.signature), signed)).toBe(false);
    }
  });

  it("are each run by a test, or stand in the table of those that do not apply", (ctx) => {
    if (!dir) return ctx.skip(SKIPPED);
    const files = readdirSync(join(dir, "reference"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(dir, "reference").length + 1));
    const root = join(import.meta.dirname, "..");
    const table = readFileSync(join(root, "docs/traceability.md"), "utf8").split(
      "## Where the reference's vectors",
    )[1]!;
    const tests = [
      "crypto-wasm/reference.test.ts",
      "crypto-wasm/core/tests/suite/published.rs",
      "crypto-wasm/core/tests/suite/published_gateway.rs",
      "workers/db/audit-events.test.ts",
    ].map((path) => readFileSync(join(root, path), "utf8"));
    const run = (file: string) => tests.some((text) => text.includes(`${file}"`));
    const excused = (file: string) =>
      table.includes(`\`reference/${file}\``) || table.includes(`\`reference/${file.split("/")[0]}/\``);
    expect(files.length).toBeGreaterThanOrEqual(19);
    expect(files.filter((file) => !run(file) && !excused(file))).toEqual([]);
  });
});
