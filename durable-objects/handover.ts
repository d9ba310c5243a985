/**
 * Hands each published head of a log to the meta-log, at least once: what is not acknowledged is a row and is tried
 * again, longer and longer apart. Nothing waits for it but proofs that name the meta-log. Of heads that were published
 * while it could not be reached the newest is handed over, which shows all of them.
 * Rows: `handover` (one for each origin that the log had: its newest published head, the size of the newest that the
 * meta-log acknowledged, and whether it refused one as a fork, which is final until an operator acts).
 * Source: contracts/spec/audit.md#meta-log.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import { withinMs } from "./deadline.ts";
import { codeOf, warn } from "./log.ts";
import type { PublishedHead, SealedHead } from "./tree-store.ts";
import type { MetaHead, MetaPort } from "./types.ts";

const SCHEMA = `CREATE TABLE IF NOT EXISTS handover (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL,
  note TEXT NOT NULL, acknowledged INTEGER NOT NULL, refused INTEGER NOT NULL) WITHOUT ROWID;`;

type Row = Omit<MetaHead, "log" | "root"> & { root: ArrayBuffer } & Record<string, SqlStorageValue>;

export class Handover {
  /** attempts that failed since the last one that did not */
  failures = 0;
  readonly #sql: SqlStorage;
  readonly #log: string;
  readonly #meta: () => Pick<MetaPort, "add">;
  readonly #one = new OneRun();
  #lastMs = 0;

  constructor(sql: SqlStorage, log: string, meta: () => Pick<MetaPort, "add">) {
    this.#sql = sql;
    this.#log = log;
    this.#meta = meta;
    sql.exec(SCHEMA);
  }

  /** A head is in the bucket. In the turn that writes so: neither row is durable without the other. */
  published({ origin, size, root, note }: SealedHead & PublishedHead): void {
    this.#sql.exec(
      `INSERT INTO handover VALUES (?, ?, ?, ?, 0, 0)
       ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note`,
      ...[origin, size, root.slice().buffer, note],
    );
  }

  /** Whether the meta-log has another head of this log than we published. */
  refused(): boolean {
    return this.#sql.exec("SELECT 1 FROM handover WHERE refused = 1").toArray().length > 0;
  }

  /** Size of the newest head of `origin` that the meta-log acknowledged. */
  acknowledged(origin: string): number {
    const sql = "SELECT acknowledged FROM handover WHERE origin = ?";
    return this.#sql.exec<{ acknowledged: number }>(sql, origin).toArray()[0]?.acknowledged ?? 0;
  }

  /** How long to wait before the next run, in ms; null when nothing is left to hand over, or never again. */
  waitMs(nowMs: number): number | null {
    if (this.#waiting().length === 0 || this.refused()) return null;
    const { audit_publish_ms, audit_publish_retry_ms } = LIMITS;
    if (this.failures === 0) return 1;
    const pauseMs = backoffMs(this.failures, audit_publish_ms, audit_publish_retry_ms);
    return Math.max(1, this.#lastMs + pauseMs - nowMs);
  }

  /** Hand over what waits, unless that failed a moment ago. One run at a time; never throws for the meta-log. */
  run(nowMs: number, force = false): Promise<void> {
    const waitMs = this.waitMs(nowMs);
    if (!this.#one.running && (waitMs === null || (!force && waitMs > 1))) return Promise.resolve();
    return this.#one.run(() => this.#run(nowMs));
  }

  async #run(nowMs: number): Promise<void> {
    this.#lastMs = nowMs;
    try {
      for (const row of this.#waiting()) await this.#hand(row);
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      const code = codeOf(error);
      warn("audit_log.handover_failed", { log: this.#log, failures: this.failures, code, refused: this.refused() });
    }
  }

  async #hand({ origin, size, root, note }: Row): Promise<void> {
    const head = { log: this.#log, origin, size, root: new Uint8Array(root), note };
    const said = await withinMs(this.#meta().add(head), LIMITS.object_timeout_ms, "the meta-log");
    if (!said.ok) {
      if (said.code === "audit.forked") this.#sql.exec("UPDATE handover SET refused = 1 WHERE origin = ?", origin);
      throw new TalosError(said.code);
    }
    const sql = "UPDATE handover SET acknowledged = max(acknowledged, ?) WHERE origin = ?";
    this.#sql.exec(sql, size, origin);
  }

  #waiting(): Row[] {
    const sql = "SELECT origin, size, root, note FROM handover WHERE acknowledged < size AND refused = 0";
    return this.#sql.exec<Row>(sql).toArray();
  }
}
