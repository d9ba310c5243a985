import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { type Keysets, LIMITS } from "@talos/contracts";
import { b64uDecode, publicKey } from "@talos/core";
import * as tree from "@talos/core/log";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takes, testReceivers } from "../test/durable-objects/courier.ts";
import { rebind } from "../test/durable-objects/inside.ts";
import { FakeWitness } from "../test/durable-objects/witness.ts";
import { metaKeys, metaNames } from "./meta-key.ts";
import type { MetaLog } from "./meta-log.ts";
import { signText } from "./note-sign.ts";
import type { Posted } from "./sink-types.ts";
import type { MetaHead, MetaStatus } from "./types.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const keysets = () => JSON.parse(env.TALOS_KEYSETS!) as Keysets;
const primary = () => b64uDecode(keysets().purposes.head.find(({ status }) => status === "primary")!.key);

let count = 0;
let size: number;
let meta: DurableObjectStub<MetaLog>;
let one: FakeWitness;
let two: FakeWitness;
/** what the deployment says; a new instance of the object is told again by `wake` */
let policy: string;

beforeEach(async () => {
  count += 1;
  size = 0;
  meta = env.META_LOG.getByName(`cosigned-${count}`);
  [one, two] = [new FakeWitness("w1.example"), new FakeWitness("w2.example")];
  policy = `${one.line}${two.line}group both all w1.example w2.example\nquorum both\n`;
  const [first, second] = [one, two];
  testReceivers().answer = (post) => (post.url.startsWith(first.url) ? first : second).post(post);
  await wake();
});

afterEach(() => {
  testReceivers().answer = takes;
});

const bind = (more: object) => rebind(meta, more);
const wake = () => bind({ TALOS_WITNESSES: policy });

/** A further head of one tenant's log, taken and published. */
async function grow(flush = true): Promise<void> {
  size += 1;
  const origin = `talos.test/log/cosigned-${count}`;
  const root = new Uint8Array(32).fill(size);
  const text = tree.checkpointText(origin, { size, root });
  const line = tree.signatureLine({ name: origin, publicKey: publicKey(primary()) }, await signText(primary(), text));
  const head: MetaHead = { log: "tenant-1", origin, size, root, note: tree.note(text, [line]) };
  expect(await meta.add(head)).toEqual({ ok: true, index: size - 1 });
  if (flush) await meta.flush();
}

const ask = (index: number, level: "published" | "witnessed") =>
  meta.prove({ origin: `talos.test/log/cosigned-${count}`, index, level });

/** The cosigned head in the bucket, verified as anybody would under the policy. */
async function cosigned(): Promise<tree.Verdict> {
  const note = await (await env.AUDIT_TILES.get(metaNames(`cosigned-${count}`).cosigned))!.text();
  const keys = await metaKeys(keysets(), "talos.test/meta");
  return tree.verifyCheckpoint({ note: utf8(note), policy: utf8(keys.map((key) => `log ${key}\n`).join("") + policy) });
}

const faring = ({ witnesses }: MetaStatus) =>
  witnesses.map(({ name, size, failures, code }) => [name, size, failures, code]);

