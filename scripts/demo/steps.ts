/** What a step found, in a few words for its line. A step that finds anything else throws. */
export type Step = { title: string; run(): Promise<string> };

/** Plays steps in order, prints one line each, and counts. A failed step does not hide what comes after it. */
export async function playSteps(steps: Step[], say: (line: string) => void): Promise<{ passed: number; of: number }> {
  let passed = 0;
  for (const [index, { title, run }] of steps.entries()) {
    const number = String(index + 1).padStart(2);
    try {
      const found = await run();
      passed += 1;
      say(`${number}  ok      ${title}: ${found}`);
    } catch (error) {
      say(`${number}  FAILED  ${title}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { passed, of: steps.length };
}

/** @throws Error with `otherwise` */
export function expect(condition: unknown, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

/**
 * Ask again and again until there is an answer.
 * @throws Error with `otherwise` after `timeout_ms`
 */
export async function eventually<T>(
  ask: () => Promise<T | null>,
  options: { every_ms: number; timeout_ms: number; otherwise: string },
): Promise<T> {
  const end = Date.now() + options.timeout_ms;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > end) throw new Error(options.otherwise);
    await new Promise((resolve) => setTimeout(resolve, options.every_ms));
  }
}
