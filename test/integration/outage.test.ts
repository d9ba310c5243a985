/**
 * Dependencies fail while callers keep calling. Postgres is not on a request's path: whatever it does, calls go on and
 * it catches up to exactly the log. The objects are: each has its named answer, and a refused call had no effect.
 * Source: contracts/spec/audit.md#order, #projection-and-cursors.
 */
import { type AuditRecord, LIMITS } from "@talos/contracts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../workers/db/client.ts";
import { send, signed } from "../fixtures.ts";
import { asProjected, projected, readLedger, readProjection } from "../support/ledger.ts";
import { faultOf, Load, type Shot } from "../support/load.ts";
import { seeded, seedOfRun } from "../support/random.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { promised, publishedKeys } from "../support/signatures.ts";

const SEED = seedOfRun();
/** The driver gives up after 10 s; the rest is a slow machine. */
const HANG_MS = 14_000;

let scene: Scene;
let load: Load;
let caller: { holder: Scene["agent"]; chain: string; session: Awaited<ReturnType<Scene["session"]>> };
let round = 0;

const ask = (path: string) =>
  send(signed(scene.agent, scene.chain, { aud: scene.aud, path: `/audit/events${path}`, method: "GET" }));

function startLoad(): Load {
  round += 1;
  const options = { aud: scene.aud, caller: () => caller, width: 4, random: seeded(SEED + round), name: `r${round}` };
  const started = new Load(options);
  started.start();
  return started;
}

/** All is as if nothing had happened: every event once, in order, and no request failed. */
async function expectExact(): Promise<void> {
  await projected(scene.talos, 30_000);
  const ledger = await readLedger(scene.talos);
  expect(await readProjection(scene.database)).toEqual(asProjected(ledger));
  const keys = await publishedKeys(scene.talos.origin);
  for (const { promise } of load.shots) {
    if (promise === undefined) continue;
    const { event_id, seq, leaf } = promised(promise, keys);
    expect(ledger.byId.get(event_id)).toMatchObject({ seq, leaf });
  }
}

const faults = () => load.shots.map(faultOf).filter((fault) => fault !== undefined);

describe(`without Postgres, under load (seed ${SEED})`, () => {
  beforeAll(async () => {
    scene = await startScene();
    caller = { holder: scene.agent, chain: scene.chain, session: await scene.session() };
  });
  afterAll(() => scene?.stop());
  beforeEach(() => {
    load = startLoad();
  });
  afterEach(async () => {
    await load.stop();
    await scene.cable.mend();
  });

  it("that is stopped: calls go on, one event comes from the log, a search says why not; then it catches up", async () => {
    await load.answers(10, 10_000);
    await scene.cable.cut();
    await load.answers(20, 10_000);
    const search = await ask("");
    expect(search.status).toBe(503);
    expect(search.headers.get("retry-after")).not.toBeNull();
    expect(await search.json()).toMatchObject({ code: "audit.query_unavailable", retryable: true });
    const shot = load.answered.findLast(({ intent }) => intent !== undefined)!;
    const one = await ask(`/${shot.intent}`);
    expect(one.status).toBe(200);
    expect((await one.json()) as AuditRecord).toMatchObject({ source: "log", promise: shot.promise });
    const { next_seq, projected_seq } = await scene.talos.log().status();
    expect(projected_seq).toBeLessThan(next_seq);
    await scene.cable.mend();
    await load.answers(10, 10_000);
    await load.stop();
    expect(faults()).toEqual([]);
    await expectExact();
    expect((await ask(`/${shot.intent}`)).status).toBe(200);
    expect((await ask("?limit=1")).status).toBe(200);
  });

  it("that is stopped while the Worker dies as well: what waited for it waits on the disk", async () => {
    await scene.cable.cut();
    const { projected_seq } = await scene.talos.log().status();
    await load.answers(15, 10_000);
    load.hold();
    await scene.talos.kill();
    await load.drain();
    await scene.restart();
    load.resume();
    await load.answers(15, 10_000);
    await load.stop();
    expect((await scene.talos.log().status()).projected_seq).toBe(projected_seq);
    await scene.cable.mend();
    const lost = load.shots.filter(({ status }) => status === "lost");
    expect(faults().length).toBe(lost.length);
    await expectExact();
  });

  it("that takes connections and never answers: calls go on, and what asks it has an end", async () => {
    await scene.cable.become("stalled");
    await load.answers(10, 10_000);
    const { intent } = load.answered.findLast((shot) => shot.intent !== undefined)!;
    const startMs = performance.now();
    const asked = Promise.all([ask(""), ask(`/${intent}`)]);
    await load.answers(60, 10_000);
    await load.stop();
    const [search, one] = await asked;
    expect(performance.now() - startMs).toBeLessThan(HANG_MS);
    expect(search.status).toBe(503);
    expect(await search.json()).toMatchObject({ code: "audit.query_unavailable" });
    expect(one.status).toBe(200);
    expect(await one.json()).toMatchObject({ source: "log" });
    expect(faults()).toEqual([]);
    expect(Math.max(...load.shots.map(({ ms }) => ms))).toBeLessThan(LIMITS.object_timeout_ms);
    await scene.cable.mend();
    await expectExact();
  });

  it("whose answers are lost after it did what was asked: nothing stands there twice", async () => {
    await load.drain();
    await projected(scene.talos);
    const before = (await scene.talos.log().status()).projected_seq;
    await scene.cable.become("answerless");
    load.resume();
    await load.answers(20, 10_000);
    await load.stop();
    await scene.talos.log().flush();
    const during = await scene.talos.log().status();
    expect(during.projection_failures).toBeGreaterThan(0);
    expect(during.projected_seq).toBe(before);
    const there = await readProjection(scene.database);
    expect(there.length).toBeGreaterThan(before);
    await scene.cable.mend();
    expect(faults()).toEqual([]);
    await expectExact();
  });

  it("that was set back to an older state: it is filled again from there, to the last row", async () => {
    await load.drain();
    await projected(scene.talos);
    const { sql } = connect({
      TALOS_MODE: "development",
      DATABASE_URL: scene.database.url,
      TALOS_DATABASE_ENDPOINT: scene.database.endpoint,
    });
    // Rows are never deleted one by one (a trigger refuses it): as a restore does, all go and the older ones come back.
    await sql.transaction([
      sql`CREATE TABLE backup AS SELECT * FROM audit_event WHERE seq < 7`,
      sql`TRUNCATE audit_event`,
      sql`INSERT INTO audit_event SELECT * FROM backup`,
      sql`UPDATE audit_cursor SET next_seq = 7 WHERE log_id = 'default'`,
      sql`DROP TABLE backup`,
    ]);
    load.resume();
    await load.answers(10, 10_000);
    await load.stop();
    await expectExact();
  });
});

