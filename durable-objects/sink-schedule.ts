/** When a sink tries again. Pure. Source: contracts/spec/webhooks.md#retries. */
import { LIMITS } from "@talos/contracts";
import { backoffMs } from "./backoff.ts";

/** Pauses before attempts 2 to 10: the schedule that Standard Webhooks recommends. Milliseconds. */
const PAUSES_MS = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map((seconds) => seconds * 1_000);
/** Jitter, so that what failed together does not come back together: ± a fifth. */
const JITTER = 0.2;

/**
 * How long to wait after a failed attempt, ms; null when it was the last.
 * @param attempts attempts so far, ≥ 1
 * @param retryAfterS what the receiver asked for; it can only lengthen the pause, up to `sink_retry_after_seconds`
 * @param random 0 ≤ x < 1
 */
export function pauseMs(attempts: number, retryAfterS: number | undefined, random: number): number | null {
  const pause = PAUSES_MS[attempts - 1];
  if (pause === undefined || attempts >= LIMITS.sink_attempts) return null;
  const jittered = Math.round(pause * (1 - JITTER + 2 * JITTER * random));
  return Math.max(jittered, Math.min(retryAfterS ?? 0, LIMITS.sink_retry_after_seconds) * 1_000);
}

/**
 * How long the breaker stays open after `failures` failed attempts in a row, ms; 0 while it is closed. After that one
 * attempt is let through; it closes the breaker, or doubles its time.
 */
export function breakerMs(failures: number): number {
  const over = failures - LIMITS.sink_breaker_failures;
  return over < 0 ? 0 : backoffMs(over + 1, LIMITS.sink_breaker_ms, LIMITS.sink_breaker_max_ms);
}
