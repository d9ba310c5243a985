/**
 * The process dies, at any moment, again and again: what was promised stands, once, in its place, and nothing stands
 * in half. The Worker is the shipped one over state on disk; each round it works under load, is killed with SIGKILL
 * and started again on what it left. Source: contracts/spec/audit.md#promise, #order, #projection-and-cursors.
 *
 * `TALOS_KILLS` says how many rounds, `TALOS_SEED` plays a run again.
 */
import { LIMITS } from "@talos/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { appendable, Appender } from "../support/appender.ts";
import { Heads } from "../support/heads.ts";
import {
  asProjected,
  commitmentTo,
  firstOf,
  type Ledger,
  projected,
  readLedger,
  readProjection,
} from "../support/ledger.ts";
import { faultOf, Load } from "../support/load.ts";
import { Publishing } from "../support/publishing.ts";
import { seeded, seedOfRun } from "../support/random.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { type Keys, promised, publishedKeys, verified } from "../support/signatures.ts";

const KILLS = Number(process.env.TALOS_KILLS ?? 20);
const SEED = seedOfRun();
const WIDTH = 6;

const random = seeded(SEED);
const between = (least: number, most: number): number => Math.round(least + random() * (most - least));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** What takes longer has hung, however busy the machine is. */
const HUNG_MS = 120_000;

/** `work`, with an end; whatever it fails with, the failure says where and in which run. */
async function named<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hung = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${HUNG_MS / 1_000} s`)), HUNG_MS);
  });
  try {
    return await Promise.race([work, hung]);
  } catch (cause) {
    throw new Error(`seed ${SEED}, ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

