/** What each dependency's absence means to a caller: a name where it matters, nothing where it does not. */
import { LIMITS } from "@talos/contracts";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { developmentKeysets, maced, openSession, rpc, send, sessionSigned, statement } from "../fixtures.ts";
import { readAnswer, startWorld, type World } from "../support/world.ts";

let world: World;
let mcp: string;
beforeAll(async () => {
  world = await startWorld();
  mcp = await world.mcpSession();
});
afterAll(() => world.stop());

const READ = JSON.stringify({ tool: "files/read_file", args: { path: "/desk/x" } });
const call = async (name: string, args: object) =>
  readAnswer(await world.mcp(rpc("tools/call", { name, arguments: args }), { headers: { "mcp-session-id": mcp } }));

async function during<T>(down: Parameters<World["talos"]["faults"]>[0]["down"], work: () => Promise<T>): Promise<T> {
  await world.talos.faults({ down: down ?? [] });
  try {
    return await work();
  } finally {
    await world.talos.faults({});
  }
}

describe("without the gate", () => {
  it("nothing is admitted, nothing has an effect", async () => {
    await during(["gate"], async () => {
      const got = await call("write_file", { path: "/desk/gate" });
      expect({ status: got.status, code: got.message.error.data.code }).toEqual({
        status: 503,
        code: "admission.unavailable",
      });
      expect((await world.ask("/v1/authorize", READ)).status).toBe(503);
    });
    expect(world.upstream.effects).not.toContain("write /desk/gate");
    expect((await call("write_file", { path: "/desk/gate" })).status).toBe(200);
  });

  it("reads of a session go on while its isolate has a lease, and nothing else does; without one they stop", async () => {
    const session = await world.session();
    const ask = (proof: typeof maced) => send(proof(session, { aud: world.aud, path: "/v1/authorize", body: READ }));
    for (let i = 0; i < 40; i += 1) expect((await ask(maced)).status).toBe(200);
    await during(["gate"], async () => {
      for (let i = 0; i < 5; i += 1) expect((await ask(maced)).status).toBe(200);
      const signed = await ask(sessionSigned);
      expect(signed.status).toBe(503);
      expect(await signed.json()).toMatchObject({ code: "admission.unavailable", retryable: true });
      await world.talos.faults({ down: ["gate"], forget: true });
      const unleased = await ask(maced);
      expect(unleased.status).toBe(503);
      expect(await unleased.json()).toMatchObject({ code: "admission.unavailable" });
    });
    expect((await ask(maced)).status).toBe(200);
  });
});

