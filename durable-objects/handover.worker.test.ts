import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { LIMITS } from "@talos/contracts";
import { beforeEach, describe, expect, it } from "vitest";
import { auditEvent } from "../test/durable-objects/events.ts";
import { rebind } from "../test/durable-objects/inside.ts";
import type { AuditLog } from "./audit-log.ts";
import type { MetaAdded, MetaHead } from "./types.ts";

let count = 0;
let log: DurableObjectStub<AuditLog>;
/** What the meta-log was handed, in order. */
let handed: MetaHead[];
let fault: () => "none" | "down" | "lost" | "fork";

beforeEach(async () => {
  count += 1;
  log = env.AUDIT_LOGS.getByName(`handover-${count}`);
  handed = [];
  fault = () => "none";
  await bind();
});

/** A meta-log that keeps the rule of the real one, and fails where a test says. */
const meta = {
  add: async (head: MetaHead): Promise<MetaAdded> => {
    const now = fault();
    if (now === "down") throw new Error("the meta-log is down (test)");
    if (now === "fork") return { ok: false, code: "audit.forked" };
    handed.push(head);
    if (now === "lost") throw new Error("the answer was lost (test)");
    return { ok: true, index: handed.length - 1 };
  },
};
const bind = (more: object = { META_LOG: { getByName: () => meta } }) => rebind(log, more);

const event = () => auditEvent(`handover-${count}`);

async function append(many = 1): Promise<void> {
  const events = Array.from({ length: many }, event);
  expect(await log.append({ events })).toMatchObject({ ok: true });
}
const published = async () => (await env.AUDIT_TILES.get(`c/handover-${count}/checkpoint`))!.text();

describe("handing heads to the meta-log", () => {
  it("gives each published head with its note, once when all goes well, and remembers what was acknowledged", async () => {
    for (const many of [3, 1, 2]) {
      await append(many);
      await log.flush();
    }
    expect(handed.map(({ size }) => size)).toEqual([3, 4, 6]);
    const last = handed.at(-1)!;
    expect(last.note).toBe(await published());
    expect(last.note.startsWith(`${last.origin}\n6\n`)).toBe(true);
    expect(last).toMatchObject({ log: `handover-${count}`, root: expect.any(Uint8Array) });
    expect(last.origin).not.toContain("handover");
    expect(await log.status()).toMatchObject({ handed_size: 6, handover_failures: 0 });
    await evictDurableObject(log);
    await bind();
    await log.flush();
    expect(handed).toHaveLength(3);
  });

  it("goes on sealing, appending and publishing while it cannot be reached, waits longer and longer, and then catches up", async () => {
    fault = () => "down";
    await append(2);
    const waits: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      expect(await runDurableObjectAlarm(log)).toBe(true);
      const at = await runInDurableObject(log, (_, { storage }) => storage.getAlarm());
      waits.push(at! - Date.now());
      await log.flush(); // as if the pause were over
    }
    expect(waits[0]).toBeLessThanOrEqual(LIMITS.audit_publish_ms);
    expect(waits[8]).toBeGreaterThan(LIMITS.audit_publish_retry_ms - 5_000);
    await append(200);
    await log.flush();
    const status = await log.status();
    expect(status).toMatchObject({ sealed_size: 202, published_size: 202, handed_size: 0, forked: false });
    expect(status.handover_failures).toBeGreaterThanOrEqual(10);
    fault = () => "none";
    await log.flush();
    expect(handed.map(({ size }) => size)).toEqual([202]);
    expect(await log.status()).toMatchObject({ handed_size: 202, handover_failures: 0 });
  });

  it("loses no head, wherever it dies: the row stands with the published one, and an unheard answer is asked for again", async () => {
    fault = () => "lost";
    await append(1);
    await log.flush();
    await evictDurableObject(log);
    await bind();
    expect(await log.status()).toMatchObject({ published_size: 1, handed_size: 0 });
    fault = () => "none";
    await log.flush();
    expect(handed.map(({ size }) => size)).toEqual([1, 1]);
    // A head that an earlier instance put into the bucket, without a row of it: the look at a start finds it.
    await append(1);
    await log.flush();
    await runInDurableObject(log, (_, { storage }) => {
      storage.sql.exec("DELETE FROM handover");
      storage.sql.exec("DELETE FROM published");
    });
    await evictDurableObject(log);
    await bind();
    await log.flush();
    expect(handed.map(({ size }) => size)).toEqual([1, 1, 2, 2]);
  });

  it("stops the log when another head of it is known there, and keeps it stopped", async () => {
    await append(1);
    await log.flush();
    fault = () => "fork";
    await append(1);
    await log.flush();
    fault = () => "none";
    for (let i = 0; i < 2; i += 1) {
      expect((await log.status()).forked).toBe(true);
      expect(await log.append({ events: [event()] })).toEqual({ ok: false, code: "audit.forked" });
      await evictDurableObject(log);
      await bind();
      await log.flush();
    }
    expect(handed).toHaveLength(1);
  });

  it("holds up neither sealing nor publishing while it does not answer", async () => {
    let answer = (): void => {};
    const hangs = { add: () => new Promise<MetaAdded>((resolve) => (answer = () => resolve({ ok: true, index: 0 }))) };
    await bind({ META_LOG: { getByName: () => hangs } });
    await append(1);
    await runInDurableObject(log, async (instance: AuditLog) => {
      const working = instance.flush();
      while (instance.status().published_size < 1) await scheduler.wait(20);
      await instance.append({ events: [event()] });
      while (instance.status().sealed_size < 2) await scheduler.wait(20);
      expect(instance.status()).toMatchObject({ handed_size: 0 });
      answer();
      await working;
      expect(instance.status()).toMatchObject({ handed_size: 1 });
    });
  });

  it("refuses by name without a binding, instead of promising what cannot be published or shown to be the only history", async () => {
    await bind({ META_LOG: undefined });
    expect(await log.append({ events: [event()] })).toEqual({ ok: false, code: "config.incomplete" });
    await bind({ AUDIT_TILES: undefined });
    expect(await log.append({ events: [event()] })).toEqual({ ok: false, code: "config.incomplete" });
    expect((await log.status()).next_seq).toBe(0);
  });
});
