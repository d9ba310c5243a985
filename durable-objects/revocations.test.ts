import { LIMITS } from "@talos/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { coveredBy, fits, itemOf, replacedBy, signerDepth } from "./revocations.ts";

const live = (root: number, more = {}) => ({ root, tenant: root, item: 0, ...more });

describe("entries", () => {
  it.each([
    ["link:L", "link:L"],
    ["key:K", "key:K"],
    ["key:K:under:L", "key:K"],
    ["key:K:anchor:did:key:z6Mk", "key:K"],
    ["epoch:K:7", "epoch:K"],
  ])("%s is looked up as %s", (entry, item) => {
    expect(itemOf(entry)).toBe(item);
  });

  it("are covered by themselves only, but an epoch by any as high", () => {
    expect(coveredBy(["key:K:under:L"], "key:K")).toBeUndefined();
    expect(coveredBy(["key:K", "key:K:under:L"], "key:K:under:L")).toBe("key:K:under:L");
    expect(coveredBy(["epoch:K:7"], "epoch:K:8")).toBeUndefined();
    expect(coveredBy(["epoch:K:7"], "epoch:K:7")).toBe("epoch:K:7");
    expect(coveredBy(["epoch:K:70"], "epoch:K:8")).toBe("epoch:K:70");
  });

  it("of epochs never go down, in whatever order they come", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: LIMITS.epoch_max }), { minLength: 1, maxLength: 30 }),
        (epochs) => {
          let standing: string[] = [];
          for (const epoch of epochs) {
            const entry = `epoch:K:${epoch}`;
            if (coveredBy(standing, entry) !== undefined) continue;
            const gone = replacedBy(standing, entry);
            standing = [...standing.filter((known) => !gone.includes(known)), entry];
          }
          expect(standing).toEqual([`epoch:K:${Math.max(...epochs)}`]);
        },
      ),
    );
  });

  it("of links and keys replace nothing", () => {
    expect(replacedBy(["key:K", "key:K:under:L"], "key:K:anchor:did:key:z")).toEqual([]);
  });
});

describe("room", () => {
  it("is never more than the root may have", () => {
    expect(fits("epoch:K:1", 0, live(LIMITS.revocations_per_root - 1))).toBe(true);
    expect(fits("epoch:K:1", 0, live(LIMITS.revocations_per_root))).toBe(false);
  });

  it("is left by every signer for each one above him, and by links for epochs", () => {
    for (let depth = 1; depth <= LIMITS.chain_links; depth += 1) {
      let used = 0;
      while (fits("epoch:K:1", depth, live(used)) || fits("link:L", depth, live(used))) used += 1;
      expect(fits("link:L", depth - 1, live(used))).toBe(true);
      used = 0;
      while (fits("link:L", depth, live(used))) used += 1;
      expect(used).toBeGreaterThan(0);
      expect(fits("epoch:K:1", depth, live(used))).toBe(true);
    }
  });

  it("in the tenant and at one key is left for anchors and for the key itself", () => {
    const tenant = LIMITS.revocations_per_tenant;
    expect(fits("link:L", 1, live(0, { tenant: tenant - 1 }))).toBe(false);
    expect(fits("link:L", 0, live(0, { tenant: tenant - 1 }))).toBe(true);
    expect(fits("link:L", 0, live(0, { tenant }))).toBe(false);
    const crowded = { item: LIMITS.lookup_entries - LIMITS.anchors - 1 };
    expect(fits("key:K:under:L", 1, live(0, crowded))).toBe(false);
    expect(fits("key:K", 1, live(0, crowded))).toBe(true);
  });
});

it("a signer's depth is 0 for the anchor and counts holders from the root", () => {
  expect(signerDepth(["a", "b", "c"], "anchor")).toBe(0);
  expect(signerDepth(["a", "b", "c"], "a")).toBe(1);
  expect(signerDepth(["a", "b", "a"], "a")).toBe(1);
  expect(signerDepth(["a", "b", "c"], "c")).toBe(3);
});
