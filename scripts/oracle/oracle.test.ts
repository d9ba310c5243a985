import { expect, it } from "vitest";
import { Oracle } from "./cedar.ts";
import { compare } from "./compare.ts";

it("decides as Cedar does, on 4,000 requests, and lets no child allow what its parent denies", () => {
  const counts = compare({ requests: 4_000, seed: 20_261_127 });
  expect(counts.requests).toBeGreaterThanOrEqual(4_000);
  expect(counts.allowed).toBeGreaterThan(counts.requests / 5);
  expect(counts.denied).toBeGreaterThan(counts.requests / 5);
  expect(counts.contained_pairs).toBeGreaterThan(20);
  expect(counts.contained_allowed).toBeGreaterThan(50);
}, 60_000);

it("is able to disagree: Cedar sees an atom that is only almost the same", () => {
  const grant = (max: number) => ({
    tool: "a/x",
    classes: ["read" as const],
    actions: "*" as const,
    resource: "any" as const,
    args: { n: [{ op: "range" as const, type: "integer" as const, min: 0, max }] },
    closed: false,
  });
  const need = { tool: "a/x", class: "read" as const, action: "call", args: { n: 2 } };
  expect(new Oracle([grant(2)], "two").allows(need)).toBe(true);
  expect(new Oracle([grant(1)], "one").allows(need)).toBe(false);
});