describe(`killed ${KILLS} times under load (seed ${SEED})`, () => {
  let scene: Scene;
  let load: Load;
  let appender: Appender;
  let publishing: Publishing;
  let keys: Keys;
  let ledger: Ledger;
  let rows: Awaited<ReturnType<typeof readProjection>>;
  const heads = new Heads();

  beforeAll(async () => {
    scene = await startScene({ life_seconds: 3_600 + KILLS * 60 });
    let session = await scene.session();
    keys = await publishedKeys(scene.talos.origin);
    load = new Load({
      ...{ aud: scene.aud, width: WIDTH, random },
      caller: () => ({ holder: scene.agent, chain: scene.chain, session }),
    });
    appender = new Appender(() => scene.talos.log(), random);
    publishing = new Publishing(scene);
    load.hold();
    load.start();
    for (let round = 1; round <= KILLS; round += 1) {
      const step = <T>(what: string, work: Promise<T>) => named(`kill ${round} of ${KILLS}: ${what}`, work);
      appender.start();
      load.resume();
      await load.answers(between(0, 30), 2_000);
      await step("looking at the head", heads.look(scene.talos));
      const publication = publishing.next();
      await pause(between(0, 80));
      load.hold();
      await step("killing", scene.talos.kill());
      await step("waiting for what was under way", Promise.all([load.drain(), appender.halt(), publication]));
      await step("starting again", scene.restart());
      await step("looking at the head again", heads.look(scene.talos));
      await step("appending again", appender.retry());
      await step("publishing again", publishing.retry());
      if (round % 50 === 0) console.log(`killed ${round} times of ${KILLS}, ${heads.seen.size} heads so far`);
      // Many kills take longer than a session lives.
      if (session.expires_at - Date.now() / 1_000 < LIMITS.session_life_seconds / 2) session = await scene.session();
    }
    load.resume();
    await pause(300);
    await load.stop();
    await projected(scene.talos);
    await heads.whole(scene.talos);
    // The log itself goes on: it closes intents whose Worker died. What is compared is what its newest head covers.
    const size = Math.max(...heads.seen.keys());
    await projected(scene.talos);
    ledger = firstOf(await readLedger(scene.talos), size);
    rows = (await readProjection(scene.database)).filter(({ seq }) => seq < size);
  }, KILLS * HUNG_MS);

  afterAll(() => scene?.stop());

  it("was under load all the time, and answered whatever it answered with success", () => {
    const lost = load.shots.length - load.answered.length;
    console.log(
      `seed ${SEED}: ${KILLS} kills, ${load.answered.length} calls answered, ${lost} lost, ` +
        `${appender.acknowledged.size} events appended, ${appender.retried} appends tried again, ` +
        `${publishing.published.length} policies published, ${heads.seen.size} heads, ${ledger.leaves.length} events in the log`,
    );
    expect(load.answered.map(faultOf).filter((fault) => fault !== undefined)).toEqual([]);
    expect(load.answered.length).toBeGreaterThan(KILLS * 5);
    expect(lost).toBeGreaterThan(0);
  });

  it("kept every event that it promised, in its place and with its leaf", () => {
    const jws = [...load.shots.flatMap(({ promise }) => promise ?? []), ...appender.acknowledged.values()];
    expect(jws.length).toBeGreaterThan(KILLS * 5);
    for (const one of jws) {
      const { event_id, leaf, seq, log } = promised(one, keys);
      expect(log).toBe("default");
      expect(ledger.byId.get(event_id)).toMatchObject({ seq, leaf });
    }
  });

  it("recorded the intent and the outcome of every answer that anybody saw, in this order", () => {
    const outcomes = new Map(
      ledger.leaves.flatMap((leaf) =>
        leaf.event.kind === "outcome" && leaf.event.effect?.state === "confirmed"
          ? [[leaf.event.correlation, leaf] as const]
          : [],
      ),
    );
    for (const { n, kind, status, intent, receipt } of load.shots) {
      if (receipt !== undefined) {
        const { event_id } = verified<{ event_id: string }>(receipt, "talos-receipt+jwt", keys);
        expect(ledger.byId.get(event_id)?.event).toMatchObject({ kind: "decision", decision: { allow: true } });
      }
      if (kind === "receipt" || status !== 200) continue;
      const written = ledger.byId.get(intent!);
      expect(written?.event).toMatchObject({ kind: "intent", correlation: intent, meta: { mcp_id: `"${n}"` } });
      expect(outcomes.get(intent!)?.seq).toBeGreaterThan(written!.seq);
    }
  });

  it("sent no write whose intent was not durable, and none twice", () => {
    const intents = new Map(
      ledger.leaves.flatMap(({ event }) => (event.kind === "intent" ? [[event.meta.mcp_id, event] as const] : [])),
    );
    expect(new Set(scene.tools.acts).size).toBe(scene.tools.acts.length);
    expect(scene.tools.acts.length).toBeGreaterThan(KILLS);
    for (const n of scene.tools.acts) {
      const intent = intents.get(`"${n}"`);
      expect(intent, n).toMatchObject({ resource: { resource_id: "tools/act" }, effect: { state: "attempted" } });
      const salt = ledger.salts.get(intent!.event_id)!.args!;
      expect(intent!.commitments?.args).toBe(commitmentTo(salt, JSON.stringify({ n })));
    }
  });

  it("has no outcome without its intent before it, and no intent with two final outcomes", () => {
    const finals = new Set<string>();
    for (const { seq, event } of ledger.leaves) {
      if (event.kind !== "outcome") continue;
      expect(ledger.byId.get(event.correlation!)?.seq).toBeLessThan(seq);
      if (event.commitments?.result === undefined) continue;
      expect(finals.has(event.correlation!)).toBe(false);
      finals.add(event.correlation!);
    }
  });

  it("took each batch of events wholly or not at all", () => {
    expect(appender.retried).toBeGreaterThan(0);
    expect(appender.halves).toEqual([]);
    for (const batch of appender.batches) {
      const places = batch.map(({ event_id }) => ledger.byId.get(event_id)?.seq);
      expect(places).toEqual(places.map((_, i) => places[0]! + i));
    }
  });

  // As many appends as there were calls, and the whole record once more: as long as it takes, a tenth of a second a kill.
  const timeout = 60_000 + KILLS * 100;
  it("gives the same promise, byte for byte, to whoever appends again", { timeout }, async () => {
    expect(appender.differing).toEqual([]);
    const seen = load.shots.flatMap(({ promise }) => (promise === undefined ? [] : [promise]));
    for (let at = 0; at < seen.length; at += 100) {
      const some = seen.slice(at, at + 100);
      const events = some.map((jws) => appendable(ledger.byId.get(promised(jws, keys).event_id)!));
      // A connection that was kept may be closed by now; whoever gets no answer asks again.
      const append = () => scene.talos.log().append({ events });
      expect(await append().catch(append)).toMatchObject({ ok: true, promises: some });
    }
    const { leaves } = await readLedger(scene.talos);
    expect(leaves.slice(0, ledger.leaves.length)).toEqual(ledger.leaves);
    for (const { event } of leaves.slice(ledger.leaves.length)) {
      expect(event).toMatchObject({ kind: "outcome", effect: { state: "unknown" } });
    }
  });

  it("put every policy in force once, in order, though it died in the middle of it", async () => {
    const recorded = ledger.leaves.flatMap(({ event }) =>
      event.kind === "policy" ? [event.head!.policy_version] : [],
    );
    expect(recorded).toEqual([1, ...publishing.published]);
    expect(publishing.published.length).toBe(KILLS);
    expect(await publishing.inForce()).toBe(publishing.published.at(-1));
  });

  it("signed no two histories: each head extends the last, and what is published is this log, whole", async () => {
    expect(await heads.breaches(scene.talos, ledger)).toEqual([]);
    expect(heads.seen.size).toBeGreaterThan(KILLS / 10);
    expect(Math.max(...heads.seen.keys())).toBe(ledger.leaves.length);
  });

  it("has exactly this log in Postgres", async () => {
    expect(rows).toEqual(asProjected(ledger));
  });
});
