import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import table from "../contracts/vectors/identity/ed25519.json" with { type: "json" };
import { judgeAll, wycheproofCases } from "../test/support/ed25519-profile.ts";
import { b64uEncode, begin, didKey, encodeRequest, inspectChain, verifyChecks } from "./index.ts";
import { agent, call, policy, root, signed, tickets } from "./testing.ts";

describe("the Ed25519 profile in workerd", () => {
  it("is the same in wasm and on the edge path, on every class on which verifiers disagree", async () => {
    const { wrong, byBytes, valid } = await judgeAll(table.cases);
    expect(wrong).toEqual([]);
    expect([table.cases.length, valid]).toEqual([134, 17]);
    // This runtime takes keys of small order; without the byte checks it would take these signatures, which nobody made.
    expect(byBytes).toBeGreaterThan(10);
  });

  it("refuses a link that nobody signed, under a key for which WebCrypto takes one signature for every message", async () => {
    const key = Uint8Array.of(1, ...new Uint8Array(31)); // the identity: its k times is nothing, whatever k is
    const signature = Uint8Array.of(...key, ...new Uint8Array(32));
    const [holder, x] = [didKey(b64uEncode(key)), b64uEncode(key)];
    const parent = root({ sub: holder, cnf: { jwk: { crv: "Ed25519", kty: "OKP", x } } });
    const { id, claims } = inspectChain(parent).links[0]!;
    const child = { ...claims, iss: holder, sub: agent.did, cnf: { jwk: agent.jwk }, par: id, depth: 0 };
    const text = (value: unknown) => b64uEncode(new TextEncoder().encode(JSON.stringify(value)));
    const input = `${text({ alg: "EdDSA", typ: "talos-cap+jwt" })}.${text(child)}`;
    const message = new TextEncoder().encode(input);
    const record = Uint8Array.of(7);
    expect(await verifyChecks([{ key, signature, message, record }])).toEqual([{ record, ok: true }]);
    const chain = `${parent}~${input}.${b64uEncode(signature)}`;
    const frame = encodeRequest(signed(call("read", { path: "data/in" }), { chain }));
    expect(begin(frame, policy(), tickets)).toMatchObject({
      status: "refused",
      decision: { allow: false, code: "SIGNATURE_INVALID", link: 1 },
    });
  });

  it("is the same on Wycheproof's signatures", async (ctx) => {
    if (env.TEST_WYCHEPROOF_ED25519 === "") return ctx.skip("TALOS_VECTORS_DIR names no folder of published vectors");
    const cases = wycheproofCases(env.TEST_WYCHEPROOF_ED25519);
    expect(cases).toHaveLength(151);
    expect(await judgeAll(cases)).toMatchObject({ wrong: [], valid: 88 });
  });
});
