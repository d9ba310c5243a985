import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { type AuditEventV2, type AuditPromise, type Keysets, LIMITS, validate } from "@talos/contracts";
import { b64uDecode, b64uEncode, jwsSign, jwsVerify, leafHash, publicKey } from "@talos/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { auditEvent, intent, outcome, sealed, textMeta } from "../test/durable-objects/events.ts";
import { rowsOf } from "../test/durable-objects/inside.ts";
import { recorded } from "../test/durable-objects/tenant.ts";
import { testDatabase } from "../test/durable-objects/projector.ts";
import type { AuditLog } from "./audit-log.ts";
import { encodeBatch } from "./batch.ts";
import { alarmId } from "./own-events.ts";
import { subjectId } from "./subject.ts";
import type { AppendAsk, Appended, AppendEvent } from "./types.ts";
import type { SealedSalts } from "./value-keys.ts";

let log: DurableObjectStub<AuditLog>;
let name: string;
let names = 0;

beforeEach(() => {
  names += 1;
  name = `log-${names}`;
  log = env.AUDIT_LOGS.getByName(name);
  testDatabase().fault = () => "none";
});
afterEach(() => {
  vi.useRealTimers();
});

const whole = (): AuditEventV2 => JSON.parse(event().body) as AuditEventV2;
const reversed = (value: object): object => Object.fromEntries(Object.entries(value).reverse());
/** An event with another text, under that text's own leaf hash. */
function rebodied(change: (body: string) => string): AppendEvent {
  const one = event();
  const body = change(one.body);
  return { ...one, body, leaf_hash: leafHash(body) };
}

function event(more: { text?: string; other?: true } = {}, id?: string): AppendEvent {
  const meta = { ...textMeta(more.text ?? ""), ...(more.other === undefined ? {} : { other: true }) };
  return auditEvent(name, { meta, ...(id === undefined ? {} : { event_id: id }) });
}
/** An intent with the salt of its arguments, as the gateway seals it. */
function salted(over: Partial<SealedSalts> = {}): AppendEvent {
  const one = intent(name, { commitments: { args: "A".repeat(43) } });
  const subject = subjectId(name, whole().principal.did);
  return { ...one, sealed: { subject, kid: "dev-values-1", kept: "args", sealed: "s".repeat(80), ...over } };
}
const append = async (events: AppendEvent[], head?: AppendAsk["head"]): Promise<Appended> =>
  log.append({ events, ...(head === undefined ? {} : { head }) });
const appended = async (events: AppendEvent[], head?: AppendAsk["head"]) => {
  const answer = await append(events, head);
  if (!answer.ok) throw new Error(answer.code);
  return answer;
};
const rows = (sql: string) => rowsOf(log, sql);
const projected = () => testDatabase().rows.get(name) ?? [];
const promiseKeys = () => (JSON.parse(env.TALOS_KEYSETS!) as Keysets).purposes.promise;
const mark = (rev_seq: number, policy_version: number) => ({
  rev_seq,
  rev_hash: `rev-${rev_seq}`,
  policy_version,
  policy_hash: policy_version === 0 ? "" : `policy-${policy_version}`,
});

