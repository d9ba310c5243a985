export { CapabilityGate } from "../../durable-objects/capability-gate.ts";
import { DurableObject } from "cloudflare:workers";
export class AuditLog extends DurableObject {}
export class TenantHead extends DurableObject {}
export default { fetch: () => new Response(null, { status: 404 }) };
