import { Duplex } from "node:stream";
import type { PGlite } from "@electric-sql/pglite";
import type { Mutex } from "./mutex.ts";

/** Codes of the untyped first messages (PostgreSQL protocol 3.0, "Message Formats"). */
const PROTOCOL_3 = 196608;
const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
/** One burst of messages up to its Sync. Far above anything we send; bounds memory against a broken client. */
const MAX_BURST_BYTES = 32 * 1024 * 1024;
/** A client that leaves a transaction open this long loses it: everybody else is waiting for the one session. */
const IDLE_IN_TRANSACTION_MS = 30_000;

const TYPE = { query: 0x51, sync: 0x53, flush: 0x48, terminate: 0x58, password: 0x70, ready: 0x5a } as const;
const IDLE = 0x49;

/**
 * The server side of one Postgres connection in front of PGlite: wire bytes in, wire bytes out.
 *
 * PGlite has one session. Messages are therefore handed over a whole burst at a time (up to Sync or a simple query),
 * and from the first burst of a transaction until ReadyForQuery says "idle" the lock is ours; two clients' unnamed
 * statements or transactions never mix. Session settings and named statements are still shared by all clients.
 */
export class PgliteStream extends Duplex {
  readonly #db: PGlite;
  readonly #lock: Mutex;
  #release: (() => void) | null = null;
  #started = false;
  #input: Buffer = Buffer.alloc(0);
  #burst: Buffer[] = [];
  #burstBytes = 0;
  #idleTimer: NodeJS.Timeout | null = null;

  constructor(db: PGlite, lock: Mutex) {
    super({ allowHalfOpen: false });
    this.#db = db;
    this.#lock = lock;
  }

  // What `pg` calls on a socket. There is no network here.
  connect(): this {
    process.nextTick(() => this.emit("connect"));
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    this.#consume().then(
      () => done(),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#leave().then(() => {
      this.push(null);
      done();
    }, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#leave().then(
      () => done(error),
      (left: unknown) => done(error ?? (left as Error)),
    );
  }

  async #consume(): Promise<void> {
    for (;;) {
      const message = this.#started ? this.#nextTyped() : this.#nextUntyped();
      if (message === null) return;
      if (!this.#started) await this.#startup(message);
      else if (!(await this.#take(message))) return;
    }
  }

  #nextUntyped(): Buffer | null {
    if (this.#input.length < 4) return null;
    return this.#cut(this.#input.readInt32BE(0), 8);
  }

  #nextTyped(): Buffer | null {
    if (this.#input.length < 5) return null;
    return this.#cut(1 + this.#input.readInt32BE(1), 5);
  }

  #cut(length: number, least: number): Buffer | null {
    if (length < least || length > MAX_BURST_BYTES) throw new Error(`message length out of bounds: ${length}`);
    if (this.#input.length < length) return null;
    const message = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return message;
  }

  async #startup(message: Buffer): Promise<void> {
    const code = message.readInt32BE(4);
    if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
      this.push("N");
      return;
    }
    // CancelRequest included: PGlite has no second process that could be signalled.
    if (code !== PROTOCOL_3) throw new Error(`unsupported protocol or request code ${code}`);
    this.#started = true;
    await this.#run(message);
  }

  /** Returns false once the client has said goodbye. */
  async #take(message: Buffer): Promise<boolean> {
    const type = message[0];
    if (type === TYPE.terminate) {
      await this.#leave();
      this.push(null);
      return false;
    }
    // PGlite asks for no password; a client that pipelines one (Neon's default) sends it unasked.
    if (type === TYPE.password) return true;
    this.#burst.push(message);
    this.#burstBytes += message.length;
    if (this.#burstBytes > MAX_BURST_BYTES) throw new Error("too many bytes before a Sync");
    if (type !== TYPE.query && type !== TYPE.sync && type !== TYPE.flush) return true;
    const burst = Buffer.concat(this.#burst);
    this.#burst = [];
    this.#burstBytes = 0;
    await this.#run(burst);
    return true;
  }

  async #run(burst: Buffer): Promise<void> {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    this.#release ??= await this.#lock.acquire();
    if (this.destroyed) return this.#leave();
    const answer = Buffer.from(await this.#db.execProtocolRaw(new Uint8Array(burst)));
    if (readyStatus(answer) === IDLE) this.#giveBack();
    else {
      this.#idleTimer = setTimeout(
        () => this.destroy(new Error("transaction left open for too long")),
        IDLE_IN_TRANSACTION_MS,
      );
    }
    if (!this.destroyed) this.push(answer);
  }

  /** Ends what the client left open, so that the next one starts outside any transaction. */
  async #leave(): Promise<void> {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    if (!this.#release) return;
    try {
      await this.#db.exec("ROLLBACK");
    } finally {
      this.#giveBack();
    }
  }

  #giveBack(): void {
    this.#release?.();
    this.#release = null;
  }
}

/** The transaction status in a closing ReadyForQuery, or null when the answer does not end in one. */
function readyStatus(answer: Buffer): number | null {
  const at = answer.length - 6;
  return at >= 0 && answer[at] === TYPE.ready && answer.readInt32BE(at + 1) === 5 ? answer[at + 5]! : null;
}