describe("cosigning", () => {
  it("asks every witness, and what meets the quorum is proven, served and dated", async () => {
    const before = Date.now();
    for (const n of [1, 2, 3]) {
      await grow();
      expect(await cosigned()).toMatchObject({ origin: "talos.test/meta", size: n });
      const status = await meta.status();
      expect(status).toMatchObject({ published_size: n, witnessed_size: n });
      expect(status.witnessed_ms).toBeGreaterThanOrEqual(before);
      expect(faring(status)).toEqual([
        ["w1.example", n, 0, undefined],
        ["w2.example", n, 0, undefined],
      ]);
      expect([one.asked, two.asked]).toEqual([n, n]);
    }
    for (const level of ["published", "witnessed"] as const) {
      const proven = await ask(0, level);
      if (!proven.ok) throw new Error(proven.code);
      expect(proven.level).toBe("witnessed");
      const text = `${proven.head.note.split("\n\n")[0]!}\n`;
      const all = utf8((await metaKeys(keysets(), "talos.test/meta")).map((key) => `log ${key}\n`).join("") + policy);
      const verdict = await tree.verifyProof({
        file: utf8(proven.proof),
        leaf: tree.leafHash(utf8(text)),
        policy: all,
      });
      expect(verdict.witnesses.map(({ name }) => name)).toEqual(["w1.example", "w2.example"]);
    }
    // Nothing is left to ask for.
    await meta.flush();
    expect([one.asked, two.asked]).toEqual([3, 3]);
  });

  it("goes on from the size that a witness says, when that is not the one that it is thought to have", async () => {
    await grow();
    await grow();
    // Both had their rows changed by others: one forgot, one was asked by an instance that died before it noted so.
    one.latest = undefined;
    two.fault = "lost";
    await grow();
    expect(faring(await meta.status())).toEqual([
      ["w1.example", 3, 0, undefined],
      ["w2.example", 2, 1, "witness.timeout"],
    ]);
    expect(two.latest?.size).toBe(3);
    two.fault = "none";
    await meta.flush();
    expect((await cosigned()).size).toBe(3);
  });

  it.each<[string, (answer: Posted, text: string) => Promise<Posted>, string]>([
    ["no line", async (answer) => ({ ...answer, text: "thanks\n" }) as Posted, "log.cosignature_invalid"],
    ["nothing", async (answer) => ({ ...answer, text: "" }) as Posted, "log.cosignature_invalid"],
    [
      "a line of another key",
      async (answer, text) => ({ ...answer, text: await new FakeWitness("w1.example").cosign(text) }) as Posted,
      "log.cosignature_invalid",
    ],
    [
      "its line over another text",
      async (answer, text) => ({ ...answer, text: await one.cosign(text.replace("/meta", "/other")) }) as Posted,
      "log.cosignature_invalid",
    ],
    [
      "its line with a bit changed",
      async (answer) => ({ ...answer, text: flip((answer as { text: string }).text) }) as Posted,
      "log.cosignature_invalid",
    ],
    [
      "a time in an hour",
      async (answer, text) =>
        ({ ...answer, text: await one.cosign(text, Math.floor(Date.now() / 1_000) + 3_600) }) as Posted,
      "log.cosignature_invalid",
    ],
    ["no", async () => ({ ok: true, status: 403, ms: 1, text: "" }), "witness.failed"],
    ["that the proof does not hold", async () => ({ ok: true, status: 422, ms: 1, text: "" }), "witness.refused"],
    [
      "the size that it was told, as another",
      async () => ({ ok: true, status: 409, ms: 1, text: "0\n" }),
      "witness.refused",
    ],
    ["a size that is none", async () => ({ ok: true, status: 409, ms: 1, text: "many\n" }), "witness.failed"],
    ["a size beyond ours", async () => ({ ok: true, status: 409, ms: 1, text: "7\n" }), "witness.ahead"],
  ])("keeps nothing of a witness that answers %s", async (_, fault, code) => {
    one.fault = fault;
    await grow();
    const status = await meta.status();
    expect(status).toMatchObject({ published_size: 1, witnessed_size: 0 });
    expect(faring(status)).toEqual([
      ["w1.example", 0, 1, code],
      ["w2.example", 1, 0, undefined],
    ]);
    expect(await env.AUDIT_TILES.get(metaNames(`cosigned-${count}`).cosigned)).toBe(null);
    expect(await ask(0, "witnessed")).toMatchObject({ ok: false, code: "audit.proof_pending" });
    expect(await ask(0, "published")).toMatchObject({ ok: true, level: "published" });
    expect(one.asked).toBe(1);
    // Once it behaves it is asked again, and the other is not.
    one.fault = "none";
    await meta.flush();
    expect((await cosigned()).size).toBe(1);
    expect(two.asked).toBe(1);
  });

  it("takes the line of the witness among lines of others", async () => {
    one.fault = async (answer, text) => {
      const other = await new FakeWitness("w9.example").cosign(text);
      return { ...answer, text: other + (answer as { text: string }).text } as Posted;
    };
    await grow();
    expect((await cosigned()).witnesses.map(({ name }) => name)).toEqual(["w1.example", "w2.example"]);
  });

  it("is enough with the quorum, and adds a cosignature that comes later", async () => {
    policy = `${one.line}${two.line}group either any w1.example w2.example\nquorum either\n`;
    await wake();
    two.fault = "down";
    await grow();
    expect((await cosigned()).witnesses).toHaveLength(1);
    const { witnessed_ms } = await meta.status();
    two.fault = "none";
    await meta.flush();
    expect((await cosigned()).witnesses).toHaveLength(2);
    expect((await meta.status()).witnessed_ms).toBe(witnessed_ms);
  });

  it("asks nobody, and calls nothing witnessed, without witnesses; also when a policy is taken away or made stricter", async () => {
    policy = `${one.line}quorum w1.example\n`;
    await wake();
    await grow();
    expect((await meta.status()).witnessed_size).toBe(1);
    policy = `${one.line}${two.line}group both all w1.example w2.example\nquorum both\n`;
    await evictDurableObject(meta);
    await wake();
    two.fault = "down";
    expect((await meta.status()).witnessed_size).toBe(0);
    expect(await ask(0, "witnessed")).toMatchObject({ ok: false });
    await meta.flush();
    expect((await meta.status()).witnessed_size).toBe(0);
    two.fault = "none";
    await meta.flush();
    expect((await meta.status()).witnessed_size).toBe(1);
    const asked = one.asked + two.asked;
    policy = "";
    await wake();
    await grow();
    expect(await meta.status()).toMatchObject({ published_size: 2, witnessed_size: 0 });
    expect(await ask(0, "witnessed")).toMatchObject({ ok: false });
    policy = "nonsense";
    await wake();
    await grow();
    expect(await meta.status()).toMatchObject({ published_size: 3, witnessed_size: 0 });
    expect(one.asked + two.asked).toBe(asked);
  });

  it("is tried again by the alarm, longer and longer apart, and holds up nothing while a witness does not answer", async () => {
    let hangs = true;
    one.fault = async () => {
      while (hangs) await scheduler.wait(20);
      return { ok: false, code: "timeout", ms: 1 };
    };
    await grow(false);
    await expect.poll(async () => (await meta.status()).published_size, { timeout: 10_000 }).toBe(1);
    await expect.poll(() => one.asked, { timeout: 10_000 }).toBe(1);
    // The round hangs; heads are taken, sealed and published all the same.
    await grow(false);
    await expect.poll(async () => (await meta.status()).published_size, { timeout: 15_000 }).toBe(2);
    one.fault = "none";
    hangs = false;
    await expect.poll(async () => (await meta.status()).witnessed_size, { timeout: 20_000 }).toBe(2);
    expect((await cosigned()).size).toBe(2);
    // Down for good: the pause grows up to its bound, and an alarm stands for it.
    one.fault = "down";
    await grow();
    for (let i = 0; i < 12; i += 1) await meta.flush();
    const alarm = await runInDurableObject(meta, (_, { storage }) => storage.getAlarm());
    const [{ next_ms }] = (await runInDurableObject(meta, (_, { storage }) =>
      storage.sql.exec("SELECT next_ms FROM witnesses WHERE failures > 0").toArray(),
    )) as unknown as [{ next_ms: number }];
    const pause = next_ms - Date.now();
    expect(pause).toBeLessThanOrEqual(LIMITS.witness_retry_ms);
    expect(pause).toBeGreaterThan(LIMITS.witness_retry_ms - 20_000);
    expect(Math.abs(alarm! - next_ms)).toBeLessThan(1_000);
  }, 60_000);
});

