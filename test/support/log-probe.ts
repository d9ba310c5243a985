/**
 * A script beside the Worker that calls the tenants' logs as the Worker does, and hands the answers out over HTTP.
 * For tests alone, which append on their own and ask the log itself, with nothing of the Worker in between.
 */
import type { Env } from "../../durable-objects/env.ts";

interface Ask {
  tenant: string;
  method: "append" | "get" | "status" | "flush";
  args: unknown[];
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { tenant, method, args } = (await request.json()) as Ask;
    const log = env.AUDIT_LOGS.getByName(tenant) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    return Response.json({ value: (await log[method]!(...args)) ?? null });
  },
};
