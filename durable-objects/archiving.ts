/**
 * Moves what is old out of the log's rows into archives (`log-archive.ts`), so that a record never fills its object: the exact
 * index of ids, the facts of batches, and the leaf hashes, which the bucket has in full tiles. A bundle goes when its text is
 * gone, its files were read back and compared with the tree, no intent among it may still be closed, and it is old enough,
 * or a little old while the object holds much. Whether it is projected does not matter: the projector reads the bucket.
 *
 * Oldest first, a slice at a time: the archive takes it and says so, durably; then one transaction lets the rows go and sets
 * the mark. Whatever dies in between, the next run offers the same bundles again, and the archive compares.
 * While an archive cannot be reached nothing goes, and nothing else waits for it.
 * Source: contracts/spec/audit.md#archive.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { TILE_WIDTH } from "@talos/core/log";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import type { ArchiveMarks, Mark } from "./archive-marks.ts";
import type { ArchiveBundle, ArchivePort, BundleFacts } from "./archive-types.ts";
import { atOnce } from "./at-once.ts";
import { withinMs } from "./deadline.ts";
import type { Epoch, Epochs } from "./epochs.ts";
import type { EventReader } from "./event-reader.ts";
import { codeOf, warn } from "./log.ts";
import type { LogStore } from "./log-store.ts";
import type { LogTiles } from "./log-tiles.ts";
import { idMs } from "./uuid.ts";

/** Bundles read at once: publishing has four files under way, and the platform opens six connections for an alarm. */
const READS = 2;
/** Between two slices while there is more. */
const NEXT_MS = 100;
/** Between the first attempts while an archive or the bucket cannot be reached; doubled with each. */
const AGAIN_MS = 1_000;

/** When rows move. */
export interface ArchiveBounds {
  archive_events: number;
  archive_after_ms: number;
  archive_soon_ms: number;
  archive_soft_bytes: number;
}

export interface ArchivingPorts {
  log: string;
  storage: DurableObjectStorage;
  marks: ArchiveMarks;
  store: LogStore;
  epochs: Epochs;
  reader: Pick<EventReader, "bundle">;
  tiles: Pick<LogTiles, "file">;
  bounds: ArchiveBounds;
  archive(n: number): Pick<ArchivePort, "put">;
  /** the number from which on rows have text */
  texts(): number;
  /** the number of the oldest event that the log itself may still need */
  needed(): number;
}

/** Bundles of one tree, whole. */
interface Slice {
  epoch: Epoch;
  from: number;
  end: number;
}

export class Archiving {
  /** attempts that failed since the last one that did not */
  failures = 0;
  readonly #ports: ArchivingPorts;
  #pausedUntilMs = 0;
  readonly #one = new OneRun();

  constructor(ports: ArchivingPorts) {
    this.#ports = ports;
  }

