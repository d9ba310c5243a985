/** When a log is rotated, how long its rows stay, and when they move. Source: contracts/limits.json. */
import { LIMITS } from "@talos/contracts";
import type { ArchiveBounds } from "./archiving.ts";
import type { EpochBounds } from "./epochs.ts";
import type { RowBounds } from "./row-keeping.ts";

export type LogBounds = EpochBounds & RowBounds & ArchiveBounds;

export const LOG_BOUNDS: LogBounds = {
  entries: LIMITS.audit_epoch_entries,
  ms: LIMITS.audit_epoch_ms,
  rows_keep_ms: LIMITS.audit_rows_keep_ms,
  rows_soft_bytes: LIMITS.audit_rows_soft_bytes,
  archive_events: LIMITS.audit_archive_events,
  archive_after_ms: LIMITS.audit_archive_after_ms,
  archive_soon_ms: LIMITS.audit_archive_soon_ms,
  archive_soft_bytes: LIMITS.audit_archive_soft_bytes,
};
