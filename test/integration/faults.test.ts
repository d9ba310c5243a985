/**
 * Each dependency is taken away in turn, under load, in each way that it can fail: it is down, it is slow (it does its
 * work, but later than anybody waits), it answers garbage, it answers without end. Callers get the answer that is named
 * for it; the record is held against all answers; the slots are free afterwards, and everything goes on.
 *
 * `TALOS_FAULT_ROUNDS` plays the whole more than once, `TALOS_SEED` a run again.
 * Source: contracts/spec/audit.md#order, contracts/spec/admission.md.
 */
import { b64uEncode, sha256 } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newUuid, type Proven, rpc, send, signed } from "../fixtures.ts";
import type { Faults } from "../harness.ts";
import type { Line } from "../support/cable.ts";
import { breaches, codeOf } from "../support/held.ts";
import { asProjected, projected, readLedger, readProjection } from "../support/ledger.ts";
import { faultOf, Load, type Shot } from "../support/load.ts";
import { seeded, seedOfRun } from "../support/random.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { type Keys, publishedKeys } from "../support/signatures.ts";
import type { Manner } from "../support/tools.ts";
import { MCP_HEADERS } from "../support/world.ts";

const SEED = seedOfRun();
const ROUNDS = Number(process.env.TALOS_FAULT_ROUNDS ?? 1);
const WIDTH = 8;
/** Answers that are waited for while something fails: slow ones take `object_timeout_ms` each, WIDTH at a time. */
const DURING = 12;

let scene: Scene;
let keys: Keys;
let caller: { holder: Scene["agent"]; chain: string; session: Awaited<ReturnType<Scene["session"]>> };
let loads = 0;
const shots: Shot[] = [];
const probed = new Map<string, number[]>();

beforeAll(async () => {
  // As many slots as callers, and as many again: slots that a failure leaves behind are missed soon.
  scene = await startScene({ faults: true, concurrency: 2 * WIDTH, timeout_ms: 1_500 });
  keys = await publishedKeys(scene.talos.origin);
  caller = { holder: scene.agent, chain: scene.chain, session: await scene.session() };
});
afterAll(() => scene?.stop());

interface Fault {
  begin(): Promise<void>;
  end(): Promise<void>;
}

const ofObjects = (faults: Faults): Fault => ({
  begin: () => scene.talos.faults(faults),
  end: () => scene.talos.faults({}),
});
/** Appends go through intake objects before, meanwhile and afterwards. */
const ofSpread = (faults: Faults): Fault => ({
  begin: async () => {
    await scene.talos.faults({ intake: 4, forget: true });
    const before = await scene.talos.gathered();
    await expect.poll(() => scene.talos.gathered(), { timeout: 20_000 }).toBeGreaterThan(before + WIDTH);
    await scene.talos.faults({ intake: 4, ...faults });
  },
  end: () => scene.talos.faults({ intake: 4 }),
});
const ofPostgres = (line: Line | "cut"): Fault => ({
  begin: () => (line === "cut" ? scene.cable.cut() : scene.cable.become(line)),
  end: () => scene.cable.mend(),
});
const ofUpstream = (manner: Manner): Fault => {
  const become = async (now: Manner): Promise<void> => {
    scene.tools.manner = now;
  };
  return { begin: () => become(manner), end: () => become("whole") };
};

/** One signed write, whose very bytes can be sent again. */
function probe(): { n: string; request: Proven } {
  const n = `probe-${newUuid()}`;
  const body = rpc("tools/call", { name: "act", arguments: { n } }, n);
  const ask = { aud: scene.aud, path: "/mcp/tools", headers: MCP_HEADERS, body };
  return { n, request: signed(scene.agent, scene.chain, ask) };
}

async function sendProbe({ n, request }: ReturnType<typeof probe>): Promise<number> {
  const answer = await send(request);
  await answer.text();
  probed.set(n, [...(probed.get(n) ?? []), answer.status]);
  return answer.status;
}

/** Slots that the gate of the scene's chain holds. */
async function slots(): Promise<number> {
  const gate = `default/${b64uEncode(sha256(new TextEncoder().encode(scene.chain)))}`;
  const rows = (await scene.talos.sql("CapabilityGate", gate, "SELECT count(*) AS n FROM slots")) as { n: number }[];
  return rows[0]!.n;
}