  /** How long until a bundle may go, in ms; null while the next one waits for something else than time. */
  waitMs(nowMs: number): number | null {
    const { marks, store, epochs } = this.#ports;
    const { end_seq: end } = epochs.bundleAt(marks.end());
    if (epochs.forked || end === marks.end() || end > this.#limit()) return null;
    return Math.max(1, this.#pausedUntilMs - nowMs, (store.timeMs(end - 1) ?? 0) + this.#ageMs() - nowMs);
  }

  /** Move what may go. One run at a time; never throws. */
  run(nowMs: number): Promise<void> {
    const waitMs = this.waitMs(nowMs);
    if (waitMs === null || waitMs > 1) return Promise.resolve();
    return this.#one.run(() => this.#run(nowMs));
  }

  async #run(nowMs: number): Promise<void> {
    const { log, epochs } = this.#ports;
    try {
      const slice = this.#slice(nowMs);
      if (slice !== undefined) await this.#move(slice);
      this.failures = 0;
      this.#pausedUntilMs = nowMs + NEXT_MS;
    } catch (error) {
      this.failures += 1;
      const code = codeOf(error);
      if (code === "audit.forked") epochs.stop();
      this.#pausedUntilMs = nowMs + backoffMs(this.failures, AGAIN_MS, LIMITS.audit_archive_retry_ms);
      warn("audit_log.archiving_failed", { log, failures: this.failures, code });
    }
  }

  /** The next bundles that may go, or none. */
  #slice(nowMs: number): Slice | undefined {
    const { marks, store, epochs, bounds } = this.#ports;
    const from = marks.end();
    const [epoch, limit, bornMs] = [epochs.at(from), this.#limit(), nowMs - this.#ageMs()];
    const most = Math.min(from + LIMITS.audit_archive_slice_events, this.#mark(from).first_seq + bounds.archive_events);
    let end = from;
    while (end < (epoch.end_seq ?? limit) && (end === from || end < most)) {
      const { end_seq: next } = epochs.bundleAt(end);
      if (next > limit || (store.timeMs(next - 1) ?? 0) > bornMs) break;
      end = next;
    }
    return end === from ? undefined : { epoch, from, end };
  }

  async #move(slice: Slice): Promise<void> {
    const { storage, marks, store, epochs, archive } = this.#ports;
    const { epoch, from, end } = slice;
    const starts = Array.from({ length: Math.ceil((end - from) / TILE_WIDTH) }, (_, i) => from + i * TILE_WIDTH);
    const read = new Map<number, ArchiveBundle>();
    await atOnce(READS, starts, async (seq) => void read.set(seq, await this.#bundle(seq)));
    const bundles = starts.map((seq) => read.get(seq)!);
    const mark = this.#mark(from);
    const put = archive(mark.n).put(bundles);
    const said = await withinMs(put, LIMITS.object_timeout_ms, "an archive");
    if (!said.ok) throw new TalosError(said.code, { archive: mark.n });
    if (said.end_seq < end) throw new Error("an archive took less than it was given");
    const ids = bundles.flatMap((bundle) => JSON.parse(bundle.ids) as string[]);
    const times = ids.map(idMs);
    const min_ms = times.reduce((a, b) => Math.min(a, b), mark.min_ms);
    const max_ms = times.reduce((a, b) => Math.max(a, b), mark.max_ms);
    // Nothing of this can have changed meanwhile: only this moves rows, and what is settled never changes.
    storage.transactionSync(() => {
      store.remove(ids, end, epochs.current.first_seq);
      epoch.tree.dropLeaves(from - epoch.first_seq, end - epoch.first_seq);
      marks.set({ ...mark, end_seq: end, min_ms, max_ms });
    });
  }

  /** The archive that takes the event at `from`, as it stands. */
  #mark(from: number): Mark {
    const { marks, store, bounds } = this.#ports;
    const last = marks.all().at(-1);
    if (last !== undefined && last.end_seq - last.first_seq < bounds.archive_events) return last;
    const since_ms = store.timeMs(from) ?? 0;
    const none = { min_ms: Number.MAX_SAFE_INTEGER, max_ms: 0 };
    return { n: (last?.n ?? -1) + 1, first_seq: from, end_seq: from, ...none, since_ms };
  }

  /** A bundle as the bucket has it, tile and entries, which the tree's rows agree with. */
  async #bundle(first_seq: number): Promise<ArchiveBundle> {
    const { reader, tiles, store, epochs } = this.#ports;
    const { epoch, index } = epochs.bundleAt(first_seq);
    const { entries, leaves } = await reader.bundle(epoch, index);
    if (entries.length === TILE_WIDTH) await tiles.file(epoch, index);
    const utf8 = new TextDecoder();
    const ids = entries.map((entry) => (JSON.parse(utf8.decode(entry)) as { event_id: string }).event_id);
    const known = store.known(ids);
    if (ids.some((id, i) => known.get(id) !== first_seq + i))
      throw new TalosError("audit.forked", { why: "the index of ids is not that of the tree" });
    const facts = store.facts(first_seq, first_seq + entries.length);
    return { first_seq, ids: JSON.stringify(ids), leaves: leaves.slice(), facts: JSON.stringify(factsOf(facts)) };
  }

  #limit(): number {
    const { epochs, texts, needed } = this.#ports;
    return Math.min(epochs.settled(), texts(), needed());
  }

  #ageMs(): number {
    const { storage, bounds } = this.#ports;
    const crowded = storage.sql.databaseSize > bounds.archive_soft_bytes;
    return crowded ? Math.min(bounds.archive_soon_ms, bounds.archive_after_ms) : bounds.archive_after_ms;
  }
}

function factsOf(runs: ReturnType<LogStore["facts"]>): BundleFacts {
  const terms: BundleFacts["terms"] = [];
  const at = (kid: string, max_delay_seconds: number): number => {
    const known = terms.findIndex((term) => term.kid === kid && term.max_delay_seconds === max_delay_seconds);
    return known === -1 ? terms.push({ kid, max_delay_seconds }) - 1 : known;
  };
  return {
    runs: runs.map(({ count, time_ms, kid, max_delay_seconds }) => [count, time_ms, at(kid, max_delay_seconds)]),
    terms,
  };
}
