/** The core and Cedar on the same leaves and needs. Source: contracts/spec/capability.md#grant and #containment. */
import { contains, explain } from "@talos/core";
import fc from "fast-check";
import { Oracle } from "./cedar.ts";
import { Dice, leaf, narrower, need } from "./generate.ts";

/** Needs asked of one leaf, so that compiling it is not what takes the time. */
const NEEDS = 10;

export interface Counts {
  requests: number;
  allowed: number;
  denied: number;
  leaves: number;
  contained_pairs: number;
  contained_allowed: number;
}

const thrown = fc.array(fc.nat(1_000_000), { minLength: 80, maxLength: 80, size: "max" });
const several = fc.array(fc.array(fc.nat(1_000_000), { minLength: 40, maxLength: 40, size: "max" }), {
  minLength: NEEDS,
  maxLength: NEEDS,
  size: "max",
});

/**
 * Compares decisions until `requests` needs were asked, half of them of a leaf, half of a child and its parent.
 * @throws with the smallest case that differs, and the seed that makes it again
 */
export function compare({ requests, seed }: { requests: number; seed: number }): Counts {
  const counts: Counts = { requests: 0, allowed: 0, denied: 0, leaves: 0, contained_pairs: 0, contained_allowed: 0 };
  const runs = { seed, numRuns: Math.ceil(requests / 2 / NEEDS), endOnFailure: false } as const;
  const before = Oracle.count;

  const same = (oracle: Oracle, grants: ReturnType<typeof leaf>, one: ReturnType<typeof need>): boolean => {
    const core = explain(grants, one);
    const allowed = oracle.allows(one);
    counts.requests += 1;
    if (allowed) counts.allowed += 1;
    else counts.denied += 1;
    if (core.allow !== allowed) {
      throw new Error(
        `the core says ${core.code}, Cedar ${allowed ? "allows" : "denies"}\ngrants: ${JSON.stringify(grants)}\n` +
          `need: ${JSON.stringify(one)}\n${oracle.policies}`,
      );
    }
    return allowed;
  };

  fc.assert(
    fc.property(thrown, several, (dice, needs) => {
      const grants = leaf(new Dice(dice));
      const oracle = new Oracle(grants, "leaf");
      for (const one of needs) same(oracle, grants, need(new Dice(one), grants));
    }),
    runs,
  );

  fc.assert(
    fc.property(thrown, thrown, several, (dice, cuts, needs) => {
      const parent = leaf(new Dice(dice));
      const child = narrower(new Dice(cuts), parent);
      const inside = contains(parent, child).ok;
      const [above, below] = [new Oracle(parent, "parent"), new Oracle(child, "child")];
      if (inside) counts.contained_pairs += 1;
      for (const one of needs) {
        const asked = need(new Dice(one), child);
        if (!same(below, child, asked) || !inside) continue;
        counts.contained_allowed += 1;
        if (!above.allows(asked)) {
          const [outer, inner] = [JSON.stringify(parent), JSON.stringify(child)];
          throw new Error(
            `Cedar: ${outer}\ndenies what it contains by the core: ${inner}\nallows: ${JSON.stringify(asked)}`,
          );
        }
      }
    }),
    runs,
  );
  counts.leaves = Oracle.count - before;
  return counts;
}
