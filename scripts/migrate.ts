import { join } from "node:path";
import { parseArgs } from "node:util";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { sqlState } from "../workers/db/client.ts";
import { type Reached, reach } from "./neon/reach.ts";

const FOLDER = join(import.meta.dirname, "../migrations");
/** Building an index over a large table takes longer than a request may. */
const TIMEOUT_MS = 120_000;
const UNIQUE_VIOLATION = "23505";
/**
 * What `CREATE TABLE IF NOT EXISTS` fails with when another one creates the same table, by how far that is: its entry in a
 * catalogue, the type of its rows, or the table.
 */
const CREATED_MEANWHILE = [UNIQUE_VIOLATION, "42710", "42P07"];

/**
 * Brings a database up to the newest migration. Each file is one transaction together with its entry in
 * `schema_migrations`, so a migration is applied wholly or not at all, and once, whoever else migrates at the same time.
 * @param options.endpoint a running local endpoint; without one, see `reach`
 * @returns how many migrations were applied now
 * @throws Error when a migration that was applied has since been edited, or the database knows one that is not here
 */
export async function migrate(options: { databaseUrl: string; endpoint?: string }): Promise<{ applied: number }> {
  const reached = await reach(options.databaseUrl, options.endpoint);
  try {
    return { applied: await apply(reached) };
  } finally {
    await reached.close();
  }
}

async function apply(reached: Reached): Promise<number> {
  const files = readMigrationFiles({ migrationsFolder: FOLDER });
  await createTable(reached);
  let applied = 0;
  for (const file of files) {
    const known = await appliedHashes(reached);
    const unknown = [...known.keys()].filter((at) => !files.some((other) => other.folderMillis === at));
    if (unknown.length > 0) throw new Error(`the database has migrations that this checkout has not: ${unknown}`);
    const hash = known.get(file.folderMillis);
    if (hash === undefined) applied += await applyOne(reached, file);
    else if (hash !== file.hash) throw new Error(`migration ${file.folderMillis} was edited after it was applied`);
  }
  return applied;
}

async function createTable(reached: Reached): Promise<void> {
  const { sql } = reached.connect(TIMEOUT_MS);
  try {
    await sql`CREATE TABLE IF NOT EXISTS schema_migrations (
      created_at bigint PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`;
  } catch (error) {
    // IF NOT EXISTS does not see a table that another migrator is creating right now; whoever was first made it.
    if (!CREATED_MEANWHILE.includes(sqlState(error) ?? "")) throw error;
  }
}

async function appliedHashes(reached: Reached): Promise<Map<number, string>> {
  const rows = await reached.connect(TIMEOUT_MS).sql`SELECT created_at, hash FROM schema_migrations`;
  return new Map(rows.map((row) => [Number(row.created_at), row.hash as string]));
}

async function applyOne(reached: Reached, file: { sql: string[]; hash: string; folderMillis: number }): Promise<0 | 1> {
  const { sql } = reached.connect(TIMEOUT_MS);
  // The entry comes first: a second migrator waits on its key, fails on it, and finds the work done.
  const entry = sql`INSERT INTO schema_migrations (created_at, hash) VALUES (${file.folderMillis}, ${file.hash})`;
  try {
    await sql.transaction([entry, ...file.sql.map((statement) => sql.query(statement))]);
    return 1;
  } catch (error) {
    const taken = sqlState(error) === UNIQUE_VIOLATION && (await appliedHashes(reached)).has(file.folderMillis);
    if (taken) return 0;
    throw error;
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { "database-url": { type: "string" }, endpoint: { type: "string" }, help: { type: "boolean" } },
  });
  const databaseUrl = values["database-url"] ?? process.env.DATABASE_URL;
  if (values.help || !databaseUrl) {
    console.log("usage: npm run migrate -- [--database-url URL] [--endpoint http://127.0.0.1:PORT]");
    console.log(
      "The URL is DATABASE_URL when not given. Without --endpoint any PostgreSQL or Neon is reached directly.",
    );
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const endpoint = values.endpoint ?? process.env.TALOS_DATABASE_ENDPOINT;
  const { applied } = await migrate(endpoint ? { databaseUrl, endpoint } : { databaseUrl });
  console.log(applied === 0 ? "database is up to date" : `applied ${applied} migration(s)`);
}

if (import.meta.main) await main();
