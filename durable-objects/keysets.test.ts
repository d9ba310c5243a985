import type { Keysets } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { keysetsOf, openingKeys, primaryKey, purposes, readKeysets } from "./keysets.ts";

const NOW = Date.UTC(2026, 10, 23);
const seconds = NOW / 1000;
let made = 0;
const key = (kid: string, more: Partial<Keysets["purposes"]["ip"][number]> = {}) => {
  made += 1;
  const bytes = Buffer.alloc(32, 0);
  bytes.writeUInt32LE(made);
  return { kid, status: "primary" as const, key: bytes.toString("base64url"), created_at: seconds, ...more };
};
const sound = (prefix = "prod-", environment: Keysets["environment"] = "production"): Keysets => ({
  v: 1,
  environment,
  purposes: Object.fromEntries(
    purposes.map((purpose) => [purpose, [key(`${prefix}${purpose}`)]]),
  ) as Keysets["purposes"],
});
const missing = (keysets: unknown, mode = "production"): string[] => {
  const read = readKeysets(typeof keysets === "string" ? keysets : JSON.stringify(keysets), mode, NOW);
  return read.ok ? [] : read.missing;
};

describe("keysets", () => {
  it("are read when complete", () => {
    expect(missing(sound())).toEqual([]);
    expect(missing(sound("dev-", "development"), "development")).toEqual([]);
  });

  it.each([
    ["none", undefined],
    ["an empty text", ""],
    ["what is not JSON", "{secret"],
    ["null", "null"],
    ["another version", JSON.stringify({ ...sound(), v: 2 })],
    ["another member", JSON.stringify({ ...sound(), extra: 1 })],
  ])("are refused: %s", (_, text) => {
    for (const mode of ["production", "development"]) {
      const read = readKeysets(text, mode, NOW);
      expect(read).toMatchObject({ ok: false, code: "config.incomplete" });
      expect(JSON.stringify(read)).not.toContain("secret");
    }
  });

  it("are refused without a mode, and judged as production then", () => {
    const read = readKeysets(JSON.stringify(sound("dev-", "development")), undefined, NOW);
    expect(read).toMatchObject({
      ok: false,
      missing: expect.arrayContaining(["TALOS_MODE", "keysets of environment production"]),
    });
  });

  it.each(purposes.map((purpose) => [purpose]))("are refused without purpose %s", (purpose) => {
    const keysets = sound();
    const { [purpose]: _, ...rest } = keysets.purposes;
    expect(missing({ ...keysets, purposes: rest })).toEqual([`keyset ${purpose}`]);
    expect(missing({ ...keysets, purposes: { ...rest, [purpose]: [] } })).toEqual([`keyset ${purpose}`]);
  });

  it.each([
    ["without a primary", [key("h1", { status: "staged" })], "exactly one primary of head"],
    ["with two primaries", [key("h1"), key("h2")], "exactly one primary of head"],
    ["with an expired primary", [key("h1", { not_after: seconds })], "an unexpired primary of head"],
    ["with a development key", [key("dev-h1")], "a production key instead of dev-h1 of head"],
    ["with a kid of another purpose", [key("prod-ip")], "a kid of its own instead of prod-ip of ip"],
  ])("are refused in production %s", (_, head, reason) => {
    const keysets = sound();
    expect(missing({ ...keysets, purposes: { ...keysets.purposes, head } })).toEqual([reason]);
  });

  it("are refused when two keys have the same bytes, and the reason does not show them", () => {
    const keysets = sound();
    const twin = keysets.purposes.ticket[0]!.key;
    const reasons = missing({ ...keysets, purposes: { ...keysets.purposes, mcp: [key("m", { key: twin })] } });
    expect(reasons).toEqual(["bytes of its own for m of mcp"]);
    expect(reasons.join()).not.toContain(twin);
  });

  it("are refused when a key is not 32 bytes in strict base64url", () => {
    for (const text of ["AA", "A".repeat(44), `${"A".repeat(42)}B`, `${"A".repeat(42)}=`]) {
      const keysets = sound();
      expect(missing({ ...keysets, purposes: { ...keysets.purposes, ip: [key("i", { key: text })] } })).not.toEqual([]);
    }
  });

  it("of development are refused in production", () => {
    expect(missing(sound("prod-", "development"))).toEqual(["keysets of environment production"]);
  });

  it("give the primary to sign with, and what opens until it may no more", () => {
    const keysets = sound();
    keysets.purposes.ticket.push(
      key("old", { status: "accept", not_after: seconds + 10 }),
      key("new", { status: "staged" }),
    );
    expect(primaryKey(keysets, "ticket").kid).toBe("prod-ticket");
    expect(openingKeys(keysets, "ticket", NOW).map(({ kid }) => kid)).toEqual(["prod-ticket", "old", "new"]);
    expect(openingKeys(keysets, "ticket", NOW + 10_000).map(({ kid }) => kid)).toEqual(["prod-ticket", "new"]);
  });

  it("are judged again as time passes", () => {
    const keysets = sound();
    keysets.purposes.promise = [key("short", { not_after: seconds + 10 })];
    const env = { TALOS_KEYSETS: JSON.stringify(keysets), TALOS_MODE: "production" };
    expect(keysetsOf(env, NOW)).toEqual(keysets);
    expect(() => keysetsOf(env, NOW + 10_000)).toThrow(expect.objectContaining({ code: "config.incomplete" }));
  });
});
