/**
 * What fails here fails for the whole of a run: Postgres is gone from the first call to the last; one in five writes to the
 * bucket fails, half of them done without an answer; every append is made again and again, also while the first is under
 * way. No call fails, nothing is lost, doubled or forked, and in the end everything has caught up exactly.
 *
 * `TALOS_RUN_SECONDS` says how long each run takes, `TALOS_RETRIES` how many appends are made again, `TALOS_SEED` plays one again.
 * Source: contracts/spec/audit.md#promise, #sealing-and-publication, #projection-and-cursors.
 */
import { afterEach, describe, expect, it } from "vitest";
import type { AppendEvent } from "../../durable-objects/types.ts";
import { makeEvent } from "../support/appender.ts";
import { Heads } from "../support/heads.ts";
import { asProjected, type Ledger, projected, readLedger, readProjection } from "../support/ledger.ts";
import { faultOf, Load } from "../support/load.ts";
import { seeded, seedOfRun } from "../support/random.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { promised, publishedKeys } from "../support/signatures.ts";

const SECONDS = Number(process.env.TALOS_RUN_SECONDS ?? 5);
const RETRIES = Number(process.env.TALOS_RETRIES ?? 100);
const SEED = seedOfRun();
const TIMEOUT = 120_000 + SECONDS * 10_000 + RETRIES * 100;

let scene: Scene;
let heads: Heads;
const random = seeded(SEED);

afterEach(() => scene?.stop());

/** Calls for as long as a run takes, and until there was enough, while heads are looked at. @returns the load, which is over */
async function run(begin: () => Promise<void>, enough = async () => true): Promise<Load> {
  heads = new Heads();
  const caller = { holder: scene.agent, chain: scene.chain, session: await scene.session() };
  const load = new Load({ aud: scene.aud, caller: () => caller, width: 4, random });
  await begin();
  load.start();
  const [untilMs, atMostMs] = [Date.now() + SECONDS * 1_000, Date.now() + SECONDS * 1_000 + 60_000];
  while (Date.now() < untilMs || (Date.now() < atMostMs && !(await enough()))) {
    await load.answers(10, 10_000);
    // What failed is tried again at once, not after a pause. Not waited for: a flush projects too, which takes its time.
    void scene.talos
      .log()
      .flush()
      .catch(() => undefined);
    await heads.look(scene.talos);
  }
  await load.stop();
  return load;
}

/** What was promised stands in its place; what is published is this log. */
async function expectWhole(load: Load): Promise<Ledger> {
  await heads.whole(scene.talos);
  const ledger = await readLedger(scene.talos);
  const keys = await publishedKeys(scene.talos.origin);
  for (const { promise } of load.shots) {
    if (promise === undefined) continue;
    const { event_id, seq, leaf } = promised(promise, keys);
    expect(ledger.byId.get(event_id)).toMatchObject({ seq, leaf });
  }
  expect(await heads.breaches(scene.talos, ledger)).toEqual([]);
  return ledger;
}

describe(`for ${SECONDS} s (seed ${SEED})`, { timeout: TIMEOUT }, () => {
  it("without Postgres no call fails, and then it has exactly the log", async () => {
    scene = await startScene();
    const before = await readProjection(scene.database);
    const load = await run(() => scene.cable.cut());
    expect(load.shots.map(faultOf).filter((fault) => fault !== undefined)).toEqual([]);
    await scene.cable.mend();
    expect((await readProjection(scene.database)).length).toBeLessThanOrEqual(before.length + 1);
    await projected(scene.talos, 60_000);
    const ledger = await expectWhole(load);
    expect(await readProjection(scene.database)).toEqual(asProjected(ledger));
    console.log(
      `without Postgres: ${load.shots.length} calls, 0 failed, ${ledger.leaves.length} events caught up exactly`,
    );
  });

  it("with one in five writes to the bucket failing no call fails, nothing is lost, and there is one history", async () => {
    scene = await startScene({ faults: true });
    const failures = async () => {
      const { undone, done } = await scene.talos.failedFiles();
      return undone + done;
    };
    const load = await run(
      () => scene.talos.faults({ files: 5 }),
      async () => (await failures()) > 0,
    );
    expect(load.shots.map(faultOf).filter((fault) => fault !== undefined)).toEqual([]);
    const status = await scene.talos.log().status();
    expect(status.forked).toBe(false);
    await scene.talos.faults({});
    const ledger = await expectWhole(load);
    const { undone, done } = await scene.talos.failedFiles();
    expect(undone + done).toBeGreaterThan(0);
    console.log(
      `unreliable bucket: ${load.shots.length} calls, 0 failed, ${undone + done} writes failed (${done} of them done), ` +
        `${heads.seen.size} heads, ${ledger.leaves.length} events published exactly`,
    );
  });
});

it(`makes no second leaf of an append that is made again (seed ${SEED})`, { timeout: TIMEOUT }, async () => {
  scene = await startScene();
  heads = new Heads();
  const log = scene.talos.log();
  const first = new Map<AppendEvent[], { promises: string[]; seqs: number[] }>();
  let again = 0;
  const append = async (batch: AppendEvent[]): Promise<void> => {
    const answer = await log.append({ events: batch });
    if (!answer.ok) throw new Error(answer.code);
    const { promises, seqs } = answer;
    const known = first.get(batch);
    if (known === undefined) first.set(batch, { promises, seqs });
    else {
      expect({ promises, seqs }).toEqual(known);
      again += 1;
    }
  };
  const pick = (): AppendEvent[] => [...first.keys()][Math.floor(random() * first.size)]!;
  while (again < RETRIES) {
    const batch = Array.from({ length: 1 + Math.floor(random() * 4) }, makeEvent);
    // Three at once, of which any may be the first; then one that is older, after the tree has grown over it.
    await Promise.all([append(batch), append(batch), append(batch)]);
    await append(pick());
    if (random() < 0.02) await log.flush();
  }
  await heads.whole(scene.talos);
  const ledger = await readLedger(scene.talos);
  const own = [...first.keys()].flat();
  expect(ledger.leaves.filter(({ event }) => event.surface_id === "authorize").length).toBe(own.length);
  for (const [batch, { seqs }] of first) {
    expect(batch.map(({ event_id }) => ledger.byId.get(event_id)?.seq)).toEqual(seqs);
  }
  expect(await heads.breaches(scene.talos, ledger)).toEqual([]);
  console.log(`retried appends: ${again} made again, 0 second leaves among ${ledger.leaves.length}`);
});
