/** Appends batches to a log without a gateway in between, and holds the log to what it answered. */
import { type AuditEventV2, validate } from "@talos/contracts";
import { sealEvent } from "@talos/core";
import type { AppendEvent } from "../../durable-objects/types.ts";
import { newUuid, person } from "../fixtures.ts";
import type { LogStub } from "../harness.ts";
import type { Leaf } from "./ledger.ts";

/** What was appended, from what lies in the log. */
export const appendable = ({ event_id, leaf, body, event }: Leaf): AppendEvent => ({
  ...{ event_id, body, leaf_hash: leaf, event_hash: event.event_hash },
});

export function makeEvent(): AppendEvent {
  const { did, jkt } = person("appender");
  const event: Omit<AuditEventV2, "event_hash"> = {
    ...{ schema_id: "talos.audit_event", schema_version: "v2", kind: "decision", outcome: "success" },
    ...{ event_id: newUuid(), request_id: newUuid(), ts: new Date().toISOString(), tenant: "default" },
    ...{ surface_id: "authorize", audit_action: "authorize", meta: {} },
    principal: { auth_mode: "signed", did, jkt },
  };
  const sealed = sealEvent({ surface: event.surface_id, event });
  const checked = validate("audit/event-v2", JSON.parse(sealed.body));
  if (!checked.ok) throw new Error(checked.errors.join("; "));
  return sealed;
}

export class Appender {
  /** the promise of every event that was acknowledged, by id */
  readonly acknowledged = new Map<string, string>();
  readonly batches: AppendEvent[][] = [];
  /** ids of which the log had some of their batch and not the rest */
  readonly halves: string[] = [];
  /** ids that got another promise than before */
  readonly differing: string[] = [];
  retried = 0;
  readonly #log: () => LogStub;
  readonly #random: () => number;
  #unanswered: AppendEvent[] | undefined;
  #going: Promise<void> = Promise.resolve();
  #halted = true;

  constructor(log: () => LogStub, random: () => number) {
    this.#log = log;
    this.#random = random;
  }

  start(): void {
    this.#halted = false;
    this.#going = this.#run();
  }

  /** Stop after the append that is under way. */
  async halt(): Promise<void> {
    this.#halted = true;
    await this.#going;
  }

  async #run(): Promise<void> {
    while (!this.#halted) {
      const batch = Array.from({ length: 1 + Math.floor(this.#random() * 5) }, makeEvent);
      this.batches.push(batch);
      try {
        await this.#append(batch);
      } catch {
        this.#unanswered = batch; // no answer, no promise: `retry` finds out what the log knows
        return;
      }
    }
  }

  async #append(events: AppendEvent[]): Promise<void> {
    const answer = await this.#log().append({ events });
    if (!answer.ok) throw new Error(answer.code);
    events.forEach(({ event_id }, i) => {
      const known = this.acknowledged.get(event_id);
      if (known !== undefined && known !== answer.promises[i]) this.differing.push(event_id);
      this.acknowledged.set(event_id, answer.promises[i]!);
    });
  }

  /** What a careful client does after a crash: the same again, until it is answered. Twice, to see the same promise. */
  async retry(): Promise<void> {
    const last = this.batches.at(-1);
    if (last !== undefined) await this.#retry(last);
    const earlier = this.batches[Math.floor(this.#random() * this.batches.length)];
    if (earlier !== undefined) await this.#append(earlier);
    this.#unanswered = undefined;
  }

  async #retry(batch: AppendEvent[]): Promise<void> {
    if (batch === this.#unanswered) {
      this.retried += 1;
      const there = await Promise.all(batch.map(({ event_id }) => this.#log().get(event_id)));
      const known = there.filter((found) => found !== null).length;
      if (known !== 0 && known !== batch.length) this.halves.push(...batch.map(({ event_id }) => event_id));
    }
    await this.#append(batch);
    await this.#append(batch);
  }
}
