import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { migrate } from "../../scripts/migrate.ts";
import { type TestDatabase, testDatabases } from "../../scripts/neon/test-database.ts";
import { type AuditEventRow, project } from "./audit-cursor.ts";
import { type EventFilter, getEvent, listEvents } from "./audit-events.ts";
import { connect, type Database } from "./client.ts";
import { END_OF_OCTOBER_MS, eventId, row } from "../../test/support/audit-rows.ts";

// Starting a database takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const TENANT = "acme";
const OTHER = "rival";
const T = END_OF_OCTOBER_MS;
const PARENT = "did:web:parent.example";
const CHILD = "did:web:child.example";
const ASKED = "did:web:asked.example";

/** 60 events of which dozens share a millisecond, over two months. */
const EVENTS: AuditEventRow[] = Array.from({ length: 60 }, (_, seq) =>
  row(TENANT, seq, {
    ts_ms: T + Math.floor(seq / 20) * 1000,
    event_id: eventId((seq * 7) % 60, T),
    agent: seq % 3 === 0 ? PARENT : CHILD,
    root_agent: seq % 3 === 1 ? PARENT : null,
    behalf_agent: seq % 10 === 2 ? ASKED : null,
    tool: seq % 2 === 0 ? "files/read" : "files/write",
    allow: seq % 4 !== 0,
    code: seq % 4 !== 0 ? "OK" : seq % 8 === 0 ? "REVOKED" : "FORBIDDEN",
    kind: seq % 5 === 0 ? "intent" : "decision",
    correlation: seq % 5 === 0 ? eventId(seq, T) : null,
  }),
);

const newestFirst = (a: AuditEventRow, b: AuditEventRow) =>
  b.ts_ms - a.ts_ms || (a.event_id < b.event_id ? 1 : a.event_id > b.event_id ? -1 : 0);
