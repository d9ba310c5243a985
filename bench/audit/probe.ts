/**
 * A script beside Talos that calls a tenant's log as the gateway does, over RPC, so that only the log is measured. Events are
 * sealed before the clock runs; whoever asks takes the time, as a Worker's clock stands still while it computes.
 */
import { sealEvent, uuidv7 } from "@talos/core";
import { encodeBatch } from "../../durable-objects/batch.ts";
import type { Env } from "../../durable-objects/env.ts";
import type { AppendEvent, Appended } from "../../durable-objects/types.ts";

export interface ProbeAsk {
  op: "make" | "append" | "one" | "status" | "flush" | "leaf";
  log: string;
  /** make: so many batches of so many events */
  batches?: number;
  of?: number;
  /** append: batches on their way at once, and of how many events of each the promise is wanted */
  at_once?: number;
  promises?: number;
  /** append: through so many intake objects; the log itself when absent */
  doors?: number;
  /** leaf: whose */
  index?: number;
}

const HASH = "A".repeat(43);
let made: AppendEvent[][] = [];

function event(tenant: string): AppendEvent {
  const id = () => uuidv7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  return sealEvent({
    surface: "authorize",
    event: {
      ...{ schema_id: "talos.audit_event", schema_version: "v2", kind: "decision", outcome: "success" },
      ...{ event_id: id(), request_id: id(), ts: new Date().toISOString(), tenant },
      ...{ surface_id: "authorize", audit_action: "authorize", meta: {} },
      principal: { auth_mode: "signed", did: "did:web:agent.example", jkt: HASH },
      resource: { resource_type: "tool", resource_id: "files/read_file", class: "read", action: "call" },
      decision: { allow: true, code: "OK", policy_version: 1, policy_hash: HASH, rev_seq: 0, core_hash: HASH },
    },
  });
}

async function answer(env: Env, ask: ProbeAsk): Promise<unknown> {
  const { op, log: name, batches = 1, of = 1, at_once = 16, index = 0 } = ask;
  const log = env.AUDIT_LOGS.getByName(name);
  const append = async (events: AppendEvent[], caller = 0): Promise<number> => {
    const promises = ask.promises ?? events.length;
    const door = ask.doors === undefined ? log : env.AUDIT_INTAKES.getByName(`${name}/${caller % ask.doors}`);
    const appended: Appended = await door.append({ events: encodeBatch(events), promises });
    if (!appended.ok) throw new Error(appended.code);
    if (appended.promises.length !== promises) throw new Error("not the promises that were asked for");
    return appended.seqs.at(-1)!;
  };
  if (op === "make") {
    made = Array.from({ length: batches }, () => Array.from({ length: of }, () => event(name)));
    return made.length;
  }
  if (op === "append") {
    let last = 0;
    const worker = async (caller: number): Promise<void> => {
      for (let batch = made.pop(); batch !== undefined; batch = made.pop())
        last = Math.max(last, await append(batch, caller));
    };
    await Promise.all(Array.from({ length: at_once }, (_, caller) => worker(caller)));
    return last;
  }
  if (op === "one") return append(made.pop()!);
  if (op === "flush") await log.flush();
  if (op === "leaf") {
    const { rows } = await log.read(index, 1);
    return rows[0]!.body;
  }
  return log.status();
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      return Response.json({ value: (await answer(env, (await request.json()) as ProbeAsk)) ?? null });
    } catch (error) {
      return new Response(error instanceof Error ? (error.stack ?? error.message) : String(error), { status: 500 });
    }
  },
};
