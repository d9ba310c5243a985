import { describe, expect, it } from "vitest";
import { PARTS } from "./parts.ts";
import { judge } from "./run.ts";

const pairs = { what: "pairs", pattern: /^universe: (\d+) pairs/gm, least: 10, least_quick: 5 };
const found = {
  what: "mutants found",
  pattern: /(\d+) of \d+ found/g,
  of: /\d+ of (\d+) found/g,
  least: 1,
  least_quick: 1,
};

describe("counts", () => {
  it("are added up over the whole output", () => {
    expect(judge([pairs], "universe: 7 pairs\nuniverse: 4 pairs\n", false)).toEqual({
      counted: [{ what: "pairs", n: 11 }],
    });
  });

  it("that are missing, too few, or not all of all are no evidence", () => {
    expect(judge([pairs], "all well\n", false).reason).toMatch(/does not count: pairs/);
    expect(judge([pairs], "universe: 7 pairs\n", false).reason).toBe("pairs: 7, fewer than 10");
    expect(judge([pairs], "universe: 7 pairs\n", true).reason).toBeUndefined();
    expect(judge([found], "8 of 9 found", false).reason).toBe("mutants found: 8 of 9");
    expect(judge([found], "9 of 9 found", false)).toEqual({ counted: [{ what: "mutants found", n: 9, of: 9 }] });
  });

  it("leave out what is argued, and no more than that", () => {
    const all = { ...found, besides: /\((\d+) equivalent\)/g };
    expect(judge([all], "7 of 9 found (2 equivalent)", false).reason).toBeUndefined();
    expect(judge([all], "6 of 9 found (2 equivalent)", false).reason).toBe("mutants found: 6 of 9");
  });

  it("are asked of every part, whose names differ", () => {
    expect(new Set(PARTS.map(({ name }) => name)).size).toBe(PARTS.length);
    for (const { counts, name } of PARTS) expect(counts.length, name).toBeGreaterThan(0);
  });
});
