/**
 * The sinks that follow a log. They are rows of the log itself, because it is the log that must know whom to tell of
 * news, and one owner bounds and lists them; what a sink is set to lives in the sink (docs/decisions/009-sinks.md).
 * A telling that is lost costs time, never events: the sink's cursor says what it has, and it looks by itself too.
 */
import { LIMITS } from "@talos/contracts";
import { backoffMs } from "./backoff.ts";
import { withinMs } from "./deadline.ts";
import { codeOf, warn } from "./log.ts";

/** What a sink says when it is told of news: whether it works, wants no more word, or does not exist. */
export type Heard = "heard" | "quiet" | "gone";

/** Reaches a sink by its id. */
export type Tell = (id: string) => Promise<Heard>;

/** Appends of this time are one telling. */
const GATHER_MS = 100;
const AGAIN_MS = 1_000;
const AGAIN_MAX_MS = 60_000;

export class Followers {
  readonly #sql: SqlStorage;
  readonly #log: string;
  readonly #tell: Tell;
  #stirring = false;
  /** tellings in a row that not every sink heard */
  #failures = 0;

  constructor(sql: SqlStorage, log: string, tell: Tell) {
    this.#sql = sql;
    this.#log = log;
    this.#tell = tell;
  }

  static readonly schema =
    `CREATE TABLE IF NOT EXISTS followers (id TEXT PRIMARY KEY, listening INTEGER NOT NULL) WITHOUT ROWID;`;

  /** @returns false when the log has as many as it may have */
  add(id: string): boolean {
    const known = this.list();
    if (!known.includes(id) && known.length >= LIMITS.sinks) return false;
    this.#sql.exec("INSERT OR REPLACE INTO followers VALUES (?, 1)", id);
    return true;
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM followers WHERE id = ?", id);
  }

  list(): string[] {
    const rows = this.#sql.exec<{ id: string }>("SELECT id FROM followers ORDER BY id").toArray();
    return rows.map(({ id }) => id);
  }

  /** How long until those who did not hear are told again, in ms; null when all heard. */
  waitMs(): number | null {
    if (this.#failures === 0) return null;
    return backoffMs(this.#failures, AGAIN_MS, AGAIN_MAX_MS);
  }

  /** Something was appended: tell, soon, without being waited for. The alarm tells again, should this not get done. */
  stir(): void {
    if (this.#stirring || this.#listening().length === 0) return;
    this.#stirring = true;
    void scheduler
      .wait(GATHER_MS)
      .then(() => {
        this.#stirring = false;
        return this.tell();
      })
      .catch((error: unknown) => warn("audit_log.telling_failed", { log: this.#log, code: codeOf(error) }));
  }

  /** Tell all who listen. Never throws for a sink. */
  async tell(): Promise<void> {
    const said = await Promise.all(this.#listening().map((id) => this.#ask(id)));
    this.#failures = said.includes(false) ? this.#failures + 1 : 0;
  }

  async #ask(id: string): Promise<boolean> {
    try {
      const heard = await withinMs(this.#tell(id), LIMITS.object_timeout_ms, "telling");
      if (heard === "gone") this.remove(id);
      // Resumed meanwhile, it has said that it listens again, and looks at once.
      if (heard === "quiet") this.#sql.exec("UPDATE followers SET listening = 0 WHERE id = ?", id);
      return true;
    } catch (error) {
      warn("audit_log.sink_unreached", { log: this.#log, sink: id, code: codeOf(error) });
      return false;
    }
  }

  #listening(): string[] {
    const rows = this.#sql.exec<{ id: string }>("SELECT id FROM followers WHERE listening = 1").toArray();
    return rows.map(({ id }) => id);
  }
}
