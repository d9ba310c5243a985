import { describe, expect, it } from "vitest";
import { boolean, constant, integer, list, map, object, openObject, text, union } from "./shape.ts";

describe("a string", () => {
  it("is counted in code points, as JSON Schema counts", () => {
    expect(text(2)("\u{1f602}\u{1f602}")).toBeNull();
    expect(text(2)("\u{1f602}\u{1f602}\u{1f602}")).toBe(": maxLength");
    expect(text(2)("abcdefgh")).toBe(": maxLength");
    expect(text(4, 2)("\u{1f602}")).toBe(": minLength");
    expect(text(4, 2)("ab")).toBeNull();
    expect(text(4, 1)("")).toBe(": minLength");
  });

  it("matches its pattern and is a string", () => {
    expect(text(9, 0, /^a+$/u)("aa")).toBeNull();
    expect(text(9, 0, /^a+$/u)("ab")).toBe(": pattern");
    expect(text(9, 0, /^1$/u)(1)).toBe(": type");
  });
});

describe("a number", () => {
  it("is whole and within both bounds", () => {
    expect([0, 3, 1.0].map(integer(0, 3))).toEqual([null, null, null]);
    expect([-1, 4, 1.5, "1", Number.NaN, Number.POSITIVE_INFINITY].map((value) => integer(0, 3)(value))).toEqual([
      ": minimum",
      ": maximum",
      ": type",
      ": type",
      ": type",
      ": type",
    ]);
  });
});

describe("a list", () => {
  it("has its bounds, its kind of element, and no repeats where that is asked", () => {
    const check = list(integer(0, 9), 3, 1, true);
    expect(check([1, 2])).toBeNull();
    expect(check([])).toBe(": minItems");
    expect(check([1, 2, 3, 4])).toBe(": maxItems");
    expect(check([1, 10])).toBe("/1: maximum");
    expect(check([1, 1])).toBe(": uniqueItems");
    expect(check({ length: 1, 0: 1 })).toBe(": type");
  });
});

describe("an object", () => {
  const check = object({ a: boolean, b: boolean, c: boolean }, ["a"], [["b", ["c"]]]);

  it("is closed, whole, and has what depends on what it has", () => {
    expect(check({ a: true })).toBeNull();
    expect(check({ b: true })).toBe(": required a");
    expect(check({ a: true, secret: 1 })).toBe(": additionalProperties");
    expect(check({ a: true, b: true })).toBe(": dependentRequired");
    expect(check({ a: true, b: true, c: true })).toBeNull();
    expect(check({ a: 1 })).toBe("/a: type");
    expect([check(null), check([]), check("a")]).toEqual([": type", ": type", ": type"]);
  });

  it("takes nothing from its prototype", () => {
    expect(check(Object.create({ a: true }))).toBe(": required a");
    expect(object({}, [])(JSON.parse('{"constructor":1}'))).toBe(": additionalProperties");
  });

  it("as a map bounds number, names and members, and repeats no name", () => {
    const names = map(text(3), boolean, 2, 1);
    expect(names({ a: true, b: true })).toBeNull();
    expect(names({})).toBe(": minProperties");
    expect(names({ a: true, b: true, c: true })).toBe(": maxProperties");
    expect(names({ long: true })).toBe(": propertyNames");
    expect(names({ a: true, b: 1 })).toBe("/{1}: type");
  });

  it("of someone else's is bounded all the same", () => {
    expect(openObject(1)({ a: {} })).toBeNull();
    expect(openObject(1)({ a: 1, b: 2 })).toBe(": maxProperties");
    expect(openObject(1)([])).toBe(": type");
  });
});

it("a union fits exactly one of its alternatives", () => {
  expect(union(constant("a"), constant("b"))("b")).toBeNull();
  expect(union(constant("a"), constant("b"))("c")).toBe(": oneOf");
  expect(union(text(1), constant("a"))("a")).toBe(": oneOf");
});
