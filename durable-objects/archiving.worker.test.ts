import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { LIMITS } from "@talos/contracts";
import * as tree from "@talos/core/log";
import { beforeEach, describe, expect, it } from "vitest";
import { auditEvent, intent, newId, outcome } from "../test/durable-objects/events.ts";
import { rebind, rowsOf } from "../test/durable-objects/inside.ts";
import { testDatabase } from "../test/durable-objects/projector.ts";
import { headKeys } from "./meta-key.ts";
import type { AuditLog } from "./audit-log.ts";
import { closingId } from "./own-events.ts";
import type { AppendEvent } from "./types.ts";
import { idMs } from "./uuid.ts";

const shared = globalThis as unknown as { talosLogBounds: Record<string, object> };
/** Everything moves as soon as it may, into archives of two bundles. */
const AT_ONCE = { rows_keep_ms: 0, archive_after_ms: 0, archive_events: 512 };

let count = 0;
let name: string;
let log: DurableObjectStub<AuditLog>;
let appended: AppendEvent[];
let promises: string[];

beforeEach(() => {
  count += 1;
  name = `archived-${count}`;
  shared.talosLogBounds = { [name]: AT_ONCE };
  log = env.AUDIT_LOGS.getByName(name);
  appended = [];
  promises = [];
  testDatabase().fault = () => "none";
});

async function append(many: number, make: () => AppendEvent = () => auditEvent(name)): Promise<void> {
  const events = Array.from({ length: many }, make);
  const answer = await log.append({ events });
  if (!answer.ok) throw new Error(answer.code);
  appended.push(...events);
  promises.push(...answer.promises);
}
const rows = (sql: string) => rowsOf(log, sql);
const number = async (sql: string) => Number((await rows(`SELECT (${sql}) AS n`))[0]!.n);
const archive = (n: number) => env.LOG_ARCHIVES.getByName(`${name}/${n}`);
const inArchive = (n: number, sql: string) => rowsOf(archive(n), sql);
const bind = (more: object) => rebind(log, more);
const unreachable = {
  getByName: () => ({
    find: async () => Promise.reject(new Error("unreachable (test)")),
    put: async () => Promise.reject(new Error("unreachable (test)")),
  }),
};
/** A new instance, whose alarm does not come before the test has had its say. */
async function renew(): Promise<void> {
  await runInDurableObject(log, (_, { storage }) => storage.deleteAlarm());
  await evictDurableObject(log);
}
/** 640 events, published, of which nothing has moved yet, and all that may will at the next run. */
async function published(): Promise<void> {
  shared.talosLogBounds[name] = { ...AT_ONCE, archive_after_ms: 3_600_000 };
  for (let i = 0; i < 5; i += 1) await append(128);
  await log.flush();
  shared.talosLogBounds[name] = AT_ONCE;
  await renew();
}
/** As often as it takes until nothing moves any more. */
async function settle(): Promise<number> {
  for (let before = -1; ; ) {
    await renew(); // a new instance waits for nothing
    await log.flush();
    const { archived_size } = await log.status();
    if (archived_size === before) return archived_size;
    before = archived_size;
  }
}
async function fill(batches: number, of = 128): Promise<number> {
  for (let i = 0; i < batches; i += 1) await append(of);
  return settle();
}
async function verify(at: number): Promise<void> {
  const proof = await log.proof({ event_id: appended[at]!.event_id });
  if (!proof.ok) throw new Error(proof.code);
  expect(proof).toMatchObject({ event: appended[at]!.body });
  const keys = headKeys(JSON.parse(env.TALOS_KEYSETS!), proof.origin);
  const policy = new TextEncoder().encode(`${keys.map((key) => `log ${key}\n`).join("")}quorum none\n`);
  const leaf = tree.leafHash(new TextEncoder().encode(proof.event));
  await tree.verifyProof({ file: new TextEncoder().encode(proof.log_proof), leaf, policy });
}

