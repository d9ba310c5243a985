/**
 * Slots whose call is over, on their way back to the gate. The next admission at the gate takes them along; only when
 * none comes soon they go by a call of their own, behind the answer: that call has a commit, and a caller must not wait
 * for it, nor the caller's next request behind it.
 * Source: contracts/spec/admission.md.
 */

/** How long a slot waits for an admission to take it along: far below what its class notices, above a call's own time. */
export const GIVE_BACK_MS = 20;
/** Slots that one call gives back. */
export const GIVE_BACK_MOST = 256;

/** By gate. Each id stands for a call that held a slot, so there are no more than gates granted. */
export class GivenBack {
  readonly #ids = new Map<string, string[]>();

  /** @returns whether the caller is the one to see to it that what waits at this gate goes back in time */
  add(gate: string, ids: readonly string[]): boolean {
    const waiting = this.#ids.get(gate);
    if (waiting === undefined) this.#ids.set(gate, [...ids]);
    else waiting.push(...ids);
    return waiting === undefined;
  }

  /** What waits at a gate, at most {@link GIVE_BACK_MOST}; whoever takes it gives it back. */
  take(gate: string): string[] {
    const waiting = this.#ids.get(gate);
    if (waiting === undefined) return [];
    const taken = waiting.splice(0, GIVE_BACK_MOST);
    if (waiting.length === 0) this.#ids.delete(gate);
    return taken;
  }
}
