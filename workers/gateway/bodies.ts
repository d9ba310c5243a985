/**
 * Bodies under their hash: KV first, the object when KV has none, has another, or is down.
 * Source: contracts/spec/in-force.md#bodies.
 */
import { type ErrorCode, type Head, TalosError } from "@talos/contracts";
import { type FilterHandle, filterLoad, free, type Handle, type PolicyHandle, policyLoad } from "@talos/core";
import type { Env } from "../env.ts";
import type { Asker } from "./asker.ts";
import { counters } from "./counters.ts";
import { within } from "./deadline.ts";
import { Held } from "./generation.ts";
import { checkForMode } from "./upstream-url.ts";

/** What is loaded, by tenant and body, as long as somebody uses it: two requests that cross compile once. */
const policies = new Map<string, Held<PolicyHandle>>();
const filters = new Map<string, Held<FilterHandle>>();

/** Load everything anew, as a new isolate does; who holds a body keeps it. */
export function forgetBodies(): void {
  policies.clear();
  filters.clear();
}

/** Policy and filter that a head names; one hold on each is the caller's. */
export async function loadBodies(asker: Asker, head: Head): Promise<[Held<PolicyHandle>, Held<FilterHandle>]> {
  if (head.policy_hash === "") {
    throw new TalosError("policy.unavailable", { why: "none published", tenant: asker.tenant });
  }
  const policy = await policyOf(asker, head.policy_hash);
  try {
    return [policy, await filterOf(asker, head.rev_hash)];
  } catch (error) {
    policy.release();
    throw error;
  }
}

function policyOf(asker: Asker, hash: string): Promise<Held<PolicyHandle>> {
  const { tenant, config } = asker;
  const publishers = config.publishers[tenant] ?? [];
  const from = {
    key: `policy/${hash}`,
    failure: "policy.unavailable",
    ask: (stub: HeadStub) => stub.policy(hash),
  } as const;
  return shared(policies, asker, from, (jws) => {
    counters.policy_compiles += 1;
    const handle = policyLoad({ jws, tenant, publishers, expected_hash: hash });
    try {
      checkForMode(handle.snapshot, config.mode);
    } catch (error) {
      free(handle);
      throw error;
    }
    return handle;
  });
}

function filterOf(asker: Asker, hash: string): Promise<Held<FilterHandle>> {
  const { tenant } = asker;
  const from = {
    key: `rev/${hash}`,
    failure: "head.unavailable",
    ask: (stub: HeadStub) => stub.revocations(hash),
  } as const;
  return shared(filters, asker, from, (body) => {
    counters.filter_loads += 1;
    return filterLoad({ body, tenant, expected_hash: hash });
  });
}

interface Source {
  key: string;
  failure: ErrorCode;
  ask(stub: HeadStub): Promise<string | null>;
}

/** A hold on what is loaded under this key, loading it when nobody has. */
async function shared<H extends Handle>(
  table: Map<string, Held<H>>,
  asker: Asker,
  source: Source,
  load: (body: string) => H,
): Promise<Held<H>> {
  const name = `${asker.tenant}/${source.key}`;
  const known = table.get(name);
  if (known !== undefined) return known.hold();
  return fromBody(asker, source, (body) => {
    const meanwhile = table.get(name); // loaded by a request that overtook this one
    if (meanwhile !== undefined) return meanwhile.hold();
    const held = new Held(load(body), () => {
      if (table.get(name) === held) table.delete(name);
    });
    table.set(name, held);
    return held;
  });
}

type HeadStub = ReturnType<Env["TENANT_HEADS"]["getByName"]>;

/**
 * A body by its hash: KV first, and the object when KV has none, has another, or is down. `load` refuses a body that
 * does not hash to its name, so a poisoned cache can delay and nothing else.
 */
async function fromBody<T>(
  { env, config, tenant }: Asker,
  { key, failure, ask }: Source,
  load: (body: string) => T,
): Promise<T> {
  try {
    counters.kv_reads += 1;
    const cached = await within(env.SNAPSHOTS.get(key, "text"));
    if (cached !== null) return load(cached);
  } catch (error) {
    config.log("warn", "in_force.cache_unusable", { tenant, body: key.split("/")[0], error });
  }
  try {
    counters.body_asks += 1;
    const body = await within(Promise.resolve(ask(env.TENANT_HEADS.getByName(tenant))));
    if (body !== null) return load(body);
  } catch (cause) {
    throw new TalosError(failure, { tenant, key }, { cause });
  }
  throw new TalosError(failure, { tenant, key, why: "the object has no such body" });
}