describe("append", () => {
  it("answers a promise that verifies under the published key and names the event's place", async () => {
    const [first, second] = [event(), event({ text: 'quotes " and \\ and é' })];
    const { promises, seqs } = await appended([first, second]);
    expect(seqs).toEqual([0, 1]);
    const { kid, key } = promiseKeys().find(({ status }) => status === "primary")!;
    const x = b64uEncode(publicKey(b64uDecode(key)));
    const { header, payload } = jwsVerify<object, AuditPromise>({ jws: promises[1]!, typ: "talos-promise+jwt", x });
    expect(header).toEqual({ alg: "EdDSA", kid, typ: "talos-promise+jwt" });
    expect(payload).toEqual({
      event_id: second.event_id,
      leaf: second.leaf_hash,
      log: name,
      max_delay_seconds: LIMITS.audit_max_delay_seconds,
      seq: 1,
      time_ms: expect.any(Number),
    });
    expect(await log.get(second.event_id)).toEqual({ body: second.body, seq: 1, promise: promises[1] });
  });

  it("of the same event gives the same bytes, later, after eviction, and among others", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 0, 1) });
    const known = event();
    const { promises } = await appended([event(), known]);
    vi.setSystemTime(Date.UTC(2026, 0, 2));
    expect((await appended([known])).promises).toEqual([promises[1]]);
    await evictDurableObject(log);
    const again = await appended([event(), known, known]);
    expect(again.seqs).toEqual([2, 1, 1]);
    expect(again.promises.slice(1)).toEqual([promises[1], promises[1]]);
    expect((await log.status()).next_seq).toBe(3);
  });

  it("promises only what is asked for, and later exactly what would have been promised then", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 0, 1) });
    const events = [event(), event(), event()];
    expect(await log.append({ events, promises: 0 })).toEqual({ ok: true, promises: [], seqs: [0, 1, 2] });
    vi.setSystemTime(Date.UTC(2026, 0, 2));
    const { kid, key } = promiseKeys().find(({ status }) => status === "primary")!;
    const expected = events.map(({ event_id, leaf_hash }, seq) => {
      const facts = { max_delay_seconds: LIMITS.audit_max_delay_seconds, seq, time_ms: Date.UTC(2026, 0, 1) };
      const payload = { event_id, leaf: leaf_hash, log: name, ...facts };
      return jwsSign({ seed: b64uDecode(key), typ: "talos-promise+jwt", kid, payload }); // by the core's own signer
    });
    expect((await log.get(events[2]!.event_id))?.promise).toBe(expected[2]);
    expect(await log.append({ events, promises: 1 })).toMatchObject({ ok: true, promises: expected.slice(0, 1) });
    expect((await appended(events)).promises).toEqual(expected);
  });

  it("takes the same events as one text, and believes it no more than a list", async () => {
    const events = [event(), event({ text: "é\u2028" })];
    const { promises, seqs } = await appended(events);
    expect(await log.append({ events: encodeBatch(events) })).toEqual({ ok: true, promises, seqs });
    const more = [event(), event()];
    expect(await log.append({ events: encodeBatch(more), promises: 0 })).toMatchObject({ ok: true, seqs: [2, 3] });
    expect((await log.get(more[1]!.event_id))?.body).toBe(more[1]!.body);
    const [one, other] = [event(), event()];
    for (const text of ["", "\n", encodeBatch([one]).replace(" ", ""), encodeBatch([{ ...one, body: other.body }])]) {
      expect(await log.append({ events: text, promises: 0 })).toMatchObject({ ok: false, code: "contract.invalid" });
    }
    const long = "x".repeat(LIMITS.audit_batch_bytes + LIMITS.audit_batch_events * 128 + 1);
    expect(await log.append({ events: long, promises: 0 })).toEqual({ ok: false, code: "LIMIT_EXCEEDED" });
    expect((await log.status()).next_seq).toBe(4);
  });

  it("refuses a known id with another leaf, and then appends nothing of the whole batch", async () => {
    const known = event();
    await appended([known]);
    const other = event({ other: true }, known.event_id);
    const innocent = event();
    expect(await append([innocent, other])).toEqual({
      ok: false,
      code: "audit.event_conflict",
      event_id: known.event_id,
    });
    expect(await log.get(innocent.event_id)).toBeNull();
    expect((await log.status()).next_seq).toBe(2); // the second one is the log's own, about it
    expect((await log.get(known.event_id))?.body).toBe(known.body);
  });

  it("refuses one id with two leaves in one batch", async () => {
    const one = event();
    expect(await append([one, event({ other: true }, one.event_id)])).toMatchObject({ code: "audit.event_conflict" });
    expect(await log.get(one.event_id)).toBeNull();
  });

  it("writes one row for a batch, and an index row for each event", async () => {
    await appended(Array.from({ length: 20 }, () => event()));
    expect(await rows("SELECT first_seq, count FROM batches")).toEqual([{ first_seq: 0, count: 20 }]);
    expect(await rows("SELECT count(*) AS n FROM event_ids")).toEqual([{ n: 20 }]);
  });

  it("gives concurrent appends places of their own", async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => appended([event(), event()])));
    const seqs = answers.flatMap((answer) => answer.seqs).sort((a, b) => a - b);
    expect(seqs).toEqual(Array.from({ length: 80 }, (_, i) => i));
  });

  it("keeps salts apart from the leaves, sealed, until the vault of their subject has them", async () => {
    const one = salted();
    await appended([one]);
    expect(await rows("SELECT * FROM salt_outbox")).toEqual([{ event_id: one.event_id, ...one.sealed }]);
    expect(JSON.stringify(await rows("SELECT events FROM texts"))).not.toContain(one.sealed!.sealed);
    expect(await rows("SELECT name FROM sqlite_master WHERE name = 'salts'")).toEqual([]);
  });

  it.each([
    ["nothing", undefined, () => []],
    ["a leaf hash of another body", "leaf_hash", () => [{ ...event(), leaf_hash: leafHash("other") }]],
    ["an id that is not the body's", "id", () => [{ ...event(), event_id: event().event_id }]],
    ["a body that is not JSON", "shape", () => [{ ...event(), body: "x", leaf_hash: leafHash("x") }]],
    ["a body that is no event", "shape", () => [sealed({ ...whole(), principal: "me" })]],
    ["a member that the contract does not have", "shape", () => [sealed({ ...whole(), more: true })]],
    ["an event of version 1", "shape", () => [sealed({ ...whole(), schema_version: "v1" })]],
    ["a body with a line feed behind it", "canonical", () => [rebodied((body) => `${body}\n`)]],
    ["another order", "canonical", () => [rebodied((body) => JSON.stringify(reversed(JSON.parse(body) as object)))]],
    ["a member twice", "canonical", () => [rebodied((body) => body.replace("{", `{"audit_action":"mcp.call",`))]],
    ["a needless escape", "canonical", () => [rebodied((body) => body.replace("mcp.call", "\\u006dcp.call"))]],
    ["a hash of something else", "event_hash", () => [rebodied((body) => body.replace('"mcp.call"', '"mcp.kall"'))]],
    ["an event of another tenant", "tenant", () => [auditEvent("other")]],
    ["an intent of another call", "correlation", () => [intent(name, { correlation: event().event_id })]],
    ["an outcome of nothing", "correlation", () => [auditEvent(name, { kind: "outcome" })]],
    ["an id that is no UUIDv7", "id", () => [{ ...event(), event_id: "00000000-0000-4000-8000-000000000000" }]],
    ["a subject that is no hash", "salts", () => [salted({ subject: "did:key:z6Mk" })]],
    ["salts of another's vault", "salts", () => [salted({ subject: "B".repeat(43) })]],
    ["salts that are not sealed", "salts", () => [salted({ sealed: '{"args":"x"}' })]],
    ["salts of no commitment", "salts", () => [{ ...event(), sealed: salted().sealed! }]],
    ["a value of no commitment", "salts", () => [salted({ kept: "result" })]],
  ] as [string, string | undefined, () => AppendEvent[]][])("refuses %s (%s)", async (_, flaw, events) => {
    const sound = event();
    const bad = events();
    const refused = { ok: false, code: "contract.invalid", ...(flaw === undefined ? {} : { flaw }) };
    expect(await append(bad)).toMatchObject(refused);
    if (bad.length > 0) expect(await append([sound, ...bad])).toMatchObject(refused);
    expect((await log.status()).next_seq).toBe(0);
    expect(await log.get(sound.event_id)).toBeNull();
  });

  it("tells in an event of its own, once, that an id was used twice", async () => {
    const known = event();
    await appended([known]);
    for (let i = 0; i < 3; i += 1) {
      const other = event({ text: `${i}` }, known.event_id);
      expect(await append([other])).toMatchObject({ code: "audit.event_conflict", event_id: known.event_id });
      await evictDurableObject(log);
    }
    const [, alarm, ...more] = await recorded(name);
    expect(more).toEqual([]);
    expect(validate("audit/event-v2", alarm).ok).toBe(true);
    expect(alarm).toMatchObject({
      ...{ event_id: alarmId(known.event_id), kind: "decision", correlation: known.event_id, outcome: "denied" },
      decision: { allow: false, code: "audit.event_conflict" },
    });
    expect((await append([known])).ok).toBe(true);
  });

  it("tells of so many a day, and of no answer that two isolates recorded", async () => {
    const known = Array.from({ length: LIMITS.audit_conflict_alarms + 5 }, () => event());
    await appended(known);
    for (const { event_id } of known) await append([event({ other: true }, event_id)]);
    expect((await log.status()).next_seq).toBe(known.length + LIMITS.audit_conflict_alarms);

    name += "-answers";
    log = env.AUDIT_LOGS.getByName(name);
    const call = intent(name);
    const answered = (ts: string, result: string) =>
      outcome(name, call.event_id, { event_id: known[0]!.event_id, ts, commitments: { result } });
    const result = "A".repeat(43);
    await appended([call, answered("2026-01-01T00:00:00.000Z", result)]);
    expect(await append([answered("2026-01-01T00:00:01.000Z", result)])).toMatchObject({
      code: "audit.event_conflict",
    });
    expect((await log.status()).next_seq).toBe(2);
    await append([answered("2026-01-01T00:00:01.000Z", `${"A".repeat(42)}E`)]);
    expect((await log.status()).next_seq).toBe(3);
  });

  it("refuses what is larger than a batch or a leaf may be", async () => {
    const many = Array.from({ length: LIMITS.audit_batch_events + 1 }, () => event());
    expect(await append(many)).toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(await append([event({ text: "x".repeat(LIMITS.event_bytes) })])).toMatchObject({ code: "LIMIT_EXCEEDED" });
    const large = Array.from({ length: 66 }, () => event({ text: "x".repeat(16_000) }));
    expect(await append(large)).toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect((await log.status()).next_seq).toBe(0);
  });

  it("takes the largest batch that is allowed", async () => {
    await appended(Array.from({ length: 64 }, () => event({ text: '"'.repeat(7_000) })));
    expect((await log.status()).next_seq).toBe(64);
  });

  it("promises nothing without keys, and says so", async () => {
    const answer = await runInDurableObject(log, (instance) => {
      const kept = instance as unknown as { env: { TALOS_KEYSETS?: string } };
      kept.env = { ...kept.env, TALOS_KEYSETS: "" };
      return instance.append({ events: [event()] });
    });
    expect(answer).toEqual({ ok: false, code: "config.incomplete" });
    await evictDurableObject(log);
    expect((await log.status()).next_seq).toBe(0);
  });
});