describe("what is old", () => {
  it("lies in archives, and everything is answered as before, byte for byte", async () => {
    expect(await fill(16, 100)).toBe(1_280); // five full bundles; the text of the sixth has not left whole
    expect(await number("SELECT count(*) FROM event_ids")).toBe(320);
    expect(await inArchive(0, "SELECT count(*) AS n FROM ids")).toEqual([{ n: 512 }]);
    expect(await inArchive(2, "SELECT count(*) AS n FROM ids")).toEqual([{ n: 256 }]);
    expect((await log.status()).archived_size).toBe(1_280);
    for (const at of [0, 255, 256, 511, 512, 1_279, 1_280, 1_599]) {
      const event = appended[at]!;
      expect(await log.append({ events: [event] })).toEqual({ ok: true, promises: [promises[at]], seqs: [at] });
      expect(await log.get(event.event_id)).toEqual({ body: event.body, seq: at, promise: promises[at] });
      await verify(at);
    }
    const some = [3, 700, 1_590].map((at) => appended[at]!.event_id);
    expect(Object.keys(await log.known([...some, newId()])).sort()).toEqual(some.sort());
    const mixed = [auditEvent(name), appended[600]!, appended[1]!];
    expect(await log.append({ events: mixed })).toMatchObject({ ok: true, seqs: [1_600, 600, 1] });
    expect((await log.status()).next_seq).toBe(1_601);
  });

  it("is refused under another leaf, and told of once; its outcome may come, what closed it is known", async () => {
    const [one, two] = [intent(name), intent(name)];
    await append(1, () => one);
    await append(1, () => outcome(name, one.event_id));
    await append(1, () => two);
    await rows(`UPDATE open_intents SET at_ms = at_ms - ${LIMITS.audit_sweep_ms}`);
    await evictDurableObject(log);
    await log.flush();
    expect(await log.get(closingId(two.event_id))).not.toBeNull();
    expect(await fill(6)).toBe(512);
    const next = (await log.status()).next_seq;
    const other = auditEvent(name, { event_id: one.event_id, meta: { other: true } });
    for (let i = 0; i < 2; i += 1)
      expect(await log.append({ events: [auditEvent(name), other] })).toEqual({
        ...{ ok: false, code: "audit.event_conflict", event_id: one.event_id },
      });
    expect((await log.status()).next_seq).toBe(next + 1); // the alarm, once
    await fill(6);
    expect(await log.append({ events: [other] })).toMatchObject({ code: "audit.event_conflict" });
    expect((await log.status()).next_seq).toBe(next + 769); // it is archived too, and was found
    expect(await log.append({ events: [outcome(name, one.event_id)] })).toMatchObject({ ok: true });
    expect(await log.append({ events: [outcome(name, two.event_id)] })).toMatchObject({ code: "outcome.late" });
    expect(await log.append({ events: [outcome(name, newId(Date.now() - 60_000))] })).toMatchObject({
      flaw: "correlation",
    });
  });

  it("stays while an intent among it may still be closed", async () => {
    await append(99);
    const one = intent(name);
    await append(1, () => one);
    expect(await fill(6)).toBe(0);
    await append(1, () => outcome(name, one.event_id));
    expect(await settle()).toBe(512);
  });

  it("is asked for before an intent of its time is closed, which is closed once", async () => {
    await fill(5);
    const old = intent(name, { event_id: newId(idMs(appended[0]!.event_id)) });
    await append(1, () => old);
    await rows(`UPDATE open_intents SET at_ms = at_ms - ${LIMITS.audit_sweep_ms}`);
    await renew();
    await bind({ LOG_ARCHIVES: unreachable });
    await log.flush();
    expect(await number("SELECT count(*) FROM open_intents")).toBe(1);
    await append(1);
    await evictDurableObject(log);
    await log.flush();
    expect(await number("SELECT count(*) FROM open_intents")).toBe(0);
    expect((await log.get(closingId(old.event_id)))?.seq).toBe(642);
  });

  it("keeps its age before it goes, unless the object holds much: then it goes a little old", async () => {
    shared.talosLogBounds[name] = { rows_keep_ms: 0, archive_after_ms: 3_600_000, archive_soon_ms: 60_000 };
    expect(await fill(5)).toBe(0);
    const at = await runInDurableObject(log, (_, { storage }) => storage.getAlarm());
    expect(at! - Date.now()).toBeGreaterThan(3_500_000);
    await rows("UPDATE batches SET time_ms = time_ms - 60001 WHERE first_seq < 300");
    expect(await settle()).toBe(0);
    shared.talosLogBounds[name] = { ...shared.talosLogBounds[name], archive_soft_bytes: 1 };
    expect(await settle()).toBe(256);
    shared.talosLogBounds[name] = { ...AT_ONCE, archive_after_ms: 3_600_000 };
    await rows("UPDATE batches SET time_ms = time_ms - 3600001");
    expect(await settle()).toBe(512);
  });

  it("does not wait for Postgres where the object holds much, and neither does text; the projection comes to the same", async () => {
    testDatabase().fault = () => "down";
    expect(await fill(5)).toBe(0);
    expect(await number("SELECT count(*) FROM texts")).toBe(5);
    shared.talosLogBounds[name] = { ...AT_ONCE, rows_keep_ms: 3_600_000, rows_soft_bytes: 1 };
    expect(await settle()).toBe(512);
    expect(await number("SELECT count(*) FROM texts")).toBe(1);
    const { projected_seq, oldest_unprojected_ms } = await log.status();
    expect([projected_seq, oldest_unprojected_ms]).toEqual([0, expect.any(Number)]);
    testDatabase().fault = () => "none";
    await log.flush();
    expect(testDatabase().rows.get(name)).toEqual(appended.map(({ event_id }) => event_id));
  });

  it("keeps the object's database small, however much is appended", async () => {
    shared.talosLogBounds[name] = { ...AT_ONCE, archive_events: 1_024 };
    const left: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      await fill(16, 64);
      const tables = ["event_ids", "batches", "texts", "tiles", "archives"];
      const counts = tables.map(async (table) => number(`SELECT count(*) FROM ${table}`));
      left.push((await Promise.all(counts)).join(" "));
      await append(1, () => auditEvent(name));
    }
    for (const [i, line] of left.entries()) {
      const [ids, batches, texts, tiles, archives] = line.split(" ").map(Number);
      expect(ids).toBeLessThanOrEqual(256 + 64);
      expect(batches).toBeLessThanOrEqual(8);
      expect(texts).toBeLessThanOrEqual(5);
      expect(tiles).toBeLessThanOrEqual(4); // levels 1 and 0, and full ones that are not settled
      expect(archives).toBe(i + 1);
    }
    await verify(0);
    await verify(appended.length - 65);
  });

  it("is proven out of the bucket, and read and shown, in the tree and in the one after it", async () => {
    shared.talosLogBounds[name] = { ...AT_ONCE, entries: 300 };
    for (let i = 0; i < 3; i += 1) await append(100);
    await log.flush(); // 300 events and the last one of the tree
    expect(await fill(6)).toBe(301 + 768 + 1); // trees that are over go whole
    await verify(299);
    await verify(301);
    const { leaf_hash, body } = appended[299]!;
    expect((await log.read(290, 64)).rows[9]).toMatchObject({ seq: 299, leaf_hash, body });
    const [first] = await log.log();
    expect(await log.tile("tile/0/000", first!.origin)).toHaveLength(256 * 32);
    expect(await log.tile("tile/0/001.p/45", first!.origin)).toHaveLength(45 * 32);
    expect(await log.consistency(100, 301, first!.origin)).toMatchObject({ ok: true });
    expect(await log.range(3, 300)).toMatchObject({ ok: true, to: 300 });
    expect(await log.append({ events: [appended[299]!, appended[0]!] })).toMatchObject({
      promises: [promises[299], promises[0]],
    });
    const file = `f/${name}/tile/0/000`;
    const bytes = new Uint8Array(await (await env.AUDIT_TILES.get(file))!.arrayBuffer());
    bytes[40]! ^= 1;
    await env.AUDIT_TILES.put(file, bytes);
    await runInDurableObject(log, async (instance: AuditLog) => {
      await expect(instance.tile("tile/0/000", first!.origin)).rejects.toThrow("not what was sealed");
      await expect(instance.proof({ event_id: appended[0]!.event_id })).rejects.toThrow("not what was sealed");
    });
  });
});

