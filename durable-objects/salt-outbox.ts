/**
 * Carries sealed salts from the log, where they are written in one transaction with their leaves, to the vaults of their
 * subjects, and overwrites each row before it is deleted: the log's own database keeps nothing that opens a commitment.
 * At least once; a vault takes the same salts again without harm, and drops those of before an erasure.
 * Rows of `salts` are from before there were vaults: raw, and sealed as they leave. They stay while there is no key.
 * Source: contracts/spec/erasure.md#salts.
 */
import { LIMITS } from "@talos/contracts";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import type { AppendEvent } from "./types.ts";
import { withinMs } from "./deadline.ts";
import type { Keysets } from "@talos/contracts";
import { codeOf, warn } from "./log.ts";
import { firstIdAfter, subjectId, subjectOf } from "./subject.ts";
import { type Salts, type SealedSalts, sealingKey, sealSalts, tenantKey } from "./value-keys.ts";
import type { TakeAsk, Taken } from "./vault-types.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS salt_outbox (event_id TEXT PRIMARY KEY, subject TEXT NOT NULL, kid TEXT NOT NULL,
    kept TEXT NOT NULL, sealed TEXT NOT NULL) WITHOUT ROWID;`;

/** One run works at most this long, well below an alarm's 15 minutes; the rest is the next run's. */
const RUN_MS = 20_000;
const AGAIN_MS = 1_000;

interface Row extends SealedSalts {
  event_id: string;
}
interface Legacy {
  event_id: string;
  name: "args" | "result";
  salt: string;
}

export interface SaltParts {
  sql: SqlStorage;
  tenant: string;
  keysets(): Keysets;
  /** an event of this log, from wherever it lies; undefined when there is none. @throws when it cannot be read now */
  find(eventId: string): Promise<{ body: string } | undefined>;
  vault(subject: string): { take(ask: TakeAsk): Promise<Taken> };
}

export class SaltOutbox {
  readonly #parts: SaltParts;
  #failures = 0;
  readonly #one = new OneRun();

  constructor(parts: SaltParts) {
    this.#parts = parts;
    parts.sql.exec(SCHEMA);
  }

  /** Beside the events, in their transaction. */
  write(events: readonly Pick<AppendEvent, "event_id" | "sealed">[]): void {
    for (const { event_id, sealed: salts } of events) {
      if (salts === undefined) continue;
      const { subject, kid, kept, sealed } = salts;
      this.#parts.sql.exec("INSERT INTO salt_outbox VALUES (?, ?, ?, ?, ?)", event_id, subject, kid, kept, sealed);
    }
  }

  /** How long until the next run is worth it, in ms; null when nothing is left that could leave. */
  waitMs(): number | null {
    if (!this.#waiting()) return null;
    return this.#failures === 0 ? 1 : backoffMs(this.#failures, AGAIN_MS, LIMITS.vault_retry_ms);
  }

  #waiting(): boolean {
    const { sql } = this.#parts;
    if (sql.exec("SELECT 1 FROM salt_outbox LIMIT 1").toArray().length > 0) return true;
    return this.#legacyKey() !== undefined && this.#legacy(1).length > 0;
  }

  /** What old rows are sealed with on their way; without it they stay. */
  #legacyKey(): ReturnType<typeof sealingKey> {
    try {
      return sealingKey(this.#parts.keysets());
    } catch {
      return undefined; // incomplete configuration: the alarm comes again with the next append
    }
  }

  /** Hand over until nothing is left, an attempt fails, or the time of a run is over. Never throws. One run at a time. */
  run(): Promise<void> {
    return this.#one.run(() => this.#run());
  }

  async #run(): Promise<void> {
    const untilMs = Date.now() + RUN_MS;
    try {
      while (Date.now() < untilMs && ((await this.#step()) || (await this.#legacyStep())));
    } catch (error) {
      this.#failures += 1;
      warn("salt_outbox.failed", { log: this.#parts.tenant, failures: this.#failures, code: codeOf(error) });
      return;
    }
    this.#failures = 0;
  }

  /** @returns whether there was anything */
  async #step(): Promise<boolean> {
    const sql = "SELECT event_id, subject, kid, kept, sealed FROM salt_outbox LIMIT ?";
    const rows = this.#parts.sql.exec<Row & Record<string, SqlStorageValue>>(sql, LIMITS.salt_rows).toArray();
    if (rows.length === 0) return false;
    await this.#handOver(rows);
    return true;
  }

  /** Each subject's to its vault; those that one took are gone, also when another cannot be asked. */
  async #handOver(rows: readonly Row[], gone = (ids: string[]) => this.#drop(ids)): Promise<void> {
    const subjects = Map.groupBy(rows, ({ subject }) => subject);
    const failed: unknown[] = [];
    for (const [subject, own] of subjects) {
      try {
        const ask = { salts: own.map(({ event_id, kid, kept, sealed }) => ({ event_id, subject, kid, kept, sealed })) };
        const work = this.#parts.vault(subject).take(ask);
        const taken = await withinMs(Promise.resolve(work), LIMITS.object_timeout_ms, "handing salts over");
        if (!taken.ok) throw new Error(taken.code);
        gone(own.map(({ event_id }) => event_id));
      } catch (error) {
        failed.push(error);
      }
    }
    if (failed.length > 0) throw failed[0];
  }

  #drop(ids: string[]): void {
    this.#overwrite("event_id IN (SELECT value FROM json_each(?))", JSON.stringify(ids));
  }

  /** The bytes first, in place: a deleted row's page is free, not empty. */
  #overwrite(where: string, ...values: SqlStorageValue[]): void {
    const { sql } = this.#parts;
    sql.exec(
      `UPDATE salt_outbox SET sealed = replace(hex(zeroblob(length(sealed))), '00', '0') WHERE ${where}`,
      ...values,
    );
    sql.exec(`DELETE FROM salt_outbox WHERE ${where}`, ...values);
  }

  /**
   * An erasure of everything of this subject up to `ms`: what waits here for its vault goes.
   * @returns how many rows went
   */
  async forget(subject: string, ms: number): Promise<number> {
    const { sql } = this.#parts;
    const where = "subject = ? AND event_id < ?";
    const count = `SELECT count(*) AS n FROM salt_outbox WHERE ${where}`;
    const { n } = sql.exec<{ n: number }>(count, subject, firstIdAfter(ms)).one();
    if (n > 0) this.#overwrite(where, subject, firstIdAfter(ms));
    return n + (await this.#forgetLegacy(subject, ms));
  }

  /** Old rows name no subject, so each is looked up; there are no new ones, and they leave when there is a key. */
  async #forgetLegacy(subject: string, ms: number): Promise<number> {
    let gone = 0;
    let after = "";
    for (;;) {
      const rows = this.#legacy(LIMITS.salt_rows, after);
      if (rows.length === 0) return gone;
      after = rows.at(-1)!.event_id;
      const own: Legacy[] = [];
      for (const row of rows) {
        if (row.event_id < firstIdAfter(ms) && (await this.#subjectOf(row.event_id)) === subject) own.push(row);
      }
      this.#dropLegacy(own.map(({ event_id }) => event_id));
      gone += own.length;
    }
  }

  async #legacyStep(): Promise<boolean> {
    const key = this.#legacyKey();
    if (key === undefined) return false;
    const rows = this.#legacy(LIMITS.salt_rows);
    if (rows.length === 0) return false;
    const { tenant } = this.#parts;
    const transit = await tenantKey(key, tenant, "salts");
    const events = Map.groupBy(rows, ({ event_id }) => event_id);
    // The last event's rows may be cut by the page: they are the next step's, unless there is no other.
    if (rows.length === LIMITS.salt_rows && events.size > 1) events.delete(rows.at(-1)!.event_id);
    const sealed: Row[] = [];
    for (const [event_id, own] of events) {
      const subject = await this.#subjectOf(event_id);
      const salts: Salts = Object.fromEntries(own.map(({ name, salt }) => [name, salt]));
      if (subject === undefined)
        this.#dropLegacy([event_id]); // of no event: it opens nothing
      else {
        const place = { tenant, subject, event_id, kid: key.kid, kept: "" };
        sealed.push({ event_id, ...(await sealSalts(transit, place, salts)) });
      }
    }
    await this.#handOver(sealed, (ids) => this.#dropLegacy(ids));
    return true;
  }

  #legacy(most: number, after = ""): Legacy[] {
    const { sql } = this.#parts;
    const there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'salts'";
    if (sql.exec(there).toArray().length === 0) return [];
    const rows = "SELECT event_id, name, salt FROM salts WHERE event_id > ? ORDER BY event_id, name LIMIT ?";
    return sql.exec<Legacy & Record<string, SqlStorageValue>>(rows, after, most).toArray();
  }

  #dropLegacy(ids: string[]): void {
    const { sql } = this.#parts;
    const where = "event_id IN (SELECT value FROM json_each(?))";
    sql.exec(
      `UPDATE salts SET salt = replace(hex(zeroblob(length(salt))), '00', '0') WHERE ${where}`,
      JSON.stringify(ids),
    );
    sql.exec(`DELETE FROM salts WHERE ${where}`, JSON.stringify(ids));
  }

  /** Undefined for an id of no event. @throws when the event cannot be read now */
  async #subjectOf(eventId: string): Promise<string | undefined> {
    const { find, tenant } = this.#parts;
    const found = await find(eventId);
    if (found === undefined) return undefined;
    const { principal } = JSON.parse(found.body) as { principal: { did: string; root_sub?: string } };
    return subjectId(tenant, subjectOf(principal));
  }
}
