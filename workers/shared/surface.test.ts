import { SURFACES } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { checkComplete, routePath, surfaceApp } from "./surface.ts";

describe("the router", () => {
  it("does not start with a surface that nobody handles, or a handler without a surface document", () => {
    expect(() => checkComplete(["a", "b"], ["a"])).toThrow(/without a handler: \[b\]/);
    expect(() => checkComplete(["a"], ["a", "c"])).toThrow(/without a surface: \[c\]/);
    expect(() => checkComplete(["a"], ["a"])).not.toThrow();
    const parts = { authorize: { authorized: () => async () => undefined }, first: [], tenantListed: () => true };
    expect(() => surfaceApp({ ...parts, handlers: {} as never })).toThrow(/without a handler/);
  });

  it("writes path templates as the router's", () => {
    expect(routePath("/t/{tenant}/mcp/{server}")).toBe("/t/:tenant/mcp/:server");
  });

  it("has no two surfaces on one method and path", () => {
    const routes = Object.values(SURFACES).map(({ method, path }) => `${method} ${path}`);
    expect(new Set(routes).size).toBe(routes.length);
  });
});
