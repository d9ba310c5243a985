/**
 * The gate and its leases against everything that goes wrong (gate-simulation.ts), and proof that the simulation would
 * notice: with one thing broken it finds a violation.
 */
import { describe, expect, it } from "vitest";
import { seedOfRun } from "../support/random.ts";
import { GateSimulation, type GateSimulationOptions } from "./gate-simulation.ts";
import { stepsOfRun, Violation } from "./run.ts";

const MINUTES = 60 * 60_000;

describe("a gate with leases to many isolates", () => {
  it(
    "never admits more than its buckets, no nonce twice, and starves nobody",
    async () => {
      const seed = seedOfRun();
      const steps = stepsOfRun(30_000);
      const simulation = new GateSimulation({ seed, steps });
      await simulation.run();
      const { counts } = simulation;
      console.log(`simulation: ${steps} steps, CapabilityGate, seed ${seed}, ${JSON.stringify(counts)}`);
      // It met what it is about.
      expect(counts.lease_reads).toBeGreaterThan(steps / 1_000);
      for (const met of [
        counts.refused,
        counts.crashes,
        counts.lost,
        counts.doubled,
        counts.isolates_lost,
        counts.kept,
      ])
        expect(met).toBeGreaterThan(0);
    },
    MINUTES,
  );

  it("plays the same run from the same seed", async () => {
    const play = async () => {
      const simulation = new GateSimulation({ seed: 7, steps: 3_000 });
      await simulation.run();
      return simulation.counts;
    };
    expect(await play()).toEqual(await play());
  });
});

describe("a gate that is broken is found out when", () => {
  const insert = (table: string) => (query: string) => query.startsWith("INSERT") && query.includes(` INTO ${table} `);
  const mutants: [string, Partial<GateSimulationOptions>, RegExp][] = [
    ["leases leave no row", { skip: insert("leases") }, /more was admitted/],
    ["nonces leave no row", { skip: insert("nonces") }, /accepted twice/],
    ["slots leave no row", { skip: insert("slots") }, /slots of \w+ are held/],
    [
      "a link's bucket is not debited",
      { skip: (query, [key]) => insert("buckets")(query) && !String(key).endsWith("/root") },
      /more was admitted/,
    ],
    ["siblings may take the whole root", { siblingsShare: 100 }, /a wait that was not kept/],
    ["an isolate's clock runs slow", { isolateSpeed: 0.2 }, /more was admitted/],
  ];
  it.each(mutants)(
    "%s",
    async (_what, broken, found) => {
      const run = new GateSimulation({ seed: 1, steps: 200_000, ...broken }).run();
      await expect(run).rejects.toThrow(Violation);
      await expect(run).rejects.toThrow(found);
      await expect(run).rejects.toThrow(/TALOS_SEED=1 TALOS_SIM_STEPS=\d+ npm run sim/);
    },
    MINUTES,
  );
});
