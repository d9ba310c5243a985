/**
 * Looks ids up that only an archive can have. What decides reads rows without awaiting, so it is tried, says which ids it
 * would have to know, and is tried again with what the archives said of them. An id of about now is younger than all that is
 * archived and asks nobody.
 * An archive is believed no further than it must be: it has all that was moved there, and its leaf hashes are the tree's.
 * Source: contracts/spec/audit.md#archive.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { b64uEncode } from "@talos/core";
import { HASH_BYTES, TILE_WIDTH } from "@talos/core/log";
import type { ArchiveMarks, Mark } from "./archive-marks.ts";
import { ARCHIVE_IDS, type ArchiveFound, type ArchivePort } from "./archive-types.ts";
import { atOnce } from "./at-once.ts";
import { withinMs } from "./deadline.ts";
import type { Epochs } from "./epochs.ts";
import type { Checked } from "./event-check.ts";
import { warn } from "./log.ts";
import type { LogStore, Stored } from "./log-store.ts";
import { alarmId, closingId } from "./own-events.ts";

/** Archives asked at once by one look-up. */
const AT_ONCE = 6;
/**
 * How long archives are waited for in all: half of what others wait for the log, so that whoever asked hears why, and whoever
 * was gathered with him (`AuditIntake`) hears of his own.
 */
const LOOKUP_MS = LIMITS.object_timeout_ms / 2;
/** Turns after which a look-up is given up: each but the first needs rows to have moved while the last one was answered. */
const TURNS = 4;

/** What archives said. */
export interface Found {
  /** by id; undefined of an id that none has */
  events: ReadonlyMap<string, Stored | undefined>;
  /** the number after the log's last event when they were asked: what is unknown was appended later, if ever */
  next_seq: number;
}

const NOTHING: Found = { events: new Map(), next_seq: 0 };

/** What cannot be decided before archives were asked for these ids. */
export class Unasked {
  readonly ids: readonly string[];
  constructor(ids: readonly string[]) {
    this.ids = ids;
  }
}

export interface SearchPorts {
  log: string;
  marks: ArchiveMarks;
  store: LogStore;
  epochs: Epochs;
  archive(n: number): Pick<ArchivePort, "find">;
}

export class ArchiveSearch {
  readonly #ports: SearchPorts;
  #running = 0;

  constructor(ports: SearchPorts) {
    this.#ports = ports;
  }

  /** As {@link open}, of what has to be known before these events may be appended. */
  unasked(events: readonly Checked[], found: Found): Unasked | undefined {
    const { marks } = this.#ports;
    if (marks.end() === 0) return undefined;
    const isOld = (id: string | undefined) => id !== undefined && marks.covering(id).length > 0;
    const old = events.filter(({ event_id, correlation }) => isOld(event_id) || isOld(correlation));
    return this.open(old.flatMap(idsOf), found);
  }

  /** Those of these ids that only archives may have and that they were not asked for; undefined when there are none. */
  open(ids: readonly string[], { events, next_seq }: Found): Unasked | undefined {
    const { marks, store } = this.#ports;
    if (marks.end() === 0) return undefined;
    const old = ids.filter((id) => marks.covering(id).length > 0);
    if (old.length === 0) return undefined;
    const here = store.known(old);
    // What none had may be in one by now, if it came in since and was moved at once.
    const said = (id: string) => events.get(id) !== undefined || (events.has(id) && marks.end() <= next_seq);
    const open = old.filter((id) => !here.has(id) && !said(id));
    return open.length === 0 ? undefined : new Unasked([...new Set(open)]);
  }

  /**
   * Decide with what archives have.
   * @param attempt does not await; it is called at once, and again when what it needed was asked
   * @throws `audit.forked` when an archive contradicts the log; Error when one cannot be asked
   */
  async decide<T>(attempt: (found: Found) => T | Unasked): Promise<T> {
    let found = NOTHING;
    const untilMs = Date.now() + LOOKUP_MS;
    for (let turn = 0; turn < TURNS; turn += 1) {
      const done = attempt(found);
      if (!(done instanceof Unasked)) return done;
      // All of them anew: what one answer says and what the next one says may be of different times.
      found = await this.#ask([...new Set([...found.events.keys(), ...done.ids])], untilMs);
    }
    throw new Error("rows went on moving while archives were asked");
  }

