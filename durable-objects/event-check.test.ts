import { jcs } from "@talos/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isCanonical } from "./event-check.ts";

const core = (body: string): boolean => {
  try {
    return jcs(body) === body;
  } catch {
    return false;
  }
};

describe("the canonical form, looked at without the core", () => {
  it("is what the core prints, for values of every kind and for any spacing, order and escape of them", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\u2028", "é", '"', "\\", "\u007f", "10", "2", ""),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        text,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(text, tie("any"), { maxKeys: 4 }),
      ),
    })).any;
    const printed = fc.tuple(value, fc.constantFrom("plain", "canonical", "spaced", "escaped")).map(([one, how]) => {
      const plain = JSON.stringify(one);
      if (how === "spaced") return JSON.stringify(one, null, 1);
      if (how === "escaped") return plain.replace(/"e/, '"\\u0065');
      return how === "canonical" && core(jcs(plain)) ? jcs(plain) : plain;
    });
    fc.assert(
      fc.property(printed, (body) => {
        expect(isCanonical(body, JSON.parse(body))).toBe(core(body));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['{"a":1,"a":1}', false],
    ['{"b":1,"a":1}', false],
    ['{"10":1,"2":1}', true],
    ['{"2":1,"10":1}', false],
    ['"\\ud800"', false],
    ['"\\ud83d\\ude00"', false],
    ["1.0", false],
    ["-0", false],
    ["9007199254740993", false],
    [" 1", false],
  ])("%s: %s", (body, canonical) => {
    expect(isCanonical(body, JSON.parse(body))).toBe(canonical);
  });
});
