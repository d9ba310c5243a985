/**
 * Events of the log in order, out of the rows, or out of the bundles in the bucket where the rows went (`row-keeping.ts`).
 * A bundle is believed only when it is what the tree's tile says. Source: contracts/spec/audit.md#rows.
 */
import { LIMITS } from "@talos/contracts";
import { b64uEncode } from "@talos/core";
import { bundleEntries, bundleLeaves, HASH_BYTES, parseTile, TILE_WIDTH, tileAt } from "@talos/core/log";
import type { Epoch, Epochs } from "./epochs.ts";
import { type LogRow, rowsFrom } from "./log-rows.ts";
import type { LogStore } from "./log-store.ts";
import { type Bucket, publishedFile } from "./publisher.ts";

export interface EventReaderPorts {
  sql: SqlStorage;
  store: Pick<LogStore, "next" | "hasRow">;
  epochs: Epochs;
  bucket: () => Bucket;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class EventReader {
  readonly #ports: EventReaderPorts;

  constructor(ports: EventReaderPorts) {
    this.#ports = ports;
  }

  /**
   * Events from `from` on, without gaps: at most `most` of them (or one batch), and 1 MiB; none behind the log's end.
   * @throws Error when they are in the bucket alone and it cannot be read, or has something else
   */
  async rows(from: number, most: number): Promise<LogRow[]> {
    const { sql, store, epochs } = this.#ports;
    if (from >= store.next()) return [];
    if (store.hasRow(from)) return rowsFrom(sql, from, most);
    const { epoch, index } = epochs.bundleAt(from);
    const { entries, leaves } = await this.bundle(epoch, index);
    const rows: LogRow[] = [];
    let bytes = 0;
    for (let at = from - epoch.first_seq - index * TILE_WIDTH; at < entries.length && rows.length < most; at += 1) {
      const body = utf8.decode(entries[at]);
      bytes += body.length;
      if (rows.length > 0 && bytes > LIMITS.audit_batch_bytes) break;
      const { event_id } = JSON.parse(body) as { event_id: string };
      const leaf_hash = b64uEncode(leaves.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
      rows.push({ seq: epoch.first_seq + index * TILE_WIDTH + at, event_id, leaf_hash, body });
    }
    return rows;
  }

  /** The leaf of the event of this id at `seq`, which the log has. @throws as {@link rows} */
  async body(seq: number, event_id: string): Promise<string> {
    const [row] = await this.rows(seq, 1);
    if (row?.seq !== seq || row.event_id !== event_id) throw new Error("an event that is there and is not");
    return row.body;
  }

  /** A bundle as the published head has it, shown to be what was sealed. */
  async bundle(epoch: Epoch, index: number): Promise<{ entries: Uint8Array[]; leaves: Uint8Array; bytes: Uint8Array }> {
    const size = epoch.tree.published()?.size ?? 0;
    const path = tileAt("entries", index, size);
    if (path === undefined) throw new Error("events that no published head covers");
    const bytes = await publishedFile(this.#ports.bucket(), epoch.names, path);
    const leaves = bundleLeaves(bytes);
    const isWhole = leaves.length === parseTile(path).width * HASH_BYTES;
    if (!isWhole || !epoch.tree.hasLeaves(index, leaves)) throw new Error("a bundle is not what was sealed");
    return { entries: bundleEntries(bytes), leaves, bytes };
  }
}
