/** How long a simulation runs, and what it says when something does not hold. */

/** Events of this run: `TALOS_SIM_STEPS`, or what a test can spend. */
export const stepsOfRun = (modest: number): number => Number(process.env.TALOS_SIM_STEPS ?? modest);

export class Violation extends Error {
  override readonly name = "Violation";
}

/** A violation with what plays the same run again. */
export function violated(what: string, seed: number, step: number, detail: object = {}): Violation {
  const again = `TALOS_SEED=${seed} TALOS_SIM_STEPS=${step + 1} npm run sim`;
  return new Violation(`${what}; seed ${seed}, step ${step}: ${again} ${JSON.stringify(detail)}`);
}

/** Random choices that follow from a seed. */
export class Dice {
  readonly #next: () => number;
  constructor(next: () => number) {
    this.#next = next;
  }
  /** whether something of this probability happens */
  chance(probability: number): boolean {
    return this.#next() < probability;
  }
  /** a whole number, both ends included */
  between(from: number, to: number): number {
    return from + Math.floor(this.#next() * (to - from + 1));
  }
  of<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)]!;
  }
  /** a wait whose mean is `mean_ms` */
  wait(mean_ms: number): number {
    return Math.max(1, Math.round(-Math.log(1 - this.#next()) * mean_ms));
  }
}
