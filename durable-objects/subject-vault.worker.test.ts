import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { type AuditEventV2, type Keysets, LIMITS } from "@talos/contracts";
import { b64uEncode, commitment, uuidv7 } from "@talos/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { intent } from "../test/durable-objects/events.ts";
import type { AuditLog } from "./audit-log.ts";
import { erasureId, subjectId, timeOf } from "./subject.ts";
import type { Step, SubjectVault } from "./subject-vault.ts";
import type { AppendEvent } from "./types.ts";
import { type SealedSalts, sealingKey, sealSalts, tenantKey } from "./value-keys.ts";

const SUBJECT = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
const PRINCIPAL = { auth_mode: "signed" as const, did: "did:web:operator.example", jkt: "A".repeat(43) };
const utf8 = (text: string) => new TextEncoder().encode(text);
const shared = globalThis as unknown as { vaultCrashAt?: Step };
const KEYSETS = JSON.parse(env.TALOS_KEYSETS!) as Keysets;

let count = 0;
let tenant: string;
let hash: string;
let vault: DurableObjectStub<SubjectVault>;
let log: DurableObjectStub<AuditLog>;

beforeEach(() => {
  count += 1;
  tenant = `vault-${count}`;
  hash = subjectId(tenant, SUBJECT);
  vault = env.SUBJECT_VAULTS.getByName(`${tenant}/${hash}`);
  log = env.AUDIT_LOGS.getByName(tenant);
});

afterEach(() => {
  delete shared.vaultCrashAt;
  vi.useRealTimers();
});

const newId = (ms = Date.now()) => uuidv7(ms, crypto.getRandomValues(new Uint8Array(10)));

/** A call as the gateway commits to it: its event's id, a salt, a value. */
interface Call {
  id: string;
  salt: Uint8Array;
  value: string;
}
const call = (value = `canary ${count} é`, ms = Date.now()): Call => ({
  id: newId(ms),
  salt: crypto.getRandomValues(new Uint8Array(16)),
  value,
});

async function salts(
  { id, salt }: Call,
  kept = "args",
  keysets = KEYSETS,
): Promise<SealedSalts & { event_id: string }> {
  const key = sealingKey(keysets)!;
  const place = { tenant, subject: hash, event_id: id, kid: key.kid, kept };
  const transit = await tenantKey(key, tenant, "salts");
  return { event_id: id, ...(await sealSalts(transit, place, { args: b64uEncode(salt) })) };
}

async function kept(...calls: Call[]): Promise<void> {
  const taken = await vault.take({ salts: await Promise.all(calls.map((one) => salts(one))) });
  expect(taken).toEqual({ ok: true, dropped: 0, lost: 0 });
  for (const { id, value } of calls) {
    expect(await vault.keep({ event_id: id, name: "args", value: utf8(value) })).toEqual({ ok: true, state: "kept" });
  }
}

/** The value of a call, and that it is what was committed to. */
async function opened({ id, salt, value }: Call): Promise<void> {
  const answer = await vault.open(id);
  if (!answer.ok) throw new Error(answer.code);
  expect(answer.salts).toEqual({ args: b64uEncode(salt) });
  const [only] = answer.values;
  expect(new TextDecoder().decode(only!.value)).toBe(value);
  expect(commitment(salt, only!.value!)).toBe(commitment(salt, utf8(value)));
}

const erase = (id = erasureId(hash, crypto.getRandomValues(new Uint8Array(16)))) =>
  vault.erase({ id, subject: SUBJECT, principal: PRINCIPAL, request_id: "request" });
async function erasing(id?: string) {
  const answer = await erase(id);
  if (!answer.ok) throw new Error(answer.code);
  return answer.erasure;
}
const alarm = () => runDurableObjectAlarm(vault);

async function done(id: string, tries = 20) {
  for (let i = 0; i < tries; i += 1) {
    const answer = await vault.erasure(id);
    if (!answer.ok) throw new Error(answer.code);
    if (answer.erasure.state === "done") return answer.erasure;
    await alarm();
  }
  throw new Error("the erasure does not end");
}

