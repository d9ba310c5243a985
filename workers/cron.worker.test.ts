/** The Worker's clock, by the runtime's own dispatch of `scheduled`, against real objects whose alarms were taken away. */
import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { LIMITS } from "@talos/contracts";
import { auditEvent } from "../test/durable-objects/events.ts";
import { pokeAll } from "./cron.ts";

const log = env.AUDIT_LOGS.getByName("default");
const self = () => (exports as unknown as { default: { scheduled(options: object): Promise<void> } }).default;
const tick = () => self().scheduled({});
const alarmOf = () => runInDurableObject(log, (_, { storage }) => storage.getAlarm());

async function append(): Promise<void> {
  const answer = await log.append({ events: [auditEvent("default")] });
  expect(answer.ok).toBe(true);
}

describe("the clock", () => {
  it("brings back an alarm that was lost, and what was appended is sealed and published without another append", async () => {
    await append();
    await runInDurableObject(log, (_, { storage }) => storage.deleteAlarm());
    expect(await runDurableObjectAlarm(log)).toBe(false); // nothing comes any more
    await tick();
    expect(await runDurableObjectAlarm(log)).toBe(true);
    expect(await log.status()).toMatchObject({ sealed_size: 1, published_size: 1 });
  });

  it("sets one again that is long overdue, and leaves one alone that is to come", async () => {
    await append();
    const dueMs = (await alarmOf())!;
    await tick();
    expect(await alarmOf()).toBe(dueMs);
    await runInDurableObject(log, async (instance, { storage }) => {
      const inside = storage as unknown as { getAlarm: () => Promise<number | null> };
      const real = inside.getAlarm;
      inside.getAlarm = async () => Date.now() - 6_000; // the platform keeps no alarm in the past
      await instance.poke();
      inside.getAlarm = real;
    });
    expect((await alarmOf())!).toBeLessThanOrEqual(Date.now() + LIMITS.audit_project_ms);
    await log.flush();
  });

  it("wakes nobody who has nothing to do", async () => {
    await runInDurableObject(log, (_, { storage }) => storage.deleteAlarm());
    await tick();
    expect(await alarmOf()).toBeNull();
  });

  it("asks everybody, whoever cannot be reached", async () => {
    const asked: string[] = [];
    const named = (kind: string, fails: string[]) => ({
      getByName: (name: string) => ({
        poke: async () => {
          asked.push(`${kind}/${name}`);
          if (fails.includes(name)) throw new Error("gone (test)");
        },
      }),
    });
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const tenants = Array.from({ length: 70 }, (_, i) => `t-${i}`);
    const parts = {
      TALOS_TENANTS: tenants.join(","),
      AUDIT_LOGS: named("log", ["t-0", "t-69"]),
      META_LOG: named("meta", []),
      ANCHORS: named("anchors", ["evm"]),
    };
    await pokeAll({ ...env, ...parts } as unknown as Parameters<typeof pokeAll>[0], Date.now());
    expect(asked.sort()).toEqual(
      [...tenants.map((name) => `log/${name}`), "anchors/evm", "anchors/ots", "meta/meta"].sort(),
    );
    expect(warned.mock.calls.map(([line]) => (JSON.parse(line as string) as { object: string }).object).sort()).toEqual(
      ["anchors evm", "log t-0", "log t-69"],
    );
    warned.mockRestore();
  });
});
