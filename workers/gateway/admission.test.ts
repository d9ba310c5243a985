import { LIMITS, type RateClass } from "@talos/contracts";
import type { PolicyHandle, RequestFacts } from "@talos/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmitAsk, Admitted } from "../../durable-objects/types.ts";
import { admit, endSlot, forgetLeases } from "./admission.ts";
import type { Asker } from "./asker.ts";
import { GIVE_BACK_MS } from "./given-back.ts";

const rate = (name: string): RateClass => ({
  ...{ name, capacity: 1_000, refill_per_second: 1, link_share_percent: 50, concurrency: 9 },
});
const policy = { snapshot: { tools: [], rate_classes: [rate("read"), rate("other")] } } as unknown as PolicyHandle;
const read = (over: Partial<RequestFacts> = {}): RequestFacts =>
  ({
    ...{ form: "session_mac", class: "read", needs: [], rate_classes: ["read"], rate_class: "read" },
    ...{ links: ["root", "leaf"], root_link: "root", jkt: "key", nonce: "1", expires: 9 },
    ...over,
  }) as RequestFacts;

function world() {
  const gate = {
    admit: vi.fn((ask: AdmitAsk): Promise<Admitted> => {
      const { lease } = ask;
      const until_ms = Date.now() + LIMITS.lease_life_ms;
      const held = lease === undefined ? {} : { lease: { granted: lease.spent + lease.want, until_ms } };
      return Promise.resolve({ ok: true, remaining: 0, ...held });
    }),
    keep: vi.fn((_id: string, _ttlMs: number) => Promise.resolve(true)),
    release: vi.fn((_id: string) => Promise.resolve()),
  };
  const behind: Promise<unknown>[] = [];
  const log = vi.fn();
  const asker = {
    ...{ env: { CAPABILITY_GATES: { getByName: () => gate } }, config: { log }, tenant: "acme" },
    waitUntil: (work: Promise<unknown>) => void behind.push(work),
  } as unknown as Asker;
  return { gate, asker, behind, log };
}

beforeEach(() => forgetLeases());

describe("reads under a MAC", () => {
  const reads = async (count: number, asker: Asker) => {
    for (let i = 0; i < count; i += 1) await admit(asker, policy, read());
  };

  it("ask the gate until they are leased, then ask behind themselves, if at all", async () => {
    const { gate, asker, behind } = world();
    await reads(LIMITS.lease_min_tokens + 1, asker);
    expect(gate.admit).toHaveBeenCalledTimes(LIMITS.lease_min_tokens + 1);
    expect(behind).toHaveLength(0);
    await reads(100, asker);
    const later = gate.admit.mock.calls.slice(LIMITS.lease_min_tokens + 1).map(([ask]) => ask);
    expect(later.length).toBeGreaterThan(0);
    expect(later.length).toBe(behind.length);
    for (const ask of later) expect(ask).toMatchObject({ cost: 0, lease: { id: expect.any(String) } });
  });

  it.each<[string, Partial<RequestFacts>, { id: string; ttl_ms: number }?]>([
    ["signed", { form: "session_signed" }],
    ["signed under a chain", { form: "signed" }],
    ["above read", { class: "write" }],
    ["of two classes", { rate_classes: ["read", "other"], needs: [] }],
    ["with a slot", {}, { id: "slot", ttl_ms: 5 }],
  ])("or what is not one: %s always asks", async (_what, over, slot) => {
    vi.stubGlobal("scheduler", { wait: () => Promise.reject(new Error("aborted")) });
    const { gate, asker } = world();
    await reads(30, asker);
    gate.admit.mockClear();
    for (let i = 0; i < 5; i += 1) await admit(asker, policy, read(over), slot);
    expect(gate.admit).toHaveBeenCalledTimes(5);
    for (const [ask] of gate.admit.mock.calls) expect(ask.lease).toBeUndefined();
    vi.unstubAllGlobals();
  });

  it("go on while the gate is down as long as the lease lasts, then are unavailable", async () => {
    const { gate, asker, behind, log } = world();
    await reads(LIMITS.lease_min_tokens + 1, asker);
    gate.admit.mockImplementation(() => Promise.reject(new Error("down")));
    await reads(LIMITS.lease_min_tokens, asker);
    await expect(reads(1, asker)).rejects.toMatchObject({ code: "admission.unavailable" });
    await Promise.all(behind);
    expect(log).toHaveBeenCalledWith("warn", "admission.lease_failed", expect.anything());
  });

  it("that the gate refused are refused with its wait, and not asked about again within it", async () => {
    const { gate, asker } = world();
    gate.admit.mockImplementation(() => Promise.resolve({ ok: false, code: "rate.exhausted", retry_after_ms: 500 }));
    await expect(reads(1, asker)).rejects.toMatchObject({ code: "rate.exhausted", shown: { retry_after_ms: 500 } });
    await expect(reads(1, asker)).rejects.toMatchObject({ code: "rate.exhausted" });
    expect(gate.admit).toHaveBeenCalledTimes(1);
  });
});

