/**
 * What is in force, per tenant, in this isolate's memory: the head that TenantHead signed, the policy and the
 * revocation filter that it names by hash. In the steady state a decision reads memory only.
 *
 * No request awaits another's promise (the platform fails it when its owner ends): each refresh is asked for by the
 * request that needs it, and two that cross find each other's result before they compile.
 * Source: contracts/spec/in-force.md#head, #bodies.
 */
import { type ErrorCode, type Head, isErrorCode, LIMITS, TalosError } from "@talos/contracts";
import { headVerify, type ToolClass } from "@talos/core";
import type { Env } from "../env.ts";
import type { Asker } from "./asker.ts";
import { inUse } from "./config.ts";
import { counters } from "./counters.ts";
import { within } from "./deadline.ts";
import { forgetBodies, loadBodies } from "./bodies.ts";
import { Generation } from "./generation.ts";

interface TenantState {
  current: Generation | undefined;
  /** highest head seen, which nothing may undercut; its bodies may still be on their way */
  floor: Head | undefined;
  /** a background refresh runs until it ends, or this unix ms should its request die */
  refreshing_until_ms: number;
  /** the object refused to answer consistently: nobody goes on without asking it again */
  distrusted: boolean;
}

const states = new Map<string, TenantState>();

function stateOf(tenant: string): TenantState {
  const known = states.get(tenant);
  if (known !== undefined) return known;
  const state: TenantState = { current: undefined, floor: undefined, refreshing_until_ms: 0, distrusted: false };
  states.set(tenant, state);
  return state;
}

/**
 * The generation to start a request with. Loads when there is none, waits for a refresh beyond `head_read_wait_ms`,
 * refreshes in the background beyond `head_refresh_ms`. The caller releases it.
 * @throws `head.unavailable`, `head.inconsistent`, `head.rolled_back`, `policy.unavailable` when nothing is at hand
 */
export async function holdInForce(asker: Asker): Promise<Generation> {
  const state = stateOf(asker.tenant);
  const { current } = state;
  if (current === undefined || state.distrusted || isOutdated(state)) return holdNewest(asker, state);
  const now = Date.now();
  const age = now - current.asOfMs;
  if (age > LIMITS.head_read_wait_ms) {
    await tryRefresh(asker);
  } else if (age > LIMITS.head_refresh_ms && now >= state.refreshing_until_ms) {
    state.refreshing_until_ms = now + LIMITS.object_timeout_ms;
    asker.waitUntil(tryRefresh(asker).finally(() => (state.refreshing_until_ms = 0)));
  }
  return (state.current ?? current).hold();
}

/** A newer head was seen than the bodies at hand are of. */
const isOutdated = ({ current, floor }: TenantState): boolean =>
  current !== undefined && floor !== undefined && isOlder(current.head, floor);

/** @throws also when the answer was overtaken by a newer head whose bodies are still on their way */
async function holdNewest(asker: Asker, state: TenantState): Promise<Generation> {
  const newest = await refresh(asker);
  if (state.floor !== undefined && isOlder(newest.head, state.floor)) {
    throw new TalosError("head.unavailable", { tenant: asker.tenant, why: "a newer head's bodies are not here yet" });
  }
  return newest.hold();
}

/**
 * A generation fresh enough for a class: a write waits for a refresh beyond `head_write_wait_ms`. When the object
 * cannot be asked the older one is returned, and the core refuses it by its age (`REVOCATION_STALE`).
 * @param held the caller's hold, which is exchanged
 */
export async function holdForClass(asker: Asker, held: Generation, toolClass: ToolClass): Promise<Generation> {
  if (toolClass === "read" || Date.now() - held.asOfMs <= LIMITS.head_write_wait_ms) return held;
  await tryRefresh(asker);
  return exchange(asker.tenant, held);
}

/**
 * A generation that the object confirmed just now: for destructive and pay, after admission.
 * @throws `REVOCATION_STALE` when the object cannot be asked; what the object itself says against its storage
 */
export async function holdAsked(asker: Asker, held: Generation): Promise<Generation> {
  try {
    await refresh(asker);
  } catch (error) {
    if (error instanceof TalosError && error.code !== "head.unavailable") throw error;
    throw new TalosError("REVOCATION_STALE", {}, { cause: error });
  }
  return exchange(asker.tenant, held);
}

/** The newest generation in place of `held`, whose hold is given back. */
export function exchange(tenant: string, held: Generation): Generation {
  const { current } = stateOf(tenant);
  if (current === undefined || current === held) return held;
  current.hold();
  held.release();
  return current;
}

/** Refresh; failing is said in the log, and what is at hand serves until its age forbids it. */
export async function tryRefresh(asker: Asker): Promise<void> {
  try {
    await refresh(asker);
  } catch (error) {
    if (error instanceof TalosError && (error.code === "head.inconsistent" || error.code === "head.rolled_back")) {
      stateOf(asker.tenant).distrusted = true;
    }
    asker.config.log("warn", "in_force.refresh_failed", { tenant: asker.tenant, error });
  }
}

/**
 * Ask the object, verify, load what changed.
 * @returns the newest generation, held by the state
 */