describe("a log that was put back", () => {
  it("is refused by its witnesses, though its own rows and bucket agree: an old checkpoint cannot be gone on from", async () => {
    const names = metaNames(`cosigned-${count}`);
    for (let i = 0; i < 3; i += 1) await grow();
    const dump = () =>
      runInDurableObject(meta, (_, { storage }) =>
        Object.fromEntries(
          ["heads", "tiles", "tree", "published", "witnesses", "cosigned"].map((table) => [
            table,
            storage.sql.exec(`SELECT * FROM ${table}`).toArray(),
          ]),
        ),
      );
    const old = await dump();
    const files = new Map<string, string>();
    for (const name of [names.checkpoint, names.cosigned])
      files.set(name, await (await env.AUDIT_TILES.get(name))!.text());
    for (let i = 0; i < 2; i += 1) await grow();
    const known = one.latest;
    // Somebody restores both, as whoever holds the account can, and the log goes on with other heads.
    await runInDurableObject(meta, (_, { storage }) => {
      for (const [table, rows] of Object.entries(old)) {
        storage.sql.exec(`DELETE FROM ${table}`);
        for (const row of rows) {
          const values = Object.values(row);
          storage.sql.exec(`INSERT INTO ${table} VALUES (${values.map(() => "?").join()})`, ...values);
        }
      }
    });
    const { objects } = await env.AUDIT_TILES.list({ prefix: names.partial });
    for (const { key } of objects) await env.AUDIT_TILES.delete(key);
    for (const [name, text] of files) await env.AUDIT_TILES.put(name, text);
    await evictDurableObject(meta);
    await wake();
    size = 3;
    const refusals: unknown[] = [];
    for (const salt of [100, 101, 102]) {
      size += 1;
      const origin = `talos.test/log/other-${salt}`;
      const root = new Uint8Array(32).fill(salt);
      const text = tree.checkpointText(origin, { size, root });
      const line = tree.signatureLine(
        { name: origin, publicKey: publicKey(primary()) },
        await signText(primary(), text),
      );
      await meta.add({ log: "tenant-1", origin, size, root, note: tree.note(text, [line]) });
      await meta.flush();
      refusals.push((await meta.status()).witnesses.map(({ code }) => code));
    }
    // Smaller than they know, as large with another root, larger and not an extension.
    expect(refusals).toEqual([
      ["witness.ahead", "witness.ahead"],
      ["witness.refused", "witness.refused"],
      ["witness.refused", "witness.refused"],
    ]);
    const status = await meta.status();
    expect(status).toMatchObject({ published_size: 6, witnessed_size: 3 });
    expect(await ask(4, "witnessed")).toMatchObject({ ok: false, code: "audit.proof_pending" });
    expect(one.latest).toEqual(known);
    expect((await cosigned()).size).toBe(3);
  });
});

