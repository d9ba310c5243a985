import { randomInt } from "node:crypto";

/** Numbers in [0, 1) that follow from a seed (mulberry32), so that a run which failed can be played again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of this run: `TALOS_SEED`, or a fresh one. Say it in whatever the test prints. */
export const seedOfRun = (): number => Number(process.env.TALOS_SEED ?? randomInt(2 ** 31));
