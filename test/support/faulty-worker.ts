/**
 * The Worker behind an entry that can make what it depends on fail: objects throw as unreachable ones do, KV rejects,
 * secrets change as with a new deployment. For tests alone; the shipped entry is workers/index.ts.
 */
import type { Keysets } from "@talos/contracts";
import { AuditLog as RealLog } from "../../durable-objects/audit-log.ts";
import { CapabilityGate as RealGate } from "../../durable-objects/capability-gate.ts";
import { TenantHead as RealHead } from "../../durable-objects/tenant-head.ts";
import type { AppendAsk, Appended } from "../../durable-objects/types.ts";
import type { Env } from "../../workers/env.ts";
import { forgetLeases } from "../../workers/gateway/admission.ts";
import { forgetInForce } from "../../workers/gateway/in-force.ts";
import app from "../../workers/index.ts";

export { Projector } from "../../workers/index.ts";

interface Control {
  down?: string[];
  forget?: boolean;
  keysets?: Keysets;
}

/** Leaves that the logs of this process made durable, in order. */
const recorded: string[] = [];

let down = new Set<string>();
let keysets: string | undefined;

function check(...names: string[]): void {
  if (names.some((name) => down.has(name))) throw new Error("this object cannot be reached (test)");
}

/** The environment with the secrets of the moment. */
function current<E extends Env>(env: E): E {
  return new Proxy(env, {
    get(target, name, receiver) {
      if (name === "TALOS_KEYSETS" && keysets !== undefined) return keysets;
      if (name === "SNAPSHOTS" && down.has("kv"))
        return {
          get: () => Promise.reject(new Error("KV is down (test)")),
          put: () => Promise.reject(new Error("KV is down (test)")),
        };
      return Reflect.get(target, name, receiver);
    },
  });
}

export class CapabilityGate extends RealGate {
  override admit(...args: Parameters<RealGate["admit"]>): ReturnType<RealGate["admit"]> {
    check("gate");
    return super.admit(...args);
  }
}

export class TenantHead extends RealHead {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, current(env));
  }
  override head(): ReturnType<RealHead["head"]> {
    check("head");
    return super.head();
  }
  override lookup(...args: Parameters<RealHead["lookup"]>): ReturnType<RealHead["lookup"]> {
    check("head");
    return super.lookup(...args);
  }
}

export class AuditLog extends RealLog {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, current(env));
  }
  override append(ask: AppendAsk): Appended {
    check("log");
    if (ask.events.some(({ body }) => body.includes('"kind":"outcome"'))) check("log.outcome");
    const answer = super.append(ask);
    if (answer.ok) recorded.push(...ask.events.map(({ body }) => body));
    return answer;
  }
}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/__recorded") return Response.json(recorded.map((body) => JSON.parse(body) as unknown));
    if (pathname === "/__revoke") {
      // As from another isolate: the object knows, this isolate's memory does not.
      const { statement, chain, aud } = (await request.json()) as { statement: string; chain: string; aud: string };
      return Response.json(await env.TENANT_HEADS.getByName("default").revoke({ statement, chain, aud }));
    }
    if (pathname !== "/__faults") return app.fetch(request, current(env), ctx);
    const control = (await request.json()) as Control;
    down = new Set(control.down ?? []);
    if (control.forget === true) {
      forgetInForce();
      forgetLeases();
    }
    if (control.keysets !== undefined) keysets = JSON.stringify(control.keysets);
    return new Response(null, { status: 204 });
  },
};