describe("an archive", () => {
  it("that cannot be reached keeps everything here, and nothing else waits; it gets it all afterwards", async () => {
    await published();
    await bind({ LOG_ARCHIVES: unreachable });
    await log.flush();
    await append(10);
    await log.flush();
    expect(await log.status()).toMatchObject({ archived_size: 0, archive_failures: 1, published_size: 650 });
    expect(await number("SELECT count(*) FROM event_ids")).toBe(650);
    const at = await runInDurableObject(log, (_, { storage }) => storage.getAlarm());
    expect(at! - Date.now()).toBeGreaterThan(0);
    expect(await settle()).toBe(512);
    expect(await log.append({ events: [appended[0]!] })).toMatchObject({ promises: [promises[0]] });
  });

  it("that has to be asked and cannot be: nothing is appended; what needs none is", async () => {
    await fill(5);
    await bind({ LOG_ARCHIVES: unreachable });
    const unavailable = { ok: false, code: "audit.unavailable" };
    expect(await log.append({ events: [auditEvent(name), appended[0]!] })).toEqual(unavailable);
    expect(await log.append({ events: [outcome(name, appended[0]!.event_id)] })).toEqual(unavailable);
    expect((await log.status()).next_seq).toBe(640);
    await runInDurableObject(log, async (instance: AuditLog) => {
      await expect(instance.get(appended[0]!.event_id)).rejects.toThrow("unreachable");
      await expect(instance.proof({ event_id: appended[0]!.event_id })).rejects.toThrow("unreachable");
    });
    await append(1);
    expect(await log.append({ events: [appended[639]!] })).toMatchObject({ promises: [promises[639]] });
    const many = Array.from({ length: LIMITS.audit_archive_lookups + 8 }, () => appended[1]!);
    let asked = 0;
    const slow = async () => {
      asked += 1;
      await scheduler.wait(200);
      throw new Error("unreachable (test)");
    };
    await bind({ LOG_ARCHIVES: { getByName: () => ({ find: slow }) } });
    for (const answer of await Promise.all(many.map((event) => log.append({ events: [event] }))))
      expect(answer).toEqual(unavailable);
    expect(asked).toBe(LIMITS.audit_archive_lookups);
  });

  it("that does not answer holds up nobody for long: others that were gathered have their answers", async () => {
    await fill(5);
    await bind({ LOG_ARCHIVES: { getByName: () => ({ find: () => new Promise(() => undefined) }) } });
    const [one, other] = [auditEvent(name), auditEvent(name)];
    const fromMs = Date.now();
    const asks = [[one], [appended[0]!], [other]].map((events) => ({ events }));
    expect(await log.appendEach(asks)).toMatchObject([
      { ok: true, seqs: [640] },
      { ok: false, code: "audit.unavailable" },
      { ok: true, seqs: [641] },
    ]);
    expect(Date.now() - fromMs).toBeLessThan(LIMITS.object_timeout_ms - 500);
  });

  it.each([
    ["another leaf hash", "UPDATE bundles SET leaves = zeroblob(length(leaves)) WHERE first_seq = 0"],
    ["another place of an id", "UPDATE ids SET seq = 511 WHERE seq = 0"],
    ["less than was moved there", "DELETE FROM bundles WHERE first_seq = 256"],
    ["another beginning", "DELETE FROM bundles WHERE first_seq = 0"],
    ["nothing", "DELETE FROM bundles"],
  ])("that has %s makes no promise", async (_, damage) => {
    await fill(5);
    await inArchive(0, damage);
    const answer = await log.append({ events: [appended[0]!] });
    expect(answer).toMatchObject({ ok: false });
    expect((await log.status()).next_seq).toBeLessThanOrEqual(641); // at most what tells of it
    if (!damage.includes("SET seq")) {
      expect(answer).toMatchObject({ code: "audit.forked" });
      expect(await log.append({ events: [auditEvent(name)] })).toEqual({ ok: false, code: "audit.forked" });
    } else {
      await runInDurableObject(log, async (instance: AuditLog) => {
        await expect(instance.get(appended[0]!.event_id)).rejects.toThrow("is there and is not");
      });
    }
  });

  it.each([
    ["another leaf", "UPDATE bundles SET leaves = zeroblob(length(leaves))"],
    ["other facts", "UPDATE bundles SET facts = '{}'"],
    ["an id elsewhere", "UPDATE ids SET seq = 511 WHERE seq = 0"],
    ["a gap", "UPDATE bundles SET first_seq = first_seq + 1000"],
  ])("that has %s where the same is to go stops the log, which keeps its rows", async (_, damage) => {
    await published();
    // The archive takes it, and the log dies before it knows.
    await bind({
      LOG_ARCHIVES: {
        getByName: (of: string) => ({
          put: async (bundles: never[]) => {
            await env.LOG_ARCHIVES.getByName(of).put(bundles);
            throw new Error("no answer (test)");
          },
        }),
      },
    });
    await log.flush();
    expect((await log.status()).archived_size).toBe(0);
    await inArchive(0, damage);
    await settle();
    expect(await log.status()).toMatchObject({ archived_size: 0, forked: true });
    expect(await number("SELECT count(*) FROM event_ids")).toBe(640);
  });

  it("gets nothing that the tree or the bucket contradicts", async () => {
    await published();
    await env.AUDIT_TILES.delete(`f/${name}/tile/0/000`);
    await settle();
    expect(await log.status()).toMatchObject({ archived_size: 0, archive_failures: 1, forked: false });
    const tile = (await rows("SELECT hashes FROM tiles WHERE path = 'tile/0/000'"))[0]!.hashes as ArrayBuffer;
    await env.AUDIT_TILES.put(`f/${name}/tile/0/000`, tile);
    await rows("UPDATE event_ids SET seq = 300 WHERE seq = 0");
    await settle();
    expect(await log.status()).toMatchObject({ archived_size: 0, forked: true });
    const id = appended[0]!.event_id.replaceAll("-", "");
    await rows(`UPDATE event_ids SET seq = 0 WHERE event_id = unhex('${id}')`);
    await scheduler.wait(1_100); // longer than it pauses after a failure
    await log.flush();
    expect(await log.status()).toMatchObject({ archived_size: 0, forked: true }); // a log that stopped moves nothing
    expect(await settle()).toBe(512);
  });
});

