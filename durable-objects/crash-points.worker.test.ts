/**
 * The objects of the log and of the meta-log die at every point where they have done one thing and not yet the next: between
 * two statements, before and after a commit, around every file that they publish and every answer that they wait for. They
 * are aborted there, as the platform aborts an object: what was not committed is gone, whoever waits gets no answer. Then
 * callers try again, as careful ones do.
 *
 * `TALOS_CRASHES` says how often each point is played, `TALOS_SEED` plays a run again.
 * Source: contracts/spec/audit.md#promise, #sealing-and-publication, #projection-and-cursors.
 */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { testDatabase } from "../test/durable-objects/projector.ts";
import { CrashedLog } from "../test/durable-objects/crashed-log.ts";
import type { Point } from "../test/durable-objects/doom.ts";
import { seeded } from "../test/support/random.ts";

const CRASHES = Number(env.TEST_CRASHES);
const SEED = Number(env.TEST_SEED);

/** `at`: the first operation of the round that begins so; a `put` is named by its file. */
const statement = (at: RegExp, after: boolean): Point => ({ of: "sql", at, after });
const file = (at: RegExp, after: boolean): Point => ({ of: "put", at, after });
const both = (name: string, make: (after: boolean) => Point): [string, Point][] => [
  [`before ${name}`, make(false)],
  [`after ${name}`, make(true)],
];

const ofMeta = (where: string, points: [string, Point][]): [string, Point][] =>
  points.map(([name, point]) => [where + name, { ...point, who: "meta" }]);

const POINTS = new Map<string, Point>([
  ...both("an append's batch row", (after) => statement(/^INSERT .*\bbatches\b/, after)),
  ...both("an append's text", (after) => statement(/^INSERT .*\btexts\b/, after)),
  ...both("an append's ids", (after) => statement(/^INSERT .*\bevent_ids\b/, after)),
  ["after an append's transaction", { of: "commit", at: /batches/, after: true }],
  ["after an append was durable, before its answer", { of: "answer", at: /^/, after: false }],
  ...both("a seal's tile row", (after) => statement(/^INSERT .*\btiles\b/, after)),
  ...both("a seal's head row", (after) => statement(/^INSERT .*\btree\b/, after)),
  ["after a seal's transaction", { of: "commit", at: /\btree\b/, after: true }],
  ...both("a tile's upload", (after) => file(/tile\/0\//, after)),
  ...both("a bundle's upload", (after) => file(/tile\/entries\//, after)),
  ...both("the checkpoint's upload", (after) => file(/checkpoint$/, after)),
  ...both("the note that it is published", (after) => statement(/^INSERT .*\bpublished\b/, after)),
  ...both("a projection", (after) => ({ of: "project", at: /^/, after })),
  ...both("the note of what is to be handed over", (after) => statement(/^INSERT .*\bhandover\b/, after)),
  ...both("the head is handed to the meta-log", (after) => ({ of: "hand", at: /^/, after })),
  ...both("the note that it was handed over", (after) => statement(/^UPDATE handover\b/, after)),
  ...both("the note that it is projected", (after) => statement(/^UPDATE projection\b/, after)),
  ...ofMeta(
    "the meta-log: ",
    both("a head's row", (after) => statement(/^INSERT .*\bheads\b/, after)),
  ),
  ...ofMeta("the meta-log: ", [
    ["after a head was durable, before its answer", { of: "answer", at: /^/, after: false }],
  ]),
  ...ofMeta(
    "the meta-log: ",
    both("a seal's tile row", (after) => statement(/^INSERT .*\btiles\b/, after)),
  ),
  ...ofMeta(
    "the meta-log: ",
    both("a seal's head row", (after) => statement(/^INSERT .*\btree\b/, after)),
  ),
  ...ofMeta(
    "the meta-log: ",
    both("a tile's upload", (after) => file(/tile\/0\//, after)),
  ),
  ...ofMeta(
    "the meta-log: ",
    both("the checkpoint's upload", (after) => file(/checkpoint$/, after)),
  ),
  ...ofMeta(
    "the meta-log: ",
    both("the note that it is published", (after) => statement(/^INSERT .*\bpublished\b/, after)),
  ),
]);

describe(`an object that dies at each point, ${CRASHES} times (seed ${SEED})`, () => {
  const random = seeded(SEED);
  const total = { died: 0, events: 0, heads: 0, handed: 0, retried: 0, repeated: 0 };
  let logs = 0;

  /** A log of its own for each point: what is looked at after every death stays small. */
  async function play(rounds: number, point: () => Point): Promise<number> {
    logs += 1;
    const name = `crashed-${SEED}-${logs}`;
    const log = new CrashedLog(name, random);
    await log.round(undefined);
    let died = 0;
    for (let i = 0; i < rounds; i += 1) died += Number(await log.round(point()));
    await log.round(undefined);
    const found = { died, ...(await log.verify()) };
    for (const [what, n] of Object.entries(found)) total[what as keyof typeof found] += n;
    testDatabase().rows.delete(name);
    return died;
  }

  it.each([...POINTS])("%s", { timeout: 30_000 + CRASHES * 20_000 }, async (_, point) => {
    expect(await play(CRASHES, () => point), "not every life ended there").toBe(CRASHES);
  });

  it.each([1, 2, 3, 4, 5])("at any operation whatever (%i)", { timeout: 30_000 + CRASHES * 40_000 }, async () => {
    await play(2 * CRASHES, () => ({
      ...{ of: "any", at: /^/, after: random() < 0.5, skip: Math.floor(random() * 20) },
      ...(random() < 0.3 ? { who: "meta" } : {}),
    }));
  });

  it("was alive in between: one history a log, which holds everything acknowledged, in its place, once", () => {
    const { died, events, heads, handed, retried, repeated } = total;
    expect(died).toBeGreaterThanOrEqual(POINTS.size * CRASHES);
    console.log(
      `crash points: ${died} crashes at ${POINTS.size} points and at random, ${events} events in ${logs} logs, ` +
        `${heads} heads, ${handed} of them in the meta-log, ${retried} appends without an answer tried again, ` +
        `${repeated} promises repeated; seed ${SEED}`,
    );
  });
});
