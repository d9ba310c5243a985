import type { Grant } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { decideKept, decideLeaf, explain, free, leafLoad, type Need, needLoad, readLeafAnswer } from "./index.ts";
import { grant } from "./testing.ts";

/** Every atom, two grants on one tool, a closed one, resources of each kind, names beyond ASCII. */
const GRANTS: Grant[] = [
  grant("s/a", { actions: ["call", "get"], resource: { exact: "x/y" } }),
  grant("s/b", {
    args: {
      eq: [{ op: "eq", type: "boolean", value: true }],
      in: [{ op: "in", type: "string", values: ["a", "é", "😀"] }],
      list: [{ op: "subset", type: "list", of: "integer", values: [-1, 2] }],
      names: [{ op: "subset", type: "list", of: "string", values: ["a", "b"] }],
      range: [{ op: "range", type: "integer", min: -5_000_000_000, max: 5_000_000_000 }],
    },
  }),
  grant("s/b", {
    classes: ["read", "write"],
    resource: { prefix: "data" },
    args: {
      max: [{ op: "maxlen", type: "string", bytes: 4 }],
      not: [{ op: "not_in", type: "integer", values: [0, 9_007_199_254_740_991] }],
      pat: [{ op: "pat", type: "string", pattern: { prefix: "data" } }],
    },
    closed: true,
  }),
  grant("s/c", { classes: ["pay"] }),
];

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

const VALUES: unknown[] = [
  ...[true, false, "a", "é", "😀", "data", "data/x", "data/../x", "", "abcd", "ééé", -1, 2, 0, -0, 1.5, 1e300, 1e21],
  ...[-5_000_000_000, 5_000_000_001, 9_007_199_254_740_991, -9_007_199_254_740_991, null, {}, { a: 1 }],
  ...[[], [2], [2, -1], [2, 3], ["a"], ["a", "b"], ["a", 1], [[2]], [{}], [null], [1.5], [true]],
  ...[9_007_199_254_740_992, [2 ** 60], "\ud800", ["\udc00"], Number.NaN, Number.POSITIVE_INFINITY, undefined],
];
const NAMES = ["eq", "in", "list", "names", "range", "max", "not", "pat", "other", "é", "\ud800"];

describe("a leaf that is kept", () => {
  it("says of 6,000 needs what explain says of them", () => {
    const pick = random(7);
    const of = <T>(list: readonly T[]): T => list[pick(list.length)]!;
    const leaf = leafLoad(GRANTS);
    const seen = new Set<string>();
    for (let i = 0; i < 6_000; i += 1) {
      // Half of them near to a grant, since random ones end at the first check.
      const near = pick(2) === 0;
      const args: Record<string, unknown> = near
        ? { eq: true, in: "é", list: [2], names: ["a"], range: 7 }
        : { max: "ab", not: 5, pat: "data/x" };
      for (let more = pick(3); more > 0; more -= 1) args[of(NAMES)] = of(VALUES);
      const need = {
        tool: of(["s/a", "s/b", "s/b", "s/b", "s/c", "s/é", "t/b"]),
        class: of(["read", "read", "write", "destructive", "pay"]),
        action: of(["call", "call", "get"]),
        ...(pick(3) === 0 ? {} : { resource: of(["data", "data/x", "x/y", "x", "/", "data/é", "a%b"]) }),
        ...(pick(5) === 0 ? {} : { args }),
      } as Need;
      let expected: string;
      try {
        const { allow, code, grant: at, field } = explain(GRANTS, need);
        expected = allow ? code : `${at} ${field}`;
      } catch (error) {
        expected = (error as { code: string }).code;
      }
      const own = spell(leaf, need);
      expect(own, JSON.stringify(need)).toBe(expected);
      seen.add(own.replace(/^\d+ /, "").replace(/\..*/, ""));
    }
    expect([...seen].sort()).toEqual(
      ["MALFORMED", "OK", "action", "args", "class", "closed", "resource", "tool"].sort(),
    );
    free(leaf);
  }, 60_000);

  /** The answer as a decision names its place. */
  function spell(leaf: { handle: number }, need: Need): string {
    let answer: number;
    try {
      answer = decideLeaf(leaf, need);
    } catch (error) {
      return (error as { code: string }).code;
    }
    const { allow, field, grant: at, argument } = readLeafAnswer(answer);
    if (allow) return "OK";
    const names = field === "args" ? GRANTS[at!]!.args : need.args;
    const sorted = Object.keys(names ?? {})
      .filter((name) => field === "args" || need.args?.[name] !== undefined)
      .sort((left, right) => Buffer.from(left).compare(Buffer.from(right)));
    return argument === undefined ? `${at} ${field}` : `${at} ${field}.${sorted[argument]}`;
  }

  it("says the same of a need that is kept, and nothing under a handle that was freed", () => {
    const leaf = leafLoad(GRANTS);
    const other = leafLoad([grant("s/z")]);
    const need = { tool: "s/c", class: "pay" as const, action: "call" };
    const kept = needLoad(need);
    expect(decideKept(leaf, kept)).toBe(0);
    expect(readLeafAnswer(decideKept(other, kept))).toEqual({ allow: false, field: "tool", grant: 0 });
    const internal = expect.objectContaining({ code: "internal" });
    expect(() => decideKept(kept, leaf)).toThrow(internal);
    free(kept);
    expect(() => decideKept(leaf, kept)).toThrow(internal);
    expect(decideLeaf(leaf, need)).toBe(0);
    free(leaf);
    expect(() => decideLeaf(leaf, need)).toThrow(internal);
    expect(() => leafLoad([grant("bad")])).toThrow(expect.objectContaining({ code: "MALFORMED" }));
  });
});
