import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import table from "../contracts/vectors/identity/ed25519.json" with { type: "json" };
import { judgeAll, wycheproofCases } from "../test/support/ed25519-profile.ts";

describe("the Ed25519 profile in workerd", () => {
  it("is the same in wasm and on the edge path, on every class on which verifiers disagree", async () => {
    const { wrong, byBytes, valid } = await judgeAll(table.cases);
    expect(wrong).toEqual([]);
    expect([table.cases.length, valid]).toEqual([134, 17]);
    // This runtime takes keys of small order; without the byte checks it would take these signatures, which nobody made.
    expect(byBytes).toBeGreaterThan(10);
  });

  it("is the same on Wycheproof's signatures", async (ctx) => {
    if (env.TEST_WYCHEPROOF_ED25519 === "") return ctx.skip("TALOS_VECTORS_DIR names no folder of published vectors");
    const cases = wycheproofCases(env.TEST_WYCHEPROOF_ED25519);
    expect(cases).toHaveLength(151);
    expect(await judgeAll(cases)).toMatchObject({ wrong: [], valid: 88 });
  });
});