const sql = <T>(statement: string, ...values: SqlStorageValue[]) =>
  runInDurableObject(vault, (_, { storage }) => storage.sql.exec(statement, ...values).toArray() as T[]);
const objects = async () => (await env.SEALED_VALUES.list({ prefix: `${tenant}/` })).objects.map(({ key }) => key);
async function events(): Promise<AuditEventV2[]> {
  const { rows } = await log.read(0, 256);
  return rows.map(({ body }) => JSON.parse(body) as AuditEventV2).filter(({ kind }) => kind === "erasure");
}
/** Put something else in the place of a binding, for this instance of the object only. */
const rebind = (over: object) =>
  runInDurableObject(vault, (instance) => {
    const inside = instance as unknown as { env: object };
    inside.env = { ...inside.env, ...over };
  });

describe("keeping", () => {
  it("gives back the value and the salt that open the commitment, also after an eviction", async () => {
    const [one, two] = [call(), call("42")];
    await kept(one, two);
    await opened(one);
    await evictDurableObject(vault);
    await opened(one);
    await opened(two);
  });

  it("has no salt, value or key as it is in any row or object, and no DID in any name", async () => {
    const one = call();
    await kept(one);
    const rows = JSON.stringify([
      await sql("SELECT * FROM keys"),
      await sql("SELECT * FROM salts"),
      await sql("SELECT * FROM kept"),
    ]);
    expect(rows).not.toContain(b64uEncode(one.salt));
    const [name] = await objects();
    const content = new Uint8Array(await (await env.SEALED_VALUES.get(name!))!.arrayBuffer());
    expect(new TextDecoder("latin1").decode(content)).not.toContain("canary");
    expect(content.byteLength).toBe(12 + utf8(one.value).byteLength + 16);
    expect(name).not.toContain("did:");
    expect(name).not.toContain(SUBJECT.slice(8));
  });

  it("takes the same salts and the same value again without harm", async () => {
    const one = call();
    await kept(one);
    await kept(one);
    await opened(one);
    expect(await vault.describe()).toMatchObject({
      standing: { commitments: 1, values: 1, bytes: 11 + String(count).length - 1 },
    });
  });

  it("takes a value before its salt, as they come by different ways", async () => {
    const one = call();
    await vault.keep({ event_id: one.id, name: "args", value: utf8(one.value) });
    await vault.take({ salts: [await salts(one)] });
    await opened(one);
  });

  it("names a value that is too large, and one that never came", async () => {
    const [large, missing, late] = [call(), call("x", Date.now() - 120_000), call()];
    await vault.take({ salts: await Promise.all([large, missing, late].map((one) => salts(one))) });
    const most = new Uint8Array(1_048_577);
    expect(await vault.keep({ event_id: large.id, name: "args", value: most })).toEqual({
      ok: true,
      state: "too_large",
    });
    expect(await vault.open(large.id)).toMatchObject({ values: [{ name: "args", state: "too_large" }] });
    expect(await vault.open(missing.id)).toMatchObject({ values: [{ name: "args", state: "unsealed" }] });
    expect(await vault.open(late.id)).toMatchObject({ values: [{ name: "args", state: "pending" }] });
    expect(await vault.describe()).toMatchObject({ standing: { too_large: 1, unsealed: 1, values: 0 } });
    expect(await objects()).toEqual([]);
  });

  it("refuses salts of another subject, and names those that no key opens", async () => {
    const one = call();
    const sealed = await salts(one);
    expect(await vault.take({ salts: [{ ...sealed, subject: "B".repeat(43) }] })).toMatchObject({
      code: "contract.invalid",
    });
    const moved = { ...sealed, event_id: newId() };
    const claimed = { ...sealed, kept: "" };
    const gone = { ...sealed, kid: "dev-values-0" };
    expect(await vault.take({ salts: [moved, claimed, gone] })).toEqual({ ok: true, dropped: 0, lost: 3 });
    expect(await vault.open(moved.event_id)).toEqual({ ok: true, salts: {}, values: [] });
  });

  it("opens nothing that was moved: a salt, a value or a wrapped key in another's place", async () => {
    const [one, two] = [call(), call()];
    await kept(one, two);
    await sql(
      "UPDATE salts SET sealed = (SELECT sealed FROM salts WHERE event_id = ?) WHERE event_id = ?",
      two.id,
      one.id,
    );
    expect(await vault.open(one.id)).toMatchObject({ ok: false, code: "value.unavailable" });
    await opened(two);
    const at = (id: string) => `${tenant}/${hash}/0/${id}.args`;
    const foreign = await (await env.SEALED_VALUES.get(at(one.id)))!.arrayBuffer();
    await env.SEALED_VALUES.put(at(two.id), foreign);
    expect(await vault.open(two.id)).toMatchObject({ ok: false, code: "value.unavailable" });
    await evictDurableObject(vault);
    await sql("UPDATE keys SET kid = 'dev-values-2'");
    const three = call();
    expect(await vault.take({ salts: [await salts(three)] })).toMatchObject({ ok: false, code: "value.unavailable" });
  });

  it("keeps nothing without a key, and says so", async () => {
    const { values: _, ...purposes } = KEYSETS.purposes;
    const one = await salts(call());
    await rebind({ TALOS_KEYSETS: JSON.stringify({ ...KEYSETS, purposes }) });
    expect(await vault.keep({ event_id: newId(), name: "args", value: utf8("x") })).toEqual({
      ok: false,
      code: "config.incomplete",
    });
    expect(await vault.take({ salts: [one] })).toEqual({ ok: false, code: "config.incomplete" });
    expect(await sql("SELECT * FROM keys")).toEqual([]);
  });

  it("is wrapped anew by itself when the keyset was rotated, and opens as before", async () => {
    const one = call();
    await kept(one);
    const [first, second] = KEYSETS.purposes.values!;
    const rotated = [
      { ...first!, status: "accept" as const, not_after: 4_000_000_000 },
      { ...second!, status: "primary" as const },
    ];
    await evictDurableObject(vault);
    await rebind({ TALOS_KEYSETS: JSON.stringify({ ...KEYSETS, purposes: { ...KEYSETS.purposes, values: rotated } }) });
    await sql("UPDATE vault SET checked_ms = 0");
    await alarm();
    expect(await sql("SELECT kid FROM keys")).toEqual([{ kid: second!.kid }]);
    const alone = { ...KEYSETS.purposes, values: [rotated[1]!] };
    await evictDurableObject(vault);
    await rebind({ TALOS_KEYSETS: JSON.stringify({ ...KEYSETS, purposes: alone }) });
    await opened(one);
  });
});

