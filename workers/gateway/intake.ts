/**
 * Where an isolate's appends go: to the tenant's log, or, while the log advises it, to one of the intake objects before
 * it. Each isolate keeps to one of them, so what it has in flight is gathered there. Only who is asked differs: the
 * promises are the log's, and an append that was made at one door may be made again at any other.
 * Source: contracts/spec/audit.md#intake.
 */
import { LIMITS } from "@talos/contracts";
import type { Appended } from "../../durable-objects/types.ts";
import type { Env } from "../env.ts";

interface Doors {
  /** intake objects that the log advised; 0: none */
  shards: number;
  /** this isolate's place among them, 0 ≤ place < 1 */
  place: number;
  /** until then the log is asked whatever it advises, because an intake object gave no answer */
  passedUntilMs: number;
}

/** By tenant, of which a deployment names a bounded number. */
const doors = new Map<string, Doors>();

const draw = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;

/** The object to append at now. */
export function intakeOf(env: Pick<Env, "AUDIT_LOGS" | "AUDIT_INTAKES">, tenant: string, nowMs: number) {
  const { shards, place, passedUntilMs } = doors.get(tenant) ?? { shards: 0, place: 0, passedUntilMs: 0 };
  if (shards === 0 || nowMs < passedUntilMs) return env.AUDIT_LOGS.getByName(tenant);
  return env.AUDIT_INTAKES.getByName(`${tenant}/${Math.floor(place * shards)}`);
}

/** Keep what the log advised with an answer. */
export function heed(tenant: string, { intake = 0 }: Appended & { ok: true }): void {
  const known = doors.get(tenant);
  const shards = Number.isInteger(intake) && intake >= 0 && intake <= LIMITS.audit_intake_shards ? intake : 0;
  if (known === undefined && shards === 0) return;
  if (known === undefined) doors.set(tenant, { shards, place: draw(), passedUntilMs: 0 });
  else known.shards = shards;
}

/** An append had no answer. If it was at an intake object, the log is asked for a while, and then another object. */
export function pass(tenant: string, nowMs: number): void {
  const known = doors.get(tenant);
  if (known === undefined || known.shards === 0 || nowMs < known.passedUntilMs) return;
  known.place = draw();
  known.passedUntilMs = nowMs + LIMITS.audit_intake_pass_ms;
}

/** As a new isolate knows. For tests. */
export function forgetIntake(): void {
  doors.clear();
}