async function refresh(asker: Asker): Promise<Generation> {
  const state = stateOf(asker.tenant);
  const floor = state.floor;
  const head = await askHead(asker);
  const asOfMs = Math.min(head.as_of_ms, Date.now());
  checkOrder(head, floor);
  // Seen is seen, also should its bodies not come: nothing older is acted on, or believed, from here on.
  if (state.floor === undefined || isOlder(state.floor, head)) state.floor = head;
  const { current } = state;
  // Another refresh may have overtaken this one: what it brought stands, and ours is no rollback but merely older.
  if (current !== undefined && isOlder(head, current.head)) return current;
  if (current !== undefined && sameBodies(head, current.head)) {
    current.confirm(asOfMs);
    state.distrusted = false;
    return current;
  }
  const [policy, filter] = await loadBodies(asker, head);
  const before = state.current;
  if (before !== undefined && (isOlder(head, before.head) || sameBodies(head, before.head))) {
    policy.release();
    filter.release();
    before.confirm(sameBodies(head, before.head) ? asOfMs : before.asOfMs);
    return before;
  }
  const next = new Generation(head, asOfMs, policy, filter);
  state.current = next;
  state.distrusted = false;
  before?.release();
  return next;
}

const AGAINST_STORAGE = new Set<ErrorCode>(["head.inconsistent", "head.rolled_back"]);

async function askHead({ env, config, tenant }: Asker): Promise<Head> {
  counters.head_asks += 1;
  let answer: Awaited<ReturnType<ReturnType<Env["TENANT_HEADS"]["getByName"]>["head"]>>;
  try {
    answer = await within(Promise.resolve(env.TENANT_HEADS.getByName(tenant).head()));
  } catch (cause) {
    throw new TalosError("head.unavailable", { tenant }, { cause });
  }
  if (!answer.ok) {
    // What the object says against its own storage stands; every other failure of it is that it cannot be asked.
    const code = AGAINST_STORAGE.has(answer.code) ? answer.code : "head.unavailable";
    throw new TalosError(code, { tenant, said: answer.code });
  }
  const head = verifiedHead(answer.head, config.head_keys, tenant);
  if (head.as_of_ms > Date.now() + LIMITS.head_skew_ms)
    throw new TalosError("head.inconsistent", { why: "from the future" });
  return head;
}

/** @throws `head.inconsistent`: that it is no head of ours says nothing about the caller, whose codes the core's are */
function verifiedHead(jws: string, known: Asker["config"]["head_keys"], tenant: string): Head {
  try {
    const keys = inUse(known, Date.now()).map(({ kid, x }) => ({ kid, x }));
    return headVerify({ jws, keys, tenant });
  } catch (cause) {
    throw new TalosError("head.inconsistent", { why: "not a head of this tenant" }, { cause });
  }
}

/** A code that crossed an RPC boundary, if it is one of ours. */
export function codeOr(code: unknown, otherwise: ErrorCode): ErrorCode {
  return isErrorCode(code) ? code : otherwise;
}

/** @throws `head.inconsistent` for a lower number, or the same number with another hash */
export function checkOrder(head: Head, floor: Head | undefined): void {
  if (floor === undefined) return;
  const lower = head.rev_seq < floor.rev_seq || head.policy_version < floor.policy_version;
  const other =
    (head.rev_seq === floor.rev_seq && head.rev_hash !== floor.rev_hash) ||
    (head.policy_version === floor.policy_version && head.policy_hash !== floor.policy_hash);
  if (lower || other) throw new TalosError("head.inconsistent", { seq: head.rev_seq, version: head.policy_version });
}

const isOlder = (head: Head, than: Head): boolean =>
  head.rev_seq < than.rev_seq || head.policy_version < than.policy_version;
const sameBodies = (a: Head, b: Head): boolean =>
  a.rev_seq === b.rev_seq &&
  a.policy_version === b.policy_version &&
  a.rev_hash === b.rev_hash &&
  a.policy_hash === b.policy_hash;

/**
 * Exact entries for items that the filter hit, kept for this generation's `rev_seq`.
 * @returns false when the object stands at another number: take a newer generation and decide anew
 * @throws `REVOCATION_STALE` when the object cannot be asked: a hit is neither a denial nor an allowance by itself
 */
export async function learnExact({ env, tenant }: Asker, generation: Generation, items: string[]): Promise<boolean> {
  const missing = generation.unanswered(items);
  if (missing.length === 0) return true;
  counters.lookups += 1;
  try {
    const answer = await within(Promise.resolve(env.TENANT_HEADS.getByName(tenant).lookup(missing)));
    if (answer.rev_seq !== generation.head.rev_seq) return false;
    generation.learn(answer.items);
    return true;
  } catch (cause) {
    throw new TalosError("REVOCATION_STALE", { tenant }, { cause });
  }
}

/** Forget everything, as a new isolate knows nothing. */
export function forgetInForce(): void {
  for (const { current } of states.values()) current?.release();
  states.clear();
  forgetBodies();
}

/** What this isolate has of a tenant, for readiness. */
export function standing(tenant: string): { policy_version: number; rev_seq: number; as_of_ms: number } | undefined {
  const { current } = stateOf(tenant);
  if (current === undefined) return undefined;
  return { policy_version: current.head.policy_version, rev_seq: current.head.rev_seq, as_of_ms: current.asOfMs };
}