describe("after a rotation", () => {
  const [first, second] = KEYSETS.purposes.values!;
  const accepted = { ...first!, status: "accept" as const, not_after: 4_000_000_000 };
  const primary = { ...second!, status: "primary" as const };
  const rotate = async (values: Keysets["purposes"]["values"]) => {
    await evictDurableObject(vault);
    await rebind({ TALOS_KEYSETS: JSON.stringify({ ...KEYSETS, purposes: { ...KEYSETS.purposes, values } }) });
  };

  it("whoever looks at a subject has its key wrapped anew, and is told under which key it is", async () => {
    expect(await vault.describe()).not.toHaveProperty("standing.key_id"); // nothing is kept yet
    const one = call();
    await kept(one);
    expect(await vault.describe()).toMatchObject({ standing: { key_id: first!.kid } });
    await rotate([accepted, primary]);
    expect(await vault.describe()).toMatchObject({ standing: { key_id: second!.kid } });
    await rotate([primary]);
    expect(await vault.describe()).toMatchObject({ standing: { key_id: second!.kid, values: 1 } });
    await opened(one);
    await erasing();
    expect(await vault.describe()).not.toHaveProperty("standing.key_id");
  });

  it("a key that cannot be opened any more is said as it is, and is not tried again at once", async () => {
    await kept(call());
    await rotate([primary]);
    expect(await vault.describe()).toMatchObject({ standing: { key_id: first!.kid, values: 1 } });
    await sql("UPDATE vault SET checked_ms = 0");
    await rotate([primary]);
    await alarm();
    const due = await runInDurableObject(vault, (_, { storage }) => storage.getAlarm());
    expect(due! - Date.now()).toBeGreaterThan(LIMITS.vault_retry_ms / 2);
    await rotate([accepted, primary]);
    expect(await vault.describe()).toMatchObject({ standing: { key_id: second!.kid } });
  });
});