describe("rotation of the promise key", () => {
  const rekey = (promise: Keysets["purposes"]["promise"]) =>
    runInDurableObject(log, (instance: AuditLog) => {
      const inside = instance as unknown as { env: { TALOS_KEYSETS: string } };
      const keysets = JSON.parse(env.TALOS_KEYSETS!) as Keysets;
      const text = JSON.stringify({ ...keysets, purposes: { ...keysets.purposes, promise } });
      inside.env = { ...inside.env, TALOS_KEYSETS: text };
    });
  const kidOf = (jws: string) =>
    JSON.parse(atob(jws.slice(0, jws.indexOf(".")).replace(/-/g, "+").replace(/_/g, "/"))).kid;

  it("leaves promises that were made as they are, and makes new ones under the new key", async () => {
    const [old, next] = promiseKeys() as [Keysets["purposes"]["promise"][0], Keysets["purposes"]["promise"][0]];
    const known = event();
    const { promises } = await appended([known]);
    const seconds = Math.floor(Date.now() / 1000);
    await rekey([
      { ...old, status: "accept", not_after: seconds + 1_000 },
      { ...next, status: "primary" },
    ]);
    const again = await appended([known, event()]);
    expect(again.promises[0]).toBe(promises[0]);
    expect(again.promises.map(kidOf)).toEqual([old.kid, next.kid]);
    await rekey([{ ...next, status: "primary" }]);
    expect(await append([known])).toMatchObject({ ok: false, code: "config.incomplete" });
    // The event outlives the key: it can be read, and is not promised again.
    expect(await log.get(known.event_id)).toEqual({ body: known.body, seq: 0 });
  });
});

