import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { neon, NeonDbError, neonConfig, Pool } from "@neondatabase/serverless";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { type NeonEndpoint, startNeonEndpoint } from "../neon-endpoint.ts";
import { type TestDatabase, testDatabases } from "./test-database.ts";

// Starting a database takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

for (const database of testDatabases()) {
  describe.skipIf(database.skip !== undefined)(`neon endpoint in front of ${database.name}`, () => {
    let db: TestDatabase;
    let table: string;
    beforeAll(async () => {
      db = await database.start();
      table = `endpoint_${randomUUID().replaceAll("-", "")}`;
      neonConfig.fetchEndpoint = `${db.endpoint.url}/sql`;
      neonConfig.wsProxy = () => `127.0.0.1:${db.endpoint.port}/v2`;
      neonConfig.useSecureWebSocket = false;
      neonConfig.pipelineConnect = false;
      neonConfig.webSocketConstructor = WebSocket;
      await neon(db.url).query(`CREATE TABLE ${table} (id int PRIMARY KEY, note text)`);
    });
    afterAll(() => db?.close());

    it("answers one query in object and in array mode, and says what it did", async () => {
      const sql = neon(db.url, { fullResults: true });
      const answer = await sql`SELECT ${1}::int AS one, ${"two"}::text AS two`;
      expect(answer.rows).toEqual([{ one: 1, two: "two" }]);
      expect(answer).toMatchObject({ command: "SELECT", rowCount: 1 });
      expect(await neon(db.url, { arrayMode: true })`SELECT 1 AS a, 2 AS a`).toEqual([[1, 2]]);
    });

    it("carries every type that we store, and null, there and back", async () => {
      const [row] = await neon(db.url)`SELECT
        ${"9007199254740993"}::bigint AS big, ${JSON.stringify({ a: [1, null] })}::jsonb AS json,
        ${Buffer.from([0, 255, 92])}::bytea AS bytes, ${"2026-11-23T08:00:00.123Z"}::timestamptz AS at,
        ${["a", 'q"uote', "c,d"]}::text[] AS list, ${null}::text AS nothing, ${true}::boolean AS yes, 'ü€𝄞' AS text`;
      expect(row).toEqual({
        big: "9007199254740993",
        json: { a: [1, null] },
        bytes: Buffer.from([0, 255, 92]),
        at: new Date("2026-11-23T08:00:00.123Z"),
        list: ["a", 'q"uote', "c,d"],
        nothing: null,
        yes: true,
        text: "ü€𝄞",
      });
    });

    it("runs a batch as one transaction: all of it, or nothing", async () => {
      const sql = neon(db.url);
      await sql.transaction([
        sql.query(`INSERT INTO ${table} VALUES (1, 'kept')`),
        sql.query(`INSERT INTO ${table} VALUES (2, 'kept')`),
      ]);
      const broken = sql.transaction([
        sql.query(`INSERT INTO ${table} VALUES (3, 'lost')`),
        sql.query(`INSERT INTO ${table} VALUES (1, 'again')`),
      ]);
      await expect(broken).rejects.toMatchObject({ code: "23505" });
      expect(await sql.query(`SELECT id FROM ${table} ORDER BY id`)).toEqual([{ id: 1 }, { id: 2 }]);
    });

    it("keeps the isolation level and the read-only promise of a batch", async () => {
      const sql = neon(db.url);
      const [[level]] = (await sql.transaction([sql`SHOW transaction_isolation`], {
        isolationLevel: "Serializable",
        readOnly: true,
        deferrable: true,
      })) as [[{ transaction_isolation: string }]];
      expect(level.transaction_isolation).toBe("serializable");
      const write = sql.transaction([sql.query(`DELETE FROM ${table}`)], { readOnly: true });
      await expect(write).rejects.toMatchObject({ code: "25006" });
    });

    it("returns Postgres' own error with SQLSTATE, position and constraint, and works on afterwards", async () => {
      const sql = neon(db.url);
      const syntax = await sql.query("SELEC 1").catch((error: unknown) => error);
      expect(syntax).toBeInstanceOf(NeonDbError);
      expect(syntax).toMatchObject({ code: "42601", position: "1", severity: "ERROR" });
      const twice = sql.query(`INSERT INTO ${table} VALUES (1, 'again')`);
      await expect(twice).rejects.toMatchObject({ code: "23505", table, constraint: `${table}_pkey` });
      await expect(sql.query("SELECT 1; SELECT 2")).rejects.toMatchObject({ code: "42601" });
      expect(await sql`SELECT 1 AS ok`).toEqual([{ ok: 1 }]);
    });

    it("keeps 40 concurrent callers apart", async () => {
      const sql = neon(db.url);
      const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => sql`SELECT ${n}::int AS n`));
      expect(answers.map(([row]) => row!.n)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    });

    it("runs interactive transactions over WebSocket, isolated from each other and from HTTP", async () => {
      const pool = new Pool({ connectionString: db.url });
      const [first, second] = [await pool.connect(), await pool.connect()];
      try {
        await first.query("BEGIN");
        await first.query(`INSERT INTO ${table} VALUES (10, $1)`, ["first"]);
        const seen = second.query(`SELECT count(*)::int AS n FROM ${table} WHERE id = 10`);
        const overHttp = neon(db.url).query(`SELECT count(*)::int AS n FROM ${table} WHERE id = 10`);
        await first.query("ROLLBACK");
        expect((await seen).rows).toEqual([{ n: 0 }]);
        expect(await overHttp).toEqual([{ n: 0 }]);
        await expect(second.query("SELECT broken")).rejects.toMatchObject({ code: "42703" });
        expect((await second.query("SELECT $1::int AS n", [7])).rows).toEqual([{ n: 7 }]);
      } finally {
        first.release();
        second.release();
        await pool.end();
      }
    });

    it("rolls back what a client that vanished had begun", async () => {
      const pool = new Pool({ connectionString: db.url });
      pool.on("error", () => {}); // the connection is cut on purpose
      const client = await pool.connect();
      client.on("error", () => {});
      await client.query("BEGIN");
      await client.query(`INSERT INTO ${table} VALUES (20, 'vanished')`);
      client.release(new Error("cut"));
      await pool.end();
      await expect
        .poll(() => neon(db.url).query(`SELECT count(*)::int AS n FROM ${table} WHERE id = 20`))
        .toEqual([{ n: 0 }]);
    });
  });
}

