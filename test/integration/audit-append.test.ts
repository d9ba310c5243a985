/**
 * A tenant's services record events of their own: what they say is taken as their word, who they are is not theirs to
 * say, and nothing that they send can stand for a call of the gateway. Source: contracts/spec/audit.md#append.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  type AuditAppended,
  type AuditEntry,
  type AuditEventV2,
  type AuditRecord,
  LIMITS,
  validate,
} from "@talos/contracts";
import { jcs, uuidv7 } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { alarmId, closingId } from "../../durable-objects/own-events.ts";
import { finalOutcomeId } from "../../workers/gateway/mcp/outcome.ts";
import { grant, newUuid, person, publish, root, send, signed } from "../fixtures.ts";
import { promised, publishedKeys } from "../support/signatures.ts";
import { startWorld, type World } from "../support/world.ts";

let world: World;
const service = person("service");
const other = person("other service");
const WRITE = grant("talos/audit.append", { classes: ["write"] });
const READ = grant("talos/audit.events");
let chain: string;
let otherChain: string;

function entry(over: Partial<AuditEntry> = {}): AuditEntry {
  const ts = new Date().toISOString();
  return { event_id: newUuid(), ts, kind: "decision", audit_action: "order.placed", meta: { order: "A-1" }, ...over };
}
const post = (body: unknown, as = service, own = chain) =>
  world.ask("/audit/events", typeof body === "string" ? body : JSON.stringify(body), { as, chain: own });
async function append(events: AuditEntry[], as = service, own = chain): Promise<AuditAppended["receipts"]> {
  const answer = await post({ events }, as, own);
  const body = await answer.json();
  expect(answer.status, JSON.stringify(body)).toBe(200);
  const read = validate("audit/appended", body);
  if (!read.ok) throw new Error(read.errors.join("; "));
  return read.value.receipts;
}
async function refused(body: unknown, status: number, code: string, more: object = {}): Promise<void> {
  const answer = await post(body);
  const problem = await answer.text();
  expect(answer.status, problem).toBe(status);
  expect(JSON.parse(problem)).toMatchObject({ code, ...more });
}
async function read(id: string): Promise<AuditRecord | undefined> {
  const answer = await world.ask(`/audit/events/${id}`, undefined, { method: "GET" });
  return answer.status === 200 ? ((await answer.json()) as AuditRecord) : undefined;
}
const count = async () => (await world.talos.log().status()).next_seq;

beforeAll(async () => {
  const publisher = person("publisher");
  world = await startWorld({
    tenants: ["default", "rival"],
    publishers: { default: [publisher.jwk], rival: [publisher.jwk] },
  });
  chain = root(world.operator, service, { aud: [world.aud], grants: [WRITE, READ] });
  otherChain = root(world.operator, other, { aud: [world.aud], grants: [WRITE, READ] });
  await publish(world.talos.aud("rival"), publisher, { ...world.policy, tenant: "rival", version: 1 });
});
afterAll(() => world?.stop());

describe("events of a tenant's services", () => {
  it("stand in the log with their promises, under the principal that sent them", async () => {
    const events = [entry(), entry({ kind: "intent" }), entry({ outcome: "failure", effect: { state: "failed" } })];
    const receipts = await append(events);
    const keys = await publishedKeys(world.talos.origin);
    for (const [i, { event_id, seq, promise }] of receipts.entries()) {
      expect(event_id).toBe(events[i]!.event_id);
      const record = (await read(event_id))!;
      expect(promised(promise!, keys)).toMatchObject({ event_id, seq, leaf: record.leaf_hash });
      const { meta, ts, audit_action } = events[i]!;
      expect(record.event).toMatchObject({ event_id, meta, ts, audit_action, tenant: "default" });
      expect(record.event).toMatchObject({
        surface_id: "audit.events.append",
        principal: { did: service.did, jkt: service.jkt },
      });
      expect(record.event).toHaveProperty("capability.links");
    }
    expect(((await read(events[1]!.event_id))!.event as AuditEventV2).correlation).toBe(events[1]!.event_id);
  });

  it("are recorded once, however often they are sent, and get the first receipt each time", async () => {
    const events = [entry(), entry()];
    const first = await append(events);
    const again = await append([...events, entry()]);
    expect(again.slice(0, 2)).toEqual(first);
    const many = [entry(), entry()];
    const receipts = await Promise.all(Array.from({ length: 8 }, () => append(many)));
    for (const receipt of receipts) expect(receipt).toEqual(receipts[0]);
    // Under another session and after a restart of the object as well: only the service's word counts.
    await world.talos.evict("AuditLog", "default");
    expect(await append(events)).toEqual(first);
  });

  it("with another body or by another principal under a known id: 409, and nothing of the batch", async () => {
    const mine = entry();
    await append([mine]);
    const fresh = entry();
    await refused({ events: [fresh, { ...mine, meta: { order: "A-2" } }] }, 409, "audit.event_conflict", {
      event_id: mine.event_id,
    });
    const stolen = await post({ events: [fresh, mine] }, other, otherChain);
    expect(stolen.status).toBe(409);
    expect(await read(fresh.event_id)).toBeUndefined();
    expect((await read(alarmId(mine.event_id)))!.event).toMatchObject({ outcome: "denied" }); // and it is told of
  });

  it("that are not of their shape: 400, and nothing of the batch", async () => {
    const before = entry();
    const idAt = (ms: number) => ({ event_id: uuidv7(ms, randomBytes(10)) });
    const wrong: unknown[] = [
      { ...entry(), tenant: "rival" },
      { ...entry(), principal: { auth_mode: "signed", did: other.did, jkt: other.jkt } },
      { ...entry(), kind: "key" },
      { ...entry(), kind: "policy" },
      { ...entry(), decision: { allow: true } },
      { ...entry(), event_id: "not-an-id" },
      { ...entry(), ...idAt(Date.now() + 120_000) },
      { ...entry(), ...idAt(Date.now() - (LIMITS.audit_append_past_seconds + 60) * 1_000) },
      { ...entry(), ts: "yesterday" },
      { ...entry(), ts: new Date(Date.now() + 120_000).toISOString() },
      { ...entry(), ts: new Date(Date.now() - (LIMITS.audit_append_past_seconds + 60) * 1_000).toISOString() },
      { ...entry(), meta: { "a b": 1 } },
      { ...entry(), meta: { x: { y: 1 } } },
      { ...entry(), event_hash: "0".repeat(64) },
      { ...entry({ kind: "intent" }), correlation: newUuid() },
      { ...before, meta: {} },
    ];
    for (const event of wrong) await refused({ events: [before, event] }, 400, "contract.invalid");
    for (const body of [{}, [], { events: [] }, { events: [entry()], more: 1 }, "null"])
      await refused(body, 400, "contract.invalid");
    for (const body of ["{", '{"events":[],"events":[]}']) await refused(body, 400, "request.malformed");
    expect(await read(before.event_id)).toBeUndefined();
  });

  it("may carry their own hash, which is checked", async () => {
    const plain = entry();
    const event_hash = createHash("sha256")
      .update(jcs(JSON.stringify(plain)))
      .digest("hex");
    await append([{ ...plain, event_hash }]);
    expect((await read(plain.event_id))!.event.event_hash).not.toBe(event_hash); // the log's is of what it stamped
  });

  it("too large, or too many: 413", async () => {
    const long = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`m${i}`, "x".repeat(1_000)]));
    await refused({ events: [entry({ meta: long })] }, 413, "audit.append_too_large");
    await refused({ events: Array.from({ length: 257 }, () => entry()) }, 413, "audit.append_too_large");
    const big = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`m${i}`, "x".repeat(1_000)]));
    await refused({ events: Array.from({ length: 128 }, () => entry({ meta: big })) }, 413, "request.body_too_large");
    // Below a request's bound, and with what is stamped above a batch's.
    const mid = Object.fromEntries(Array.from({ length: 3 }, (_, i) => [`m${i}`, "x".repeat(1_000)])) as Record<
      string,
      string
    >;
    mid.rest = "x".repeat(500);
    await refused({ events: Array.from({ length: 250 }, () => entry({ meta: mid })) }, 413, "audit.append_too_large");
    expect((await append(Array.from({ length: 256 }, () => entry()))).length).toBe(256);
  });

  it("go on with events of the same principal only", async () => {
    const intent = entry({ kind: "intent" });
    await append([intent]);
    const outcome = entry({ kind: "outcome", correlation: intent.event_id, outcome: "success" });
    expect((await post({ events: [outcome] }, other, otherChain)).status).toBe(400);
    await append([outcome]);
    const pair = [entry({ kind: "intent" })];
    await append([...pair, entry({ kind: "outcome", correlation: pair[0]!.event_id })]);
    await refused({ events: [entry({ kind: "outcome", correlation: newUuid() })] }, 400, "contract.invalid");
  });

  it("cannot close or block a call of the gateway: neither its intent nor its outcome's id is theirs", async () => {
    const called = await world.call("read_file", { path: "/desk/x" });
    const intent = called.headers.get("talos-intent")!;
    await refused({ events: [entry({ kind: "outcome", correlation: intent })] }, 400, "contract.invalid");
    for (const id of [finalOutcomeId(newUuid()), closingId(newUuid()), alarmId(newUuid())])
      await refused({ events: [entry({ event_id: id })] }, 400, "contract.invalid");
  });

  it("need their own grant, and reach their own tenant alone", async () => {
    const reader = root(world.operator, service, { aud: [world.aud], grants: [READ] });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = await count();
    const blind = await post({ events: [entry()] }, service, reader);
    expect(blind.status).toBe(403);
    const foreign = await send(
      signed(service, chain, {
        aud: world.talos.aud("rival"),
        path: "/audit/events",
        body: JSON.stringify({ events: [entry()] }),
      }),
    );
    expect(foreign.status).toBe(401);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await count()) - before).toBe(1); // the refusal
  });

  it("are refused while the log cannot be asked, and taken afterwards", async () => {
    const event = entry();
    await world.talos.faults({ down: ["log"] });
    await refused({ events: [event] }, 503, "audit.unavailable");
    await world.talos.faults({});
    expect((await append([event])).length).toBe(1);
  });
});