describe("ids", () => {
  it("are of no time that is to come, while what the log has is given whatever its id says", async () => {
    const ahead = auditEvent(name, { event_id: newId(Date.now() + LIMITS.audit_id_ahead_ms + 10_000) });
    expect(await log.append({ events: [auditEvent(name), ahead] })).toEqual({
      ...{ ok: false, code: "contract.invalid", event_id: ahead.event_id, flaw: "time" },
    });
    expect((await log.status()).next_seq).toBe(0);
    const near = auditEvent(name, { event_id: newId(Date.now() + LIMITS.audit_id_ahead_ms - 10_000) });
    expect(await log.append({ events: [near] })).toMatchObject({ ok: true });
  });

  it("of now ask no archive; old ones ask those that have their time", async () => {
    const old = auditEvent(name, { event_id: newId(1_000_000_000_000) });
    await append(1, () => old);
    await fill(9);
    const asked: string[] = [];
    const spy = (of: string) => ({
      find: async (ids: string[]) => {
        asked.push(of);
        return env.LOG_ARCHIVES.getByName(of).find(ids);
      },
      put: async (bundles: never[]) => env.LOG_ARCHIVES.getByName(of).put(bundles),
    });
    await bind({ LOG_ARCHIVES: { getByName: spy } });
    await append(50);
    expect(asked).toEqual([]);
    expect(await log.append({ events: [old] })).toMatchObject({ promises: [promises[0]] });
    expect(asked).toEqual([`${name}/0`]);
    expect(await log.append({ events: [auditEvent(name, { event_id: newId(999_999_999_999) })] })).toMatchObject({
      ok: true,
    });
    expect(asked).toHaveLength(1); // before all of them
    expect(await log.get(newId(1_000_000_000_001))).toBeNull();
    expect(asked).toHaveLength(2);
    expect(await log.get(appended[0]!.event_id.toUpperCase())).toBeNull();
  });

  it("that move while an archive is asked are asked for again", async () => {
    await fill(5);
    for (let i = 0; i < 4; i += 1) await append(100);
    const late = appended[639]!;
    const moved: number[] = [];
    const answer = await runInDurableObject(log, async (instance: AuditLog) => {
      const inside = instance as unknown as { env: object };
      const find = async (of: string, ids: string[]) => {
        if (moved.length === 0) {
          for (let i = 0; i < 2; i += 1) await instance.flush();
          moved.push(instance.status().archived_size);
        }
        return env.LOG_ARCHIVES.getByName(of).find(ids);
      };
      const put = async (of: string, bundles: never[]) => env.LOG_ARCHIVES.getByName(of).put(bundles);
      const getByName = (of: string) => ({
        ...{ find: (ids: string[]) => find(of, ids), put: (bundles: never[]) => put(of, bundles) },
      });
      inside.env = { ...inside.env, LOG_ARCHIVES: { getByName } };
      return instance.append({ events: [appended[0]!, late] });
    });
    expect(moved).toEqual([768]);
    expect(answer).toEqual({ ok: true, promises: [promises[0], promises[639]], seqs: [0, 639] });
    expect((await log.status()).next_seq).toBe(1_040);
  });
});

