import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBatch, type Entry, encodeBatch } from "./batch.ts";
import { follows, judgeStart } from "./head-order.ts";
import { publishersOf } from "./publishers.ts";

describe("a batch row", () => {
  it("gives back every body byte for byte, whatever strings it holds", () => {
    const entry = fc.record({
      event_id: fc.uuid({ version: 7 }),
      leaf_hash: fc.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      body: fc.jsonValue().map((value) => JSON.stringify(value)), // escapes control characters, as canonical JSON does
    });
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 20 }), (entries: Entry[]) => {
        expect(decodeBatch(encodeBatch(entries))).toEqual(entries);
      }),
    );
  });
});

describe("heads", () => {
  const head = (rev_seq: number, policy_version: number) => ({
    rev_seq,
    rev_hash: `r${rev_seq}`,
    policy_version,
    policy_hash: `p${policy_version}`,
  });

  it("follow each other only upwards, and never with another hash for the same number", () => {
    expect(follows(null, head(0, 0))).toBe(true);
    expect(follows(head(1, 1), head(1, 1))).toBe(true);
    expect(follows(head(1, 1), head(2, 1))).toBe(true);
    expect(follows(head(1, 1), head(1, 2))).toBe(true);
    expect(follows(head(1, 1), head(0, 2))).toBe(false);
    expect(follows(head(1, 1), head(2, 0))).toBe(false);
    expect(follows(head(1, 1), { ...head(1, 2), rev_hash: "other" })).toBe(false);
    expect(follows(head(1, 1), { ...head(2, 1), policy_hash: "other" })).toBe(false);
  });

  it("in storage must be those that the log recorded last", () => {
    expect(judgeStart(head(0, 0), null)).toBeNull();
    expect(judgeStart(head(3, 2), head(3, 2))).toBeNull();
    expect(judgeStart(head(0, 0), head(3, 2))).toBe("head.rolled_back");
    expect(judgeStart(head(3, 1), head(3, 2))).toBe("head.rolled_back");
    expect(judgeStart(head(4, 1), head(3, 2))).toBe("head.rolled_back");
    expect(judgeStart(head(4, 2), head(3, 2))).toBe("head.inconsistent");
    expect(judgeStart(head(1, 0), null)).toBe("head.inconsistent");
    expect(judgeStart({ ...head(3, 2), rev_hash: "other" }, head(3, 2))).toBe("head.inconsistent");
  });
});

describe("publishers", () => {
  const jwk = { crv: "Ed25519", kty: "OKP", x: "A".repeat(43) };

  it("are those of the tenant and nobody else's", () => {
    const text = JSON.stringify({ acme: [jwk] });
    expect(publishersOf(text, "acme")).toEqual([jwk]);
    expect(publishersOf(text, "other")).toEqual([]);
    expect(publishersOf(text, "__proto__")).toEqual([]);
    expect(publishersOf(undefined, "acme")).toEqual([]);
  });

  it.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["no list of keys", '{"acme":{}}'],
    ["a key of another kind", JSON.stringify({ acme: [{ ...jwk, crv: "P-256" }] })],
    ["a private key", JSON.stringify({ acme: [{ ...jwk, d: "A".repeat(43) }] })],
    ["too many keys", JSON.stringify({ acme: Array.from({ length: 9 }, () => jwk) })],
  ])("are refused when the configuration holds %s", (_, text) => {
    expect(() => publishersOf(text, "acme")).toThrow(expect.objectContaining({ code: "config.incomplete" }));
  });
});
