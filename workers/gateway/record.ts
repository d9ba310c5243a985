/**
 * Writing to the tenant's log. Durable appends answer with the log's promises; decisions without a dispatch wait in
 * the isolate for at most `audit_buffer_ms` or `audit_buffer_events` and are flushed by the request that found the
 * buffer empty, under its own waitUntil (a bare timer after the response never fires).
 * Source: contracts/spec/audit.md#order, #promise.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { sealEvent } from "@talos/core";
import type { SealedSalts } from "../../durable-objects/value-keys.ts";
import { encodeBatch } from "../../durable-objects/batch.ts";
import type { Appended } from "../../durable-objects/types.ts";
import { counters } from "./counters.ts";
import { within } from "./deadline.ts";
import type { Draft } from "./events.ts";
import type { Asker } from "./asker.ts";
import { codeOr } from "./in-force.ts";
import { heed, intakeOf, pass } from "./intake.ts";
import { keepValue, type Value } from "./values.ts";

/** What AuditLog takes, and what is to be kept of it once it is durable. */
export interface Entry {
  event_id: string;
  body: string;
  event_hash: string;
  leaf_hash: string;
  /** the salts of its commitments */
  sealed?: SealedSalts;
  value?: Value;
}

/** Hash an event for appending. */
export function entryOf(draft: Draft): Entry {
  return sealEvent({ surface: draft.surface_id, event: draft });
}

/**
 * Append durably.
 * @param promises of how many of the events, from the first, the caller has a use for the promise
 * @returns so many promises (JWS) in order, and the place of every event
 * @throws `audit.unavailable` when the log cannot be asked; what the log itself answers
 */
export async function append(
  asker: Asker,
  entries: Entry[],
  promises: number,
): Promise<{ promises: string[]; seqs: number[] }> {
  counters.log_appends += 1;
  const salted = entries.some(({ sealed }) => sealed !== undefined);
  const events = salted ? entries.map(({ value: _, ...entry }) => entry) : encodeBatch(entries);
  const { env, tenant } = asker;
  let answer: Appended;
  try {
    answer = await within(
      (async (): Promise<Appended> => intakeOf(env, tenant, Date.now()).append({ events, promises }))(),
    );
    // What is no answer of a log promises nothing.
    if (typeof answer?.ok !== "boolean" || (answer.ok && answer.promises?.length !== promises)) {
      throw new Error("not the promises that were asked for");
    }
  } catch (cause) {
    pass(tenant, Date.now());
    throw new TalosError("audit.unavailable", { tenant }, { cause });
  }
  if (!answer.ok) throw new TalosError(codeOr(answer.code, "audit.unavailable"), { tenant });
  heed(tenant, answer);
  for (const entry of entries) if (entry.value !== undefined) keepValue(asker, entry, entry.value);
  return { promises: answer.promises, seqs: answer.seqs };
}

/** Pauses before a failed flush is tried again, ms. */
const RETRIES = [100, 400, 1_600];

interface Flush {
  /** waits this long, on the flushing request's own clock */
  wait(ms: number): Promise<void>;
  append(entries: Entry[]): Promise<unknown>;
  lost(entries: Entry[], error: unknown): void;
}

/**
 * The buffer of one tenant in one isolate. `add` hands back work for waitUntil when the adding request is the one
 * that has to flush: the first, after the wait, or the one that filled it, at once.
 */
export class EventBuffer {
  #entries: Entry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  add(entry: Entry, flush: Flush): Promise<void> | undefined {
    this.#entries.push(entry);
    if (this.#entries.length >= LIMITS.audit_buffer_events) return this.#send(flush);
    if (this.#entries.length === 1) return this.#later(flush);
    return undefined;
  }

  async #later(flush: Flush): Promise<void> {
    await flush.wait(LIMITS.audit_buffer_ms);
    // Filled and sent meanwhile, and perhaps begun anew: what is there now is no older than our wait, so send it too.
    if (this.#entries.length > 0) await this.#send(flush);
  }

  async #send(flush: Flush): Promise<void> {
    const entries = this.#entries;
    this.#entries = [];
    for (let attempt = 0; ; attempt += 1) {
      try {
        await flush.append(entries);
        return;
      } catch (error) {
        const pause = RETRIES[attempt];
        if (pause === undefined) {
          flush.lost(entries, error);
          return;
        }
        await flush.wait(pause);
      }
    }
  }
}

const buffers = new Map<string, EventBuffer>();

/** What waits for the next flush; see {@link EventBuffer}. */
export function buffer(asker: Asker, entry: Entry): void {
  let own = buffers.get(asker.tenant);
  if (own === undefined) {
    own = new EventBuffer();
    buffers.set(asker.tenant, own);
  }
  const work = own.add(entry, {
    wait: (ms) => scheduler.wait(ms),
    append: (entries) => append(asker, entries, 0),
    lost: (entries, error) => {
      counters.events_lost += entries.length;
      asker.config.log("error", "audit.events_lost", { tenant: asker.tenant, count: entries.length, error });
    },
  });
  if (work !== undefined) asker.waitUntil(work);
}
