import { env } from "cloudflare:test";
import { LIMITS } from "@talos/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { auditEvent, newId, sealed } from "../test/durable-objects/events.ts";
import { AuditLog } from "../test/durable-objects/worker.ts";
import { encodeBatch } from "./batch.ts";
import type { AppendAsk, Appended, AppendEvent } from "./types.ts";

const { audit_intake_rate: RATE, audit_intake_window_ms: WINDOW, audit_intake_waiting: WAITING } = LIMITS;

let names = 0;
let name: string;
let log: DurableObjectStub<AuditLog>;

beforeEach(() => {
  names += 1;
  name = `intake-${names}`;
  log = env.AUDIT_LOGS.getByName(name) as unknown as DurableObjectStub<AuditLog>;
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const door = (number: number) => env.AUDIT_INTAKES.getByName(`${name}/${number}`);
const event = (id = newId(), text = "") => auditEvent(name, { event_id: id, meta: { text } });
const through = async (number: number, ask: AppendAsk): Promise<Appended> => door(number).append(ask);
const one = (number: number, event: AppendEvent): Promise<Appended> => through(number, { events: [event] });
/** How many appends each call to the log had. */
function calls(): number[] {
  const seen: number[] = [];
  const real = AuditLog.prototype.appendEach;
  vi.spyOn(AuditLog.prototype, "appendEach").mockImplementation(function (this: AuditLog, asks: AppendAsk[]) {
    seen.push(asks.length);
    return real.call(this, asks);
  });
  return seen;
}

describe("an intake object", () => {
  it("gives the log's own promises and places, of many callers in few calls", async () => {
    const seen = calls();
    const events = Array.from({ length: 200 }, () => event());
    const answers = await Promise.all(events.map((event, i) => one(i % 4, event)));
    const places = answers.map((answer) => (answer.ok ? answer.seqs[0]! : Number.NaN));
    expect([...places].sort((a, b) => a - b)).toEqual(events.map((_, i) => i));
    for (const [i, { event_id, body }] of events.entries()) {
      const answer = answers[i]!;
      expect(await log.get(event_id)).toEqual({ body, seq: places[i], promise: answer.ok && answer.promises[0] });
    }
    expect(seen.reduce((sum, n) => sum + n, 0)).toBe(200);
    expect(seen.length).toBeLessThan(100);
  });

  it("takes lists, texts, and as many promises as are asked for", async () => {
    const events = [event(), event()];
    expect(await through(0, { events: encodeBatch(events), promises: 0 })).toEqual({
      ok: true,
      promises: [],
      seqs: [0, 1],
    });
    expect(await through(1, { events, promises: 1 })).toMatchObject({
      ok: true,
      promises: [expect.any(String)],
      seqs: [0, 1],
    });
  });

  it("makes no second leaf of an append that is made again, at whatever door, and promises the same bytes", async () => {
    const known = event();
    const first = await one(0, known);
    expect(first.ok).toBe(true);
    const again = await Promise.all([one(0, known), one(1, known), one(2, known), log.append({ events: [known] })]);
    expect(again).toEqual([first, first, first, first]);
    expect((await log.status()).next_seq).toBe(1);
  });

  it("keeps the asks that go together apart: one that is refused changes nothing for its neighbours", async () => {
    const taken = event();
    await one(0, taken);
    const whole = JSON.parse(event().body) as object;
    const asks = [
      event(),
      event(taken.event_id, "something else"),
      { ...event(), leaf_hash: "A".repeat(43) },
      sealed({ ...whole, tenant: "another" }),
      event(),
    ];
    const seen = calls();
    const answers = await Promise.all([event(), ...asks].map((ask) => one(0, ask)));
    expect(seen).toEqual([1, 5]);
    expect(answers.map((answer) => (answer.ok ? "ok" : answer.code))).toEqual([
      ...["ok", "ok", "audit.event_conflict", "contract.invalid", "contract.invalid", "ok"],
    ]);
    // The alarm of the conflict is an event too.
    expect((await log.status()).next_seq).toBe(1 + 3 + 1);
  });

  it("promises nothing while the log cannot be asked, and goes on when it can", async () => {
    const broken = vi.spyOn(AuditLog.prototype, "appendEach").mockRejectedValue(new Error("gone"));
    const lost = [event(), event(), event()];
    const refused = { ok: false, code: "audit.unavailable" };
    expect(await Promise.all(lost.map((event) => one(0, event)))).toEqual([refused, refused, refused]);
    broken.mockResolvedValue([]); // an answer that no log gives
    expect(await one(0, lost[0]!)).toEqual(refused);
    broken.mockRestore();
    expect((await log.status()).next_seq).toBe(0);
    expect(await Promise.all(lost.map((event) => one(0, event)))).toMatchObject(lost.map(() => ({ ok: true })));
  });

  it("refuses by name what would wait too long, and loses none of what waits", async () => {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const real = AuditLog.prototype.appendEach;
    vi.spyOn(AuditLog.prototype, "appendEach").mockImplementation(async function (this: AuditLog, asks: AppendAsk[]) {
      await opened;
      return real.call(this, asks);
    });
    const event_ = event(); // one event for all: what is counted is asks
    const answers = Promise.all(Array.from({ length: WAITING + 11 }, () => one(0, event_)));
    await vi.waitFor(() => expect(AuditLog.prototype.appendEach).toHaveBeenCalled());
    await scheduler.wait(500);
    open();
    const codes = (await answers).map((answer) => (answer.ok ? "ok" : answer.code));
    expect(codes.filter((code) => code === "audit.backlogged")).toHaveLength(10);
    expect(codes.filter((code) => code === "ok")).toHaveLength(WAITING + 1);
    expect((await log.status()).next_seq).toBe(1);
  });
});

describe("a log", () => {
  it("advises intake objects when it takes more than one object may, and none when that is over", async () => {
    let nowMs = Date.UTC(2026, 5, 1);
    vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
    const known = event();
    const advice = async () => {
      const answer = await log.append({ events: [known], promises: 0 });
      return answer.ok ? answer.intake : answer.code;
    };
    const window = async (appends: number) => {
      for (let i = 0; i < appends; i += 1) await advice();
      nowMs += WINDOW;
      vi.setSystemTime(nowMs);
      return advice();
    };
    expect(await window(10)).toBeUndefined();
    const appends = (3 * RATE * WINDOW) / 1_000;
    // Gathered appends count like others: else the advice would end as soon as it is followed.
    const gathered = Array.from({ length: appends }, () => ({ events: [known], promises: 0 }));
    await log.appendEach(gathered);
    nowMs += WINDOW;
    vi.setSystemTime(nowMs);
    expect(await advice()).toBe(4);
    expect((await log.status()).intake).toBe(4);
    expect(await window(10)).toBeUndefined();
    expect((await log.status()).intake).toBe(0);
  });
});
