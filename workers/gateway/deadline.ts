/** Waiting with an end. Source: limits.json `object_timeout_ms`. */
import { LIMITS } from "@talos/contracts";

export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}

/**
 * `work`, or a failure after `ms`. The work itself goes on; its late result is dropped.
 * @throws DeadlinePassed
 */
export async function within<T>(work: Promise<T>, ms: number = LIMITS.object_timeout_ms): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlinePassed(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}
