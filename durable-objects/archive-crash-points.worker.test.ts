/**
 * A log and its archives die at every point of the way that old rows take: out of the text, into an archive, out of the index.
 * They are aborted there, as the platform aborts an object. Then everything is there, once, and answered as before.
 *
 * `TALOS_CRASHES` (2, which is one life here) says how often each point is played.
 * Source: contracts/spec/audit.md#archive.
 */
import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { doom, type Point } from "../test/durable-objects/doom.ts";
import { auditEvent } from "../test/durable-objects/events.ts";
import { testDatabase } from "../test/durable-objects/projector.ts";
import type { AppendEvent } from "./types.ts";

const shared = globalThis as unknown as { talosLogBounds: Record<string, object> };
/** Each life has a log of its own, and takes a second or two. */
const LIVES = Math.max(1, Number(env.TEST_CRASHES) - 1);
const WAIT_MS = 50;
const TRIES = 200;

const statement = (at: RegExp): Omit<Point, "after"> => ({ of: "sql", at });
const both = (name: string, point: Omit<Point, "after">): [string, Point][] => [
  [`before ${name}`, { ...point, after: false }],
  [`after ${name}`, { ...point, after: true }],
];

const OF_LOG: [string, Point][] = [
  ...both("a bundle is read back", { of: "get", at: /^f\/.*tile\/entries\// }),
  ...both("text goes", statement(/^DELETE FROM texts\b/)),
  ...both("the note of what text went", statement(/^UPDATE kept\b/)),
  ["after the transaction in which text goes", { of: "commit", at: /\btexts WHERE/, after: true }],
  ...both("a tile is read back", { of: "get", at: /^f\/.*tile\/0\// }),
  ...both("an archive takes bundles", { of: "archive", at: /^/ }),
  ...both("ids go", statement(/^DELETE FROM event_ids\b/)),
  ...both("batches go", statement(/^DELETE FROM batches\b/)),
  ...both("tiles go", statement(/^DELETE FROM tiles\b/)),
  ...both("the mark", statement(/INTO archives\b/)),
  ["after the transaction in which rows go", { of: "commit", at: /INTO archives\b/, after: true }],
];
const OF_ARCHIVE: [string, Point][] = [
  ...both("a bundle's row", statement(/^INSERT INTO bundles\b/)),
  ...both("a bundle's ids", statement(/^INSERT OR IGNORE INTO ids\b/)),
  ["after its transaction", { of: "commit", at: /bundles/, after: true }],
  ["after it was durable, before its answer", { of: "answer", at: /^/, after: false }],
];

let count = 0;
let died = 0;
let name: string;
beforeEach(() => {
  testDatabase().fault = () => "none";
});

/** Ask the living. Here the dead one's file may stay locked for a moment, which the platform knows nothing of. */
async function living<T>(call: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await call();
    } catch (error) {
      if (left === 0) throw error;
      await scheduler.wait(WAIT_MS);
    }
  }
}
const log = () => env.AUDIT_LOGS.getByName(name);
const status = () => living(async () => log().status());

async function play(dies: () => Promise<{ died: boolean }>): Promise<void> {
  count += 1;
  name = `moved-${count}`;
  shared.talosLogBounds = { [name]: { rows_keep_ms: 3_600_000, archive_after_ms: 3_600_000, archive_events: 256 } };
  const events: AppendEvent[] = [];
  const promises: string[] = [];
  for (let i = 0; i < 5; i += 1) {
    const batch = Array.from({ length: 128 }, () => auditEvent(name));
    const answer = await log().append({ events: batch });
    if (!answer.ok) throw new Error(answer.code);
    events.push(...batch);
    promises.push(...answer.promises);
  }
  await log().flush(); // published; nothing of it has gone yet
  expect(await status()).toMatchObject({ published_size: 640, rows_from: 0, archived_size: 0 });
  shared.talosLogBounds[name] = { rows_keep_ms: 0, archive_after_ms: 0, archive_events: 256 };
  await runInDurableObject(log(), (_, { storage }) => storage.deleteAlarm()); // it ends where it is told, not before
  await evictDurableObject(log()); // a new instance reads the bounds anew
  const life = await dies();
  await log()
    .flush()
    .catch(() => undefined);
  expect(life.died, "it did not end there").toBe(true);
  died += 1;

  // Another life: everything is answered, whatever has moved, and it goes on to the same end.
  const again = async () => {
    for (const at of [0, 255, 256, 511, 512, 639]) {
      const answer = await living(async () => log().append({ events: [events[at]!] }));
      expect(answer).toEqual({ ok: true, promises: [promises[at]], seqs: [at] });
    }
  };
  await again();
  for (let left = TRIES; (await status()).archived_size < 512 && left > 0; left -= 1) {
    await living(async () => log().flush());
    await scheduler.wait(WAIT_MS);
  }
  expect(await status()).toMatchObject({ archived_size: 512, next_seq: 640, forked: false });
  await again();
  for (let at = 0; at < events.length; at += 128) {
    const answer = await living(async () => log().append({ events: events.slice(at, at + 128) }));
    expect(answer).toMatchObject({ ok: true, promises: promises.slice(at, at + 128) });
    for (const { seq, body } of (await log().read(at, 128)).rows) expect(body).toBe(events[seq]!.body);
  }
  expect((await status()).next_seq).toBe(640);
}

describe("an object that dies while old rows move", () => {
  const timeout = 30_000 + LIVES * 30_000;

  it.each(OF_LOG)("the log, %s", { timeout }, async (_, point) => {
    for (let i = 0; i < LIVES; i += 1) await play(() => doom(log(), "append", point));
  });

  it.each(OF_ARCHIVE)("an archive, %s", { timeout }, async (_, point) => {
    for (let i = 0; i < LIVES; i += 1) await play(() => doom(env.LOG_ARCHIVES.getByName(`${name}/0`), "put", point));
  });

  it("had that many lives", () => {
    const points = OF_LOG.length + OF_ARCHIVE.length;
    expect(died).toBe(points * LIVES);
    console.log(`archive points: ${died} crashes at ${points} points`);
  });
});
