import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { type AuditEventV2, LIMITS, validate } from "@talos/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { auditEvent, intent, newId, outcome } from "../test/durable-objects/events.ts";
import { rebind, rowsOf } from "../test/durable-objects/inside.ts";
import { testDatabase } from "../test/durable-objects/projector.ts";
import { recorded } from "../test/durable-objects/tenant.ts";
import type { AuditLog } from "./audit-log.ts";
import { closingId } from "./own-events.ts";
import type { AppendEvent } from "./types.ts";

let count = 0;
let name: string;
let log: DurableObjectStub<AuditLog>;
/** Ahead of the platform's own clock, so that alarms come when a test runs them and not by themselves. */
const START = Date.UTC(2040, 0, 1);

beforeEach(() => {
  count += 1;
  name = `sweep-${count}`;
  log = env.AUDIT_LOGS.getByName(name);
  vi.useFakeTimers({ toFake: ["Date"], now: START });
});
afterEach(() => {
  vi.useRealTimers();
});

const append = async (...events: AppendEvent[]): Promise<void> => {
  expect(await log.append({ events })).toMatchObject({ ok: true });
};
const rows = (sql: string) => rowsOf(log, sql);
const open = () => rows("SELECT intent FROM open_intents");
const later = (ms: number) => vi.setSystemTime(Date.now() + ms);
const closings = async (): Promise<AuditEventV2[]> =>
  (await recorded(name)).filter(({ effect }) => effect?.code === "outcome.unknown");

describe("an intent without an outcome", () => {
  it("is closed once as unknown after its time, by the alarm that was set for it, under an id that follows from it", async () => {
    const one = intent(name);
    await append(one);
    await log.flush();
    const atMs = await runInDurableObject(log, (_, { storage }) => storage.getAlarm());
    expect(atMs).toBe(START + LIMITS.audit_sweep_ms);
    later(LIMITS.audit_sweep_ms - 1);
    await log.flush();
    expect(await closings()).toEqual([]);
    later(1);
    for (let i = 0; i < 3; i += 1) {
      await log.flush();
      await evictDurableObject(log);
    }
    const closed = await closings();
    expect(closed).toHaveLength(1);
    const [event] = closed as [AuditEventV2];
    expect(validate("audit/event-v2", event).ok).toBe(true);
    expect(event).toMatchObject({
      ...{ event_id: closingId(one.event_id), kind: "outcome", correlation: one.event_id, outcome: "failure" },
      ...{ effect: { state: "unknown", server: "files", code: "outcome.unknown" }, tenant: name },
    });
    expect(event.principal).toEqual((JSON.parse(one.body) as AuditEventV2).principal);
    expect(await open()).toEqual([]);
    expect(await log.status()).toMatchObject({ sealed_size: 2, published_size: 2, projected_seq: 2 });
    expect(await log.get(event.event_id)).toMatchObject({ promise: expect.any(String) });
  });

  it("costs a row until its outcome comes, and none when that comes with it; closed, it is not closed again", async () => {
    const [one, two] = [intent(name), intent(name)];
    await append(one, outcome(name, one.event_id));
    expect(await open()).toEqual([]);
    await append(two, auditEvent(name));
    expect(await open()).toEqual([{ intent: two.event_id }]);
    await append(outcome(name, two.event_id));
    expect(await open()).toEqual([]);
    later(2 * LIMITS.audit_sweep_ms);
    await log.flush();
    expect(await closings()).toEqual([]);
  });

  it("is not opened again by being appended again", async () => {
    const one = intent(name);
    await append(one);
    await append(outcome(name, one.event_id));
    await append(one);
    expect(await open()).toEqual([]);
  });

  it("may have a second outcome after a real one, and none after it was closed: that is refused by name", async () => {
    const [one, two] = [intent(name), intent(name)];
    await append(one, two);
    await append(outcome(name, one.event_id, { effect: { state: "unknown" } }));
    await append(outcome(name, one.event_id));
    later(LIMITS.audit_sweep_ms);
    await log.flush();
    const late = outcome(name, two.event_id);
    expect(await log.append({ events: [auditEvent(name), late] })).toEqual({
      ok: false,
      code: "outcome.late",
      event_id: late.event_id,
    });
    await evictDurableObject(log);
    expect(await log.append({ events: [late] })).toMatchObject({ code: "outcome.late" });
    expect((await closings()).map(({ correlation }) => correlation)).toEqual([two.event_id]);
    expect((await log.status()).next_seq).toBe(5);
    await append(outcome(name, one.event_id)); // of the other it still may come
  });

  it("is not hidden by whoever takes the id of the event that would close it", async () => {
    const one = intent(name);
    await append(one, auditEvent(name, { event_id: closingId(one.event_id) }));
    later(LIMITS.audit_sweep_ms);
    await log.flush();
    await log.flush();
    expect((await closings()).map(({ correlation }) => correlation)).toEqual([one.event_id]);
    expect(await log.append({ events: [outcome(name, one.event_id)] })).toMatchObject({ code: "outcome.late" });
  });

  it("is closed whatever its surface is: one that this version does not know keeps nobody's open", async () => {
    const [odd, one] = [intent(name, { surface_id: "theirs.tool", audit_action: "theirs.call" }), intent(name)];
    await append(odd, one);
    later(LIMITS.audit_sweep_ms);
    await log.flush();
    const closed = await closings();
    expect(closed.map(({ correlation }) => correlation).sort()).toEqual([odd.event_id, one.event_id].sort());
    for (const event of closed) expect(validate("audit/event-v2", event).ok).toBe(true);
    expect(closed.find(({ correlation }) => correlation === odd.event_id)).toMatchObject({ surface_id: "theirs.tool" });
  });

  it("is one of many: all are closed, a batch after the other, each once", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 2; i += 1) {
      const intents = Array.from({ length: 100 }, () => intent(name));
      await append(...intents);
      ids.push(...intents.map(({ event_id }) => event_id));
    }
    later(LIMITS.audit_sweep_ms);
    for (let i = 0; i < 6; i += 1) await runDurableObjectAlarm(log);
    const closed = (await closings()).map(({ correlation }) => correlation);
    expect(closed.sort()).toEqual(ids.sort());
    expect(testDatabase().rows.get(name)).toHaveLength(400);
  });

  it("is closed once, wherever it dies: before the commit nothing is there, after it everything is", async () => {
    const one = intent(name);
    await append(one);
    later(LIMITS.audit_sweep_ms);
    for (const before of [true, false]) {
      await runInDurableObject(log, async (instance, { storage }) => {
        const real = storage.transactionSync.bind(storage);
        const torn = storage as unknown as { transactionSync: (run: () => unknown) => unknown };
        torn.transactionSync = (run) => {
          if (before) return real(() => [run(), died("before the commit")]);
          real(run as () => void);
          return died("after the commit");
        };
        await instance.flush();
        torn.transactionSync = real;
      });
      expect(await closings()).toHaveLength(before ? 0 : 1);
      expect(await open()).toHaveLength(before ? 1 : 0);
      await evictDurableObject(log);
    }
    await log.flush();
    expect(await closings()).toHaveLength(1);
    expect((await log.status()).next_seq).toBe(2);
  });

  it("stays open while the log takes nothing, and is closed when it does again", async () => {
    await append(intent(name));
    const bind = (more: object) => rebind(log, more);
    later(LIMITS.audit_sweep_ms);
    await bind({ TALOS_KEYSETS: "" });
    await log.flush();
    expect(await open()).toHaveLength(1);
    await bind({ TALOS_KEYSETS: env.TALOS_KEYSETS });
    later(60_000);
    await log.flush(); // publishes what waited; an event that waits too long closes the log for a while
    await log.flush();
    expect(await closings()).toHaveLength(1);
  });
});