describe("erasing", () => {
  it("destroys the key at once, deletes what it sealed, and records itself", async () => {
    const calls = [call(), call(), call()];
    await kept(...calls);
    const before = await erasing();
    expect(before).toMatchObject({ state: "clearing", commitments: 3, values: 3 });
    expect(await sql("SELECT * FROM keys")).toEqual([]);
    for (const { id } of calls) expect(await vault.open(id)).toEqual({ ok: false, code: "value.erased" });
    const after = await done(before.id);
    expect(after).toMatchObject({ deleted: 3, failures: 0 });
    expect(await objects()).toEqual([]);
    expect([await sql("SELECT * FROM salts"), await sql("SELECT * FROM kept")]).toEqual([[], []]);
    const [event, ...more] = await events();
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      ...{ event_id: after.event_id, kind: "erasure", principal: PRINCIPAL, outcome: "success" },
      erasure: { scope: after.scope, before_ms: after.requested_ms, commitments: 3, values: 3 },
    });
    expect(JSON.stringify(event)).not.toContain(SUBJECT);
    expect(JSON.stringify(event)).not.toContain(hash);
    const digest = await crypto.subtle.digest(
      "SHA-256",
      Uint8Array.from([
        ...Uint8Array.from(atob(after.scope_salt.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)),
        ...utf8(SUBJECT),
      ]),
    );
    expect(after.scope).toBe(b64uEncode(new Uint8Array(digest)));
  });

  it.each(["destroyed", "forgotten", "cleared", "deleted", "emptied", "appended", "done"] as const)(
    "comes to the same when it dies after `%s`: erased from the first moment, done once, recorded once",
    async (step) => {
      const calls = [call(), call()];
      await kept(...calls);
      await log.append({ events: [await written(calls[0]!)] });
      const id = erasureId(hash, crypto.getRandomValues(new Uint8Array(16)));
      shared.vaultCrashAt = step;
      await erase(id).catch(() => undefined);
      for (let i = 0; i < 8; i += 1) {
        await alarm().catch(() => undefined);
        const answer = await vault.erasure(id);
        if (!answer.ok) throw new Error(answer.code);
        for (const { id: event } of calls) expect(await vault.open(event)).toEqual({ ok: false, code: "value.erased" });
        const recorded = (await events()).length;
        if (answer.erasure.state === "done") {
          expect(recorded).toBe(1);
          expect(await objects()).toEqual([]);
        }
        await evictDurableObject(vault);
      }
      delete shared.vaultCrashAt;
      const after = await done(id);
      expect(after).toMatchObject({ commitments: 2, values: 2 });
      expect(await objects()).toEqual([]);
      expect((await events()).map(({ event_id }) => event_id)).toEqual([after.event_id]);
      expect(await sql("SELECT * FROM salts")).toEqual([]);
      expect(
        await runInDurableObject(log, (_, { storage }) => storage.sql.exec("SELECT * FROM salt_outbox").toArray()),
      ).toEqual([]);
    },
  );

  it("is one erasure while one is under way, and with the same id ever after", async () => {
    await kept(call());
    const first = await erasing();
    expect((await erasing()).id).toBe(first.id);
    const after = await done(first.id);
    expect(await erasing(first.id)).toEqual(after);
    expect((await events()).length).toBe(1);
    const second = await erasing();
    expect(second.id).not.toBe(first.id);
    expect(second).toMatchObject({ commitments: 0, values: 0 });
    await done(second.id);
    expect((await events()).length).toBe(2);
  });

  it("drops what comes late of before it, and keeps what comes after under another key", async () => {
    const old = call();
    await kept(call());
    const { id, requested_ms } = await erasing();
    const late = { ...old, id: newId(requested_ms) };
    expect(await vault.take({ salts: [await salts(late)] })).toEqual({ ok: true, dropped: 1, lost: 0 });
    expect(await vault.keep({ event_id: late.id, name: "args", value: utf8("x") })).toEqual({
      ok: false,
      code: "value.erased",
    });
    const young = call("after", requested_ms + 1);
    await kept(young);
    await done(id);
    await opened(young);
    expect(await sql("SELECT generation FROM keys")).toEqual([{ generation: 1 }]);
    expect(await objects()).toEqual([`${tenant}/${hash}/1/${young.id}.args`]);
    expect(await vault.open(late.id)).toEqual({ ok: false, code: "value.erased" });
  });

  it("finds a value that was on its way to the bucket, and leaves it neither readable nor there", async () => {
    const one = call();
    await vault.take({ salts: [await salts(one)] });
    const id = erasureId(hash, new Uint8Array(16));
    await runInDurableObject(vault, (instance) => {
      const inside = instance as unknown as { env: Cloudflare.Env };
      const real = inside.env.SEALED_VALUES;
      const put = async (...args: Parameters<R2Bucket["put"]>) => {
        await instance.erase({ id, subject: SUBJECT, principal: PRINCIPAL, request_id: "request" });
        return real.put(...args);
      };
      const bucket = { put, list: (o: object) => real.list(o), delete: (k: string) => real.delete(k) };
      inside.env = { ...inside.env, SEALED_VALUES: bucket as unknown as R2Bucket };
    });
    const keeping = await vault.keep({ event_id: one.id, name: "args", value: utf8(one.value) });
    expect(keeping).toEqual({ ok: false, code: "value.erased" });
    expect(await objects()).toEqual([]);
    await done(id);
  });

  it("looks once more a minute later, for a write whose object died under it", async () => {
    await kept(call());
    const { id } = await erasing();
    await done(id);
    await env.SEALED_VALUES.put(`${tenant}/${hash}/0/${newId()}.args`, utf8("noise"));
    await sql("UPDATE erasures SET state = json_set(state, '$.done_ms', 0)");
    await alarm();
    expect(await objects()).toEqual([]);
    expect(await sql("SELECT json_extract(state, '$.swept') AS swept FROM erasures")).toEqual([{ swept: 1 }]);
  });

  it("goes on by itself when bucket and log are back, and says where it stands meanwhile", async () => {
    const one = call();
    await kept(one);
    const dead = async () => {
      throw new Error("down (test)");
    };
    const real = env.SEALED_VALUES;
    await rebind({ SEALED_VALUES: { list: dead, delete: dead, get: dead, put: dead } });
    const { id } = await erasing();
    await alarm();
    expect(await vault.erasure(id)).toMatchObject({ erasure: { state: "deleting", failures: 1, deleted: 0 } });
    expect(await vault.open(one.id)).toEqual({ ok: false, code: "value.erased" });
    await alarm();
    expect(await vault.erasure(id)).toMatchObject({ erasure: { failures: 2 } });
    const logs = { getByName: () => ({ append: dead, forget: async () => 0 }) };
    await rebind({ SEALED_VALUES: real, AUDIT_LOGS: logs });
    await alarm();
    expect(await vault.erasure(id)).toMatchObject({ erasure: { state: "recording", deleted: 1 } });
    expect(await events()).toEqual([]);
    await rebind({ AUDIT_LOGS: env.AUDIT_LOGS });
    await done(id);
    expect((await events()).length).toBe(1);
  });

  it("is refused by name while the subject is held", async () => {
    const one = call();
    await kept(one);
    expect(await vault.hold(true)).toMatchObject({ standing: { held: true, values: 1 } });
    await evictDurableObject(vault);
    expect(await erase()).toEqual({ ok: false, code: "privacy.held" });
    await opened(one);
    await vault.hold(false);
    await done((await erasing()).id);
    expect(await vault.describe()).toMatchObject({ standing: { held: false, values: 0, commitments: 0 } });
  });

  it("is of this subject only", async () => {
    const other = erasureId(`${"B".repeat(42)}A`, new Uint8Array(16));
    expect(await erase(other)).toMatchObject({ code: "contract.invalid" });
    const id = erasureId(hash, new Uint8Array(16));
    const ask = { id, subject: "did:web:other.example", principal: PRINCIPAL, request_id: "request" };
    expect(await vault.erase(ask)).toMatchObject({ code: "contract.invalid" });
    expect(await vault.erasure(id)).toEqual({ ok: false, code: "privacy.unknown" });
  });

  it("deletes more than one step's objects", async () => {
    const calls = Array.from({ length: 7 }, () => call());
    await kept(...calls);
    const real = env.SEALED_VALUES;
    const list = (options: R2ListOptions) => real.list({ ...options, limit: 3 });
    await rebind({ SEALED_VALUES: { list, delete: (keys: string[]) => real.delete(keys) } });
    expect(await done((await erasing()).id)).toMatchObject({ deleted: 7 });
    expect(await objects()).toEqual([]);
  });
});

