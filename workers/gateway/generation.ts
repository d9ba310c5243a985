/**
 * One moment of what is in force in a tenant, compiled. Core memory is held by handles, so whoever uses a generation
 * across an await holds it, and the last one to let go frees it.
 */
import type { Head } from "@talos/contracts";
import { type FilterHandle, free, type Handle, type PolicyHandle, type RevocationAnswers } from "@talos/core";

/** A handle with its users counted. */
export class Held<H extends Handle> {
  readonly handle: H;
  readonly #gone: () => void;
  #users = 1;
  /** @param gone called when the last user let go, before the core's memory is given back */
  constructor(handle: H, gone: () => void) {
    this.handle = handle;
    this.#gone = gone;
  }
  hold(): this {
    this.#users += 1;
    return this;
  }
  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#gone();
    free(this.handle);
  }
}

/** Exact answers kept per generation: beyond this they are asked for again. */
const ANSWERS = 4_096;

export class Generation {
  readonly head: Head;
  readonly #policy: Held<PolicyHandle>;
  readonly #filter: Held<FilterHandle>;
  /** exact revocation answers for this rev_seq, by item */
  readonly #answers = new Map<string, string[]>();
  #asOfMs: number;
  #users = 1;

  /** Takes over one hold on each handle. `asOfMs`: when the head was signed, never later than when it arrived. */
  constructor(head: Head, asOfMs: number, policy: Held<PolicyHandle>, filter: Held<FilterHandle>) {
    this.head = head;
    this.#asOfMs = asOfMs;
    this.#policy = policy;
    this.#filter = filter;
  }

  get policy(): PolicyHandle {
    return this.#policy.handle;
  }
  get filter(): FilterHandle {
    return this.#filter.handle;
  }
  get asOfMs(): number {
    return this.#asOfMs;
  }
  /** A newer head said the same. */
  confirm(asOfMs: number): void {
    this.#asOfMs = Math.max(this.#asOfMs, asOfMs);
  }
  hold(): this {
    this.#users += 1;
    return this;
  }
  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#policy.release();
    this.#filter.release();
  }

  /** Items of `items` that were not answered yet for this rev_seq. */
  unanswered(items: readonly string[]): string[] {
    return items.filter((item) => !this.#answers.has(item));
  }
  learn(items: Readonly<Record<string, string[]>>): void {
    if (this.#answers.size > ANSWERS) this.#answers.clear();
    for (const [item, entries] of Object.entries(items)) this.#answers.set(item, entries);
  }
  answers(items: readonly string[]): RevocationAnswers {
    return {
      rev_seq: this.head.rev_seq,
      items: Object.fromEntries(items.map((item) => [item, this.#answers.get(item) ?? []])),
    };
  }
}