  /** What is known of these ids, wherever it lies. @throws as {@link decide} */
  find(ids: readonly string[]): Promise<Map<string, Stored>> {
    return this.decide((found) => this.open(ids, found) ?? this.#ports.store.find(ids, found.events));
  }

  async #ask(ids: readonly string[], untilMs: number): Promise<Found> {
    if (this.#running >= LIMITS.audit_archive_lookups) throw new Error("too many look-ups at once");
    this.#running += 1;
    try {
      const next_seq = this.#ports.store.next();
      const events = new Map<string, Stored | undefined>(ids.map((id) => [id, undefined]));
      await atOnce(AT_ONCE, this.#asks(ids), async ([mark, some]) => {
        const left = some.filter((id) => events.get(id) === undefined);
        if (left.length === 0) return;
        const answer = this.#ports.archive(mark.n).find(left);
        const found = await withinMs(answer, Math.max(1, untilMs - Date.now()), "an archive");
        for (const event of this.#believed(mark, found)) events.set(event.event_id, event);
      });
      return { events, next_seq };
    } finally {
      this.#running -= 1;
    }
  }

  /** Which archive is asked for which ids, the newest first; decided at once, since marks move while answers are awaited. */
  #asks(ids: readonly string[]): [Mark, string[]][] {
    const { marks } = this.#ports;
    const byMark = new Map<Mark, string[]>(marks.all().map((mark) => [mark, []]));
    for (const id of ids) for (const mark of marks.covering(id)) byMark.get(mark)!.push(id);
    return [...byMark].reverse().flatMap(([mark, own]) =>
      Array.from({ length: Math.ceil(own.length / ARCHIVE_IDS) }, (_, i): [Mark, string[]] => {
        return [mark, own.slice(i * ARCHIVE_IDS, (i + 1) * ARCHIVE_IDS)];
      }),
    );
  }

  #believed(mark: Mark, { first_seq, end_seq, events, bundles }: ArchiveFound): Stored[] {
    if (first_seq !== mark.first_seq || end_seq < mark.end_seq) this.#forked(mark, "it lacks what was moved there");
    const leaves = new Map<number, string[]>();
    for (const bundle of bundles) {
      const epoch = this.#ports.epochs.at(bundle.first_seq);
      const index = (bundle.first_seq - epoch.first_seq) / TILE_WIDTH;
      if (!Number.isInteger(index) || !epoch.tree.hasLeaves(index, bundle.leaves))
        this.#forked(mark, "its leaf hashes are not the tree's");
      leaves.set(bundle.first_seq, hashesOf(bundle.leaves));
    }
    const starts = [...leaves.keys()].sort((a, b) => a - b);
    return events.map(({ event_id, seq, ...terms }) => {
      const start = starts.findLast((first) => first <= seq);
      const leaf_hash = start === undefined ? undefined : leaves.get(start)?.[seq - start];
      if (leaf_hash === undefined) this.#forked(mark, "an event of no bundle");
      return { event_id, seq, leaf_hash, facts: { first_seq: seq, ...terms } };
    });
  }

  /** @throws `audit.forked` always */
  #forked({ n }: Mark, why: string): never {
    this.#ports.epochs.stop();
    warn("audit_log.archive_forked", { log: this.#ports.log, archive: n, why });
    throw new TalosError("audit.forked", { archive: n, why });
  }
}

/** An event's id, what it is about, and what follows from these: ids of one time each. */
const idsOf = ({ event_id, kind, correlation }: Checked): string[] =>
  kind === "outcome"
    ? [event_id, alarmId(event_id), correlation!, closingId(correlation!)]
    : [event_id, alarmId(event_id)];

function hashesOf(leaves: Uint8Array): string[] {
  const count = leaves.length / HASH_BYTES;
  return Array.from({ length: count }, (_, i) => b64uEncode(leaves.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)));
}
