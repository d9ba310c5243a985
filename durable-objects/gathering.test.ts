import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Gathering } from "./gathering.ts";

/** A receiver whose calls a test ends by hand. */
function receiver(bounds: Partial<Record<"asks" | "weight" | "waiting" | "waitingWeight", number>> = {}) {
  const calls: { asks: number[]; end(answers: number[]): void; fail(error: Error): void }[] = [];
  const gathering = new Gathering<number, number>({
    weigh: (ask) => ask,
    send: (asks) => new Promise((resolve, reject) => calls.push({ asks, end: resolve, fail: reject })),
    call: { asks: bounds.asks ?? 10, weight: bounds.weight ?? 1_000 },
    waiting: { asks: bounds.waiting ?? 10, weight: bounds.waitingWeight ?? 1_000 },
  });
  return { gathering, calls };
}
const turn = () => new Promise((resolve) => setTimeout(resolve));

describe("gathering", () => {
  it("sends the first at once, and what comes meanwhile together behind it, in order", async () => {
    const { gathering, calls } = receiver();
    const answers = [1, 2, 3].map((ask) => gathering.add(ask)!);
    expect(calls.map(({ asks }) => asks)).toEqual([[1]]);
    calls[0]!.end([10]);
    expect(await answers[0]).toBe(10);
    await turn();
    expect(calls[1]!.asks).toEqual([2, 3]);
    calls[1]!.end([20, 30]);
    expect(await Promise.all(answers)).toEqual([10, 20, 30]);
  });

  it("bounds a call by number and by weight, but lets one heavy ask pass", async () => {
    const { gathering, calls } = receiver({ asks: 2, weight: 10 });
    const all = [1, 4, 5, 1, 50, 1].map((ask) => gathering.add(ask)!);
    for (let i = 0; i < 4; i += 1) {
      calls[i]!.end(calls[i]!.asks);
      await turn();
    }
    calls[4]?.end(calls[4].asks);
    await Promise.all(all);
    expect(calls.map(({ asks }) => asks)).toEqual([[1], [4, 5], [1], [50], [1]]);
  });

  it("refuses beyond what may wait, and takes again when it went", async () => {
    const { gathering, calls } = receiver({ waiting: 2, waitingWeight: 100 });
    const first = gathering.add(1);
    expect([gathering.add(99), gathering.add(2)].map((answer) => answer !== undefined)).toEqual([true, false]);
    expect(gathering.add(1)).toBeDefined();
    expect(gathering.add(0)).toBeUndefined();
    calls[0]!.end([1]);
    await first;
    await turn();
    expect(gathering.add(2)).toBeDefined();
  });

  it("fails those that went together and nobody else", async () => {
    const { gathering, calls } = receiver();
    const [first, second, third] = [1, 2, 3].map((ask) => gathering.add(ask)!);
    calls[0]!.end([1]);
    await first;
    await turn();
    calls[1]!.fail(new Error("down"));
    await expect(second).rejects.toThrow("down");
    await expect(third).rejects.toThrow("down");
    const fourth = gathering.add(4)!;
    await turn();
    calls[2]!.end([]); // not an answer for each
    await expect(fourth).rejects.toThrow("not an answer for each ask");
    const fifth = gathering.add(5)!;
    await turn();
    calls[3]!.end([5]);
    expect(await fifth).toBe(5);
  });

  it("answers each its own, whatever comes when", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { minLength: 1, maxLength: 60 }), fc.nat(5), async (asks, pauseEvery) => {
        const gathering = new Gathering<number, string>({
          weigh: (ask) => ask,
          send: async (together) => {
            expect(together.length).toBeLessThanOrEqual(4);
            await turn();
            return together.map((ask) => `of ${ask}`);
          },
          call: { asks: 4, weight: 30 },
          waiting: { asks: 1_000, weight: 100_000 },
        });
        const answers: Promise<string>[] = [];
        for (const [i, ask] of asks.entries()) {
          answers.push(gathering.add(ask)!);
          if (pauseEvery > 0 && i % pauseEvery === 0) await turn();
        }
        expect(await Promise.all(answers)).toEqual(asks.map((ask) => `of ${ask}`));
      }),
      { numRuns: 30 },
    );
  });
});
