/**
 * Liveness and readiness. Readiness is public as a word; what stands behind it is shown to an operator who holds
 * `talos/health.ready` in the first listed tenant. Postgres and KV are shown and do not decide: the service goes on
 * without them. Source: contracts/spec/gateway.md.
 */
import { CONTRACT_HASH, type Health, TalosError } from "@talos/contracts";
import { CORE_HASH } from "@talos/core";
import type { AppContext, AuditQueryPort } from "../shared/ports.ts";
import { askerOf, decide, partsOf, refusal, release } from "./authorize.ts";
import { configOf } from "./config.ts";
import { counters } from "./counters.ts";
import { within } from "./deadline.ts";
import type { Asker } from "./asker.ts";
import { standing } from "./in-force.ts";

type Dependency = "ok" | "unavailable";
interface Probe {
  at_ms: number;
  dependencies: Record<string, Dependency>;
}

/** A public address must not be a lever on the objects behind it: at most one probe in this time, per isolate. */
const PROBE_MS = 2_000;
const DEADLINE_MS = 2_000;
let last: Probe | undefined;

export const live = (c: AppContext): Response => c.json({ status: "ok" } satisfies Health);

export function readiness(query: AuditQueryPort): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const { tenants, mode } = configOf(c.env, c.get("now_ms"));
    c.set("tenant", tenants[0]!);
    const asker = askerOf(c);
    const operator = await isOperator(c, asker);
    const { dependencies } = await probe(asker, query);
    const ready = dependencies.head === "ok" && dependencies.log === "ok";
    const status: Health["status"] = ready ? "ok" : "unavailable";
    if (!operator) return c.json({ status } satisfies Health, ready ? 200 : 503);
    const at = standing(asker.tenant);
    const numbers = at === undefined ? {} : { policy_version: at.policy_version, rev_seq: at.rev_seq };
    const details = {
      mode,
      contract_hash: CONTRACT_HASH,
      core_hash: CORE_HASH,
      ...numbers,
      dependencies,
      counters: { ...counters },
    };
    return c.json({ status, details } satisfies Health, ready ? 200 : 503);
  };
}

/**
 * Whether the caller showed a grant for the details. Without any credential: no. With one that does not hold: refused.
 */
async function isOperator(c: AppContext, asker: Asker): Promise<boolean> {
  const { headers } = c.req.raw;
  if (!headers.has("talos-capability") && !headers.has("talos-ticket")) return false;
  const evaluation = await decide(c, partsOf(c, "health.ready", new Uint8Array(0), asker.tenant));
  try {
    const { decision } = evaluation.decided;
    if (!decision.allow) throw refusal(decision, true);
    return true;
  } finally {
    release(evaluation);
  }
}

async function probe(asker: Asker, query: AuditQueryPort): Promise<Probe> {
  const now = Date.now();
  if (last !== undefined && now - last.at_ms < PROBE_MS) return last;
  const { env, tenant } = asker;
  const [head, log, cache, database] = await Promise.all([
    holds(async () => {
      const answer = await env.TENANT_HEADS.getByName(tenant).head();
      if (!answer.ok) throw new TalosError("head.unavailable", { code: answer.code });
    }),
    holds(async () => void (await env.AUDIT_LOGS.getByName(tenant).status())),
    holds(async () => void (await env.SNAPSHOTS.get("ready"))),
    holds(async () => {
      if (!(await query.ping(env))) throw new TalosError("audit.query_unavailable");
    }),
  ]);
  if (head !== "ok" || log !== "ok") asker.config.log("warn", "health.not_ready", { head, log, cache, database });
  last = { at_ms: now, dependencies: { head, log, cache, database } };
  return last;
}

async function holds(check: () => Promise<void>): Promise<Dependency> {
  try {
    await within(check(), DEADLINE_MS);
    return "ok";
  } catch {
    return "unavailable"; // the state is the answer; reasons are logged by whoever needs the dependency
  }
}
