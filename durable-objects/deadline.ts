/** A bound on waiting for another object, KV or a service. */

/**
 * The result of `work`, unless it takes longer than `ms`; then the work goes on and its result is dropped, so it must
 * be harmless to repeat.
 * @param what named in the error when time is up
 */
export async function withinMs<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const late = new AbortController();
  const timeout = scheduler.wait(ms, { signal: late.signal }).then(
    () => {
      throw new Error(`${what} took too long`);
    },
    () => undefined as never, // aborted below, because the work came first
  );
  try {
    return await Promise.race([work, timeout]);
  } finally {
    late.abort();
  }
}

/** Whether `work` is done within `ms`; it goes on either way. */
export async function doneWithinMs(work: Promise<unknown>, ms: number): Promise<boolean> {
  const late = new AbortController();
  const waited = scheduler.wait(ms, { signal: late.signal }).then(
    () => false,
    () => true, // aborted below
  );
  try {
    return await Promise.race([work.then(() => true), waited]);
  } finally {
    late.abort();
  }
}
