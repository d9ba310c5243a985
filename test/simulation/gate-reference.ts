/**
 * What a gate may admit, kept in the plainest way: no leases, no rows that come and go, nothing that is ever forgotten.
 * Times are the object's, whose clock may go back; for a bucket it stands still until it has caught up.
 */
import type { RateClass } from "@talos/contracts";

/** What is wrong, in words. */
export type Wrong = string | undefined;

interface Level {
  milli: number;
  at_ms: number;
}

export class GateReference {
  readonly #levels = new Map<string, Level>();
  readonly #nonces = new Set<string>();
  readonly #slots = new Map<string, { class: string; until_ms: number }>();
  /** the furthest that the object's clock has been: a slot that was over once is over */
  #latest_ms = 0;

  /** The gate has looked at these buckets: their time is this, if it is not later already. */
  seen(links: readonly string[], rate: RateClass, atMs: number): void {
    for (const [depth, link] of links.entries()) {
      const key = `${rate.name}/${link}`;
      const share = (rate.link_share_percent / 100) ** depth;
      const capacity = 1_000 * (depth === 0 ? rate.capacity : Math.max(1, Math.floor(rate.capacity * share + 1e-9)));
      const { milli, at_ms } = this.#levels.get(key) ?? { milli: capacity, at_ms: atMs };
      const inflow = Math.max(0, atMs - at_ms) * rate.refill_per_second * share;
      this.#levels.set(key, { milli: Math.min(capacity, milli + inflow), at_ms: Math.max(atMs, at_ms) });
    }
  }

  /**
   * Requests that were admitted, by whomever. A bucket that starts full and is never overdrawn gave, over any time, at
   * most its capacity and what flowed in during it.
   */
  admitted(links: readonly string[], rate: RateClass, cost: number, atMs: number): Wrong {
    this.seen(links, rate, atMs);
    for (const link of links) {
      const level = this.#levels.get(`${rate.name}/${link}`)!;
      level.milli -= cost * 1_000;
      // What an object rounds is rounded down; what is added here in floating point is not.
      if (level.milli < -1e-3) return `more was admitted than ${rate.name}/${link} allows, by ${-level.milli / 1_000}`;
    }
    return undefined;
  }

  nonce(jkt: string, value: string): Wrong {
    const name = `${jkt}/${value}`;
    if (this.#nonces.has(name)) return `nonce ${name} was accepted twice`;
    this.#nonces.add(name);
    return undefined;
  }

  /** The gate looked at its slots, whatever it answered: its clock was there, and may go back now. */
  looked(atMs: number): void {
    this.#latest_ms = Math.max(this.#latest_ms, atMs);
  }

  slotTaken(id: string, rate: RateClass, until_ms: number, atMs: number): Wrong {
    this.looked(atMs);
    this.#slots.set(id, { class: rate.name, until_ms });
    for (const [other, { until_ms: until }] of this.#slots) if (until <= this.#latest_ms) this.#slots.delete(other);
    const held = [...this.#slots.values()].filter((slot) => slot.class === rate.name).length;
    return held > rate.concurrency ? `${held} slots of ${rate.name} are held at once` : undefined;
  }

  slotKept(id: string, until_ms: number): void {
    const slot = this.#slots.get(id);
    if (slot !== undefined) slot.until_ms = Math.max(slot.until_ms, until_ms);
  }

  slotFreed(id: string): void {
    this.#slots.delete(id);
  }
}
