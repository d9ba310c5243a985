import type { Duplex } from "node:stream";
import type { ClientConfig } from "pg";

/** What stands behind the endpoint: the embedded PGlite, or a PostgreSQL server reached over TCP. */
export interface Backend {
  /**
   * Settings for one `pg` client that speaks for the caller who sent this connection string.
   * The endpoint lends nobody its own authority: a real server sees the caller's user, password and database.
   */
  clientConfig(connectionString: string): ClientConfig;
  /** A fresh stream of Postgres wire bytes, for the WebSocket half. Rejects when the server cannot be reached. */
  stream(): Promise<Duplex>;
  close(): Promise<void>;
}

/** Which backend to start: `dataDir` absent keeps PGlite in memory. */
export type BackendChoice = { kind: "pglite"; dataDir?: string } | { kind: "url"; url: string };

/** The parts of a connection string that concern the caller, not the place. Throws a TypeError when it is none. */
export function callerOf(connectionString: string): { user: string; password: string; database: string } {
  const url = new URL(connectionString);
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") throw new TypeError("not a Postgres URL");
  return {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
  };
}
