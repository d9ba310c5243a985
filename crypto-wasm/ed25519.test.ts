import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import table from "../contracts/vectors/identity/ed25519.json" with { type: "json" };
import { judgeAll, wycheproofCases } from "../test/support/ed25519-profile.ts";

describe("the Ed25519 profile in Node", () => {
  it("is the same in wasm and on the edge path, on every class on which verifiers disagree", async () => {
    expect(await judgeAll(table.cases)).toMatchObject({ wrong: [], valid: 17 });
    expect(table.cases).toHaveLength(134);
  });

  it("is the same on Wycheproof's signatures", async (ctx) => {
    const dir = process.env.TALOS_VECTORS_DIR;
    if (!dir) return ctx.skip("TALOS_VECTORS_DIR names no folder of published vectors");
    const cases = wycheproofCases(readFileSync(join(dir, "wycheproof/ed25519_test.json"), "utf8"));
    expect(cases).toHaveLength(151);
    expect(await judgeAll(cases)).toMatchObject({ wrong: [], valid: 88 });
  });
});
