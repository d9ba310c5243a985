import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { registryModule } from "../../scripts/registry.ts";

it("the registry's code is what its source gives", () => {
  expect(readFileSync(new URL("registry.ts", import.meta.url), "utf8")).toBe(registryModule());
});
