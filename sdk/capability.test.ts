import { describe, expect, it } from "vitest";
import {
  audienceOf,
  grant,
  inspectCapability,
  issueCapability,
  leafOf,
  narrowCapability,
  verifyCapability,
} from "./capability.ts";
import { Key } from "./keys.ts";
import { chainUpTo } from "./revocation.ts";

const AUD = "https://gateway.test/t/default";
const NOW = 1_800_000_000_000;
const operator = Key.generate();
const agent = Key.generate();
const sub = Key.generate();
const READ = { tool: "demo/look", classes: ["read" as const] };
const WRITE = { tool: "demo/change", classes: ["write" as const] };

const issue = (more: object = {}) =>
  issueCapability({
    key: operator,
    holder: agent,
    aud: AUD,
    grants: [READ, WRITE],
    ttl_seconds: 600,
    depth: 2,
    now_ms: NOW,
    ...more,
  });
const narrow = (more: object = {}) =>
  narrowCapability({ key: agent, chain: issue(), holder: sub, grants: [READ], now_ms: NOW, ...more });
const verify = (chain: string, more: object = {}) =>
  verifyCapability({ chain, aud: AUD, anchors: [operator.did], now_ms: NOW, ...more });

describe("a capability", () => {
  it("verifies under its anchor, and under no other", () => {
    expect(verify(issue())).toEqual({ ok: true });
    expect(verify(narrow())).toEqual({ ok: true });
    expect(verify(issue(), { anchors: [agent.did] })).toMatchObject({ decision: { code: "UNTRUSTED_ISSUER" } });
  });

  it("ends, and begins, when it says", () => {
    expect(verify(issue(), { now_ms: NOW + 599_999 })).toEqual({ ok: true });
    expect(verify(issue(), { now_ms: NOW + 600_000 })).toMatchObject({ decision: { code: "EXPIRED", link: 0 } });
    expect(verify(issue(), { now_ms: NOW - 1_000 })).toMatchObject({ decision: { code: "NOT_YET_VALID" } });
  });

  it("is for its tenants only", () => {
    expect(verify(issue(), { aud: "https://gateway.test/t/other" })).toMatchObject({
      decision: { code: "AUDIENCE_MISMATCH" },
    });
    expect(audienceOf(issue())).toEqual({ aud: AUD, origin: "https://gateway.test", tenant: "default" });
    const two = issue({ aud: [AUD, "https://gateway.test/t/other"] });
    expect(() => audienceOf(two)).toThrow(/name one/);
    expect(audienceOf(two, AUD).tenant).toBe("default");
  });

  it("holds its grants in the contract's order, whatever order they were given in", () => {
    const { grants } = leafOf(issue({ grants: [READ, WRITE] })).claims;
    expect(grants.map(({ tool }) => tool)).toEqual(["demo/change", "demo/look"]);
    expect(grant({ ...READ, classes: ["pay", "read"], actions: ["read", "call"] })).toMatchObject({
      classes: ["read", "pay"],
      actions: ["call", "read"],
    });
  });
});

describe("a narrowed capability", () => {
  it("names its parent, and can be cut back to it", () => {
    const chain = narrow();
    const [root, child] = inspectCapability(chain);
    expect(child!.claims.par).toBe(root!.id);
    expect(child!.claims.iss).toBe(agent.did);
    expect(inspectCapability(chainUpTo(chain, 0))).toHaveLength(1);
    expect(() => chainUpTo(chain, 2)).toThrow(/no link 2/);
  });

  it("never outlives its parent", () => {
    const parent = leafOf(issue()).claims.exp;
    expect(leafOf(narrow({ ttl_seconds: 10_000 })).claims.exp).toBe(parent);
    expect(leafOf(narrow({ ttl_seconds: 60 })).claims.exp).toBe(NOW / 1000 + 60);
  });

  it("is refused when it is wider in any way", () => {
    for (const wider of [
      { grants: [{ tool: "demo/other", classes: ["read"] }] },
      { grants: [{ ...READ, classes: ["read", "write"] }] },
      { grants: [{ ...READ, actions: "*" }] },
      { depth: 2 },
      { aud: "https://gateway.test/t/other" },
    ]) {
      expect(() => narrow(wider)).toThrow(expect.objectContaining({ code: "DELEGATION_INVALID" }));
    }
  });

  it("is signed by its parent's holder and by nobody else", () => {
    expect(() => narrow({ key: sub })).toThrow(expect.objectContaining({ code: "SIGNATURE_INVALID" }));
  });
});
