/**
 * Asking the gate of a chain's root link: replay, buckets and concurrency in one durable call; and reads that a lease
 * of the gate admits from memory. Source: contracts/spec/admission.md.
 */
import { LIMITS, type RateClass, TalosError } from "@talos/contracts";
import type { PolicyHandle, RequestFacts } from "@talos/core";
import type { AdmitAsk, Admitted } from "../../durable-objects/types.ts";
import { PublicError } from "../shared/errors.ts";
import { counters } from "./counters.ts";
import { within } from "./deadline.ts";
import type { Asker } from "./asker.ts";
import { GIVE_BACK_MS, GivenBack } from "./given-back.ts";
import { codeOr } from "./in-force.ts";
import { type Asking, leaseKey, Leases } from "./lease.ts";

/** A concurrency slot held at a gate. It is kept while the call runs and frees itself should we die. */
export interface Slot {
  gate: string;
  id: string;
  /** aborted when the call is over */
  over: AbortController;
}

/** Denied requests for what has no rate class (an unknown tool) are admitted as this one: garbage costs tokens too. */
const OTHERWISE = "read";

export const gateName = (tenant: string, rootLink: string): string => `${tenant}/${rootLink}`;

/** Leases of this isolate. A new isolate has none, and the gate ends what an old one held. */
const leases = new Leases(() => crypto.randomUUID());

/** Slots of calls of this isolate that are over. Should it die, the gate frees them when their time is over. */
const givenBack = new GivenBack();

/** Know nothing of leases, as a new isolate does. */
export const forgetLeases = (): void => leases.forget();

/**
 * Take the tokens, the nonce and, with `slot`, a slot: all or nothing. A read under a MAC takes its tokens from a lease
 * where there is one.
 * @throws `REPLAY`, `PROOF_INVALID`, `LIMIT_EXCEEDED`, `rate.exhausted`, `concurrency.exhausted` as the gate says;
 *   `admission.unavailable` when it cannot be asked
 */
export async function admit(
  asker: Asker,
  policy: PolicyHandle,
  facts: RequestFacts,
  slot?: { id: string; ttl_ms: number },
): Promise<Slot | undefined> {
  const [first, ...more] = costs(policy, facts);
  const gate = gateName(asker.tenant, facts.root_link);
  if (facts.form === "session_mac" && facts.class === "read" && more.length === 0 && slot === undefined) {
    await admitRead(asker, gate, { links: facts.links, rate: first!.rate, cost: first!.cost });
    return undefined;
  }
  const ask: AdmitAsk = {
    links: facts.links,
    rate: first!.rate,
    cost: first!.cost,
    ...(more.length > 0 ? { more } : {}),
    ...(facts.form === "session_mac" ? {} : { nonce: { jkt: facts.jkt, value: facts.nonce, expires: facts.expires } }),
    ...(slot === undefined ? {} : { slot: { id: slot.id, ttl_ms: Math.min(slot.ttl_ms, LIMITS.gate_slot_ttl_ms) } }),
  };
  await askGate(asker, gate, ask);
  if (slot === undefined) return undefined;
  const taken = { gate, id: slot.id, over: new AbortController() };
  asker.waitUntil(keepSlot(asker, taken, slot.ttl_ms));
  return taken;
}

/** A statement that proves itself (a revocation): admitted by the gate of its chain's root link, class `control`. */
export async function admitStatement(
  asker: Asker,
  policy: PolicyHandle,
  of: Pick<AdmitAsk, "links" | "nonce"> & { root_link: string },
): Promise<void> {
  const { root_link, ...rest } = of;
  await askGate(asker, gateName(asker.tenant, root_link), { ...rest, rate: rateClass(policy, "control"), cost: 1 });
}

/** A read that takes nothing but tokens: from the lease, else from the gate with a lease in the same call. */
async function admitRead(asker: Asker, gate: string, ask: Pick<AdmitAsk, "links" | "rate" | "cost">): Promise<void> {
  const { links, rate, cost } = ask;
  const key = leaseKey(asker.tenant, rate.name, links);
  const step = leases.spend(key, cost, Date.now());
  if (step.do === "refused") throw new PublicError("rate.exhausted", { retry_after_ms: step.retry_after_ms });
  if (step.do === "spent") {
    counters.lease_reads += 1;
    if (step.renew !== undefined) asker.waitUntil(topUp(asker, gate, key, { ...ask, cost: 0 }, step.renew));
    return;
  }
  const { lease } = step;
  counters.gate_asks += 1;
  refuseUnless(await askLeasing(asker, gate, key, ask, lease));
}

/** Ask for more behind a request that has its answer. When it fails, the lease serves on until it ends. */
async function topUp(asker: Asker, gate: string, key: string, ask: AdmitAsk, lease: Asking): Promise<void> {
  counters.lease_asks += 1;
  try {
    await askLeasing(asker, gate, key, ask, lease);
  } catch (error) {
    asker.config.log("warn", "admission.lease_failed", { gate, error });
  }
}

async function askLeasing(
  asker: Asker,
  gate: string,
  key: string,
  ask: AdmitAsk,
  lease: Asking | undefined,
): Promise<Admitted> {
  let admitted: Admitted;
  try {
    admitted = await callGate(asker, gate, lease === undefined ? ask : { ...ask, lease: lease.ask });
  } catch (error) {
    leases.failed(key, lease, Date.now());
    throw error;
  }
  leases.answered(key, ask.cost, lease, admitted, Date.now());
  return admitted;
}

