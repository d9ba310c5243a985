import { keyringLoad, openMcp, sealMcp } from "@talos/core";
import { describe, expect, it } from "vitest";
import { developmentKeysets, person } from "../../../test/fixtures.ts";
import { type Call, type Caller, openCall, sealCall } from "./call-id.ts";

const keyring = keyringLoad(developmentKeysets().purposes.mcp, "mcp");
const { did: sub, jkt } = person("caller");
const caller: Caller = { tenant: "default", server: "files", sub, jkt, session: "s1" };
const call: Call = {
  id: '"a"',
  method: "tools/call",
  intent: "0193b2a0-7b1c-7000-8000-000000000001",
  salt: new Uint8Array(16).fill(7),
};
const now = Date.now();

describe("the id that goes up", () => {
  it("comes back as the call that it was, and is another each time", () => {
    const sealed = sealCall(keyring, caller, call);
    expect(openCall(keyring, sealed, caller, now)).toEqual(call);
    expect(sealCall(keyring, caller, call)).not.toBe(sealed);
    expect(sealed).not.toContain("tools");
  });

  it.each([
    ["tenant", { tenant: "second" }],
    ["server", { server: "other" }],
    ["principal", { sub: person("thief").did }],
    ["key", { jkt: person("thief").jkt }],
    ["upstream session", { session: "s2" }],
  ])("answers nobody of another %s", (_what, over) => {
    expect(openCall(keyring, sealCall(keyring, caller, call), { ...caller, ...over }, now)).toBeNull();
  });

  it("is nothing that an upstream can make up: not changed, not a session id, not of another keyset", () => {
    const sealed = sealCall(keyring, caller, call);
    expect(openCall(keyring, `${sealed.slice(0, -2)}AA`, caller, now)).toBeNull();
    expect(openCall(keyring, "1", caller, now)).toBeNull();
    const plain = {
      v: 1,
      tenant: "default",
      principal: sub,
      jkt,
      server: "files",
      upstream: JSON.stringify({ talos: "call-1" }),
      exp: Math.floor(now / 1_000) + 60,
    };
    const session = sealMcp(keyring, new Uint8Array(32).fill(1), plain);
    expect(openCall(keyring, session, caller, now)).toBeNull();
    const elsewhere = keyringLoad(developmentKeysets("9").purposes.mcp, "mcp");
    expect(openCall(elsewhere, sealed, caller, now)).toBeNull();
  });

  it("is no session id either", () => {
    const expected = { tenant: "default", principal: sub, jkt, server: "files", now_ms: now };
    expect(() => openMcp(keyring, sealCall(keyring, caller, call), expected)).toThrow(/no such session/);
  });
});