/** An event of the log, with sealed salts. */
async function written(of: Call): Promise<AppendEvent> {
  const principal = {
    auth_mode: "signed",
    did: "did:web:agent.example",
    root_sub: SUBJECT,
    jkt: "A".repeat(43),
  } as const;
  const commitments = { args: commitment(of.salt, utf8(of.value)) };
  const { event_id: _, ...sealed } = await salts(of);
  return { ...intent(tenant, { event_id: of.id, principal, commitments }), sealed };
}

describe("salts on their way", () => {
  const outbox = () =>
    runInDurableObject(log, (_, { storage }) => storage.sql.exec("SELECT event_id FROM salt_outbox").toArray());

  it("reach the vault of their subject behind the append, and leave the log", async () => {
    const one = call();
    await log.append({ events: [await written(one)] });
    expect(await outbox()).toHaveLength(1);
    await log.flush();
    expect(await outbox()).toEqual([]);
    await vault.keep({ event_id: one.id, name: "args", value: utf8(one.value) });
    await opened(one);
  });

  it("wait while the vault cannot be asked, and are forgotten by an erasure meanwhile", async () => {
    const [one, two] = [call(), call("later", Date.now() + 60_000)];
    await runInDurableObject(log, (instance) => {
      const inside = instance as unknown as { env: object };
      const take = async () => {
        throw new Error("down (test)");
      };
      inside.env = { ...inside.env, SUBJECT_VAULTS: { getByName: () => ({ take }) } };
    });
    await log.append({ events: [await written(one), await written(two)] });
    await log.flush();
    expect(await outbox()).toHaveLength(2);
    await done((await erasing()).id);
    expect(await outbox()).toEqual([{ event_id: two.id }]);
    expect(timeOf(two.id)).toBeGreaterThan(Date.now());
  });

  it("of before there were vaults, raw, are sealed as they leave; an erasure finds those that stay", async () => {
    const [one, two] = [call(), call()];
    const raw = async ({ id, salt }: Call) => {
      await runInDurableObject(log, (_, { storage }) => {
        storage.sql.exec(`CREATE TABLE IF NOT EXISTS salts (event_id TEXT NOT NULL, name TEXT NOT NULL, salt TEXT NOT NULL,
          PRIMARY KEY (event_id, name)) WITHOUT ROWID`);
        storage.sql.exec("INSERT INTO salts VALUES (?, 'args', ?)", id, b64uEncode(salt));
      });
    };
    const left = () =>
      runInDurableObject(log, (_, { storage }) => storage.sql.exec("SELECT event_id FROM salts").toArray());
    const plain = async (of: Call) => {
      const { sealed: _, ...event } = await written(of);
      return event;
    };
    await log.append({ events: [await plain(one), await plain(two)] });
    await raw(one);
    await log.flush();
    expect(await left()).toEqual([]);
    await vault.keep({ event_id: one.id, name: "args", value: utf8(one.value) });
    await opened(one);

    const { values: _, ...purposes } = KEYSETS.purposes;
    const env2 = { TALOS_KEYSETS: JSON.stringify({ ...KEYSETS, purposes }) };
    await runInDurableObject(log, (instance) => {
      const inside = instance as unknown as { env: object };
      inside.env = { ...inside.env, ...env2 };
    });
    await raw(two);
    await log.flush();
    expect(await left()).toEqual([{ event_id: two.id }]);
    await done((await erasing()).id);
    expect(await left()).toEqual([]);
  });
});