describe("heads", () => {
  it("are kept with the events that record them, and never go down", async () => {
    expect(await log.lastHead()).toBeNull();
    const first = event();
    await appended([event(), first], mark(3, 2));
    expect(await log.lastHead()).toEqual({ ...mark(3, 2), event_id: first.event_id });
    for (const older of [
      mark(2, 2),
      mark(3, 1),
      { ...mark(3, 2), rev_hash: "another" },
      { ...mark(4, 2), policy_hash: "another" },
    ]) {
      expect(await append([event()], older)).toEqual({ ok: false, code: "head.rolled_back" });
    }
    expect((await log.status()).next_seq).toBe(2);
    await evictDurableObject(log);
    await appended([event()], mark(4, 2));
    expect(await log.lastHead()).toMatchObject(mark(4, 2));
  });

  it("are not moved by a repeated append", async () => {
    const first = event();
    await appended([first], mark(1, 0));
    await appended([event()], mark(2, 0));
    await appended([first], mark(1, 0));
    expect(await log.lastHead()).toMatchObject(mark(2, 0));
  });
});

describe("projection", () => {
  const fill = async (batches: number, size: number) => {
    const ids: string[] = [];
    for (let i = 0; i < batches; i += 1) {
      const events = Array.from({ length: size }, () => event());
      await appended(events);
      ids.push(...events.map(({ event_id }) => event_id));
    }
    return ids;
  };

  it("carries every event in order by the alarm that appending set", async () => {
    const ids = await fill(5, 3);
    expect(await runDurableObjectAlarm(log)).toBe(true);
    expect(projected()).toEqual(ids);
    expect(await log.status()).toMatchObject({ next_seq: 15, projected_seq: 15, oldest_unprojected_ms: null });
    expect(await runDurableObjectAlarm(log)).toBe(false); // nothing left to come again for
    ids.push(...(await fill(1, 1)));
    expect(await runDurableObjectAlarm(log)).toBe(true);
    expect(projected()).toEqual(ids);
  });

  it("is exactly once while the projector fails and loses answers at random", async () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed / 2 ** 31;
    };
    testDatabase().fault = () => (["none", "down", "lost"] as const)[Math.floor(random() * 3)]!;
    const ids: string[] = [];
    for (let i = 0; i < 60; i += 1) {
      ids.push(...(await fill(1, 1 + (i % 7))));
      await log.flush();
      if (i % 10 === 0) await evictDurableObject(log);
    }
    testDatabase().fault = () => "none";
    await log.flush();
    expect(projected()).toEqual(ids);
    expect((await log.status()).projected_seq).toBe(ids.length);
  });

  it("waits longer and longer while Postgres is down, refuses no append, and catches up exactly", async () => {
    testDatabase().fault = () => "down";
    const ids = await fill(2, 4);
    const waits: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      expect(await runDurableObjectAlarm(log)).toBe(true);
      const at = await runInDurableObject(log, (_, { storage }) => storage.getAlarm());
      waits.push(at! - Date.now());
    }
    expect(waits[0]).toBeLessThanOrEqual(LIMITS.audit_project_ms);
    expect(waits[8]).toBeGreaterThan(LIMITS.audit_project_retry_ms - 5_000);
    expect(waits[8]).toBeLessThanOrEqual(LIMITS.audit_project_retry_ms);
    ids.push(...(await fill(300, 1)));
    expect(await log.status()).toMatchObject({ projected_seq: 0, projection_failures: 9 });
    expect((await log.status()).oldest_unprojected_ms).toBeLessThanOrEqual(Date.now());
    testDatabase().fault = () => "none";
    // The alarm that appending set seals; the projection keeps its pause, for which the next alarm is set.
    expect(await runDurableObjectAlarm(log)).toBe(true);
    expect(await log.status()).toMatchObject({ sealed_size: 308, projected_seq: 0 });
    const at = await runInDurableObject(log, (_, { storage }) => storage.getAlarm());
    expect(at! - Date.now()).toBeLessThanOrEqual(LIMITS.audit_project_retry_ms);
    await log.flush();
    expect(projected()).toEqual(ids);
    expect(await log.status()).toMatchObject({ projected_seq: 308, projection_failures: 0 });
  });

  it("keeps what it projected, and fills a restored database again from where its cursor stands", async () => {
    const ids = await fill(3, 2);
    await log.flush();
    testDatabase().cursors.set(name, 3); // in the middle of a batch
    testDatabase().rows.set(name, ids.slice(0, 3));
    ids.push(...(await fill(1, 1)));
    await log.flush();
    expect(projected()).toEqual(ids);
  });

  it("overwrites nothing when the database knows events that the log does not", async () => {
    testDatabase().cursors.set(name, 50);
    await fill(1, 2);
    await log.flush();
    expect(projected()).toEqual([]);
    expect(await log.status()).toMatchObject({ projected_seq: 0, projection_failures: 1 });
  });

  it("carries a large backlog in slices of bounded size", async () => {
    const ids = await fill(4, LIMITS.audit_batch_events);
    ids.push(...(await fill(1, 100)), ...(await fill(1, 200)), ...(await fill(40, 1)));
    await log.flush();
    expect(projected()).toEqual(ids);
    expect(testDatabase().calls.get(name)).toBeLessThanOrEqual(7); // 6 slices, and the alarm may have begun before
  });
});
