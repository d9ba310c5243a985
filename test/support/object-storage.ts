/**
 * The part of a Durable Object's storage that our objects use, over node:sqlite, so that a simulation runs the very
 * class. What an object wrote while it handled one message is durable when the message is done, or not at all.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

/** The host died: nothing of the message under way is kept. */
export class Crashed extends Error {
  override readonly name = "Crashed";
}

export interface ObjectStorageOptions {
  /** a statement to leave out, to show that a simulation notices */
  skip?: (query: string, values: readonly unknown[]) => boolean;
}

export class ObjectStorage {
  alarm_ms: number | null = null;
  readonly #db = new DatabaseSync(":memory:");
  readonly #statements = new Map<string, StatementSync>();
  readonly #skip: NonNullable<ObjectStorageOptions["skip"]>;
  #nested = 0;
  /** statements until the host dies */
  #left = Number.POSITIVE_INFINITY;
  #ready: Promise<unknown> = Promise.resolve();

  constructor(options: ObjectStorageOptions = {}) {
    this.#skip = options.skip ?? (() => false);
  }

  /** What the constructor of an object takes. */
  get state(): DurableObjectState {
    const storage = {
      sql: { exec: (query: string, ...values: SQLInputValue[]) => this.#exec(query, values) },
      transactionSync: <T>(work: () => T): T => this.#transaction(work),
      getAlarm: () => Promise.resolve(this.alarm_ms),
      setAlarm: (atMs: number) => {
        this.alarm_ms = atMs;
        return Promise.resolve();
      },
    };
    const blockConcurrencyWhile = <T>(work: () => Promise<T>): Promise<T> => {
      const done = work();
      this.#ready = done;
      return done;
    };
    return { storage, blockConcurrencyWhile } as unknown as DurableObjectState;
  }

  /** Resolves when the constructor has done what it blocks others for. */
  ready(): Promise<unknown> {
    return this.#ready;
  }

  /**
   * Handle one message.
   * @param dieAfter statements after which the host dies
   * @throws Crashed; what the handler throws
   */
  message<T>(handler: () => T, dieAfter = Number.POSITIVE_INFINITY): T {
    this.#left = dieAfter;
    const alarm_ms = this.alarm_ms;
    try {
      return this.#transaction(handler);
    } catch (error) {
      if (error instanceof Crashed) this.alarm_ms = alarm_ms;
      throw error;
    } finally {
      this.#left = Number.POSITIVE_INFINITY;
    }
  }

  all<T>(query: string, ...values: SQLInputValue[]): T[] {
    return this.#prepared(query).all(...values) as T[];
  }

  close(): void {
    this.#db.close();
  }

  #exec(query: string, values: SQLInputValue[]): { toArray(): unknown[]; one(): unknown } {
    if (this.#left-- <= 0) throw new Crashed();
    if (values.length === 0 && query.includes(";")) this.#db.exec(query);
    const rows = this.#skip(query, values) || query.includes(";") ? [] : this.#prepared(query).all(...values);
    return {
      toArray: () => rows,
      one: () => {
        if (rows.length !== 1) throw new Error(`one row was asked for, ${rows.length} came`);
        return rows[0];
      },
    };
  }

  #transaction<T>(work: () => T): T {
    const name = `level_${this.#nested}`;
    this.#db.exec(`SAVEPOINT ${name}`);
    this.#nested += 1;
    try {
      const result = work();
      this.#db.exec(`RELEASE ${name}`);
      return result;
    } catch (error) {
      this.#db.exec(`ROLLBACK TO ${name}; RELEASE ${name}`);
      throw error;
    } finally {
      this.#nested -= 1;
    }
  }

  #prepared(query: string): StatementSync {
    const known = this.#statements.get(query);
    if (known !== undefined) return known;
    const made = this.#db.prepare(query);
    this.#statements.set(query, made);
    return made;
  }
}
