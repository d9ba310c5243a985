/**
 * Bodies under their hash: KV first, the object when KV has none, has another, or is down.
 * Source: contracts/spec/in-force.md#bodies.
 */
import { type ErrorCode, type Head, TalosError } from "@talos/contracts";
import { type FilterHandle, filterLoad, type PolicyHandle, policyLoad } from "@talos/core";
import type { Env } from "../env.ts";
import type { Asker } from "./asker.ts";
import { counters } from "./counters.ts";
import { within } from "./deadline.ts";
import { type Generation, Held } from "./generation.ts";
import { checkForMode } from "./upstream-url.ts";

/** The generation of the moment: another request may have brought a newer one while this one waited. */
type Current = () => Generation | undefined;

/** Policy and filter that a head names, each loaded unless `current` holds it already; one hold on each is the caller's. */
export async function loadBodies(
  asker: Asker,
  head: Head,
  current: Current,
): Promise<[Held<PolicyHandle>, Held<FilterHandle>]> {
  if (head.policy_hash === "")
    throw new TalosError("policy.unavailable", { why: "none published", tenant: asker.tenant });
  const policy = await policyOf(asker, head, current);
  try {
    return [policy, await filterOf(asker, head, current)];
  } catch (error) {
    policy.release();
    throw error;
  }
}

async function policyOf(asker: Asker, head: Head, current: Current): Promise<Held<PolicyHandle>> {
  const hash = head.policy_hash;
  const at = (): Held<PolicyHandle> | undefined => {
    const now = current();
    return now?.head.policy_hash === hash ? now.sharePolicy() : undefined;
  };
  const publishers = asker.config.publishers[asker.tenant] ?? [];
  return (
    at() ??
    fromBody(
      asker,
      `policy/${hash}`,
      "policy.unavailable",
      (stub) => stub.policy(hash),
      (jws) => {
        const known = at(); // compiled by a request that overtook this one
        if (known !== undefined) return known;
        counters.policy_compiles += 1;
        const loaded = new Held(policyLoad({ jws, tenant: asker.tenant, publishers, expected_hash: hash }));
        try {
          checkForMode(loaded.handle.snapshot, asker.config.mode);
        } catch (error) {
          loaded.release();
          throw error;
        }
        return loaded;
      },
    )
  );
}

async function filterOf(asker: Asker, head: Head, current: Current): Promise<Held<FilterHandle>> {
  const hash = head.rev_hash;
  const at = (): Held<FilterHandle> | undefined => {
    const now = current();
    return now?.head.rev_hash === hash ? now.shareFilter() : undefined;
  };
  return (
    at() ??
    fromBody(
      asker,
      `rev/${hash}`,
      "head.unavailable",
      (stub) => stub.revocations(hash),
      (body) => {
        const known = at();
        if (known !== undefined) return known;
        counters.filter_loads += 1;
        return new Held(filterLoad({ body, tenant: asker.tenant, expected_hash: hash }));
      },
    )
  );
}

type HeadStub = ReturnType<Env["TENANT_HEADS"]["getByName"]>;

/**
 * A body by its hash: KV first, and the object when KV has none, has another, or is down. `load` refuses a body that
 * does not hash to its name, so a poisoned cache can delay and nothing else.
 */
async function fromBody<T>(
  { env, config, tenant }: Asker,
  key: string,
  failure: ErrorCode,
  ask: (stub: HeadStub) => Promise<string | null>,
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