async function askGate(asker: Asker, gate: string, ask: AdmitAsk): Promise<void> {
  counters.gate_asks += 1;
  refuseUnless(await callGate(asker, gate, ask));
}

/** @throws `admission.unavailable` */
async function callGate(asker: Asker, gate: string, ask: AdmitAsk): Promise<Admitted> {
  const freed = givenBack.take(gate);
  const whole = freed.length === 0 ? ask : { ...ask, freed };
  const asked = (async () => asker.env.CAPABILITY_GATES.getByName(gate).admit(whole))();
  try {
    const admitted = await within(asked);
    if (typeof admitted?.ok !== "boolean") throw new Error("no answer of a gate");
    return admitted;
  } catch (cause) {
    if (freed.length > 0) giveBack(asker, gate, freed); // whether it arrived nobody knows, and twice is no harm
    // Admitted too late, or with its answer lost, it holds a slot that nobody uses: without this, until its time is over.
    const { slot } = ask;
    if (slot !== undefined) {
      const late = asked.then(
        () => undefined,
        () => undefined, // its failure is the cause below
      );
      asker.waitUntil(late.then(() => free(asker, gate, [slot.id])));
    }
    throw new TalosError("admission.unavailable", { gate }, { cause });
  }
}

function refuseUnless(admitted: Admitted): void {
  if (admitted.ok) return;
  const { code, retry_after_ms } = admitted;
  throw new PublicError(codeOr(code, "internal"), { retry_after_ms });
}

/** Say from time to time that the call still runs, until it is over. A gate that cannot be asked is asked again. */
async function keepSlot(asker: Asker, { gate, id, over: { signal } }: Slot, ttlMs: number): Promise<void> {
  while (await passes(LIMITS.slot_keep_ms, signal)) {
    try {
      if ((await within(Promise.resolve(asker.env.CAPABILITY_GATES.getByName(gate).keep(id, ttlMs)))) !== false)
        continue;
      if (!signal.aborted) asker.config.log("warn", "admission.slot_lost", { gate });
      return;
    } catch (error) {
      asker.config.log("warn", "admission.keep_failed", { gate, error });
    }
  }
}

/** @returns true after `ms`, false as soon as `signal` is aborted */
function passes(ms: number, signal: AbortSignal): Promise<boolean> {
  return scheduler.wait(ms, { signal }).then(
    () => !signal.aborted,
    () => false,
  );
}

/** The call of this slot is over: it goes back with the next admission at its gate, or by itself a moment later. */
export function endSlot(asker: Asker, { gate, id, over }: Slot): void {
  over.abort();
  giveBack(asker, gate, [id]);
}

function giveBack(asker: Asker, gate: string, ids: readonly string[]): void {
  if (givenBack.add(gate, ids)) asker.waitUntil(giveBackSoon(asker, gate));
}

async function giveBackSoon(asker: Asker, gate: string): Promise<void> {
  await scheduler.wait(GIVE_BACK_MS);
  for (let ids = givenBack.take(gate); ids.length > 0; ids = givenBack.take(gate)) await free(asker, gate, ids);
}

/** Free slots. A gate that cannot be asked frees them by itself when their time is over. */
async function free(asker: Asker, gate: string, ids: readonly string[]): Promise<void> {
  try {
    await within(Promise.resolve(asker.env.CAPABILITY_GATES.getByName(gate).release(...ids)));
  } catch (error) {
    asker.config.log("warn", "admission.release_failed", { gate, error });
  }
}

/** What a request costs, by rate class: one token an item, or what the registry says a tool costs. */
function costs(policy: PolicyHandle, facts: RequestFacts): { rate: RateClass; cost: number }[] {
  const byClass = new Map<string, number>();
  facts.rate_classes.forEach((name, i) => {
    const cost = toolCost(policy, facts.needs[i]?.tool);
    byClass.set(name ?? OTHERWISE, (byClass.get(name ?? OTHERWISE) ?? 0) + cost);
  });
  if (byClass.size === 0) byClass.set(facts.rate_class ?? OTHERWISE, 1);
  return [...byClass].map(([name, cost]) => ({ rate: rateClass(policy, name), cost }));
}

const toolCosts = new WeakMap<PolicyHandle, Map<string, number>>();

function toolCost(policy: PolicyHandle, tool: string | undefined): number {
  let table = toolCosts.get(policy);
  if (table === undefined) {
    table = new Map(
      policy.snapshot.tools.filter((entry) => entry.cost !== undefined).map((entry) => [entry.tool, entry.cost!]),
    );
    toolCosts.set(policy, table);
  }
  return (tool === undefined ? undefined : table.get(tool)) ?? 1;
}

/** @throws `policy.unavailable` when the snapshot lacks a rate class that a surface names: nothing is admitted unbounded */
export function rateClass(policy: PolicyHandle, name: string): RateClass {
  const found = policy.snapshot.rate_classes.find((entry) => entry.name === name);
  if (found === undefined) throw new TalosError("policy.unavailable", { why: "no such rate class", name });
  return found;
}
