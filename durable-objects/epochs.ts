/**
 * The trees of a log, one after the other. A log is rotated when its tree has grown large, or old: a last event says so,
 * the head over it is the tree's last, and what comes after goes into a new tree of another name. Numbers of events go on;
 * an event's index in its tree is its number less the first of the epoch. Proofs of before stay what they are.
 * Sealing goes on in the new tree at once; heads are published in order, so that the last head of a tree stands before the
 * first of the next.
 * Rows: `epochs` (the first number of each, and the number after its last event once that is there), `head_keys` (what
 * signed a head under which name: keysets forget, old heads do not). The tree's rows are `TreeStore`'s, in tables of its own.
 * Source: contracts/spec/audit.md#epochs.
 */
import type { AuditEventV2 } from "@talos/contracts";
import { b64uDecode, b64uEncode, publicKey, thumbprint } from "@talos/core";
import { HASH_BYTES, TILE_WIDTH, tileAt, verifierKey } from "@talos/core/log";
import { newId } from "./change-events.ts";
import { sealOwn } from "./own-events.ts";
import { type Bucket, fileNames, type FileNames, logHost, newOrigin, Publisher } from "./publisher.ts";
import { type EntrySource, type PublishedHead, type SealedHead, TreeStore } from "./tree-store.ts";
import type { AppendEvent, LogEpoch } from "./types.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS epochs (first_seq INTEGER PRIMARY KEY, end_seq INTEGER);
  CREATE TABLE IF NOT EXISTS head_keys (key TEXT PRIMARY KEY, origin TEXT NOT NULL) WITHOUT ROWID;
  INSERT OR IGNORE INTO epochs VALUES (0, NULL);`;

/** When a log is rotated. */
export interface EpochBounds {
  entries: number;
  ms: number;
}

export interface Epoch {
  first_seq: number;
  /** the number after its last event; absent while it grows */
  end_seq?: number;
  names: FileNames;
  tree: TreeStore;
  publisher: Publisher;
}

export interface EpochPorts {
  log: string;
  /** events by their numbers */
  entries: EntrySource["entries"];
  /** unix ms of the append of an event */
  timeMs(seq: number): number | undefined;
  bucket: () => Bucket;
  /** base64url seed of the key that signs heads */
  seed: () => string;
  published(head: SealedHead & PublishedHead): void;
  /** `TALOS_ORIGIN` */
  deployment: () => string | undefined;
  bounds: EpochBounds;
}

/** Files of a later epoch lie under its first number; `@` begins no tenant's name, and no part of one. */
function namesOf(log: string, firstSeq: number): FileNames {
  return fileNames(firstSeq === 0 ? log : `${log}/@${firstSeq}`);
}

export class Epochs {
  readonly #storage: DurableObjectStorage;
  readonly #ports: EpochPorts;
  readonly #epochs: Epoch[];
  #stopped = false;

  constructor(storage: DurableObjectStorage, ports: EpochPorts) {
    this.#storage = storage;
    this.#ports = ports;
    storage.sql.exec(SCHEMA);
    const sql = "SELECT first_seq, end_seq FROM epochs ORDER BY first_seq";
    const rows = storage.sql.exec<{ first_seq: number; end_seq: number | null }>(sql).toArray();
    this.#epochs = rows.map(({ first_seq, end_seq }) => this.#epoch(first_seq, end_seq ?? undefined));
  }

  get current(): Epoch {
    return this.#epochs.at(-1)!;
  }

  /** The epoch that an event lies in, or will. */
  at(seq: number): Epoch {
    return this.#epochs.findLast(({ first_seq }) => first_seq <= seq)!;
  }

  /** Which bundle an event lies in, or will, and the number after it once it is full or the last of its tree. */
  bundleAt(seq: number): { epoch: Epoch; index: number; end_seq: number } {
    const epoch = this.at(seq);
    const index = Math.floor((seq - epoch.first_seq) / TILE_WIDTH);
    const full = epoch.first_seq + (index + 1) * TILE_WIDTH;
    return { epoch, index, end_seq: Math.min(full, epoch.end_seq ?? full) };
  }

  /** The epoch of this name, or undefined. */
  named(origin: string): Epoch | undefined {
    return this.#epochs.find(({ tree }) => tree.sealed()?.origin === origin);
  }

  list(): LogEpoch[] {
    const sql = "SELECT key FROM head_keys WHERE origin = ? ORDER BY key";
    return this.#epochs.flatMap(({ first_seq, end_seq, tree }) => {
      const sealed = tree.sealed();
      if (sealed === undefined) return [];
      const { origin, size } = sealed;
      const keys = this.#storage.sql.exec<{ key: string }>(sql, origin).toArray();
      const published = tree.published()?.size ?? 0;
      return {
        origin,
        first_seq,
        size,
        published,
        frozen: end_seq === first_seq + size,
        keys: keys.map(({ key }) => key),
      };
    });
  }

  /** How many events are sealed. */
  sealed(): number {
    return sizeOf(this.current, this.current.tree.sealed());
  }

  /** How many events a published head covers. */
  published(): number {
    const epoch = this.#publishing();
    return sizeOf(epoch, epoch.tree.published());
  }

  /** How many events a head covers which others know of. @param known the size that is known of a tree of this name */
  handed(known: (origin: string) => number): number {
    const epoch = this.#epochs.findLast(({ tree }) => known(tree.sealed()?.origin ?? "") > 0);
    return epoch === undefined ? 0 : epoch.first_seq + known(epoch.tree.sealed()!.origin);
  }

  /** How many events lie in full tiles and bundles of the bucket, which nothing will replace. */
  settled(): number {
    const epoch = this.#publishing();
    const size = epoch.tree.published()?.size ?? 0;
    return epoch.first_seq + (isComplete(epoch) ? size : size - (size % TILE_WIDTH));
  }

  /** base64url leaf hash of a sealed event. */
  leafHash(seq: number): string {
    const { tree, first_seq } = this.at(seq);
    const at = seq - first_seq;
    const tile = tree.tile(tileAt(0, Math.floor(at / TILE_WIDTH), tree.sealed()!.size)!);
    const from = (at % TILE_WIDTH) * HASH_BYTES;
    return b64uEncode(tile.subarray(from, from + HASH_BYTES));
  }

  /** Rows and bucket contradict each other: nothing is added any more. */
  get forked(): boolean {
    return this.#stopped || this.#epochs.some(({ publisher }) => publisher.state === "forked");
  }

  stop(): void {
    this.#stopped = true;
  }

  /** attempts to publish that failed since the last one that did not */
  get failures(): number {
    return this.#publishing().publisher.failures;
  }

  /** Make leaves of the events up to `next`. A tree whose last event is a leaf is followed by a new one. */
  seal(next: number): void {
    for (;;) {
      const { first_seq, end_seq, tree } = this.current;
      const end = Math.min(next, end_seq ?? next);
      while (tree.seal(end - first_seq, () => newOrigin(this.#ports.deployment())) > 0);
      if (end_seq === undefined || sizeOf(this.current, tree.sealed()) !== end_seq) return;
      this.#storage.sql.exec("INSERT INTO epochs VALUES (?, NULL)", end_seq);
      this.#epochs.push(this.#epoch(end_seq, undefined));
    }
  }

  /** Whether the log is to be rotated: its tree is as large as one may be, or as old. */
  isDue(nowMs: number): boolean {
    const { first_seq, end_seq, tree } = this.current;
    const size = tree.sealed()?.size ?? 0;
    if (end_seq !== undefined || size === 0 || this.forked) return false;
    const { entries, ms } = this.#ports.bounds;
    return size + 1 >= entries || nowMs - (this.#ports.timeMs(first_seq) ?? nowMs) >= ms;
  }

  /**
   * Write the last event of the tree.
   * @param place gives it its number, and calls back with it in the transaction that writes it
   */
  freeze(nowMs: number, place: (event: AppendEvent, more: (seq: number) => void) => void): void {
    const epoch = this.current;
    let end = 0;
    place(this.#lastEvent(epoch, nowMs), (seq) => {
      end = seq + 1;
      this.#storage.sql.exec("UPDATE epochs SET end_seq = ? WHERE first_seq = ?", end, epoch.first_seq);
    });
    epoch.end_seq = end;
  }

  /** Look into the bucket, if that was not done yet. Never throws. */
  async check(): Promise<void> {
    for (const epoch of this.#epochs) if (!isComplete(epoch) || epoch === this.current) await epoch.publisher.check();
  }

  /** Publish what is sealed, the older tree first. Never throws for the bucket. */
  async run(nowMs: number, force = false): Promise<void> {
    for (let i = 0; i < this.#epochs.length; i += 1) {
      const epoch = this.#epochs[i]!;
      if (isComplete(epoch)) continue;
      if (this.forked) return;
      await epoch.publisher.run(nowMs, force);
      if (!isComplete(epoch)) return;
    }
  }

  /** How long to wait before the next run, in ms; null when there is nothing to publish, or never again. */
  waitMs(nowMs: number): number | null {
    return this.forked ? null : this.#publishing().publisher.waitMs(nowMs);
  }

  /** The first epoch that does not stand whole in the bucket; the last one where all do. */
  #publishing(): Epoch {
    return this.#epochs.find((epoch) => !isComplete(epoch)) ?? this.current;
  }

  #epoch(first_seq: number, end_seq: number | undefined): Epoch {
    const { log, entries, bucket, seed, published } = this.#ports;
    const shifted: EntrySource = { entries: (first, end) => entries(first_seq + first, first_seq + end) };
    const tree = new TreeStore(this.#storage, shifted, first_seq === 0 ? "" : `_${first_seq}`);
    const names = namesOf(log, first_seq);
    const signed = (origin: string, key: Uint8Array): void => {
      const line = verifierKey({ name: origin, publicKey: key });
      this.#storage.sql.exec("INSERT OR IGNORE INTO head_keys VALUES (?, ?)", line, origin);
    };
    const publisher = new Publisher({ log, tree, bucket, names, seed, published, signed });
    return { first_seq, names, tree, publisher, ...(end_seq === undefined ? {} : { end_seq }) };
  }

  /** The event that nothing follows in its tree. Its principal is the deployment, by the key that signs the tree's heads. */
  #lastEvent({ first_seq, tree }: Epoch, nowMs: number): AppendEvent {
    const { log, deployment, seed } = this.#ports;
    const event_id = newId(nowMs);
    const bare: Omit<AuditEventV2, "event_hash"> = {
      ...{ schema_id: "talos.audit_event", schema_version: "v2", kind: "frozen", outcome: "success" },
      ...{ event_id, request_id: event_id, ts: new Date(nowMs).toISOString(), tenant: log.split("/", 1)[0]! },
      ...{ surface_id: "log", audit_action: "log.freeze" },
      principal: {
        ...{ auth_mode: "publisher", did: `did:web:${logHost(deployment()).replace(":", "%3A")}` },
        jkt: thumbprint(b64uEncode(publicKey(b64uDecode(seed())))),
      },
      meta: { first_seq, origin: tree.sealed()!.origin },
    };
    return sealOwn(bare);
  }
}

const sizeOf = ({ first_seq }: Epoch, head: { size: number } | undefined): number => first_seq + (head?.size ?? 0);

/** Whether its last head is published. */
const isComplete = (epoch: Epoch): boolean =>
  epoch.end_seq !== undefined && sizeOf(epoch, epoch.tree.published()) === epoch.end_seq;
