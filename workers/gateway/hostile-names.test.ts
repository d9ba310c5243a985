/** Names that a caller chooses: in the record, and on the way up. */
import { readFileSync } from "node:fs";
import type { Decided } from "@talos/core";
import { describe, expect, it } from "vitest";
import { type Evaluation, withFacts } from "./authorize.ts";
import { cut, decisionOf } from "./events.ts";
import { checkParams } from "./mcp/dispatch.ts";

const evaluation = {
  generation: { head: { policy_version: 1, policy_hash: "p", rev_seq: 0 }, asOfMs: 0 },
} as unknown as Evaluation;

describe("decisionOf", () => {
  it("cuts a field that holds a caller's argument name to what the event's schema takes, or no row would follow", () => {
    const schema = JSON.parse(readFileSync("contracts/schemas/audit/event-v2.schema.json", "utf8"));
    const { maxLength } = schema.$defs.decision.properties.field;
    const said = { allow: false, code: "ARGUMENT_MISMATCH", field: `closed.${"\u{1f511}".repeat(400)}` };
    const { field } = decisionOf(said, evaluation);
    expect(Array.from(field!)).toHaveLength(maxLength);
    expect(field!.isWellFormed()).toBe(true);
    expect(cut("short", 160)).toBe("short");
  });
});

describe("checkParams", () => {
  const refused = { code: "request.malformed" };

  it("lets what MCP has pass", () => {
    checkParams("tools/call", { name: "t", arguments: { path: "a", other: 1 }, _meta: { progressToken: 1 } });
    checkParams("tools/list", { anything: 1 });
    checkParams("ping", undefined);
  });

  it.each(["Name", "Arguments", "argument\u017f", "TASK", "extra"])("refuses the member %s of a call", (name) => {
    expect(() => checkParams("tools/call", { name: "t", [name]: {} })).toThrow(expect.objectContaining(refused));
  });

  it.each([
    ["path", "Path"],
    ["sets", "set\u017f"],
    ["disk", "dis\u212a"],
  ])("refuses the arguments %s and %s together", (one, other) => {
    const params = { name: "t", arguments: { [one]: "/desk/x", [other]: "/etc/x" } };
    expect(() => checkParams("tools/call", params)).toThrow(expect.objectContaining(refused));
  });
});

describe("withFacts", () => {
  it("keeps the sender when the later decision knows none, so that the denial and the outcome can be recorded", () => {
    const before = { decision: { allow: true, code: "OK" }, request: { sub: "did:key:a" } } as unknown as Decided;
    const later = { decision: { allow: false, code: "UNTRUSTED_ISSUER" } } as unknown as Decided;
    expect(withFacts(later, before)).toMatchObject({ decision: later.decision, request: { sub: "did:key:a" } });
  });
});