describe("moving", () => {
  it("is whole or not at all, wherever the log or the archive dies, and comes to the same", async () => {
    await published();
    const real = env.LOG_ARCHIVES;
    const answers = [
      () => Promise.reject(new Error("not taken (test)")),
      async (of: string, bundles: never[]) => {
        await real.getByName(of).put(bundles);
        throw new Error("no answer (test)");
      },
      async () => ({ ok: true, end_seq: 256 }), // less than it was given
    ];
    for (const put of answers) {
      await renew();
      await bind({ LOG_ARCHIVES: { getByName: (of: string) => ({ put: (bundles: never[]) => put(of, bundles) }) } });
      await log.flush();
      expect(await log.status()).toMatchObject({ archived_size: 0, archive_failures: 1 });
      expect(await number("SELECT count(*) FROM event_ids")).toBe(640);
    }
    for (const at of [/^DELETE FROM event_ids/, /^DELETE FROM batches/, /^DELETE FROM tiles/, /INTO archives/]) {
      await renew();
      await runInDurableObject(log, async (instance, { storage }) => {
        const exec = storage.sql.exec.bind(storage.sql);
        storage.sql.exec = ((query: string, ...values: SqlStorageValue[]) => {
          const cursor = exec(query, ...values);
          if (at.test(query)) throw new Error("died (test)");
          return cursor;
        }) as SqlStorage["exec"];
        await instance.flush();
        storage.sql.exec = exec;
      });
      expect(await log.status()).toMatchObject({ archived_size: 0, archive_failures: 1, forked: false });
      expect(await number("SELECT count(*) FROM event_ids")).toBe(640);
      expect(await number("SELECT count(*) FROM tiles WHERE path LIKE 'tile/0/%'")).toBe(3);
      expect(await log.append({ events: [appended[0]!] })).toMatchObject({ promises: [promises[0]] });
    }
    expect(await settle()).toBe(512);
    for (const at of [0, 300, 512]) {
      expect(await log.append({ events: [appended[at]!] })).toMatchObject({ promises: [promises[at]], seqs: [at] });
      await verify(at);
    }
  });
});