describe("a slot", () => {
  /** Ends the wait of the one who keeps a slot, `true` for time that passed. */
  let wake: ((passed: boolean) => void)[] = [];
  /** Ends the wait of a slot that goes back. */
  let back: (() => void)[] = [];
  beforeEach(() => {
    wake = [];
    back = [];
    vi.stubGlobal("scheduler", {
      wait: (ms: number, options?: { signal: AbortSignal }) => {
        if (options === undefined) {
          expect(ms).toBe(GIVE_BACK_MS);
          return new Promise<void>((resolve) => void back.push(resolve));
        }
        const { signal } = options;
        expect(ms).toBe(LIMITS.slot_keep_ms);
        return new Promise<void>((resolve, reject) => {
          wake.push((passed) => (passed ? resolve() : reject(new Error("aborted"))));
          signal.addEventListener("abort", () => reject(new Error("aborted")));
        });
      },
    });
  });
  afterEach(() => void vi.unstubAllGlobals());
  const taken = async (asker: Asker) => (await admit(asker, policy, read(), { id: "slot", ttl_ms: 60_000 }))!;
  const pass = async () => {
    wake.shift()!(true);
    await vi.waitFor(() => expect(wake).toHaveLength(1));
  };

  it("is kept while the call runs, also when the gate was down once, and not after its release", async () => {
    const { gate, asker, behind, log } = world();
    const slot = await taken(asker);
    await pass();
    gate.keep.mockRejectedValueOnce(new Error("down"));
    await pass();
    await pass();
    expect(gate.keep.mock.calls).toEqual(Array.from({ length: 3 }, () => ["slot", 60_000]));
    expect(log).toHaveBeenCalledWith("warn", "admission.keep_failed", expect.anything());
    endSlot(asker, slot);
    expect(gate.release).not.toHaveBeenCalled(); // an admission may take it along
    back[0]!();
    await Promise.all(behind); // nothing waits any more
    expect(gate.keep).toHaveBeenCalledTimes(3);
    expect(gate.release).toHaveBeenCalledExactlyOnceWith("slot");
  });

  it("goes back with the next admission at its gate, and again by itself when nobody knows whether that arrived", async () => {
    const { gate, asker } = world();
    endSlot(asker, await taken(asker));
    await admit(asker, policy, read({ form: "signed" }));
    expect(gate.admit.mock.lastCall![0]).toMatchObject({ freed: ["slot"] });
    await admit(asker, policy, read({ form: "signed" }));
    expect(gate.admit.mock.lastCall![0].freed).toBeUndefined();

    endSlot(asker, await taken(asker));
    gate.admit.mockRejectedValueOnce(new Error("down"));
    await expect(admit(asker, policy, read({ form: "signed" }))).rejects.toMatchObject({
      code: "admission.unavailable",
    });
    expect(gate.release).not.toHaveBeenCalled();
    for (const done of back) done();
    await vi.waitFor(() => expect(gate.release).toHaveBeenCalledExactlyOnceWith("slot"));
  });

  it("that the gate gave to another is not kept any more, and that is said", async () => {
    const { gate, asker, behind, log } = world();
    await taken(asker);
    gate.keep.mockResolvedValueOnce(false);
    wake.shift()!(true);
    await Promise.all(behind);
    expect(log).toHaveBeenCalledWith("warn", "admission.slot_lost", expect.anything());
  });
});