describe(`without one of the objects, under load (seed ${SEED})`, () => {
  beforeAll(async () => {
    scene = await startScene({ faults: true });
    caller = { holder: scene.agent, chain: scene.chain, session: await scene.session() };
  });
  afterAll(() => scene?.stop());

  /** Load before, during and after an absence; what was answered during it otherwise than by success. */
  async function during(down: Parameters<Scene["talos"]["faults"]>[0]["down"]): Promise<Shot[]> {
    load = startLoad();
    await load.answers(8, 10_000);
    await scene.talos.faults({ down: down ?? [] });
    await load.answers(20, 15_000);
    await scene.talos.faults({});
    await load.answers(8, 15_000);
    await load.stop();
    expect(load.shots.slice(-4).map(faultOf)).toEqual([undefined, undefined, undefined, undefined]);
    return load.shots.filter((shot) => faultOf(shot) !== undefined);
  }

  const codeOf = ({ body }: Shot): string => /"code":"([a-zA-Z._]+)"/.exec(body)?.[1] ?? body;
  const codes = (shots: Shot[]): string[] => [...new Set(shots.map(codeOf))];
  const acted = ({ n }: Shot): boolean => scene.tools.acts.includes(n);

  it("the gate: admission.unavailable, and nothing that was refused reached its tool", async () => {
    const refused = await during(["gate"]);
    expect(codes(refused)).toEqual(["admission.unavailable"]);
    expect(refused.length).toBeGreaterThan(10);
    expect(refused.every(({ status }) => status === 503)).toBe(true);
    expect(refused.filter(acted)).toEqual([]);
    expect(refused.filter(({ n }) => scene.tools.arguments.has(n))).toEqual([]);
    await expectExact();
  });

  it("the log: audit.unavailable, no write was sent and no read was shown", async () => {
    const refused = await during(["log"]);
    expect(codes(refused).filter((code) => !["audit.unavailable", "outcome.unrecorded"].includes(code))).toEqual([]);
    const early = refused.filter((shot) => codeOf(shot) === "audit.unavailable");
    expect(early.length).toBeGreaterThan(10);
    expect(early.filter(acted)).toEqual([]);
    expect(refused.filter(({ n, body }) => body.includes(`look ${n}`) || body.includes(`act ${n}`))).toEqual([]);
    await expectExact();
  });

  it("the log, for outcomes alone: outcome.unrecorded names the intent, and the tool ran once", async () => {
    const refused = (await during(["log.outcome"])).filter(({ kind }) => kind !== "receipt");
    expect(codes(refused)).toEqual(["outcome.unrecorded"]);
    const ledger = await readLedger(scene.talos);
    for (const { n, kind, intent, body } of refused) {
      expect(body).toContain(intent);
      expect(body).toContain('"retryable":false');
      expect(ledger.byId.get(intent!)?.event).toMatchObject({ kind: "intent", effect: { state: "attempted" } });
      expect(scene.tools.acts.filter((act) => act === n).length).toBe(kind === "write" ? 1 : 0);
    }
    await expectExact();
  });

  it.each([["kv"], ["head"]] as const)("%s, for a moment: nobody notices", async (down) => {
    expect(await during([down])).toEqual([]);
    await expectExact();
  });
});
