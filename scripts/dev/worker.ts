import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeSecretFile } from "@talos/sdk/node";
import { root } from "../bootstrap.js";
import { Child } from "./children.ts";
import { type State, TENANT } from "./state.ts";

const START_MS = 90_000;
const POLL_MS = 100;
const POLL_TIMEOUT_MS = 5_000;

/** The Worker under `wrangler dev`, on the pinned port of loopback, with its rows in the state folder. */
export function startWorker(state: State, database: { url: string; endpoint: string }): Child {
  // A file of mode 0600, not arguments: every user of the machine can read those.
  const envFile = join(state.dir, "worker.env");
  const vars = {
    TALOS_MODE: "development",
    TALOS_ORIGIN: state.origin,
    TALOS_TENANTS: TENANT,
    TALOS_PUBLISHERS: JSON.stringify({ [TENANT]: [state.publisher.jwk] }),
    TALOS_KEYSETS: JSON.stringify(state.keysets),
    DATABASE_URL: database.url,
    TALOS_DATABASE_ENDPOINT: database.endpoint,
    TALOS_LOOPBACK_RECEIVERS: "allow",
  };
  writeSecretFile(
    envFile,
    `${Object.entries(vars)
      .map(([name, value]) => `${name}=${quote(value)}`)
      .join("\n")}\n`,
    {
      overwrite: true,
    },
  );
  const command = [process.execPath, join(root, "node_modules", "wrangler", "bin", "wrangler.js"), "dev"];
  command.push("--config", join(root, "wrangler.toml"), "--env-file", envFile, "--ip", "127.0.0.1");
  command.push("--port", String(state.port), "--inspector-port", "0", "--persist-to", join(state.dir, "worker"));
  command.push("--show-interactive-dev-session", "false", "--log-level", "info");
  return new Child({
    name: "the Worker",
    command,
    env: {
      ...process.env,
      CI: "1", // no questions, no terminal games
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_LOG_PATH: join(state.dir, "logs", "wrangler"),
      WRANGLER_HIDE_BANNER: "true",
      // Wrangler would fetch an example of `Request.cf` from the network and complain where there is none.
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      NO_COLOR: "1",
      FORCE_COLOR: "0",
    },
    cwd: root,
    logFile: join(state.dir, "logs", "worker.log"),
  });
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

/** A value for a dotenv file: single quotes take everything literally but themselves. */
function quote(value: string): string {
  if (!/['\n\r]/.test(value)) return `'${value}'`;
  if (!/[`\n\r]/.test(value)) return `\`${value}\``;
  throw new Error("a value with both kinds of quotes or a line break cannot be passed to the Worker");
}
