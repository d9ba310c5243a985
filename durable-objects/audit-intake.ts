/**
 * The atom: nothing; it is one of several doors to a tenant's log, which spread the calls of a tenant that appends much.
 * Reached by: `<tenant>/<number>`, the number below what the log advises.
 * Rows: none. What it answers the log has committed, so a promise that comes through it is the log's, byte for byte.
 * Atomic: nothing; every ask is one `append` of the log, by itself, whatever it was gathered with.
 * Eviction loses: asks whose callers have no answer yet. They ask again, as for any append without an answer.
 * Source: contracts/spec/audit.md#intake.
 */
import { DurableObject } from "cloudflare:workers";
import { LIMITS } from "@talos/contracts";
import { withinMs } from "./deadline.ts";
import type { Env } from "./env.ts";
import { Gathering } from "./gathering.ts";
import { codeOf, warn } from "./log.ts";
import type { AppendAsk, Appended } from "./types.ts";

export class AuditIntake extends DurableObject<Env> {
  readonly #gathering = new Gathering<AppendAsk, Appended>({
    weigh: ({ events }) =>
      typeof events === "string" ? events.length : events.reduce((sum, { body }) => sum + body.length, 0),
    send: (asks) => this.#send(asks),
    call: { asks: LIMITS.audit_intake_asks, weight: LIMITS.audit_intake_bytes },
    waiting: { asks: LIMITS.audit_intake_waiting, weight: LIMITS.audit_intake_waiting_bytes },
  });

  /** `AuditLog.append`, gathered. @returns also `audit.backlogged` when too much waits here, `audit.unavailable` */
  async append(ask: AppendAsk): Promise<Appended> {
    const answer = this.#gathering.add(ask);
    if (answer === undefined) return { ok: false, code: "audit.backlogged" };
    return answer.catch(() => ({ ok: false, code: "audit.unavailable" }));
  }

  async #send(asks: AppendAsk[]): Promise<Appended[]> {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error("an intake is reached by its tenant's name and its number");
    const log = this.env.AUDIT_LOGS.getByName(name.slice(0, name.lastIndexOf("/")));
    try {
      const answers = (async (): Promise<Appended[]> => log.appendEach(asks))();
      return await withinMs(answers, LIMITS.object_timeout_ms, "the log");
    } catch (error) {
      warn("audit_intake.append_failed", { intake: name, asks: asks.length, code: codeOf(error) });
      throw error;
    }
  }
}
