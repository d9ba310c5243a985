/**
 * Whether one object still takes a log's appends itself. It counts them, also those that came gathered, and says over
 * how many intake objects further ones should be spread. Pure. Source: contracts/spec/audit.md#intake.
 */
import { LIMITS } from "@talos/contracts";

export class IntakeLoad {
  #shards = 0;
  #count = 0;
  #sinceMs = 0;

  /** Intake objects that are advised; 0: none. */
  get shards(): number {
    return this.#shards;
  }

  /** Count an append. @returns intake objects that are advised from now on */
  count(nowMs: number): number {
    const ms = nowMs - this.#sinceMs;
    if (ms >= LIMITS.audit_intake_window_ms) {
      this.#shards = shardsFor((this.#count * 1_000) / ms, this.#shards);
      this.#count = 0;
      this.#sinceMs = nowMs;
    }
    this.#count += 1;
    return this.#shards;
  }
}

/**
 * So many that each takes `audit_intake_rate`; two at least, as one is no relief. They become fewer only when half of
 * them would do, so that a load at a bound does not move callers to and fro.
 * @param rate appends a second
 */
export function shardsFor(rate: number, before: number): number {
  const { audit_intake_rate: each, audit_intake_shards: most } = LIMITS;
  const wanted = rate <= each ? 0 : Math.min(most, Math.ceil(rate / each));
  return wanted < before && rate > (before * each) / 2 ? before : wanted;
}
