import { readFileSync } from "node:fs";
import { type EvmAnchor, LIMITS, validate } from "@talos/contracts";
import { keccak256 as viemKeccak } from "viem";
import { describe, expect, it } from "vitest";
import { REGISTRY_CODE_HASH } from "../contracts/evm/registry.ts";
import * as anchor from "./anchor.ts";

// biome-ignore lint/suspicious/noExplicitAny: vectors have a shape per file, and the tests are what checks it
type Case = { name: string; expect: string } & Record<string, any>;
const cases = (name: string): Case[] =>
  JSON.parse(readFileSync(new URL(`../contracts/vectors/anchors/${name}.json`, import.meta.url), "utf8")).cases;
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (of: Uint8Array) => Buffer.from(of).toString("hex");

function judged<T>(run: () => T): { code: string; value?: T } {
  try {
    return { code: "OK", value: run() };
  } catch (error) {
    return { code: (error as { code: string }).code };
  }
}

describe("anchors: the typed functions over the published vectors", () => {
  it.each(cases("evm"))("evm: $name", (one) => {
    const ask = { digest: bytes(one.digest), logId: bytes(one.log_id) };
    const { code, value } = judged(() => anchor.verifyEvm(one.anchor as EvmAnchor, ask));
    expect(code).toBe(one.expect);
    if (value === undefined) return;
    const { block_hash, block_number, time_seconds, anchor: shown } = one;
    const { chain_id, contract, publisher } = shown;
    expect(value).toEqual({ chain_id, contract, publisher, block_number, block_hash, time_seconds });
    expect(validate("audit/anchor", shown).ok).toBe(true);
  });

  it.each(cases("ots"))("ots: $name", (one) => {
    const { code, value } = judged(() => anchor.readOts(bytes(one.file)));
    expect(code).toBe(one.expect);
    if (value === undefined) return;
    const attestations = value.attestations.map((made) => {
      if (made.kind === "bitcoin") return { ...made, merkle_root: hex(made.merkle_root) };
      return made.kind === "pending" ? { ...made, commitment: hex(made.commitment) } : made;
    });
    expect({ digest: hex(value.digest), attestations }).toEqual({ digest: one.digest, attestations: one.attestations });
  });

  it.each(cases("calendars"))("calendars: $name", (one) => {
    const commitment = bytes(one.commitment);
    const { code, value } = judged(() => {
      if (one.from !== undefined)
        return anchor.upgradeOts(bytes(one.from), { uri: one.uri, commitment }, bytes(one.answer));
      const [digest, nonce] = [bytes(one.digest), bytes(one.nonce)];
      expect(anchor.otsCommitment(digest, nonce)).toEqual(commitment);
      return anchor.otsFile({ digest, nonce, answers: (one.answers as string[]).map(bytes) });
    });
    expect(code).toBe(one.expect);
    if (value !== undefined) expect(hex(value)).toBe(one.file);
  });

  it.each(cases("headers"))("bitcoin: $name", (one) => {
    const { code, value } = judged(() => anchor.checkHeader(bytes(one.header), one.easiest));
    expect(code).toBe(one.expect);
    if (value === undefined) return;
    const { hash, merkle_root, time_seconds } = one;
    expect({ ...value, merkle_root: hex(value.merkle_root) }).toEqual({ hash, merkle_root, time_seconds });
  });
});

describe("anchors: what the functions take", () => {
  const good = cases("evm")[0]!;
  const ask = { digest: bytes(good.digest), logId: bytes(good.log_id) };
  const of = (change: Partial<EvmAnchor>) =>
    judged(() => anchor.verifyEvm({ ...(good.anchor as EvmAnchor), ...change }, ask)).code;

  it("refuses what is no hex, no base64 in its one form, and bytes of another length", () => {
    const { header, contract } = good.anchor as EvmAnchor;
    expect(of({})).toBe("OK");
    for (const change of [
      { contract: contract.slice(0, -1) },
      { contract: contract.slice(0, -2) },
      { contract: contract.toUpperCase() },
      { publisher: "" },
      { header: `${header}\n` },
      { header: header.replace(/=*$/, "") + (header.endsWith("=") ? "" : "=") },
      { header: "" },
      { account_proof: ["!"] },
    ])
      expect(of(change), JSON.stringify(change).slice(0, 80)).toBe("anchor.malformed");
    expect(of({ account_proof: [] })).toBe("anchor.proof_invalid");
    const short = judged(() => anchor.verifyEvm(good.anchor as EvmAnchor, { ...ask, digest: new Uint8Array(31) }));
    expect(short.code).toBe("anchor.malformed");
  });

  it("holds a contract to the registry's code, or to the one that is asked for", () => {
    const codeHash = `0x${"00".repeat(32)}`;
    const other = judged(() => anchor.verifyEvm(good.anchor as EvmAnchor, { ...ask, codeHash }));
    expect(other.code).toBe("anchor.contract_unknown");
    const same = { ...ask, codeHash: REGISTRY_CODE_HASH };
    expect(judged(() => anchor.verifyEvm(good.anchor as EvmAnchor, same)).code).toBe("OK");
  });

  it("hashes as others do", () => {
    for (const length of [0, 1, 135, 136, 137, 1_000]) {
      const of = Uint8Array.from({ length }, (_, i) => i % 251);
      expect(anchor.keccak256(of)).toEqual(viemKeccak(of, "bytes"));
    }
  });

  it("writes the base64 that it reads", () => {
    for (let length = 0; length < 9; length += 1) {
      const of = Uint8Array.from({ length }, (_, i) => 250 + i);
      expect(anchor.fromBase64(anchor.toBase64(of))).toEqual(of);
    }
    for (const text of ["AB==", "A===", "AAA", " AAAA", "AA-_"])
      expect(judged(() => anchor.fromBase64(text)).code, text).toBe("anchor.malformed");
  });

  it("has room in the bounds of the schema for what the bounds of the library allow", () => {
    expect((LIMITS.anchor_piece_chars / 4) * 3).toBe(1_536);
    expect((LIMITS.anchor_file_chars / 4) * 3).toBe(24 * 1_024);
  });
});
