import { describe, expect, it } from "vitest";
import { locate, parts, swap } from "./list.ts";
import { weave } from "./rust.ts";

describe("a mutant's text", () => {
  it("stands exactly once, and the marked part is what changes", () => {
    const source = "if a < b { c(a < b) }";
    expect(parts("if «a < b» {")).toEqual({ text: "if a < b {", from: 3, to: 8 });
    expect(locate(source, swap("", "if «a < b» {", "false"))).toEqual({ from: 3, to: 8 });
    expect(() => locate(source, swap("", "a < b", "false"))).toThrow("more than once");
    expect(() => locate(source, swap("", "a > b", "false"))).toThrow("not found");
  });
});

describe("mutants in one source", () => {
  const source = "f(a && b)";
  it("are woven beside and into each other, and none alive is the original", () => {
    const woven = weave(source, [
      { number: 1, from: 2, to: 8, replace: "true" },
      { number: 2, from: 2, to: 8, replace: "false" },
      { number: 3, from: 7, to: 8, replace: "c" },
      { number: 4, from: 0, to: 0, insert: "return;" },
    ]);
    const inner = "(if crate::mutant::is(3) { c } else { b })";
    expect(woven).toBe(
      `if crate::mutant::is(4) { return; }\nf((if crate::mutant::is(1) { true } else if crate::mutant::is(2) { false } else { a && ${inner} }))`,
    );
  });

  it("that overlap without being nested are refused", () => {
    const edits = [
      { number: 1, from: 2, to: 6, replace: "x" },
      { number: 2, from: 4, to: 8, replace: "y" },
    ];
    expect(() => weave(source, edits)).toThrow("overlapping");
  });
});