const ids = (events: { event_id: string }[]) => events.map((event) => event.event_id);
const expected = (keep: (event: AuditEventRow) => boolean) => ids(EVENTS.filter(keep).sort(newestFirst));

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`search in ${kind.name}`, () => {
    let database: TestDatabase;
    let nextSeq = EVENTS.length;
    const db = (): Database =>
      connect({
        TALOS_MODE: "development",
        DATABASE_URL: database.url,
        TALOS_DATABASE_ENDPOINT: database.endpoint.url,
      });
    const list = (filter: EventFilter, limit = 200) => listEvents(db(), TENANT, filter, limit);

    beforeAll(async () => {
      database = await kind.start();
      await migrate({ databaseUrl: database.url, endpoint: database.endpoint.url });
      await project(db(), TENANT, 0, EVENTS);
      // The rival has events of the same ids, times, agents and tools.
      await project(
        db(),
        OTHER,
        0,
        EVENTS.map((event) => ({ ...event, log_id: OTHER, tenant: OTHER, body: "{}" })),
      );
    });
    afterAll(() => database?.close());

    it("is newest first by time, then by event id", async () => {
      expect(ids(await list({}))).toEqual(expected(() => true));
    });

    it("has the order of the reference's vectors", async (ctx) => {
      const dir = process.env.TALOS_VECTORS_DIR;
      if (!dir) return ctx.skip("TALOS_VECTORS_DIR names no folder of published vectors");
      interface Pair extends Record<"a" | "b", { timestamp: number; event_id: string }> {
        expected: number;
      }
      const pairs = JSON.parse(readFileSync(join(dir, "reference/ordering.json"), "utf8")) as Pair[];
      expect(pairs.map(({ expected: order }) => order)).toEqual([-1, -1, 0]);
      for (const [index, { a, b, expected: order }] of pairs.entries()) {
        const tenant = `pair-${index}`;
        // The later in order arrives first, so that arrival does not make the order. One event is never recorded twice.
        const events = (order === 0 ? [a] : [b, a]).map(({ timestamp, event_id }, seq) =>
          row(tenant, seq, { ts_ms: T + timestamp * 1000, event_id }),
        );
        await project(db(), tenant, 0, events);
        const listed = ids(await listEvents(db(), tenant, {}, 200));
        expect(listed).toEqual(order === 0 ? [a.event_id] : [a.event_id, b.event_id]);
      }
    });

    it("finds by tool, decision, code, kind, correlation and time, and by all of them together", async () => {
      expect(ids(await list({ tool: "files/write" }))).toEqual(expected((e) => e.tool === "files/write"));
      expect(ids(await list({ allow: false }))).toEqual(expected((e) => e.allow === false));
      expect(ids(await list({ code: "REVOKED" }))).toEqual(expected((e) => e.code === "REVOKED"));
      expect(ids(await list({ kind: "intent" }))).toEqual(expected((e) => e.kind === "intent"));
      expect(ids(await list({ correlation: eventId(5, T) }))).toEqual(expected((e) => e.seq === 5));
      expect(ids(await list({ from: T + 1000, to: T + 2000 }))).toEqual(
        expected((e) => e.ts_ms >= T + 1000 && e.ts_ms < T + 2000),
      );
      expect(ids(await list({ agent: PARENT, tool: "files/read", allow: true, from: T }))).toEqual(
        expected((e) => [e.agent, e.root_agent].includes(PARENT) && e.tool === "files/read" && e.allow === true),
      );
      expect(await list({ tool: "files/nothing" })).toEqual([]);
    });

    it("finds an agent as holder, as holder of the root, and as the one a third party asked for, each event once", async () => {
      expect(ids(await list({ agent: PARENT }))).toEqual(
        expected((e) => e.agent === PARENT || e.root_agent === PARENT),
      );
      expect(ids(await list({ agent: ASKED }))).toEqual(expected((e) => e.behalf_agent === ASKED));
    });

    for (const filter of [{}, { agent: PARENT }, { allow: true }] as EventFilter[]) {
      it(`pages without gap or repeat under equal times, while events arrive: ${JSON.stringify(filter)}`, async () => {
        const before = ids(await list(filter));
        const seen: string[] = [];
        let position: EventFilter["after"];
        for (;;) {
          const page = await list({ ...filter, after: position }, 7);
          seen.push(...ids(page));
          if (page.length < 7) break;
          position = { tsMs: page.at(-1)!.ts_ms, eventId: page.at(-1)!.event_id };
          const seq = nextSeq++;
          const arrived = row(TENANT, seq, { ts_ms: T + 5000 + seq, agent: PARENT });
          expect(await project(db(), TENANT, seq, [arrived])).toMatchObject({ moved: true });
        }
        expect(seen).toEqual(before);
      });
    }

    for (const filter of [{}, { agent: PARENT }, { code: "REVOKED" }] as EventFilter[]) {
      it(`goes back from any page to the ones before it, oldest first: ${JSON.stringify(filter)}`, async () => {
        const all = await list(filter);
        const oldest = await list({ ...filter, oldest: true });
        expect(ids(oldest)).toEqual(ids(all).reverse());
        for (const at of [0, 5, all.length - 1]) {
          const { ts_ms, event_id } = all[at]!;
          const after = { tsMs: ts_ms, eventId: event_id };
          expect(ids(await list({ ...filter, oldest: true, after }))).toEqual(ids(all.slice(0, at)).reverse());
          expect(ids(await list({ ...filter, oldest: true, after }, 3))).toEqual(
            ids(all.slice(Math.max(0, at - 3), at)).reverse(),
          );
        }
      });
    }

    it("never shows one tenant the events of another, neither in lists nor by id", async () => {
      const mine = await list({});
      expect(mine.every((event) => event.body !== "{}")).toBe(true);
      const theirs = await listEvents(db(), OTHER, { agent: PARENT }, 200);
      expect(theirs.length).toBeGreaterThan(0);
      expect(theirs.every((event) => event.body === "{}")).toBe(true);
      const onlyMine = row(TENANT, nextSeq++, { ts_ms: T + 9_000 });
      await project(db(), TENANT, onlyMine.seq, [onlyMine]);
      expect((await getEvent(db(), TENANT, onlyMine.event_id))?.seq).toBe(onlyMine.seq);
      expect(await getEvent(db(), OTHER, onlyMine.event_id)).toBeNull();
      expect(await listEvents(db(), "nobody", {}, 200)).toEqual([]);
    });

    describe("of a record in which what is asked for is rare", () => {
      const MANY = "many";
      beforeAll(async () => {
        await db()
          .sql`INSERT INTO audit_event (log_id, seq, ts_ms, tenant, event_id, kind, correlation, agent, root_agent,
            behalf_agent, tool, allow, code, leaf_hash, body)
          SELECT ${MANY}, n, ${T}::bigint + n, ${MANY}, gen_random_uuid(), CASE WHEN rare THEN 'key' ELSE 'intent' END,
            gen_random_uuid(), CASE WHEN rare THEN ${CHILD} ELSE ${PARENT} END, CASE WHEN rare THEN ${CHILD} END,
            CASE WHEN rare THEN ${CHILD} END, CASE WHEN rare THEN 'files/rare' ELSE 'files/read' END, NOT rare,
            CASE WHEN rare THEN 'REVOKED' ELSE 'OK' END, 'x', '{}'
          FROM (SELECT n, n % 200 = 0 AS rare FROM generate_series(0, 19999) AS n) AS numbers`;
        await db().sql`ANALYZE audit_event`;
      });

      it.each([
        ["newest", "", "tenant_ts_ms_event_id"],
        ["agent", "AND agent = 'did:web:child.example'", "tenant_agent_ts_ms"],
        ["root agent", "AND root_agent = 'did:web:child.example'", "tenant_root_agent_ts_ms"],
        ["the one asked for", "AND behalf_agent = 'did:web:child.example'", "tenant_behalf_agent_ts_ms"],
        ["tool", "AND tool = 'files/rare'", "tenant_tool_ts_ms"],
        ["decision", "AND allow = false", "tenant_allow_ts_ms"],
        ["code", "AND code = 'REVOKED'", "tenant_code_ts_ms"],
        ["kind", "AND kind = 'key'", "tenant_kind_ts_ms"],
      ])("reads a page along its index, either way, without sorting: %s", async (_, filter, index) => {
        for (const way of ["DESC", "ASC"]) {
          const [plan] = await db().sql.transaction((sql) => [
            sql.query(`EXPLAIN SELECT seq FROM audit_event WHERE tenant = '${MANY}' ${filter}
              ORDER BY ts_ms ${way}, event_id ${way} LIMIT 50`),
          ]);
          const text = plan!.map((line) => Object.values(line)[0]).join("\n");
          expect(text).toMatch(new RegExp(`Index Scan ${way === "DESC" ? "Backward " : ""}using \\w*${index}`));
          expect(text).not.toMatch(/^\s*(->)?\s*Sort|Filter:|Seq Scan/m);
        }
      });

      it("finds one event, and one intent's events, along an index", async () => {
        for (const column of ["event_id", "correlation"]) {
          const plan = await db().sql.query(`EXPLAIN SELECT seq FROM audit_event
            WHERE tenant = '${MANY}' AND ${column} = '${eventId(5, T)}'`);
          const text = plan.map((line) => Object.values(line)[0]).join("\n");
          expect(text).toMatch(new RegExp(`tenant_${column}_idx`));
          expect(text).not.toMatch(/Seq Scan/);
        }
      });
    });
  });
}
