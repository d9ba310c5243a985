import { TalosError } from "@talos/contracts";
import { NeonDbError, type NeonQueryFunction, neon, neonConfig } from "@neondatabase/serverless";
import { drizzle, type NeonHttpDatabase } from "drizzle-orm/neon-http";

/** The part of the Worker's environment that leads to Postgres. */
export interface DatabaseEnv {
  TALOS_MODE?: string;
  DATABASE_URL?: string;
  /** `http://127.0.0.1:PORT` of scripts/neon-endpoint.ts; development only. */
  TALOS_DATABASE_ENDPOINT?: string;
}

export interface Database {
  /** Plain SQL, and `transaction`: several statements, one round trip, all or nothing. */
  sql: NeonQueryFunction<false, false>;
  db: NeonHttpDatabase;
}

/** Long enough for a cold start of a suspended Neon compute, short enough to answer within a caller's patience. */
const TIMEOUT_MS = 10_000;

/** Local endpoints by the `host:port` that their connection strings name; the driver's own setting is global. */
const localEndpoints = new Map<string, string>();
const neonEndpoint = neonConfig.fetchEndpoint as Exclude<typeof neonConfig.fetchEndpoint, string>;
neonConfig.fetchEndpoint = (host, port, options) =>
  localEndpoints.get(`${host}:${port}`) ?? neonEndpoint(host, port, options);

/**
 * Postgres over HTTP for one unit of work, whose statements together have {@link TIMEOUT_MS}.
 * @throws `config.incomplete` without DATABASE_URL, or with a local endpoint outside development
 */
export function connect(env: DatabaseEnv, timeoutMs = TIMEOUT_MS): Database {
  const url = env.DATABASE_URL;
  if (!url) throw new TalosError("config.incomplete", { missing: "DATABASE_URL" });
  const place = placeOf(url);
  if (env.TALOS_DATABASE_ENDPOINT) {
    if (env.TALOS_MODE !== "development") {
      throw new TalosError("config.incomplete", { missing: "TALOS_DATABASE_ENDPOINT is for development" });
    }
    localEndpoints.set(place, `${env.TALOS_DATABASE_ENDPOINT}/sql`);
  }
  const sql = neon(url, { fetchOptions: { signal: AbortSignal.timeout(timeoutMs) } });
  return { sql, db: drizzle({ client: sql }) };
}

/**
 * `host:port` of a connection string, as the driver asks for it (it reads the rest as an http URL, too).
 * @throws `config.incomplete`; the driver's own complaint would quote the password
 */
function placeOf(url: string): string {
  const scheme = /^postgres(ql)?:/.exec(url)?.[0];
  const place = scheme === undefined ? null : URL.parse(`http:${url.slice(scheme.length)}`);
  if (!place?.username || !place.hostname || place.pathname.length < 2) {
    throw new TalosError("config.incomplete", { missing: "a DATABASE_URL with user, host and database" });
  }
  return `${place.hostname}:${place.port}`;
}

/** SQLSTATE of a failure that Postgres itself reported; undefined when it was not reached or did not answer in time. */
export function sqlState(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof NeonDbError && at.code) return at.code;
  }
  return undefined;
}

/**
 * Runs a query of the search, and names its failure for the caller.
 * @throws `audit.query_unavailable` for whatever keeps Postgres from answering; what happened stays in the cause
 */
export async function searching<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    if (error instanceof TalosError) throw error;
    throw new TalosError("audit.query_unavailable", { sqlstate: sqlState(error) ?? null }, { cause: error });
  }
}
