import type { Duplex } from "node:stream";
import { PGlite } from "@electric-sql/pglite";
import type { ClientConfig } from "pg";
import { type Backend, callerOf } from "./backend.ts";
import { Mutex } from "./mutex.ts";
import { PgliteStream } from "./pglite-stream.ts";

/**
 * Embedded Postgres. It asks nobody for a password: whoever reaches the loopback port is the user of this machine.
 * @param dataDir where it keeps its files; absent means memory
 */
export async function startPglite(dataDir?: string): Promise<Backend & { db: PGlite }> {
  const db = await PGlite.create(dataDir === undefined ? {} : { dataDir });
  const lock = new Mutex();
  return {
    db,
    clientConfig(connectionString): ClientConfig {
      callerOf(connectionString); // refuse what a real server would refuse too
      return { user: "postgres", database: "postgres", password: "", stream: () => new PgliteStream(db, lock) };
    },
    async stream(): Promise<Duplex> {
      return new PgliteStream(db, lock);
    },
    close: () => db.close(),
  };
}
