import { type NeonEndpoint, startNeonEndpoint } from "../neon-endpoint.ts";
import { type Database, type DatabaseEnv, connect } from "../../workers/db/client.ts";

/** A database within reach of the Neon driver, from a script. */
export interface Reached {
  connect(timeoutMs?: number): Database;
  close(): Promise<void>;
}

/**
 * Makes any DATABASE_URL reachable by the Neon driver: through the endpoint that is given, at Neon itself, or through a
 * local endpoint that lives as long as the script.
 * @param endpoint `http://127.0.0.1:PORT` of a running local endpoint
 */
export async function reach(databaseUrl: string, endpoint?: string): Promise<Reached> {
  let own: NeonEndpoint | undefined;
  if (endpoint === undefined && !new URL(databaseUrl).hostname.endsWith(".neon.tech")) {
    own = await startNeonEndpoint({ backend: { kind: "url", url: databaseUrl } });
  }
  const through = endpoint ?? own?.url;
  const env: DatabaseEnv = { TALOS_MODE: "development", DATABASE_URL: databaseUrl };
  if (through) env.TALOS_DATABASE_ENDPOINT = through;
  return { connect: (timeoutMs) => connect(env, timeoutMs), close: async () => own?.close() };
}
