/**
 * The isolate's side of leases, pure: what it may still spend on reads without asking the gate, and when it asks.
 * Every doubt ends in asking: a lease that is out or nearly over, an answer that did not come, a clock that moved.
 * Source: contracts/spec/admission.md#leases.
 */
import { LIMITS } from "@talos/contracts";
import type { LeaseAsk } from "../../durable-objects/lease.ts";
import type { Admitted } from "../../durable-objects/types.ts";

/** An ask for a lease under way, as it was sent. */
export interface Asking {
  ask: LeaseAsk;
  sent_ms: number;
}

/**
 * What a read does next. `spent`: it is admitted; with `renew` it asks for more behind its answer. `refused`: the gate
 * said so a moment ago. `ask`: it asks the gate for itself, and for a lease in the same call where `lease` is there.
 */
export type Step =
  | { do: "spent"; renew?: Asking }
  | { do: "refused"; retry_after_ms: number }
  | { do: "ask"; lease?: Asking };

interface Entry {
  id: string;
  /** whole tokens since the lease began, as the gate counts them */
  granted: number;
  spent: number;
  /** unix ms, by our clock, at which we stop using it */
  end_ms: number;
  /** what the last top-up left us with; at half of it we ask again */
  filled: number;
  /** an ask is under way until it ends, or this unix ms should its request die; or asking is of no use until then */
  quiet_until_ms: number;
  /** the gate refused this many tokens until then */
  refused?: { cost: number; until_ms: number };
  demand: { since_ms: number; now: number; before: number };
}

/** Leases of one isolate, by chain and rate class: see {@link leaseKey}. */
export class Leases {
  readonly #entries = new Map<string, Entry>();
  readonly #newId: () => string;

  /** @param newId an id that nobody used before */
  constructor(newId: () => string) {
    this.#newId = newId;
  }

  /** Admit a read of `cost` tokens from memory, or say what to ask. */
  spend(key: string, cost: number, nowMs: number): Step {
    const entry = this.#entry(key, nowMs);
    const held = nowMs < entry.end_ms ? entry.granted - entry.spent : 0;
    if (held >= cost) {
      entry.spent += cost;
      count(entry, cost, nowMs);
      const left = held - cost;
      const low = left * 2 < entry.filled || entry.end_ms - nowMs < LIMITS.lease_margin_ms;
      const renew = low ? this.#ask(entry, nowMs) : undefined;
      return renew === undefined ? { do: "spent" } : { do: "spent", renew };
    }
    const { refused } = entry;
    if (refused !== undefined && cost >= refused.cost && nowMs < refused.until_ms) {
      return { do: "refused", retry_after_ms: refused.until_ms - nowMs };
    }
    const lease = this.#ask(entry, nowMs);
    return lease === undefined ? { do: "ask" } : { do: "ask", lease };
  }

  /** The gate answered an ask of `cost` tokens, with the lease where one was asked for. */
  answered(key: string, cost: number, asking: Asking | undefined, admitted: Admitted, nowMs: number): void {
    const entry = this.#entry(key, nowMs);
    if (!admitted.ok) {
      this.#quiet(entry, asking, nowMs);
      if (admitted.code !== "rate.exhausted" || cost === 0) return;
      const until_ms = nowMs + Math.min(admitted.retry_after_ms, LIMITS.lease_refusal_ms);
      entry.refused = { cost, until_ms };
      return;
    }
    delete entry.refused;
    count(entry, cost, nowMs);
    if (asking === undefined || asking.ask.id !== entry.id) return;
    const { lease } = admitted;
    const added = (lease?.granted ?? 0) - entry.granted;
    // No lease: the gate has nothing of it, so there is nothing that we may spend.
    entry.granted = lease?.granted ?? entry.spent;
    // Our clock may be ahead of the gate's or behind it: the earlier end holds. Behind by more than the margin, the
    // time since we asked is what ends it, since the gate's own began later.
    const end_ms = Math.min(asking.sent_ms + LIMITS.lease_life_ms, lease?.until_ms ?? 0);
    entry.end_ms = end_ms - LIMITS.lease_margin_ms;
    entry.filled = Math.max(0, entry.granted - entry.spent);
    entry.quiet_until_ms = added > 0 ? 0 : nowMs + LIMITS.lease_refusal_ms;
  }

  /** The gate could not be asked. What is leased stays ours until it ends. */
  failed(key: string, asking: Asking | undefined, nowMs: number): void {
    this.#quiet(this.#entry(key, nowMs), asking, nowMs);
  }

  /** Know nothing, as a new isolate does. What was leased is lost until the gate ends it. */
  forget(): void {
    this.#entries.clear();
  }

  #quiet(entry: Entry, asking: Asking | undefined, nowMs: number): void {
    if (asking?.ask.id === entry.id) entry.quiet_until_ms = nowMs + LIMITS.lease_refusal_ms;
  }

  #entry(key: string, nowMs: number): Entry {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key); // the one longest unused stays first
      this.#entries.set(key, known);
      return known;
    }
    if (this.#entries.size >= LIMITS.lease_keys) this.#entries.delete(this.#entries.keys().next().value!);
    const entry: Entry = {
      ...{ id: this.#newId(), granted: 0, spent: 0, end_ms: 0, filled: 0, quiet_until_ms: 0 },
      demand: { since_ms: nowMs, now: 0, before: 0 },
    };
    this.#entries.set(key, entry);
    return entry;
  }

  /** What to ask for: as much as was just spent; nothing while an ask is under way or when that is too little. */
  #ask(entry: Entry, nowMs: number): Asking | undefined {
    if (nowMs < entry.quiet_until_ms) return undefined;
    turn(entry, nowMs);
    const want = entry.demand.now + entry.demand.before;
    if (want < LIMITS.lease_min_tokens) return undefined;
    if (nowMs >= entry.end_ms) {
      // The gate may have ended it as well; what it makes of the old id is not ours to spend.
      Object.assign(entry, { id: this.#newId(), granted: 0, spent: 0, filled: 0 });
    }
    entry.quiet_until_ms = nowMs + LIMITS.object_timeout_ms;
    return { ask: { id: entry.id, spent: entry.spent, want }, sent_ms: nowMs };
  }
}

/** Tenants and rate classes have no `/`, links no `~`: no two chains or classes meet in one key. */
export const leaseKey = (tenant: string, rateName: string, links: readonly string[]): string =>
  `${tenant}/${rateName}/${links.join("~")}`;

function count(entry: Entry, cost: number, nowMs: number): void {
  turn(entry, nowMs);
  entry.demand.now += cost;
}

/** Two spans of time, so that the sum is what was spent in the last one to two of them. */
function turn({ demand }: Entry, nowMs: number): void {
  const passed = nowMs - demand.since_ms;
  if (passed >= 0 && passed < LIMITS.lease_demand_ms) return;
  const next = passed >= 0 && passed < 2 * LIMITS.lease_demand_ms;
  Object.assign(demand, { since_ms: nowMs, before: next ? demand.now : 0, now: 0 });
}
