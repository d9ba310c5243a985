/** Mutants of what a log archives, and of how it is found again. */
import { type Area, swap } from "./list.ts";

const ARCHIVING = "workers durable-objects/archiving.worker.test.ts";

export const archive: Area[] = [
  {
    file: "durable-objects/log-archive.ts",
    by: ARCHIVING,
    mutants: [
      swap("a bundle follows on what is there", "if («end_seq !== 0 && end_seq !== first_seq»)", "false"),
      swap("the same place has the same leaves", "«!equal(new Uint8Array(row.leaves), leaves)» ||", "false"),
      swap("and the same facts", "|| «row.facts !== facts»", "false"),
      swap(
        "its ids are there, and in their place",
        "if («sql.exec<{ n: number }>(there, ids, first_seq).one().n !== count»)",
        "false",
      ),
    ],
  },
  {
    file: "durable-objects/archive-search.ts",
    by: ARCHIVING,
    mutants: [
      swap("an archive begins where it did", "if («first_seq !== mark.first_seq» ||", "false"),
      swap("an archive has all that was moved there", "|| «end_seq < mark.end_seq»)", "false"),
      swap("its leaf hashes are the tree's", "|| «!epoch.tree.hasLeaves(index, bundle.leaves)»)", "false"),
      swap(
        "what moved meanwhile is asked for",
        "const open = old.filter((id) => «!here.has(id) && !said(id)»);",
        "false",
      ),
      swap(
        "what none had is asked for again once more may have moved",
        "(events.has(id) && «marks.end() <= next_seq»)",
        "true",
        {
          equivalent:
            "an event would have to come in and be archived within one look-up; archives take nothing younger than a quarter of an hour",
        },
      ),
      swap(
        "what closes an intent is looked for with it",
        "alarmId(event_id), correlation!, «closingId(correlation!)»]",
        "correlation!",
      ),
      swap(
        "and an outcome's intent",
        "alarmId(event_id), «correlation!», closingId(correlation!)]",
        "closingId(correlation!)",
      ),
      swap("what tells of an id used twice, too", ": [event_id, «alarmId(event_id)»];", "event_id"),
      swap("so many look-ups at once", "if («this.#running >= LIMITS.audit_archive_lookups»)", "false"),
      swap(
        "marks are held against what was asked, not what is now",
        "for (const id of ids) for (const mark of «marks.covering(id)») byMark",
        "[]",
      ),
    ],
  },
  {
    file: "durable-objects/archive-marks.ts",
    by: ARCHIVING,
    mutants: [
      swap("ids as old as the oldest", "«ms >= min_ms» && ms <= max_ms", "ms > min_ms + 1_000"),
      swap("ids as young as the youngest", "ms >= min_ms && «ms <= max_ms»", "ms < max_ms - 1_000"),
      swap("no archive is asked for what is younger", "if («ms > this.#untilMs») return NONE;", "false", {
        equivalent: "a short way to the same list",
      }),
    ],
  },
  {
    file: "durable-objects/archiving.ts",
    by: ARCHIVING,
    mutants: [
      swap("a log that stopped moves nothing", "if («epochs.forked» || end === marks.end()", "false"),
      swap("not before its time", "if (next > limit || «(store.timeMs(next - 1) ?? 0) > bornMs») break;", "false"),
      swap("not before its text went, and no open intent", "if («next > limit» ||", "false"),
      swap("an intent that may be closed holds it back", "Math.min(epochs.settled(), texts(), «needed()»)", "texts()", {
        equivalent: "its text is held back by the same intent, and what has text does not move",
      }),
      swap("an archive that refuses stops the log", 'if («code === "audit.forked"») epochs.stop();', "false"),
      swap("rows go only when the archive has them", "if («!said.ok») throw", "false"),
      swap("and all of them", "if («said.end_seq < end») throw", "false"),
      swap("the index is that of the tree", "if («ids.some((id, i) => known.get(id) !== first_seq + i)»)", "false"),
      swap("the bucket has the tile", "if («entries.length === TILE_WIDTH») await tiles.file", "false"),
    ],
  },
  {
    file: "durable-objects/log-tiles.ts",
    by: ARCHIVING,
    mutants: [swap("a tile out of the bucket is what was sealed", "if («!tree.hasLeaves(index, bytes)»)", "false")],
  },
  {
    file: "durable-objects/tree-store.ts",
    by: ARCHIVING,
    mutants: [
      swap(
        "a tile that went hashes to what is above it",
        "return «equal(this.tile(above).subarray(at, at + HASH_BYTES), fullTileRoot(leaves))»;",
        "true",
      ),
      swap(
        "one that is there is the same",
        "return «equal(this.tile(path).subarray(0, leaves.length), leaves)»;",
        "true",
        {
          by: "workers durable-objects/row-keeping.worker.test.ts",
        },
      ),
    ],
  },
  {
    file: "durable-objects/event-reader.ts",
    by: ARCHIVING,
    mutants: [
      swap("the text is that of the id", "|| «row.event_id !== event_id»)", "false"),
      swap("a bundle is what was sealed", "«!epoch.tree.hasLeaves(index, leaves)»", "false", {
        by: "workers durable-objects/row-keeping.worker.test.ts",
      }),
    ],
  },
  {
    file: "durable-objects/log-append.ts",
    by: ARCHIVING,
    mutants: [
      swap("archives are asked before an event gets a place", "if («unasked !== undefined») return unasked;", "false"),
      swap("no id of a time to come", "if («early !== undefined») return", "false"),
    ],
  },
  {
    file: "durable-objects/log-work.ts",
    by: ARCHIVING,
    mutants: [swap("archives are asked before an intent is closed", "return «unasked ??» sweeper", "")],
  },
  {
    file: "durable-objects/row-keeping.ts",
    by: ARCHIVING,
    mutants: [
      swap(
        "an object that holds much waits for no projection",
        "«this.#crowded() ? Number.MAX_SAFE_INTEGER : projected()»",
        "projected()",
      ),
      swap(
        "one that does not, does",
        "needed(), «this.#crowded() ? Number.MAX_SAFE_INTEGER : projected()»",
        "Number.MAX_SAFE_INTEGER",
      ),
    ],
  },
];
