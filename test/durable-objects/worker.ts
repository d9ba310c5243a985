/**
 * The worker that the `workers` tests run in: the real objects, a projector that can fail, and a TenantHead and a
 * SubjectVault that throw where a test says, which is as far as a crash can be played without ending the process.
 */
import type { Env } from "../../workers/env.ts";
import { pokeAll } from "../../workers/cron.ts";
import { AuditLog as RealAuditLog } from "../../durable-objects/audit-log.ts";
import type { LogBounds } from "../../durable-objects/log-bounds.ts";
import { type Step as VaultStep, SubjectVault as RealSubjectVault } from "../../durable-objects/subject-vault.ts";
import { TenantHead as RealTenantHead, type Step } from "../../durable-objects/tenant-head.ts";

export { Anchors } from "../../durable-objects/anchors.ts";
export { AuditIntake } from "../../durable-objects/audit-intake.ts";
export { CapabilityGate } from "../../durable-objects/capability-gate.ts";
export { LogArchive } from "../../durable-objects/log-archive.ts";
export { MetaLog } from "../../durable-objects/meta-log.ts";
export { WebhookSink } from "../../durable-objects/webhook-sink.ts";
export { Courier } from "./courier.ts";
export { Projector } from "./projector.ts";

interface Shared {
  talosCrashAt?: Step;
  vaultCrashAt?: VaultStep;
  /** by the log's name */
  talosLogBounds?: Record<string, Partial<LogBounds>>;
}
const shared = globalThis as unknown as Shared;

/** A log whose trees are rotated, and whose rows go, as soon as a test wants: nobody appends for six months. */
export class AuditLog extends RealAuditLog {
  protected override bounds() {
    return { ...super.bounds(), ...shared.talosLogBounds?.[this.ctx.id.name ?? ""] };
  }
}

export class TenantHead extends RealTenantHead {
  protected override reached(step: Step): void {
    if (shared.talosCrashAt === step) throw new Error(`crash after ${step}`);
  }
}

export class SubjectVault extends RealSubjectVault {
  protected override reached(step: VaultStep): void {
    if (shared.vaultCrashAt === step) throw new Error(`crash after ${step}`);
  }
}

export default {
  fetch: () => new Response(null, { status: 404 }),
  scheduled: (_: ScheduledController, env: Env) => pokeAll(env, Date.now()),
};
