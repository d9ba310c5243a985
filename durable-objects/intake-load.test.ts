import { LIMITS } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { IntakeLoad, shardsFor } from "./intake-load.ts";

const { audit_intake_rate: EACH, audit_intake_shards: MOST, audit_intake_window_ms: WINDOW } = LIMITS;

/** Counts so many appends a second for so long, from `fromMs` on. */
function load(of: IntakeLoad, rate: number, fromMs: number, ms: number): number {
  let shards = of.shards;
  for (let i = 0; i < (rate * ms) / 1_000; i += 1) shards = of.count(fromMs + (i * 1_000) / rate);
  return shards;
}

describe("the load of a log", () => {
  it("is taken by the log itself up to the rate of one object", () => {
    const of = new IntakeLoad();
    expect(load(of, EACH, 1_000_000, 4 * WINDOW)).toBe(0);
  });

  it("is spread over so many objects that each has no more than one may have, and comes back when it ends", () => {
    const of = new IntakeLoad();
    load(of, 4 * EACH, 1_000_000, 3 * WINDOW);
    expect(of.shards).toBe(4);
    expect(load(of, 1, 2_000_000, 2 * WINDOW)).toBe(0);
  });

  it("is not judged by a pause before it", () => {
    const of = new IntakeLoad();
    of.count(1_000_000);
    load(of, 8 * EACH, 90_000_000, 3 * WINDOW);
    expect(of.shards).toBe(8);
  });
});

describe("shardsFor", () => {
  it("is none, two or more, and never more than the bound", () => {
    expect(shardsFor(0, 0)).toBe(0);
    expect(shardsFor(EACH, 0)).toBe(0);
    expect(shardsFor(EACH + 1, 0)).toBe(2);
    expect(shardsFor(EACH * 3.5, 2)).toBe(4);
    expect(shardsFor(EACH * 1e6, 2)).toBe(MOST);
  });

  it("goes down only when half would do", () => {
    expect(shardsFor(EACH * 5, 8)).toBe(8);
    expect(shardsFor(EACH * 4, 8)).toBe(4);
    expect(shardsFor(EACH, 2)).toBe(0);
    expect(shardsFor(EACH * 1.5, 2)).toBe(2);
  });
});
