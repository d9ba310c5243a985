import { LIMITS } from "@talos/contracts";
import { beforeEach, describe, expect, it } from "vitest";
import { forgetIntake, heed, intakeOf, pass } from "./intake.ts";

/** Namespaces that say which object was named. */
const named = (kind: string) => ({ getByName: (name: string) => `${kind} ${name}` });
const env = { AUDIT_LOGS: named("log"), AUDIT_INTAKES: named("intake") } as unknown as Parameters<typeof intakeOf>[0];
const door = (nowMs = 0, tenant = "desk"): string => String(intakeOf(env, tenant, nowMs));
const advise = (intake?: number): void =>
  heed("desk", { ok: true, promises: [], seqs: [], ...(intake === undefined ? {} : { intake }) });

beforeEach(forgetIntake);

describe("where appends go", () => {
  it("is the log until it advises otherwise, then one object below the number advised, the same each time", () => {
    expect(door()).toBe("log desk");
    advise(8);
    const first = door();
    expect(first).toMatch(/^intake desk\/[0-7]$/);
    expect(door()).toBe(first);
    expect(door(0, "other")).toBe("log other");
    advise();
    expect(door()).toBe("log desk");
    advise(8);
    expect(door()).toBe(first);
  });

  it("spreads isolates over all of them", () => {
    const names = new Set<string>();
    for (let i = 0; i < 400; i += 1) {
      forgetIntake();
      advise(4);
      names.add(door());
    }
    expect([...names].sort()).toEqual(["intake desk/0", "intake desk/1", "intake desk/2", "intake desk/3"]);
  });

  it("is the log for a while when an intake object gave no answer, and then perhaps another object", () => {
    const after = new Set<string>();
    for (let i = 0; i < 100; i += 1) {
      forgetIntake();
      advise(2);
      let nowMs = 0;
      for (let draws = 0; door(nowMs) !== "intake desk/0"; draws += 1) {
        expect(draws).toBeLessThan(100);
        pass("desk", nowMs);
        nowMs += LIMITS.audit_intake_pass_ms;
      }
      pass("desk", nowMs);
      advise(2); // by the log itself, which is still asked much
      expect(door(nowMs + LIMITS.audit_intake_pass_ms - 1)).toBe("log desk");
      after.add(door(nowMs + LIMITS.audit_intake_pass_ms));
    }
    expect([...after].sort()).toEqual(["intake desk/0", "intake desk/1"]);
  });

  it("is not put off by a log that gave no answer itself", () => {
    advise(2);
    pass("desk", 0);
    pass("desk", 10); // asked at the log
    expect(door(LIMITS.audit_intake_pass_ms)).toContain("intake");
    pass("other", 0);
    expect(door(0, "other")).toBe("log other");
  });

  it("is the log after advice that no log gives", () => {
    for (const intake of [LIMITS.audit_intake_shards + 1, -1, 1.5, Number.NaN, "4" as unknown as number]) {
      advise(2);
      advise(intake);
      expect(door()).toBe("log desk");
    }
  });
});
