/** What is in force in an isolate, against everything that delays, loses, forges and puts back (in-force-simulation.ts). */
import { describe, expect, it } from "vitest";
import { seedOfRun } from "../support/random.ts";
import { InForceSimulation, type InForceSimulationOptions } from "./in-force-simulation.ts";
import { stepsOfRun, Violation } from "./run.ts";

const MINUTES = 60 * 60_000;

describe("an isolate", () => {
  it(
    "never acts on an older head than it has seen, nor beyond its bound of age",
    async () => {
      const seed = seedOfRun();
      const steps = stepsOfRun(4_000);
      const simulation = new InForceSimulation({ seed, steps });
      await simulation.run();
      const { counts } = simulation;
      console.log(`simulation: ${steps} steps, TenantHead and its isolates, seed ${seed}, ${JSON.stringify(counts)}`);
      for (const [what, met] of Object.entries(counts)) expect(met, what).toBeGreaterThan(0);
    },
    MINUTES,
  );
});

describe("an isolate that is broken is found out when it", () => {
  it.each<[string, Partial<InForceSimulationOptions>, RegExp]>([
    ["keeps to what it had first", { stuck: true }, /older head than it had seen/],
    ["does not mind the age of a head", { ageless: true }, /beyond its bound of age/],
    ["does not ask before a destructive call", { unasked: true }, /did not ask/],
  ])(
    "%s",
    async (_what, broken, found) => {
      const run = new InForceSimulation({ seed: 1, steps: 50_000, ...broken }).run();
      await expect(run).rejects.toThrow(Violation);
      await expect(run).rejects.toThrow(found);
    },
    MINUTES,
  );
});