describe("neon endpoint", () => {
  let endpoint: NeonEndpoint;
  beforeAll(async () => {
    endpoint = await startNeonEndpoint({ backend: { kind: "pglite" } });
  });
  afterAll(() => endpoint?.close());

  const post = (headers: Record<string, string>, body: string) =>
    new Promise<number>((resolve, reject) => {
      const asked = request(`${endpoint.url}/sql`, { method: "POST", headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      });
      asked.on("error", reject);
      asked.end(body);
    });
  const headers = {
    "neon-connection-string": "postgresql://talos:x@localhost/postgres",
    "neon-raw-text-output": "true",
    "neon-array-mode": "true",
  };
  const query = JSON.stringify({ query: "SELECT 1", params: [] });

  it("answers no web page, neither by origin nor under a foreign host name", async () => {
    expect(await post(headers, query)).toBe(200);
    expect(await post({ ...headers, origin: "https://evil.example" }, query)).toBe(403);
    expect(await post({ ...headers, host: "evil.example" }, query)).toBe(403);
    const socket = new WebSocket(`ws://127.0.0.1:${endpoint.port}/v2`, { origin: "https://evil.example" });
    const status = await new Promise((resolve) => {
      socket.on("unexpected-response", (_request, response) => resolve(response.statusCode));
      socket.on("open", () => resolve("open"));
      socket.on("error", () => {});
    });
    expect(status).toBe(403);
  });

  it("refuses what it does not understand with 400, and what is too large with 413", async () => {
    expect(await post(headers, "[]")).toBe(400);
    expect(await post(headers, "{")).toBe(400);
    expect(await post(headers, JSON.stringify({ query: 1 }))).toBe(400);
    expect(await post({ ...headers, "neon-connection-string": "http://x/" }, query)).toBe(400);
    expect(await post({ ...headers, "neon-raw-text-output": "false" }, query)).toBe(400);
    expect(
      await post({ ...headers, "neon-batch-isolation-level": "READ COMMITTED; DROP" }, JSON.stringify({ queries: [] })),
    ).toBe(400);
    expect(await post(headers, " ".repeat(17 * 1024 * 1024))).toBe(413);
  });

  it("keeps its data in the folder it was given", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "talos-pg-"));
    const url = "postgresql://talos:x@localhost/postgres";
    try {
      const one = await startNeonEndpoint({ backend: { kind: "pglite", dataDir } });
      neonConfig.fetchEndpoint = `${one.url}/sql`;
      await neon(url)`CREATE TABLE kept AS SELECT 42 AS n`;
      await one.close();
      const two = await startNeonEndpoint({ backend: { kind: "pglite", dataDir } });
      neonConfig.fetchEndpoint = `${two.url}/sql`;
      expect(await neon(url)`SELECT n FROM kept`).toEqual([{ n: 42 }]);
      await two.close();
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  it("says 503, with no SQLSTATE, when the server behind it cannot be reached", async () => {
    const dead = await startNeonEndpoint({ backend: { kind: "url", url: "postgresql://127.0.0.1:1/none" } });
    neonConfig.fetchEndpoint = `${dead.url}/sql`;
    await expect(neon("postgresql://a:b@127.0.0.1/none")`SELECT 1`).rejects.toThrow(/HTTP status 503/);
    await dead.close();
  });
});
