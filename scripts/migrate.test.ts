import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connect } from "../workers/db/client.ts";
import { migrate } from "./migrate.ts";
import { startReal, type TestDatabase, testDatabases } from "./neon/test-database.ts";

// Starting a database takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const ROOT = join(import.meta.dirname, "..");

it("has a migration for everything in the schema: drizzle-kit finds nothing to write", async () => {
  const out = await mkdtemp(join(tmpdir(), "talos-drift-"));
  try {
    await cp(join(ROOT, "migrations"), out, { recursive: true });
    const before = await readdir(out);
    const kit = join(ROOT, "node_modules/drizzle-kit/bin.cjs");
    // It reads `./<out>`, so the path must be relative; and it exits 0 whatever happens, so only what it says counts.
    const asked = [
      "generate",
      "--dialect",
      "postgresql",
      "--schema",
      "./workers/db/schema.ts",
      "--out",
      relative(ROOT, out),
    ];
    const { stdout } = await promisify(execFile)(process.execPath, [kit, ...asked], { cwd: ROOT });
    expect(stdout).toContain("No schema changes");
    expect(await readdir(out)).toEqual(before);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`migrations on ${kind.name}`, () => {
    let database: TestDatabase;
    beforeAll(async () => {
      database = await kind.start();
    });
    afterAll(() => database?.close());
    const options = () => ({ databaseUrl: database.url, endpoint: database.endpoint.url });
    const sql = () =>
      connect({ TALOS_MODE: "development", DATABASE_URL: database.url, TALOS_DATABASE_ENDPOINT: database.endpoint.url })
        .sql;

    it("are applied once by however many migrate at the same time, and not again", async () => {
      const applied = await Promise.all([1, 2, 3, 4].map(() => migrate(options())));
      const files = (await readdir(join(ROOT, "migrations"))).filter((name) => name.endsWith(".sql"));
      expect(applied.reduce((sum, one) => sum + one.applied, 0)).toBe(files.length);
      expect(await migrate(options())).toEqual({ applied: 0 });
    });

    it("make every table of the schema, the record partitioned by month", async () => {
      const found = await sql()`SELECT relname, relkind FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname`;
      expect(found.map((table) => table.relname)).toEqual([
        ...["audit_cursor", "audit_event", "bindings", "forbids", "known_dids", "peps", "policy_snapshots"],
        ...["rate_classes", "revoked_keys", "roles", "schema_migrations", "servers", "tenants", "tools"],
        "trust_anchors",
      ]);
      expect(found.find((table) => table.relname === "audit_event")?.relkind).toBe("p");
    });

    it("stop when an applied migration was edited, or the database is ahead of this checkout", async () => {
      await sql()`UPDATE schema_migrations SET hash = 'edited'`;
      await expect(migrate(options())).rejects.toThrow(/edited after it was applied/);
      await sql()`INSERT INTO schema_migrations (created_at, hash) VALUES (99999999999999, 'future')`;
      await expect(migrate(options())).rejects.toThrow(/has not: 99999999999999/);
    });
  });
}

const real = process.env.TALOS_TEST_DATABASE_URL;
it.skipIf(!real)(
  `reaches a PostgreSQL without an endpoint${real ? "" : " (skipped: TALOS_TEST_DATABASE_URL is not set)"}`,
  async () => {
    const database = await startReal(real!);
    try {
      expect((await migrate({ databaseUrl: database.url })).applied).toBeGreaterThan(0);
    } finally {
      await database.close();
    }
  },
);
