import { describe, expect, it } from "vitest";
import { follows, judgeStart } from "./head-order.ts";
import type { HeadMark } from "./types.ts";

const mark = (change: Partial<HeadMark> = {}): HeadMark => ({
  ...({ rev_seq: 5, rev_hash: "r5", policy_version: 3, policy_hash: "p3" } as HeadMark),
  ...change,
});

/** A head beside `mark()`, and how it stands to it. */
const BESIDE: [string, HeadMark, "same" | "after" | "before" | "other"][] = [
  ["itself", mark(), "same"],
  ["a later revocation", mark({ rev_seq: 6, rev_hash: "r6" }), "after"],
  ["a later policy", mark({ policy_version: 4, policy_hash: "p4" }), "after"],
  ["an earlier revocation", mark({ rev_seq: 4, rev_hash: "r4" }), "before"],
  ["an earlier policy", mark({ policy_version: 2, policy_hash: "p2" }), "before"],
  ["a later policy with earlier revocations", mark({ rev_seq: 4, rev_hash: "r4", policy_version: 4 }), "before"],
  ["one revocation number with another hash", mark({ rev_hash: "x" }), "other"],
  ["one policy number with another hash", mark({ policy_hash: "x" }), "other"],
  ["a later policy over another hash of revocations", mark({ policy_version: 4, rev_hash: "x" }), "other"],
];

describe("a head", () => {
  it.each(BESIDE)("%s", (_, next, stands) => {
    expect(follows(mark(), next)).toBe(stands === "same" || stands === "after");
  });

  it("is the first where there was none", () => expect(follows(null, mark())).toBe(true));
});

describe("storage at the start", () => {
  it.each(BESIDE)("beside a record of %s", (_, recorded, stands) => {
    const verdict = { same: null, after: "head.rolled_back", before: "head.inconsistent", other: "head.inconsistent" };
    const expected = recorded.policy_version > 3 || recorded.rev_seq > 5 ? "head.rolled_back" : verdict[stands];
    expect(judgeStart(mark(), recorded)).toBe(expected);
  });

  it("that no record knows is nobody's unless it is empty", () => {
    expect(judgeStart(mark(), null)).toBe("head.inconsistent");
    expect(judgeStart(mark({ rev_seq: 0 }), null)).toBe("head.inconsistent");
    expect(judgeStart(mark({ policy_version: 0 }), null)).toBe("head.inconsistent");
    expect(judgeStart(mark({ rev_seq: 0, policy_version: 0 }), null)).toBeNull();
  });
});