describe("without the log", () => {
  it("a write is not sent, a read is not shown", async () => {
    await during(["log"], async () => {
      const write = await call("write_file", { path: "/desk/log" });
      expect({
        status: write.status,
        code: write.message.error.data.code,
        retryable: write.message.error.data.retryable,
      }).toEqual({ status: 503, code: "audit.unavailable", retryable: true });
      const read = await call("read_file", { path: "/desk/log" });
      expect(read.status).toBe(503);
      expect(JSON.stringify(read.message)).not.toContain("contents of");
    });
    expect(world.upstream.effects).not.toContain("write /desk/log");
  });

  it("a receipt is not given, a plain decision is", async () => {
    await during(["log"], async () => {
      const receipt = await world.ask("/v1/authorize", JSON.stringify({ ...JSON.parse(READ), receipt: true }));
      expect(receipt.status).toBe(503);
      expect((await world.ask("/v1/authorize", READ)).status).toBe(200);
    });
  });

  it("an outcome that cannot be recorded is outcome.unrecorded with the intent's id, and its answer is not shown", async () => {
    await during(["log.outcome"], async () => {
      const got = await call("write_file", { path: "/desk/outcome" });
      expect(got.message.error.data).toMatchObject({ code: "outcome.unrecorded", retryable: false });
      expect(got.message.error.data.intent_id).toBe(got.headers.get("talos-intent"));
      expect(JSON.stringify(got.message)).not.toContain("did write");
    });
    expect(world.upstream.effects.filter((effect) => effect === "write /desk/outcome")).toHaveLength(1);
  });

  it("a read's intent and outcome are one append, and each alone when the log refuses them together", async () => {
    const read = await call("read_file", { path: "/desk/both" });
    const kept = await world.events((event) => event.correlation === read.headers.get("talos-intent"));
    expect(kept.map(({ kind }) => kind)).toEqual(["intent", "outcome"]);
    await during(["log.outcome"], async () => {
      const got = await call("read_file", { path: "/desk/alone" });
      expect(got.message.error.data).toMatchObject({ code: "outcome.unrecorded", retryable: false });
      const intent = got.headers.get("talos-intent");
      expect(got.message.error.data.intent_id).toBe(intent);
      expect(JSON.stringify(got.message)).not.toContain("contents of");
      const alone = await world.events((event) => event.correlation === intent);
      expect(alone.map(({ kind }) => kind)).toEqual(["intent"]);
    });
  });

  it("an answer that comes after its call was closed as unknown is outcome.late, and not shown", async () => {
    const { evict, log, sql } = world.talos;
    const open = async () =>
      (await sql("AuditLog", "default", "SELECT intent FROM open_intents")) as { intent: string }[];
    const others = new Set((await open()).map(({ intent }) => intent)); // of tests before, which took their outcome away
    const asked = call("slow", { ms: 1_700 });
    const ours = async () => (await open()).find(({ intent }) => !others.has(intent));
    const { intent } = await vi.waitUntil(ours, { timeout: 1_500, interval: 20 });
    // As if a quarter of an hour had passed.
    await sql("AuditLog", "default", `UPDATE open_intents SET at_ms = at_ms - ${LIMITS.audit_sweep_ms}`);
    await evict("AuditLog", "default");
    await log().flush();
    expect(await open()).toEqual([]);
    const got = await asked;
    expect(got.message.error.data).toMatchObject({ code: "outcome.late", retryable: false, intent_id: intent });
    expect(JSON.stringify(got.message)).not.toContain("content");
    const rows = (await sql("AuditLog", "default", "SELECT events FROM texts")) as { events: string }[];
    const outcomes = rows
      .flatMap(({ events }) => events.split("\n"))
      .filter((line) => line.includes(`"correlation":"${intent}"`) && line.includes('"kind":"outcome"'));
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toContain('"effect":{"code":"outcome.unknown","server":"files","state":"unknown"}');
  });

  it("keeps buffered decisions for a while: what was decided during a short absence is recorded after it", async () => {
    const before = (await world.events((event) => event.surface_id === "authorize")).length;
    await during(["log"], async () => {
      expect((await world.ask("/v1/authorize", READ)).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    await expect
      .poll(async () => (await world.events((event) => event.surface_id === "authorize")).length, { timeout: 5_000 })
      .toBe(before + 1);
  });
});

describe("without Postgres", () => {
  it("calls and decisions go on (no test of this file has a database); the search alone is unavailable, by name", async () => {
    expect((await call("write_file", { path: "/desk/no-database" })).status).toBe(200);
    const search = await world.ask("/audit/events", undefined, { method: "GET" });
    expect(search.status).toBe(503);
    expect(await search.json()).toMatchObject({ code: "audit.query_unavailable", retryable: true });
  });
});

describe("without KV", () => {
  it("everything goes on: the object serves the bodies", async () => {
    await during(["kv"], async () => {
      await world.change({});
      await new Promise((resolve) => setTimeout(resolve, 300));
      const response = await world.ask("/v1/authorize", READ);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ policy_version: world.version });
    });
  });
});

describe("without the tenant's head", () => {
  it("reads and young writes go on, destructive calls do not, nothing changes what is in force", async () => {
    expect((await world.ask("/v1/authorize", READ)).status).toBe(200);
    await during(["head"], async () => {
      expect((await call("read_file", { path: "/desk/x" })).status).toBe(200);
      const drop = await call("drop_table", { name: "scratch" });
      expect({ status: drop.status, code: drop.message.error.data.code }).toEqual({
        status: 503,
        code: "REVOCATION_STALE",
      });
      expect((await world.ask("/v1/head", undefined, { method: "GET" })).status).toBe(503);
    });
    expect(world.upstream.effects.some((effect) => effect.startsWith("drop"))).toBe(false);
    expect((await call("drop_table", { name: "scratch" })).status).toBe(200);
  });

  it("a fresh isolate answers head.unavailable", async () => {
    const cold = await startWorld();
    try {
      await cold.talos.faults({ down: ["head"], forget: true });
      const response = await cold.ask("/v1/authorize", READ);
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ code: "head.unavailable", retryable: true });
    } finally {
      await cold.stop();
    }
  });
});

