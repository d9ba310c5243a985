import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { migrate } from "../../scripts/migrate.ts";
import { type TestDatabase, testDatabases } from "../../scripts/neon/test-database.ts";
import { project } from "./audit-cursor.ts";
import { connect, type Database, sqlState } from "./client.ts";
import { row, rows } from "../../test/support/audit-rows.ts";

// Starting a database takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`projection into ${kind.name}`, () => {
    let database: TestDatabase;
    let log: string;
    const db = (): Database =>
      connect({
        TALOS_MODE: "development",
        DATABASE_URL: database.url,
        TALOS_DATABASE_ENDPOINT: database.endpoint.url,
      });
    const stored = async () => {
      const found = await db().sql`SELECT seq::int FROM audit_event WHERE log_id = ${log} ORDER BY seq`;
      return found.map((one) => one.seq as number);
    };
    const upTo = (n: number) => Array.from({ length: n }, (_, seq) => seq);

    beforeAll(async () => {
      database = await kind.start();
      await migrate({ databaseUrl: database.url, endpoint: database.endpoint.url });
    });
    afterAll(() => database?.close());
    beforeEach(() => {
      log = `log-${randomUUID()}`;
    });

    it("inserts a batch once, however often it is sent", async () => {
      const batch = rows(log, 0, 5);
      expect(await project(db(), log, 0, batch)).toEqual({ moved: true, next_seq: 5 });
      expect(await project(db(), log, 0, batch)).toEqual({ moved: false, next_seq: 5 });
      expect(await project(db(), log, 0, rows(log, 0, 8))).toEqual({ moved: false, next_seq: 5 });
      expect(await project(db(), log, 3, rows(log, 3, 8))).toEqual({ moved: false, next_seq: 5 });
      expect(await stored()).toEqual(upTo(5));
    });

    it("refuses to leave a gap, and says where to go on", async () => {
      expect(await project(db(), log, 3, rows(log, 3, 6))).toEqual({ moved: false, next_seq: 0 });
      expect(await stored()).toEqual([]);
      expect(await project(db(), log, 0, [])).toEqual({ moved: false, next_seq: 0 });
    });

    it("lets one of many concurrent projectors through for each stretch", async () => {
      const attempts = [0, 10, 20].flatMap((from) =>
        Array.from({ length: 6 }, () => () => project(db(), log, from, rows(log, from, from + 10))),
      );
      let moved = 0;
      // A projector that was told another place goes on there: repeat until every stretch was offered in order.
      for (let round = 0; round < 3; round++) {
        const answers = await Promise.all(attempts.map((attempt) => attempt()));
        moved += answers.filter((answer) => answer.moved).length;
      }
      expect(moved).toBe(3);
      expect(await stored()).toEqual(upTo(30));
    });

    it("makes partitions of the months that it meets, once, also when projectors meet there", async () => {
      const other = `${log}-other`;
      const december = Date.UTC(2027, 11, 31, 23, 59, 59, 999);
      await Promise.all([
        project(db(), log, 0, [row(log, 0, { ts_ms: december }), row(log, 1, { ts_ms: december + 1 })]),
        project(db(), other, 0, [row(other, 0, { ts_ms: december }), row(other, 1, { ts_ms: december + 1 })]),
      ]);
      const where = await db().sql`
        SELECT seq::int, tableoid::regclass::text AS part FROM audit_event WHERE log_id = ${log} ORDER BY seq`;
      expect(where).toEqual([
        { seq: 0, part: "audit_event_y2027m12" },
        { seq: 1, part: "audit_event_y2028m01" },
      ]);
    });

    it("moves nothing when a row cannot be stored: cursor and rows stand or fall together", async () => {
      const broken = [row(log, 0), row(log, 0)]; // the same place twice violates the key
      await expect(project(db(), log, 0, broken)).rejects.toSatisfy((error) => sqlState(error) === "23505");
      const impossible = [row(log, 0, { ts_ms: 0 })]; // 1970: a clock that is wrong, not a month to make
      await expect(project(db(), log, 0, impossible)).rejects.toSatisfy((error) => sqlState(error) === "22023");
      expect(await stored()).toEqual([]);
      expect(await project(db(), log, 0, rows(log, 0, 2))).toEqual({ moved: true, next_seq: 2 });
    });

    it("goes on exactly where a projector stopped that died without hearing the answer", async () => {
      await project(db(), log, 0, rows(log, 0, 4));
      // The log still believes in 0, sends again, and hears where Postgres stands.
      const answer = await project(db(), log, 0, rows(log, 0, 4));
      expect(await project(db(), log, answer.next_seq, rows(log, answer.next_seq, 9))).toEqual({
        moved: true,
        next_seq: 9,
      });
      expect(await stored()).toEqual(upTo(9));
    });

    it("keeps the leaf's bytes, NUL escapes and all", async () => {
      const one = row(log, 0);
      await project(db(), log, 0, [one]);
      const [found] = await db().sql`SELECT body FROM audit_event WHERE log_id = ${log}`;
      expect(found!.body).toBe(one.body);
    });

    it("is rebuilt from the log after it was emptied: a log that is ahead is sent back to the beginning", async () => {
      await project(db(), log, 0, rows(log, 0, 6));
      const empty = db().sql;
      await empty.transaction([empty`TRUNCATE audit_event`, empty`UPDATE audit_cursor SET next_seq = 0`]);
      expect(await project(db(), log, 6, rows(log, 6, 8))).toEqual({ moved: false, next_seq: 0 });
      expect(await project(db(), log, 0, rows(log, 0, 8))).toEqual({ moved: true, next_seq: 8 });
      expect(await stored()).toEqual(upTo(8));
    });

    it("lets nobody change or delete a row", async () => {
      await project(db(), log, 0, rows(log, 0, 1));
      const change = db().sql`UPDATE audit_event SET code = 'OK' WHERE log_id = ${log}`;
      await expect(change).rejects.toMatchObject({ code: "42501" });
      const remove = db().sql`DELETE FROM audit_event WHERE log_id = ${log}`;
      await expect(remove).rejects.toMatchObject({ code: "42501" });
      expect(await stored()).toEqual([0]);
    });

    it("refuses a local endpoint outside development, and an address that is none without repeating it", () => {
      const env = { DATABASE_URL: database.url, TALOS_DATABASE_ENDPOINT: database.endpoint.url };
      const incomplete = expect.objectContaining({ code: "config.incomplete" });
      expect(() => connect({ ...env, TALOS_MODE: "production" })).toThrow(incomplete);
      expect(() => connect({ TALOS_MODE: "production" })).toThrow(incomplete);
      for (const url of [
        "mysql://u:hunter2@h/d",
        "postgresql://u:hunter2@/d",
        "postgresql://h/d",
        "u:hunter2@h/d",
        "x",
      ]) {
        try {
          connect({ TALOS_MODE: "production", DATABASE_URL: url });
          expect.unreachable();
        } catch (error) {
          expect(error).toEqual(incomplete);
          expect(JSON.stringify(error) + String(error)).not.toContain("hunter2");
        }
      }
    });
  });
}