describe("dying in a round", () => {
  it("comes to the same, wherever it dies: before or after each answer, row and file", async () => {
    let reached = 0;
    for (const at of ["ask", "answer", "row", "cosigned", "put", "stored", "noted"]) {
      const before = (await meta.status()).published_size;
      two.fault = at === "ask" ? "down" : at === "answer" ? "lost" : "none";
      await runInDurableObject(meta, (instance, { storage }) => {
        const inside = instance as unknown as { env: { AUDIT_TILES: R2Bucket } };
        const { sql } = storage;
        const dies = (query: string) =>
          (at === "row" && query.startsWith("INSERT OR REPLACE INTO witnesses")) ||
          (at === "cosigned" && query.startsWith("INSERT OR REPLACE INTO cosigned")) ||
          (at === "noted" && query.startsWith("UPDATE cosigned"));
        if (["row", "cosigned", "noted"].includes(at)) {
          const real = sql.exec.bind(sql);
          Object.defineProperty(sql, "exec", {
            configurable: true,
            value: (query: string, ...values: SqlStorageValue[]) => {
              if (!dies(query)) return real(query, ...values);
              reached += 1;
              throw new Error("died (test)");
            },
          });
        }
        const bucket = env.AUDIT_TILES;
        const put = async (...args: Parameters<R2Bucket["put"]>) => {
          const mine = args[0].endsWith("cosigned") && (at === "put" || at === "stored");
          if (mine && at === "put") throw new Error("died before the file (test)");
          const done = await bucket.put(...args);
          if (mine) throw new Error("died after the file (test)");
          return done;
        };
        inside.env = { ...inside.env, AUDIT_TILES: { get: bucket.get.bind(bucket), put } as unknown as R2Bucket };
      });
      await grow();
      two.fault = "none";
      await evictDurableObject(meta);
      await wake();
      await meta.flush();
      await meta.flush();
      const status = await meta.status();
      expect([at, status.published_size, status.witnessed_size]).toEqual([at, before + 1, before + 1]);
      expect((await cosigned()).size).toBe(before + 1);
    }
    expect(reached).toBeGreaterThanOrEqual(3);
  });
});

function flip(line: string): string {
  const at = line.length - 12;
  return `${line.slice(0, at)}${line[at] === "A" ? "B" : "A"}${line.slice(at + 1)}`;
}
