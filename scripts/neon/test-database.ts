import { randomUUID } from "node:crypto";
import pg from "pg";
import { type NeonEndpoint, startNeonEndpoint } from "../neon-endpoint.ts";

/** An empty database behind a local endpoint; `close` removes it without a trace. */
export interface TestDatabase {
  /** What goes into `DATABASE_URL`. */
  url: string;
  endpoint: NeonEndpoint;
  close(): Promise<void>;
}

/** One kind of Postgres that a suite runs against; `skip` says why it cannot, on this machine. */
export interface TestDatabaseKind {
  name: string;
  skip: string | undefined;
  start(): Promise<TestDatabase>;
}

/** Embedded PGlite always; a real PostgreSQL when `TALOS_TEST_DATABASE_URL` names one that may create databases. */
export function testDatabases(): TestDatabaseKind[] {
  const real = process.env.TALOS_TEST_DATABASE_URL;
  const skip = real ? undefined : "TALOS_TEST_DATABASE_URL is not set";
  return [
    { name: "PGlite", skip: undefined, start: startEmbedded },
    { name: skip ? `PostgreSQL (skipped: ${skip})` : "PostgreSQL", skip, start: () => startReal(real!) },
  ];
}

async function startEmbedded(): Promise<TestDatabase> {
  const endpoint = await startNeonEndpoint({ backend: { kind: "pglite" } });
  return { url: "postgresql://talos:embedded@127.0.0.1/postgres", endpoint, close: () => endpoint.close() };
}

/** A throwaway database on the server at `serverUrl`, so that parallel runs and leftovers cannot meet. */
export async function startReal(serverUrl: string): Promise<TestDatabase> {
  const name = `talos_test_${randomUUID().replaceAll("-", "")}`;
  await administer(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const endpoint = await startNeonEndpoint({ backend: { kind: "url", url: url.href } });
  return {
    url: url.href,
    endpoint,
    async close() {
      await endpoint.close();
      await administer(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
