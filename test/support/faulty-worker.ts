/**
 * The Worker behind an entry that can make what it depends on fail: unreachable, so slow that nobody waits for it any
 * more, or answering what no version of it answers; and secrets change as with a new deployment. For tests alone; the
 * shipped entry is workers/index.ts.
 */
import { type Keysets, LIMITS } from "@talos/contracts";
import { AuditIntake as RealIntake } from "../../durable-objects/audit-intake.ts";
import { AuditLog as RealLog } from "../../durable-objects/audit-log.ts";
import { offeredBy } from "../../durable-objects/batch.ts";
import { CapabilityGate as RealGate } from "../../durable-objects/capability-gate.ts";
import { MetaLog as RealMeta } from "../../durable-objects/meta-log.ts";
import { TenantHead as RealHead } from "../../durable-objects/tenant-head.ts";
import type { AppendAsk, Appended } from "../../durable-objects/types.ts";
import type { Env } from "../../workers/env.ts";
import { forgetLeases } from "../../workers/gateway/admission.ts";
import { forgetIntake } from "../../workers/gateway/intake.ts";
import { forgetInForce } from "../../workers/gateway/in-force.ts";
import app from "../../workers/index.ts";

export { Courier, Projector } from "../../workers/index.ts";
export { SubjectVault } from "../../durable-objects/subject-vault.ts";
export { Anchors } from "../../durable-objects/anchors.ts";
export { LogArchive } from "../../durable-objects/log-archive.ts";
export { WebhookSink } from "../../durable-objects/webhook-sink.ts";

interface Control {
  /** what throws, as what cannot be reached does */
  down?: string[];
  /** what does its work, but so late that its answer meets nobody */
  slow?: string[];
  /** what answers garbage, and does nothing */
  wrong?: string[];
  forget?: boolean;
  /** intake objects that the logs advise, whatever they are asked */
  intake?: number;
  keysets?: Keysets;
  /** one in so many writes of a file to the bucket fails: half of them are done all the same, and their answer is lost */
  files?: number;
}

/** Writes of files that failed since the start: not done, and done without an answer. */
const failed = { undone: 0, done: 0 };

/** Leaves that the logs of this process made durable, in order. */
const recorded: string[] = [];

/** Beyond the time that anybody waits. */
const SLOW_MS = LIMITS.object_timeout_ms + 1_500;

let control: Control = {};
let keysets: string | undefined;

const has = (mode: "down" | "slow" | "wrong", name: string): boolean => control[mode]?.includes(name) === true;

/** What a dependency does, as it is at the moment. `garbage` is an answer that no version of it gives. */
function as<T>(name: string, garbage: unknown, real: () => T): T {
  if (has("down", name)) throw new Error("this object cannot be reached (test)");
  if (has("wrong", name)) return garbage as T;
  if (has("slow", name)) return scheduler.wait(SLOW_MS).then(real) as T;
  return real();
}

/** A bucket whose writes fail as often as they are told to. */
function unreliable(bucket: R2Bucket): Pick<R2Bucket, "get" | "put"> {
  const put = async (...args: [string, string]): Promise<R2Object | null> => {
    const dice = control.files === undefined ? 1 : Math.random() * control.files;
    if (dice < 0.5) {
      failed.undone += 1;
      throw new Error("the file was not written (test)");
    }
    const written = await bucket.put(...args);
    if (dice >= 1) return written;
    failed.done += 1;
    throw new Error("nobody knows that the file was written (test)");
  };
  return { get: (...args: [string]) => bucket.get(...args), put: put as R2Bucket["put"] };
}

/** The environment with the secrets of the moment. */
function current<E extends Env>(env: E): E {
  return new Proxy(env, {
    get(target, name, receiver) {
      if (name === "TALOS_KEYSETS" && keysets !== undefined) return keysets;
      const real: unknown = Reflect.get(target, name, receiver);
      if (name === "AUDIT_TILES") return unreliable(real as R2Bucket);
      if (name !== "SNAPSHOTS") return real;
      const kv = real as KVNamespace;
      return {
        get: async (key: string) => as("kv", "garbage", () => kv.get(key, "text")),
        put: async (...args: Parameters<KVNamespace["put"]>) => as("kv", undefined, () => kv.put(...args)),
      };
    },
  });
}

export class CapabilityGate extends RealGate {
  override admit(...args: Parameters<RealGate["admit"]>): ReturnType<RealGate["admit"]> {
    return as("gate", {}, () => super.admit(...args));
  }
  override keep(...args: Parameters<RealGate["keep"]>): ReturnType<RealGate["keep"]> {
    return as("gate", {}, () => super.keep(...args));
  }
}

export class TenantHead extends RealHead {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, current(env));
  }
  override head(): ReturnType<RealHead["head"]> {
    return as("head", Promise.resolve({ ok: true, head: "garbage" }), () => super.head());
  }
  override lookup(...args: Parameters<RealHead["lookup"]>): ReturnType<RealHead["lookup"]> {
    return as("head", Promise.resolve({}), () => super.lookup(...args));
  }
}

export class AuditLog extends RealLog {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, current(env));
  }
  /** A tree is as large as a test wants: nobody appends 2^26 events. */
  protected override bounds() {
    const { TALOS_TEST_TREE_ENTRIES: entries } = this.env as { TALOS_TEST_TREE_ENTRIES?: string };
    return { ...super.bounds(), ...(entries === undefined ? {} : { entries: Number(entries) }) };
  }
  override append(ask: AppendAsk): Promise<Appended> {
    const events = offeredBy(ask)!;
    const outcome = events.some(({ body }) => body.includes('"kind":"outcome"'));
    return as(outcome ? "log.outcome" : "log.other", { ok: true }, () =>
      as("log", { ok: true }, async () => {
        const answer = await super.append(ask);
        if (!answer.ok) return answer;
        recorded.push(...events.map(({ body }) => body));
        return control.intake === undefined ? answer : { ...answer, intake: control.intake };
      }),
    );
  }
}

/** Appends that intake objects were asked for since the start. */
let gathered = 0;

export class AuditIntake extends RealIntake {
  override append(ask: AppendAsk): Promise<Appended> {
    gathered += 1;
    return as("intake", Promise.resolve({ ok: true } as Appended), () => super.append(ask));
  }
}

export class MetaLog extends RealMeta {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, current(env));
  }
  override reached(...args: Parameters<RealMeta["reached"]>): ReturnType<RealMeta["reached"]> {
    return as("meta", Promise.resolve({}), () => super.reached(...args));
  }
}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/__recorded") return Response.json(recorded.map((body) => JSON.parse(body) as unknown));
    if (pathname === "/__failed") return Response.json(failed);
    if (pathname === "/__gathered") return Response.json(gathered);
    if (pathname === "/__revoke") {
      // As from another isolate: the object knows, this isolate's memory does not.
      const { statement, chain, aud } = (await request.json()) as { statement: string; chain: string; aud: string };
      return Response.json(await env.TENANT_HEADS.getByName("default").revoke({ statement, chain, aud }));
    }
    if (pathname !== "/__faults") return app.fetch(request, current(env), ctx);
    control = (await request.json()) as Control;
    if (control.forget === true) {
      forgetInForce();
      forgetLeases();
      forgetIntake();
    }
    if (control.keysets !== undefined) keysets = JSON.stringify(control.keysets);
    return new Response(null, { status: 204 });
  },
};
