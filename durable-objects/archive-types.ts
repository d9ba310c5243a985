/** What a log and its archives say to each other. Source: contracts/spec/audit.md#archive. */

/** A bundle's worth of events of one tree, in order: the unit that moves, the same however often it is made. */
export interface ArchiveBundle {
  first_seq: number;
  /** JSON list of the events' ids */
  ids: string;
  /** leaf hashes, one after another */
  leaves: Uint8Array;
  /** JSON of {@link BundleFacts} */
  facts: string;
}

/** What the promises of a bundle's events were made with; batches cut at its ends. */
export interface BundleFacts {
  terms: { kid: string; max_delay_seconds: number }[];
  /** how many events, unix ms of their append, which of `terms` */
  runs: [count: number, time_ms: number, terms: number][];
}

/** `end_seq`: the number after the archive's last event, which is durable there. */
export type ArchivePut = { ok: true; end_seq: number } | { ok: false; code: "audit.forked" };

export interface ArchivedEvent {
  event_id: string;
  seq: number;
  time_ms: number;
  max_delay_seconds: number;
  kid: string;
}

export interface ArchiveFound {
  /** what the archive holds; both 0 while that is nothing */
  first_seq: number;
  end_seq: number;
  events: ArchivedEvent[];
  /** the bundles that they lie in, each once */
  bundles: { first_seq: number; leaves: Uint8Array }[];
}

export interface ArchivePort {
  put(bundles: ArchiveBundle[]): Promise<ArchivePut>;
  /** @param ids at most {@link ARCHIVE_IDS} */
  find(ids: string[]): Promise<ArchiveFound>;
}

/** Ids of one look-up: each may lie in a bundle of its own, whose leaves have 8 KiB. */
export const ARCHIVE_IDS = 256;
