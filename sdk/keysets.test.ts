import { validate } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { describeKeysets, generateKeysets, PURPOSES, promoteKeys, pruneKeys, stageKeys } from "./keysets.ts";

const NOW = 1_800_000_000_000;
const DAY_MS = 86_400_000;

const states = (keys: { status: string }[]) => keys.map(({ status }) => status);

describe("keysets", () => {
  it("have one primary for every purpose, no two alike", () => {
    const keysets = generateKeysets("production", NOW);
    expect(validate("keys/keysets", keysets).ok).toBe(true);
    const all = PURPOSES.flatMap((purpose) => keysets.purposes[purpose]!);
    expect(states(all)).toEqual(PURPOSES.map(() => "primary"));
    expect(new Set(all.map(({ key }) => key)).size).toBe(PURPOSES.length);
    expect(new Set(all.map(({ kid }) => kid)).size).toBe(PURPOSES.length);
  });

  it("tell development from production by the kid, and never contain their key in it", () => {
    for (const key of PURPOSES.flatMap((purpose) => generateKeysets("development", NOW).purposes[purpose]!)) {
      expect(key.kid).toMatch(/^dev-[a-z0-9-]{1,60}$/);
    }
    for (const key of PURPOSES.flatMap((purpose) => generateKeysets("production", NOW).purposes[purpose]!)) {
      expect(key.kid).not.toMatch(/^dev-/);
    }
  });

  it("are rotated in stages: staged beside primary, then primary beside accepted, then alone", () => {
    const first = generateKeysets("production", NOW);
    const staged = stageKeys(first, ["ticket"], NOW);
    expect(states(staged.purposes.ticket)).toEqual(["primary", "staged"]);
    expect(staged.purposes.head).toEqual(first.purposes.head);

    const promoted = promoteKeys(staged, ["ticket"], NOW);
    expect(states(promoted.purposes.ticket)).toEqual(["accept", "primary"]);
    expect(promoted.purposes.ticket[0]!.key).toBe(first.purposes.ticket[0]!.key);

    expect(pruneKeys(promoted, NOW + 599_000).purposes.ticket).toHaveLength(2);
    expect(states(pruneKeys(promoted, NOW + 600_000).purposes.ticket)).toEqual(["primary"]);
  });

  it("keep an old key as long as what it sealed may live", () => {
    const rotated = promoteKeys(stageKeys(generateKeysets("production", NOW), PURPOSES, NOW), PURPOSES, NOW);
    const until = Object.fromEntries(PURPOSES.map((p) => [p, rotated.purposes[p]![0]!.not_after! * 1000 - NOW]));
    const long = 400 * DAY_MS;
    expect(until).toEqual({
      ticket: 600_000,
      mcp: DAY_MS,
      head: long,
      promise: long,
      receipt: long,
      ip: long,
      sink: long,
      values: long,
    });
  });

  it("are staged once and promoted only when staged", () => {
    const keysets = generateKeysets("production", NOW);
    expect(() => promoteKeys(keysets, ["mcp"], NOW)).toThrow(/no staged key/);
    expect(() => stageKeys(stageKeys(keysets, ["mcp"], NOW), ["mcp"], NOW)).toThrow(/has a staged key/);
  });

  it("from before there were kept values go on without that purpose, until one is staged and promoted", () => {
    const { values: _, ...purposes } = generateKeysets("production", NOW).purposes;
    const old = { ...generateKeysets("production", NOW), purposes };
    expect(validate("keys/keysets", old).ok).toBe(true);
    expect(describeKeysets(old).keys.map(({ purpose }) => purpose)).not.toContain("values");
    expect(pruneKeys(old, NOW).purposes).not.toHaveProperty("values");
    const staged = stageKeys(old, ["values"], NOW);
    expect(states(staged.purposes.values!)).toEqual(["staged"]);
    expect(states(promoteKeys(staged, ["values"], NOW).purposes.values!)).toEqual(["primary"]);
  });

  it("are described without a key", () => {
    const keysets = generateKeysets("production", NOW);
    const text = JSON.stringify(describeKeysets(keysets));
    for (const purpose of PURPOSES) expect(text).not.toContain(keysets.purposes[purpose]![0]!.key);
  });
});
