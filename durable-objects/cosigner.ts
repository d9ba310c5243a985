/**
 * Asks every witness to cosign the newest published head, and keeps what holds. A round asks for one head; witnesses that
 * cosigned it already are not asked again. A cosignature is verified before it is kept, and once those of a head meet the
 * quorum, the head with all of them takes the place of the one before, in the rows and then in the bucket.
 * Rows: `witnesses` (one for each of the configured: the size that it is known to have, its cosignature, how it fares),
 * `cosigned` (one row: the newest head that met the quorum, and which of it is in the bucket).
 * Every step is harmless to repeat: a witness asked again cosigns again, or says what size it has.
 * Source: contracts/spec/log.md#meta-log; C2SP tlog-witness.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { consistencyProof, submission, verifyCheckpoint } from "@talos/core/log";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import { withinMs } from "./deadline.ts";
import { codeOf, warn } from "./log.ts";
import type { Bucket } from "./publisher.ts";
import type { CourierPort } from "./sink-types.ts";
import type { PublishedHead, TreeStore } from "./tree-store.ts";
import type { WitnessStatus } from "./types.ts";
import { metaPolicy, type Witness, type WitnessPolicy } from "./witness-policy.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS witnesses (key TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, line TEXT NOT NULL,
    time_seconds INTEGER NOT NULL, failures INTEGER NOT NULL, next_ms INTEGER NOT NULL, code TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS cosigned (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL, note TEXT NOT NULL,
    time_ms INTEGER NOT NULL, policy TEXT NOT NULL, stored INTEGER NOT NULL, etag TEXT NOT NULL);`;

/** Beyond the witness' own time, for the way there. */
const COURIER_MS = LIMITS.sink_timeout_ms + 5_000;
const ATTEMPT_MS = 15_000;
/** Lines of an answer that are looked at; a witness has one key, or two while it changes. */
const LINES = 8;
/** A clock that is further ahead than this is wrong, and what it says of freshness too. */
const AHEAD_SECONDS = 300;
/** The size in a 409. */
const SIZE = /^(0|[1-9][0-9]{0,15})\n$/;

export interface CosignerPorts {
  tree: TreeStore;
  courier: () => CourierPort;
  bucket: () => Bucket;
  /** name of the file in the bucket */
  file: string;
  /** @throws `config.incomplete` */
  policy: () => WitnessPolicy;
  /** keys that may have signed the head, as policies write them */
  keys: () => Promise<string[]>;
  /** `Date.now()` */
  now: () => number;
}

interface Row extends Record<string, SqlStorageValue> {
  key: string;
  name: string;
  size: number;
  line: string;
  time_seconds: number;
  failures: number;
  next_ms: number;
  code: string;
}

interface CosignedRow extends Record<string, SqlStorageValue> {
  size: number;
  note: string;
  time_ms: number;
  /** whose quorum it met: what was enough under another is no longer called witnessed */
  policy: string;
  /** 1 once it is in the bucket */
  stored: number;
  /** the bucket's name for what was last seen there; empty: nothing */
  etag: string;
}

export interface Cosigned {
  size: number;
  /** with its cosignatures */
  note: string;
  /** when it first met the quorum */
  time_ms: number;
}