/** Load before, during and after a failure. @returns what was answered otherwise than by success */
async function during(fault: Fault, meanwhile?: () => Promise<void>): Promise<Shot[]> {
  loads += 1;
  const random = seeded(SEED + loads);
  const load = new Load({ aud: scene.aud, caller: () => caller, width: WIDTH, random, name: `f${loads}` });
  const again = probe();
  load.start();
  try {
    await load.answers(WIDTH, 20_000);
    await fault.begin();
    const first = sendProbe(again);
    await Promise.all([load.answers(DURING, 40_000), first, meanwhile?.()]);
    await fault.end();
    // Those that began while it failed may still end so; those that begin now may not.
    const begun = load.begun;
    const after = () => load.shots.filter(({ n }) => Number(n.split("-")[1]) > begun);
    await expect.poll(() => after().length, { timeout: 40_000 }).toBeGreaterThan(2 * WIDTH);
    expect(after().map(faultOf).filter(Boolean)).toEqual([]);
  } finally {
    await fault.end();
    await load.stop();
  }
  shots.push(...load.shots);
  await expectOnce(again);
  await expect.poll(slots, { timeout: 20_000, interval: 200 }).toBe(0);
  await expectWhole();
  expect(load.shots.filter(({ status }) => status === "lost")).toEqual([]);
  return load.shots.filter((shot) => faultOf(shot) !== undefined);
}

/** A request that is sent again, byte for byte, has its effect once at most, whatever came back the first time. */
async function expectOnce(one: ReturnType<typeof probe>): Promise<void> {
  const [first] = probed.get(one.n)!;
  const second = await sendProbe(one);
  expect([200, 409]).toContain(second);
  if (first === 200) expect(second).toBe(409);
  expect(await sendProbe(one)).toBe(409);
  expect(scene.tools.acts.filter((n) => n === one.n).length).toBeLessThanOrEqual(1);
}

/** The search alone needs Postgres, and says so, in time. */
async function expectNoSearch(): Promise<void> {
  const answer = await send(signed(scene.agent, scene.chain, { aud: scene.aud, path: "/audit/events", method: "GET" }));
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ code: "audit.query_unavailable", retryable: true });
}

async function expectWhole(): Promise<void> {
  await projected(scene.talos);
  const ledger = await readLedger(scene.talos);
  expect(breaches(ledger, shots, scene.tools, keys)).toEqual([]);
  expect(await readProjection(scene.database)).toEqual(asProjected(ledger));
}

const codes = (failed: readonly Shot[]): string[] => [...new Set(failed.map((s) => `${s.status} ${codeOf(s)}`))].sort();

/** `says`: what callers hear, and nothing else; empty when nobody notices. `rarely`: few or none of them may hear it. */
const CASES: { name: string; fault: () => Fault; says: string[]; rarely?: true; meanwhile?: () => Promise<void> }[] = [
  ...(["down", "slow", "wrong"] as const).flatMap((mode) => [
    {
      name: `CapabilityGate ${mode}`,
      fault: () => ofObjects({ [mode]: ["gate"] }),
      says: ["503 admission.unavailable"],
    },
    {
      name: `AuditLog ${mode}`,
      fault: () => ofObjects({ [mode]: ["log"] }),
      says: ["500 outcome.unrecorded", "503 audit.unavailable"],
    },
    {
      name: `AuditIntake ${mode}, while the log advises it`,
      fault: () => ofSpread({ [mode]: ["intake"] }), // passed by after the first answer that does not come
      rarely: true as const,
      says: ["500 outcome.unrecorded", "503 audit.unavailable"],
    },
    {
      name: `TenantHead ${mode}, for an isolate that knows nothing`,
      fault: () => ofObjects({ [mode]: ["head"], forget: true }),
      says: [mode === "wrong" ? "503 head.inconsistent" : "503 head.unavailable"],
    },
    {
      name: `KV ${mode}, for an isolate that knows nothing`,
      fault: () => ofObjects({ [mode]: ["kv"], forget: true }),
      says: [],
    },
  ]),
  ...(["cut", "stalled", "wrong", "endless"] as const).map((line) => ({
    name: `Postgres ${line}`,
    fault: () => ofPostgres(line),
    says: [],
    meanwhile: expectNoSearch,
  })),
  { name: "upstream down", fault: () => ofUpstream("down"), says: ["502 upstream.unreachable"] },
  { name: "upstream slow", fault: () => ofUpstream("slow"), says: ["504 upstream.timeout"] },
  { name: "upstream wrong", fault: () => ofUpstream("wrong"), says: ["502 upstream.invalid"] },
  { name: "upstream endless", fault: () => ofUpstream("endless"), says: ["502 upstream.too_large"] },
  { name: "upstream endless stream", fault: () => ofUpstream("endless stream"), says: ["200 upstream.too_large"] },
];

describe.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(`under load (seed ${SEED}), round %i`, () => {
  it.each(CASES)("$name", { timeout: 120_000 }, async ({ fault, says, rarely, meanwhile }) => {
    const failed = await during(fault(), meanwhile);
    expect(codes(failed).filter((code) => !says.includes(code))).toEqual([]);
    if (rarely) expect(failed.length).toBeLessThanOrEqual(2 * WIDTH);
    else if (says.length > 0) expect(failed.length).toBeGreaterThan(0);
  });
});
