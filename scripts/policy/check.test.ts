import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkPolicy, PolicyFileError } from "./check.ts";

const demo = () => JSON.parse(readFileSync(join(import.meta.dirname, "../../policies/demo.json"), "utf8"));

it("takes the demo policy, and gives equal policies one order", () => {
  const shuffled = demo();
  for (const part of ["tools", "rate_classes", "roles"]) shuffled[part].reverse();
  expect(JSON.stringify(checkPolicy(shuffled, "default"))).toBe(JSON.stringify(checkPolicy(demo(), "default")));
});

it("names everything that is wrong at once", () => {
  const bad = demo();
  bad.tools.push({ ...bad.tools[0] }, { ...bad.tools[1], tool: "nowhere/x", rate_class: "nowhere" });
  bad.bindings.push({ ...bad.bindings[0], id: "other", role: "nobody" });
  bad.peps.push({ jkt: "A".repeat(43), origins: ["https://pep.example"], servers: ["elsewhere"] });
  try {
    checkPolicy(bad, "acme");
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(PolicyFileError);
    expect((error as PolicyFileError).problems).toEqual([
      `/tools: ${bad.tools[0].tool} occurs more than once`,
      "/tools: nowhere/x names the rate class nowhere, which is not there",
      "/tools: nowhere/x is of a server that is not there",
      "/bindings: other names the role nobody, which is not there",
      `/peps: ${"A".repeat(43)} names the server elsewhere, which is not there`,
      "/tenant: is default, to be loaded for acme",
    ]);
  }
});

it("chooses the number itself", () => {
  expect(() => checkPolicy({ ...demo(), version: 3 }, "default")).toThrow(/leave it out/);
});