/** Why a witness did not cosign: a word, never text of the other side. */
class Refused extends Error {
  override readonly name = "Refused";
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export class Cosigner {
  readonly #sql: SqlStorage;
  readonly #ports: CosignerPorts;
  readonly #one = new OneRun();
  /** Whether this instance has not looked yet: the policy may be another than the last one's. */
  #fresh = true;
  /** attempts to write the bucket's file that failed since the last one that did not */
  #failures = 0;
  #retryMs = 0;

  constructor(sql: SqlStorage, ports: CosignerPorts) {
    this.#sql = sql;
    this.#ports = ports;
    sql.exec(SCHEMA);
  }

  /** The newest head that met the quorum; with nobody to ask, there is none. */
  cosigned(): Cosigned | undefined {
    const row = this.#cosigned();
    if (row === undefined || row.policy !== this.#policy()?.text) return undefined;
    return { size: row.size, note: row.note, time_ms: row.time_ms };
  }

  status(): WitnessStatus[] {
    return this.#rows().map(({ name, size, time_seconds, failures, code }) => ({
      ...{ name, size, failures },
      ...(time_seconds === 0 ? {} : { time_seconds }),
      ...(code === "" ? {} : { code }),
    }));
  }

  /** How long to wait before the next run, in ms; null when nothing is left to do. */
  waitMs(): number | null {
    const head = this.#ports.tree.published();
    const policy = this.#policy();
    if (head === undefined || policy === undefined || policy.witnesses.length === 0) return null;
    // A round tells when it ends; should it die with its instance, somebody has to look.
    if (this.#one.running) return 2 * COURIER_MS;
    if (this.#fresh) return 1;
    const rows = new Map(this.#rows().map((row) => [row.key, row]));
    const waits = policy.witnesses
      .filter(({ key }) => !signed(rows.get(key), head))
      .map(({ key }) => rows.get(key)?.next_ms ?? 0);
    if (this.#unstored() !== undefined) waits.push(this.#retryMs);
    return waits.length === 0 ? null : Math.max(1, Math.min(...waits) - this.#ports.now());
  }

  /** Ask whoever is due. One run at a time; never throws for a witness or the bucket. */
  run(force = false): Promise<void> {
    const failed = (error: unknown) => warn("meta_log.round_failed", { code: codeOf(error) });
    return this.#one.run(() => this.#run(force).catch(failed));
  }

  async #run(force: boolean): Promise<void> {
    const policy = this.#policy();
    const head = this.#ports.tree.published();
    if (policy === undefined || head === undefined || policy.witnesses.length === 0) return;
    this.#fresh = false;
    this.#forget(policy);
    const rows = new Map(this.#rows().map((row) => [row.key, row]));
    const nowMs = this.#ports.now();
    const due = policy.witnesses.filter(
      ({ key }) => !signed(rows.get(key), head) && (force || (rows.get(key)?.next_ms ?? 0) <= nowMs),
    );
    await Promise.all(due.map((witness) => this.#ask(witness, rows.get(witness.key), head)));
    await this.#settle(policy, head);
    await this.#put();
  }

  async #ask(witness: Witness, row: Row | undefined, head: PublishedHead): Promise<void> {
    const { key, name } = witness;
    const failures = row?.failures ?? 0;
    try {
      const { line, time_seconds } = await this.#cosign(witness, row?.size ?? 0, head);
      this.#save({ key, name, size: head.size, line, time_seconds, failures: 0, next_ms: 0, code: "" });
    } catch (error) {
      const code = error instanceof Refused ? error.code : codeOf(error);
      warn("meta_log.not_cosigned", { witness: name, size: head.size, failures: failures + 1, code });
      const pauseMs = backoffMs(failures + 1, LIMITS.audit_publish_ms, LIMITS.witness_retry_ms);
      const before = { size: row?.size ?? 0, line: row?.line ?? "", time_seconds: row?.time_seconds ?? 0 };
      this.#save({ key, name, ...before, failures: failures + 1, next_ms: this.#ports.now() + pauseMs, code });
    }
  }

  /** One cosignature of the head. A witness that knows another size says so, and is asked once more from there. */
  async #cosign(witness: Witness, known: number, head: PublishedHead): Promise<{ line: string; time_seconds: number }> {
    const posted = await this.#post(witness, known, head);
    if (posted.status === 200) return this.#find(witness, posted.text, head);
    const told = posted.status === 409 ? SIZE.exec(posted.text)?.[1] : undefined;
    if (told === undefined) throw new Refused(posted.status === 422 ? "witness.refused" : "witness.failed");
    const size = Number(told);
    // It is told what it said itself: then the roots differ, and one of us has another history.
    if (size === known) throw new Refused("witness.refused");
    // It saw a head that we do not know: what we stand on was restored.
    if (size > head.size) throw new Refused("witness.ahead");
    const again = await this.#post(witness, size, head);
    if (again.status === 200) return this.#find(witness, again.text, head);
    throw new Refused(again.status === 409 || again.status === 422 ? "witness.refused" : "witness.failed");
  }

  async #post({ url }: Witness, old: number, head: PublishedHead): Promise<{ status: number; text: string }> {
    const { tree } = this.#ports;
    const proves = old > 0 && old < head.size;
    const read = async (path: string) => tree.tile(path);
    const hashes = proves ? await consistencyProof(old, head.size, read) : new Uint8Array(0);
    const body = submission({ old, hashes, note: head.note });
    const to = `${url.replace(/\/$/, "")}/add-checkpoint`;
    const headers = { "content-type": "text/plain; charset=utf-8" };
    const posted = await withinMs(this.#ports.courier().post({ url: to, headers, body }), COURIER_MS, "a witness");
    if (!posted.ok) throw new Refused(`witness.${posted.code}`);
    return posted;
  }

  /** The line of the answer that this witness' key signed over this head, verified. Others' lines are ignored. */
  async #find(witness: Witness, answer: string, head: PublishedHead): Promise<{ line: string; time_seconds: number }> {
    const alone = { text: `witness w ${witness.key}\nquorum w\n` };
    const policy = utf8(metaPolicy(await this.#ports.keys(), alone));
    for (const line of answer.split("\n").slice(0, LINES)) {
      try {
        const { witnesses } = await verifyCheckpoint({ note: utf8(`${head.note}${line}\n`), policy });
        const time_seconds = witnesses[0]?.time_seconds ?? 0;
        if (time_seconds <= this.#ports.now() / 1_000 + AHEAD_SECONDS) return { line: `${line}\n`, time_seconds };
      } catch (error) {
        if (!(error instanceof TalosError)) throw error; // that line is not it
      }
    }
    throw new Refused("log.cosignature_invalid");
  }

  /** Whether the head meets the quorum now; then it is the cosigned one, with every cosignature that it has. */
  async #settle(policy: WitnessPolicy, head: PublishedHead): Promise<void> {
    const before = this.#cosigned();
    const lines = this.#rows()
      .filter((row) => signed(row, head))
      .map(({ line }) => line);
    // Where nothing is demanded, nobody's word is still no witness.
    if (lines.length === 0 || (before !== undefined && before.size > head.size)) return;
    const note = head.note + lines.join("");
    if (before?.note === note && before.policy === policy.text) return;
    try {
      await verifyCheckpoint({ note: utf8(note), policy: utf8(metaPolicy(await this.#ports.keys(), policy)) });
    } catch (error) {
      if (!(error instanceof TalosError)) throw error;
      if (error.code !== "log.quorum_missed") warn("meta_log.cosigned_invalid", { size: head.size, code: error.code });
      return;
    }
    const same = before?.size === head.size && before.policy === policy.text;
    const time_ms = same ? before.time_ms : this.#ports.now();
    const sql = "INSERT OR REPLACE INTO cosigned VALUES (0, ?, ?, ?, ?, 0, ?)";
    this.#sql.exec(sql, head.size, note, time_ms, policy.text, this.#cosigned()?.etag ?? "");
  }

  /** The bucket's file, if it is still the one that was seen: a write that hung must not bring an older head back. */
  async #put(): Promise<void> {
    const row = this.#unstored();
    if (row === undefined) return;
    try {
      const { bucket, file } = this.#ports;
      const onlyIf = row.etag === "" ? { etagDoesNotMatch: "*" } : { etagMatches: row.etag };
      const httpMetadata = { contentType: "text/plain; charset=utf-8", cacheControl: "no-cache" };
      const put = await withinMs(bucket().put(file, row.note, { onlyIf, httpMetadata }), ATTEMPT_MS, "a put");
      const etag = put === null ? (await withinMs(bucket().get(file), ATTEMPT_MS, "a get"))?.etag : put.etag;
      const stored = put === null ? 0 : 1;
      this.#sql.exec("UPDATE cosigned SET etag = ?, stored = ? WHERE note = ?", etag ?? "", stored, row.note);
      if (put === null) throw new Error("the cosigned head was replaced in between");
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      const pauseMs = backoffMs(this.#failures, LIMITS.audit_publish_ms, LIMITS.audit_publish_retry_ms);
      this.#retryMs = this.#ports.now() + pauseMs;
      warn("meta_log.cosigned_not_stored", { size: row.size, failures: this.#failures, code: codeOf(error) });
    }
  }

  #unstored(): CosignedRow | undefined {
    const row = this.#cosigned();
    return row?.stored === 0 ? row : undefined;
  }

  #cosigned(): CosignedRow | undefined {
    const sql = "SELECT size, note, time_ms, policy, stored, etag FROM cosigned";
    return this.#sql.exec<CosignedRow>(sql).toArray()[0];
  }

  #rows(): Row[] {
    return this.#sql.exec<Row>("SELECT * FROM witnesses ORDER BY name, key").toArray();
  }

  #save({ key, name, size, line, time_seconds, failures, next_ms, code }: Row): void {
    const values = [key, name, size, line, time_seconds, failures, next_ms, code];
    this.#sql.exec("INSERT OR REPLACE INTO witnesses VALUES (?, ?, ?, ?, ?, ?, ?, ?)", ...values);
  }

  /** Witnesses that are configured no more. */
  #forget({ witnesses }: WitnessPolicy): void {
    const keys = JSON.stringify(witnesses.map(({ key }) => key));
    this.#sql.exec("DELETE FROM witnesses WHERE key NOT IN (SELECT value FROM json_each(?))", keys);
  }

  #policy(): WitnessPolicy | undefined {
    try {
      return this.#ports.policy();
    } catch (error) {
      warn("meta_log.no_policy", { code: codeOf(error) });
      return undefined;
    }
  }
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Whether a witness has cosigned this very head. */
const signed = (row: Row | undefined, head: PublishedHead): boolean => row?.size === head.size && row.line !== "";