describe("a destructive call that is revoked after it was decided from memory", () => {
  it("is refused by the head that is asked after admission", async () => {
    const { b64uEncode, sha256 } = await import("@talos/core");
    const { AGENT_GRANTS } = await import("../support/world.ts");
    const { person, root } = await import("../fixtures.ts");
    const holder = person("short-lived");
    const chain = root(world.operator, holder, { aud: [world.aud], grants: AGENT_GRANTS });
    const act = (name: string, args: object) =>
      world.mcp(rpc("tools/call", { name, arguments: args }), { as: holder, chain });
    const decide = (tool: string, args: object) =>
      world.ask("/v1/authorize", JSON.stringify({ tool, args }), { as: holder, chain });
    expect((await decide("files/read_file", { path: "/desk/x" })).status).toBe(200);
    const link = b64uEncode(sha256(new TextEncoder().encode(chain)));
    const body = JSON.stringify({ statement: statement(world.operator, world.aud, { kind: "link", link }), chain });
    const direct = await world.talos.revokeAtObject(body, world.aud);
    expect(direct).toMatchObject({ ok: true });
    // The isolate's head is young: reads may still pass. What cannot be undone must not.
    const before = world.upstream.effects.length;
    const refused = await readAnswer(await act("drop_table", { name: "scratch" }));
    expect({ status: refused.status, code: refused.message.error.data.code }).toEqual({ status: 401, code: "REVOKED" });
    expect(world.upstream.effects.length).toBe(before);
  });
});

describe("rotating keysets under load", () => {
  it("fails no request: staged, promoted, accepted, pruned", async () => {
    const first = world.talos.keysets;
    const next = developmentKeysets("2");
    const each = (make: (purpose: keyof typeof first.purposes) => unknown) =>
      ({
        ...first,
        purposes: Object.fromEntries(
          Object.keys(first.purposes).map((purpose) => [purpose, make(purpose as keyof typeof first.purposes)]),
        ),
      }) as typeof first;
    const not_after = Math.floor(Date.now() / 1_000) + 3_600;
    const staged = each((purpose) => [
      first.purposes[purpose]![0],
      { ...next.purposes[purpose]![0], status: "staged" },
    ]);
    const promoted = each((purpose) => [
      { ...first.purposes[purpose]![0], status: "accept", not_after },
      next.purposes[purpose]![0],
    ]);

    const old = await world.session();
    const failures: string[] = [];
    let stop = false;
    let count = 0;
    const body = READ;
    const load = async (): Promise<void> => {
      while (!stop) {
        count += 1;
        const session = count % 10 === 0 ? await openSession(world.aud, world.agent, world.chain) : old;
        const ask = { aud: world.aud, path: "/v1/authorize", body };
        const response = await send(count % 2 === 0 ? maced(session, ask) : sessionSigned(session, ask));
        if (response.status !== 200) failures.push(`${response.status} ${await response.text()}`);
        const pong = await world.mcp(rpc("ping"), { headers: { "mcp-session-id": mcp } });
        if (pong.status !== 200) failures.push(`mcp ${pong.status} ${await pong.text()}`);
      }
    };
    const workers = [load(), load(), load(), load()];
    for (const keysets of [staged, promoted]) {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await world.talos.faults({ keysets });
    }
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    stop = true;
    await Promise.all(workers);
    expect(failures).toEqual([]);
    expect(count).toBeGreaterThan(20);
    const published = (await (await fetch(`${world.talos.origin}/.well-known/did.json`)).json()) as {
      verificationMethod: { id: string }[];
    };
    expect(published.verificationMethod.map(({ id }) => id.split("#")[1]).sort()).toEqual([
      "dev-head-1",
      "dev-head-2",
      "dev-promise-1",
      "dev-promise-2",
      "dev-receipt-1",
      "dev-receipt-2",
    ]);
  });
});
