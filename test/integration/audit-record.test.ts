import type { AuditEventPage, AuditEventV2, AuditRecord } from "@talos/contracts";
import { validate } from "@talos/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate } from "../../scripts/migrate.ts";
import { type TestDatabase, testDatabases } from "../../scripts/neon/test-database.ts";
import { connect } from "../../workers/db/client.ts";
import { grant, narrow, person, publish, root, send, signed } from "../fixtures.ts";
import { Cable } from "../support/cable.ts";
import { startWorld, type World } from "../support/world.ts";

const INDEXED_WITHIN = { timeout: 20_000, interval: 200 };

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`the record over HTTP, projected into ${kind.name}`, () => {
    let database: TestDatabase;
    let cable: Cable;
    let world: World;
    const rivalOperator = person("rival operator");
    const rivalAgent = person("rival agent");
    let rivalChain: string;

    beforeAll(async () => {
      database = await kind.start();
      await migrate({ databaseUrl: database.url, endpoint: database.endpoint.url });
      cable = new Cable(database.endpoint.port);
      await cable.mend();
      const publisher = person("publisher");
      world = await startWorld({
        tenants: ["default", "rival"],
        publishers: { default: [publisher.jwk], rival: [publisher.jwk] },
        database: { url: database.url, endpoint: cable.url },
      });
      const rival = { ...world.policy, tenant: "rival", version: 1 };
      const anchors = [{ did: rivalOperator.did, jwk: rivalOperator.jwk }];
      await publish(world.talos.aud("rival"), publisher, { ...rival, anchors });
      const grants = [grant("files/read_file"), grant("talos/audit.events")];
      rivalChain = root(rivalOperator, rivalAgent, { aud: [world.talos.aud("rival")], grants });
    });
    afterAll(async () => {
      await world?.stop();
      await cable?.cut();
      await database?.close();
    });

    const list = async (query = ""): Promise<AuditEventPage> => {
      const answer = await world.ask(`/audit/events${query}`, undefined, { method: "GET" });
      const page = (await answer.json()) as AuditEventPage;
      expect(answer.status, JSON.stringify(page)).toBe(200);
      expect(validate("audit/page", page)).toMatchObject({ ok: true });
      return page;
    };
    const get = (id: string) => world.ask(`/audit/events/${id}`, undefined, { method: "GET" });
    const rival = (path: string, who = rivalAgent, chain = rivalChain) =>
      send(signed(who, chain, { aud: world.talos.aud("rival"), path, method: "GET" }));
    const idsOf = (page: AuditEventPage) => page.events.map((record) => record.event.event_id);

    it("can be read back at once by the intent's id, and stands in the index soon after", async () => {
      const called = await world.call("write_file", { path: "/desk/a.txt", text: "x" });
      const intent = called.headers.get("talos-intent")!;
      const answer = await get(intent);
      expect(answer.status).toBe(200);
      const record = (await answer.json()) as AuditRecord;
      expect(validate("audit/record", record)).toMatchObject({ ok: true });
      expect(record.event).toMatchObject({ event_id: intent, kind: "intent", tenant: "default" });
      await expect
        .poll(async () => ((await (await get(intent)).json()) as AuditRecord).source, INDEXED_WITHIN)
        .toBe("index");
      const pair = await list(`?correlation=${intent}`);
      expect(pair.events.map((one) => (one.event as AuditEventV2).kind)).toEqual(["outcome", "intent"]);
    });

    it("is found by agent, tool, decision, kind and time, page by page", async () => {
      const sub = person("sub-agent");
      const chain = narrow(world.chain, world.agent, sub, [
        grant("files/read_file", { resource: { prefix: "/desk" } }),
      ]);
      const allowed = await world.call("read_file", { path: "/desk/x" }, { as: sub, chain });
      await world.call("read_file", { path: "/elsewhere" }, { as: sub, chain });
      const intent = allowed.headers.get("talos-intent")!;
      await expect
        .poll(async () => (await list(`?agent=${sub.did}&decision=deny`)).events.length, INDEXED_WITHIN)
        .toBe(1);

      const denied = await list(`?agent=${sub.did}&decision=deny`);
      expect((denied.events[0]!.event as AuditEventV2).decision).toMatchObject({
        allow: false,
        code: "SCOPE_MISMATCH",
      });
      expect(idsOf(await list(`?agent=${sub.did}&tool=files/read_file&kind=intent`))).toEqual([intent]);
      // Who delegated answers for the sub-agent: the root's holder finds its events too.
      expect(idsOf(await list(`?agent=${world.agent.did}&kind=intent&tool=files/read_file`))).toContain(intent);
      expect((await list(`?from=${Date.now() + 60_000}`)).events).toEqual([]);

      // Reading is recorded as well, and late events come with their own time: walk what was over a while ago.
      const until = `&to=${Date.now()}`;
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      const all = await list(`?limit=200${until}`);
      expect(all.events.length).toBeGreaterThan(3);
      const walked: string[] = [];
      for (let cursor = ""; ; ) {
        const page: AuditEventPage = await list(`?limit=3${until}${cursor}`);
        walked.push(...idsOf(page));
        if (page.next_cursor === undefined) break;
        cursor = `&cursor=${page.next_cursor}`;
      }
      expect(walked).toEqual(idsOf(all));
    });

    it("never shows one tenant what is another's, by list, by id or by capability", async () => {
      const mine = await list();
      const id = mine.events[0]!.event.event_id;
      const theirs = (await (await rival("/audit/events?limit=200")).json()) as AuditEventPage;
      expect(theirs.events.every(({ event }) => (event as AuditEventV2).tenant === "rival")).toBe(true);
      const unknown = await rival(`/audit/events/${id}`);
      expect(unknown.status).toBe(404);
      expect(await unknown.json()).toMatchObject({ code: "audit.event_unknown" });
      const foreign = await rival("/audit/events", world.agent, world.chain);
      expect(foreign.status).toBe(401);
    });

    it("refuses a query that is not of the contract, a cursor that it did not give, and an id that is none", async () => {
      for (const query of ["limit=0", "limit=201", "tenant=rival", "decision=perhaps", "limit=5&limit=6"]) {
        const answer = await world.ask(`/audit/events?${query}`, undefined, { method: "GET" });
        expect(answer.status, query).toBe(400);
        expect(await answer.json()).toMatchObject({ code: "contract.invalid" });
      }
      const cursor = await world.ask("/audit/events?cursor=AAAA", undefined, { method: "GET" });
      expect(cursor.status).toBe(400);
      expect(await cursor.json()).toMatchObject({ code: "audit.cursor_invalid" });
      expect(await (await get("not-an-id")).json()).toMatchObject({ code: "contract.invalid" });
    });

    it("needs a grant for it", async () => {
      const blind = person("blind");
      const chain = root(world.operator, blind, { aud: [world.aud], grants: [grant("files/read_file")] });
      const answer = await world.ask("/audit/events", undefined, { method: "GET", as: blind, chain });
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ code: "SCOPE_MISMATCH" });
    });

    it("goes on without Postgres: calls are made, single events are read, lists say why not; then it catches up exactly", async () => {
      await cable.cut();
      const intents: string[] = [];
      for (let n = 0; n < 5; n++) {
        const called = await world.call("write_file", { path: `/desk/${n}`, text: "x" });
        expect(called.status).toBe(200);
        intents.push(called.headers.get("talos-intent")!);
      }
      const search = await world.ask("/audit/events", undefined, { method: "GET" });
      expect(search.status).toBe(503);
      expect(await search.json()).toMatchObject({ code: "audit.query_unavailable", retryable: true });
      const one = await get(intents[0]!);
      expect(one.status).toBe(200);
      expect(await one.json()).toMatchObject({ source: "log", event: { event_id: intents[0] } });

      await cable.mend();
      // One more event wakes the log; its own alarm would come within a minute.
      await world.call("write_file", { path: "/desk/again", text: "x" });
      const last = intents.at(-1)!;
      await expect
        .poll(async () => (await list(`?correlation=${last}`)).events.length, { timeout: 90_000, interval: 1_000 })
        .toBe(2);

      const { sql } = connect({
        TALOS_MODE: "development",
        DATABASE_URL: database.url,
        TALOS_DATABASE_ENDPOINT: database.endpoint.url,
      });
      const rows = await sql`SELECT seq::int, event_id::text FROM audit_event WHERE log_id = 'default' ORDER BY seq`;
      expect(rows.map((row) => row.seq)).toEqual(rows.map((_, seq) => seq));
      expect(new Set(rows.map((row) => row.event_id)).size).toBe(rows.length);
      const recorded = (await world.talos.recorded()).filter((event) => event.tenant === "default");
      const indexed = new Set(rows.map((row) => row.event_id));
      expect(recorded.slice(0, -20).filter((event) => !indexed.has(event.event_id))).toEqual([]);
      for (const id of intents) expect(indexed.has(id)).toBe(true);
    }, 150_000);
  });
}
