import { type AuditEventV2, type AuditRecord, validate } from "@talos/contracts";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { LoggedEvent } from "../../durable-objects/types.ts";
import { migrate } from "../../scripts/migrate.ts";
import { startNeonEndpoint } from "../../scripts/neon-endpoint.ts";
import { type TestDatabase, testDatabases } from "../../scripts/neon/test-database.ts";
import { project } from "../db/audit-cursor.ts";
import { connect } from "../db/client.ts";
import type { Env } from "../env.ts";
import { readQuery } from "./app.ts";
import { printCursor } from "./cursor.ts";
import { auditQuery } from "./query.ts";
import { rowsOf } from "./row.ts";
import { batchOf, event, leafHashOf } from "../../test/support/audit-events.ts";

// Starting a database takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const PROMISE = `aaaa.bbbb.${"A".repeat(86)}`;

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`reading the record from ${kind.name}`, () => {
    let database: TestDatabase;
    let env: Env;
    /** What the log has, by tenant and id; events 10 and up are not projected yet. */
    const log = new Map<string, LoggedEvent>();
    let logDown = false;

    const logged = (tenant: string, seq: number, one: AuditEventV2) =>
      log.set(`${tenant} ${one.event_id}`, { body: JSON.stringify(one), seq, promise: PROMISE });
    const events = (tenant: string, from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => event(tenant, from + n));

    beforeAll(async () => {
      database = await kind.start();
      await migrate({ databaseUrl: database.url, endpoint: database.endpoint.url });
      const logs = {
        getByName: (tenant: string) => ({
          get: async (id: string) => {
            if (logDown) throw new Error("object unreachable");
            return log.get(`${tenant} ${id}`) ?? null;
          },
        }),
      };
      env = {
        TALOS_MODE: "development",
        DATABASE_URL: database.url,
        TALOS_DATABASE_ENDPOINT: database.endpoint.url,
        AUDIT_LOGS: logs,
      } as unknown as Env;
      for (const tenant of ["acme", "rival"]) {
        const all = events(tenant, 0, 12);
        for (const [seq, one] of all.entries()) logged(tenant, seq, one);
        await project(connect(env), tenant, 0, rowsOf(batchOf(tenant, 0, all.slice(0, 10))));
      }
    });
    afterAll(() => database?.close());

    it("pages by cursor to the end, every page as the contract says", async () => {
      const seen: string[] = [];
      let cursor: string | undefined;
      for (let pages = 0; pages < 10; pages++) {
        const page = await auditQuery.list(env, "acme", cursor === undefined ? { limit: 4 } : { limit: 4, cursor });
        expect(validate("audit/page", page)).toMatchObject({ ok: true });
        expect(page.events.every((record) => record.source === "index")).toBe(true);
        seen.push(...page.events.map((record) => record.event.event_id));
        cursor = page.next_cursor;
        if (cursor === undefined) break;
      }
      expect(seen).toEqual(
        events("acme", 0, 10)
          .map((one) => one.event_id)
          .reverse(),
      );
    });

    it("reads one event from the index, and from the log as long as the index has it not", async () => {
      const [old, fresh] = [event("acme", 2), event("acme", 11)];
      expect(await auditQuery.get(env, "acme", old.event_id)).toMatchObject({ seq: 2, source: "index", event: old });
      const record: AuditRecord = await auditQuery.get(env, "acme", fresh.event_id);
      expect(record).toEqual({
        seq: 11,
        leaf_hash: leafHashOf(JSON.stringify(fresh)),
        event: fresh,
        promise: PROMISE,
        source: "log",
      });
      expect(validate("audit/record", record)).toMatchObject({ ok: true });
    });

    it("knows nothing of another tenant's event, by id or in a list", async () => {
      const theirs = event("rival", 3, { event_id: event("rival", 500).event_id });
      logged("rival", 12, theirs);
      const unknown = expect.objectContaining({ code: "audit.event_unknown" });
      await expect(auditQuery.get(env, "acme", theirs.event_id)).rejects.toEqual(unknown);
      expect(await auditQuery.get(env, "rival", theirs.event_id)).toMatchObject({ source: "log" });
      const page = await auditQuery.list(env, "acme", {});
      expect(page.events.every(({ event }) => "tenant" in event && event.tenant === "acme")).toBe(true);
    });

    it("refuses a cursor that it did not give", async () => {
      const good = printCursor({ tsMs: 1, eventId: event("acme", 1).event_id });
      const invalid = expect.objectContaining({ code: "audit.cursor_invalid" });
      for (const cursor of ["AAAA", `${good}A`, good.slice(1), Buffer.from("01:x").toString("base64url")]) {
        await expect(auditQuery.list(env, "acme", { cursor }), cursor).rejects.toEqual(invalid);
      }
    });

    it("says so by name when Postgres is down: lists fail, single events come from the log", async () => {
      const dead = await startNeonEndpoint({ backend: { kind: "url", url: "postgresql://127.0.0.1:1/none" } });
      const cut = {
        ...env,
        DATABASE_URL: "postgresql://a:b@127.0.0.1:1/none",
        TALOS_DATABASE_ENDPOINT: dead.url,
      } as Env;
      const unavailable = expect.objectContaining({ code: "audit.query_unavailable" });
      try {
        await expect(auditQuery.list(cut, "acme", {})).rejects.toEqual(unavailable);
        expect(await auditQuery.ping(cut)).toBe(false);
        expect(await auditQuery.ping(env)).toBe(true);
        const old = event("acme", 2);
        expect(await auditQuery.get(cut, "acme", old.event_id)).toMatchObject({ seq: 2, source: "log" });
        logDown = true;
        await expect(auditQuery.get(cut, "acme", old.event_id)).rejects.toEqual(unavailable);
      } finally {
        logDown = false;
        await dead.close();
      }
      await expect(auditQuery.list({ ...cut, DATABASE_URL: undefined } as Env, "acme", {})).rejects.toEqual(
        expect.objectContaining({ code: "config.incomplete" }),
      );
    });
  });
}

describe("the query string", () => {
  it("is read strictly: known names, once, of their shape", () => {
    const id = event("acme", 1).event_id;
    const text = `limit=200&agent=did:web:a.example&tool=files/read&decision=deny&kind=intent&correlation=${id}&from=0&to=5`;
    expect(readQuery(new URLSearchParams(text))).toEqual({
      limit: 200,
      agent: "did:web:a.example",
      tool: "files/read",
      decision: "deny",
      kind: "intent",
      correlation: id,
      from: 0,
      to: 5,
    });
    expect(readQuery(new URLSearchParams(""))).toEqual({});
  });

  const bad = ["limit=0", "limit=201", "limit=", "limit=1e2", "limit=+5", "limit=05", "from=-1", "from=1.5", "tool=x"];
  for (const text of [
    ...bad,
    "decision=maybe",
    "kind=x",
    "correlation=1",
    "agent=me",
    "limit=5&limit=5",
    "tenant=rival",
    "__proto__=1",
  ]) {
    it(`refuses ${text}`, () => {
      expect(() => readQuery(new URLSearchParams(text))).toThrow(expect.objectContaining({ code: "contract.invalid" }));
    });
  }
});
