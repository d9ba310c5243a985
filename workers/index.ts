/** The one Worker script: every service's surfaces, the objects, and the entrypoints that they call. */
import { auditHandlers } from "./audit/app.ts";
import { exportHandlers } from "./audit/export.ts";
import { logHandlers } from "./audit/log.ts";
import { proofHandlers } from "./audit/proof.ts";
import { auditQuery } from "./audit/query.ts";
import { privacyHandlers } from "./audit/privacy.ts";
import { sinkHandlers } from "./audit/sinks.ts";
import { streamHandlers } from "./audit/stream.ts";
import { pokeAll } from "./cron.ts";
import type { Env } from "./env.ts";
import { authorizePort, context, gatewayHandlers, guard, tenantListed } from "./gateway/app.ts";
import { metaHandlers } from "./meta/app.ts";
import { surfaceApp } from "./shared/surface.ts";

export { Anchors } from "../durable-objects/anchors.ts";
export { AuditIntake } from "../durable-objects/audit-intake.ts";
export { AuditLog } from "../durable-objects/audit-log.ts";
export { CapabilityGate } from "../durable-objects/capability-gate.ts";
export { LogArchive } from "../durable-objects/log-archive.ts";
export { MetaLog } from "../durable-objects/meta-log.ts";
export { TenantHead } from "../durable-objects/tenant-head.ts";
export { SubjectVault } from "../durable-objects/subject-vault.ts";
export { WebhookSink } from "../durable-objects/webhook-sink.ts";
export { Courier } from "./audit/courier.ts";
export { Projector } from "./audit/projector.ts";

const app = surfaceApp({
  handlers: {
    ...gatewayHandlers(auditQuery),
    ...auditHandlers(auditQuery),
    ...logHandlers,
    ...proofHandlers,
    ...exportHandlers,
    ...streamHandlers,
    ...privacyHandlers,
    ...sinkHandlers,
    ...metaHandlers,
  },
  authorize: authorizePort,
  first: [context, guard],
  tenantListed,
});

export default {
  fetch: app.fetch,
  /** Once a minute (wrangler.toml). */
  scheduled: (_: ScheduledController, env: Env) => pokeAll(env, Date.now()),
} satisfies ExportedHandler<Env>;
