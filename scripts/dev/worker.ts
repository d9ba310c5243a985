import { setTimeout as sleep } from "node:timers/promises";
import type { Child } from "./children.ts";
import { type State, TENANT } from "./state.ts";
import { startWrangler } from "./wrangler.ts";

const START_MS = 90_000;
const POLL_MS = 100;
const POLL_TIMEOUT_MS = 5_000;

/** The Worker under `wrangler dev`, on the pinned port of loopback, with its rows in the state folder. */
export function startWorker(
  state: State,
  database: { url: string; endpoint: string },
  witnesses: string,
  more: Record<string, string> = {},
): Child {
  const vars = {
    TALOS_MODE: "development",
    TALOS_ORIGIN: state.origin,
    TALOS_TENANTS: TENANT,
    TALOS_PUBLISHERS: JSON.stringify({ [TENANT]: [state.publisher.jwk] }),
    TALOS_KEYSETS: JSON.stringify(state.keysets),
    DATABASE_URL: database.url,
    TALOS_DATABASE_ENDPOINT: database.endpoint,
    TALOS_LOOPBACK_RECEIVERS: "allow",
    TALOS_WITNESSES: witnesses,
    ...more,
  };
  const { dir, port } = state;
  return startWrangler({ title: "the Worker", name: "worker", dir, config: "wrangler.toml", port, vars });
}

/**
 * Ask until a public surface answers 200.
 * @throws when the program ends first or the time is over
 */
export async function waitFor(url: string, child: Child, timeout_ms = START_MS): Promise<void> {
  const end = Date.now() + timeout_ms;
  let last = "no answer";
  while (Date.now() < end) {
    if (!child.running) throw child.failure("ended");
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
      const text = await response.text();
      if (response.status === 200) return;
      last = `${response.status} ${text.slice(0, 300)}`;
    } catch (error) {
      last = error instanceof Error ? `${error.message}` : String(error); // not up yet
    }
    await sleep(POLL_MS);
  }
  throw child.failure(`did not answer 200 at ${url} in ${timeout_ms / 1000} s (${last})`);
}
