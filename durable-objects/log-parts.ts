/** What a log is made of, put together over one object's storage. Each part owns its rows; its file says which. */
import { bundle, TILE_WIDTH } from "@talos/core/log";
import { ArchiveMarks } from "./archive-marks.ts";
import { ArchiveSearch } from "./archive-search.ts";
import { Archiving } from "./archiving.ts";
import { ConflictAlarms } from "./conflict-alarms.ts";
import { bound, type Env } from "./env.ts";
import { Epochs } from "./epochs.ts";
import { EventReader } from "./event-reader.ts";
import { Followers } from "./followers.ts";
import { Handover } from "./handover.ts";
import { keysetsOf, primaryKey } from "./keysets.ts";
import type { LogBounds } from "./log-bounds.ts";
import { LogReads } from "./log-reads.ts";
import { entriesIn } from "./log-rows.ts";
import { LogStore } from "./log-store.ts";
import { LogStreams } from "./log-streams.ts";
import { LogTiles } from "./log-tiles.ts";
import { Outbox } from "./outbox.ts";
import { RowKeeping } from "./row-keeping.ts";
import { SaltOutbox } from "./salt-outbox.ts";
import { Sweeper } from "./sweeper.ts";

export type LogParts = ReturnType<typeof partsOf>;

/**
 * @param env as it is at the moment
 * @param log the log's name, which is its tenant's
 */
export function partsOf(storage: DurableObjectStorage, env: () => Env, log: string, bounds: LogBounds) {
  const { sql } = storage;
  const bucket = () => bound(env(), "AUDIT_TILES");
  const store = new LogStore(storage, (seq) => epochs.leafHash(seq));
  const next = () => store.next();
  const sweeper = new Sweeper(storage, log, store);
  const alarms = new ConflictAlarms(sql, log, store);
  const marks = new ArchiveMarks(sql);
  const timeMs = (seq: number) => store.timeMs(seq) ?? marks.sinceMs(seq);
  const outbox = new Outbox(sql, log, { next, timeMs }, () => reader);
  sql.exec(Followers.schema);
  const followers = new Followers(sql, log, (id) => env().WEBHOOK_SINKS.getByName(`${log}/${id}`).wake());
  const handover = new Handover(sql, log, () => bound(env(), "META_LOG").getByName("meta"));
  const epochs: Epochs = new Epochs(storage, {
    ...{ log, bucket, bounds },
    entries: (first, end) => entriesIn(sql, first, end),
    timeMs: (seq) => store.timeMs(seq),
    seed: () => primaryKey(keysetsOf(env(), Date.now()), "head").key,
    published: (head) => handover.published(head),
    deployment: () => env().TALOS_ORIGIN,
  });
  const reader: EventReader = new EventReader({ sql, store, epochs, bucket });
  const needed = () => sweeper.oldest();
  const keeping = new RowKeeping(sql, {
    ...{ log, store, epochs, reader, bounds, needed },
    bytes: () => sql.databaseSize,
    projected: () => outbox.position(),
  });
  const tiles = new LogTiles(bucket);
  const archive = (n: number) => bound(env(), "LOG_ARCHIVES").getByName(`${log}/${n}`);
  const archives = { log, marks, store, epochs, archive };
  const search = new ArchiveSearch(archives);
  const texts = () => keeping.from();
  const archiving = new Archiving({ ...archives, bounds, storage, reader, tiles, texts, needed });
  const find = async (id: string) => {
    const found = (await search.find([id])).get(id);
    return found && { seq: found.seq, body: found.body ?? (await reader.body(found.seq, id)) };
  };
  const reads = new LogReads({
    ...{ epochs, next, find },
    tile: (epoch, path) => tiles.read(epoch, path),
    bundle: async (epoch, index, width) => {
      const first = epoch.first_seq + index * TILE_WIDTH;
      const utf8 = new TextEncoder();
      if (store.hasRow(first))
        return bundle([...entriesIn(sql, first, first + width)].map(({ body }) => utf8.encode(body)));
      return bundle((await reader.bundle(epoch, index)).entries.slice(0, width));
    },
  });
  const tenant = log.split("/", 1)[0]!;
  const salts = new SaltOutbox({
    ...{ sql, tenant, find },
    keysets: () => keysetsOf(env(), Date.now()),
    vault: (subject) => env().SUBJECT_VAULTS.getByName(`${tenant}/${subject}`),
  });
  const streams = new LogStreams({ read: (from, most) => reader.rows(from, most), next });
  return {
    ...{ store, sweeper, alarms, marks, outbox, followers, handover, epochs, reader, keeping, search, archiving },
    ...{ reads, salts, streams },
  };
}