function died(where: string): never {
  throw new Error(`died ${where} (test)`);
}

describe("events from before intents were kept open", () => {
  it("are looked through from the first on, however often that is broken off, with what comes in meanwhile", async () => {
    const intents = Array.from({ length: 900 }, () => intent(name, { meta: { text: "x".repeat(500) } }));
    for (let at = 0; at < 900; at += 100) await append(...intents.slice(at, at + 100));
    for (let at = 0; at < 900; at += 100) {
      const some = intents.slice(at, at + 100).filter((_, i) => i % 2 === 0);
      await append(...some.map(({ event_id }) => outcome(name, event_id)));
    }
    // As it is when this was not kept yet.
    await rows("DELETE FROM open_intents");
    await rows("UPDATE sweep SET scanned = 0, done = 0");
    await evictDurableObject(log);
    const odd = intents.filter((_, i) => i % 2 === 1);
    const scanned = async () => Number((await rows("SELECT scanned FROM sweep"))[0]!.scanned);
    let last = -1;
    for (let i = 0; i < 40 && (await rows("SELECT done FROM sweep"))[0]!.done === 0; i += 1) {
      await runInDurableObject(log, async (instance, { storage }) => {
        // One slice, then it dies.
        const real = storage.transactionSync.bind(storage);
        let left = 1;
        (storage as unknown as { transactionSync: typeof real }).transactionSync = (run) =>
          left-- > 0 ? real(run) : died("after a slice");
        await instance.flush();
        storage.transactionSync = real;
      });
      await evictDurableObject(log);
      expect(await scanned()).toBeGreaterThan(last);
      last = await scanned();
      // An outcome of an intent whose row may not be there yet.
      if (i < 3) await append(outcome(name, odd[448 - i]!.event_id));
    }
    const closedMeanwhile = new Set([0, 1, 2].map((i) => odd[448 - i]!.event_id));
    const left = odd.map(({ event_id }) => event_id).filter((id) => !closedMeanwhile.has(id));
    expect((await open()).map(({ intent }) => intent).sort()).toEqual(left.sort());
    later(LIMITS.audit_sweep_ms);
    for (let i = 0; i < 12; i += 1) await log.flush();
    expect((await closings()).map(({ correlation }) => correlation).sort()).toEqual(left.sort());
  });
});

describe("an outcome", () => {
  it("of no intent of this log is refused, also before its intent", async () => {
    const of = newId();
    expect(await log.append({ events: [outcome(name, of)] })).toMatchObject({
      code: "contract.invalid",
      flaw: "correlation",
    });
    const one = intent(name, { event_id: of });
    await append(one, outcome(name, of));
  });
});
