/**
 * The atom: one log, as this witness saw it.
 * Reached by: the log's origin.
 * Rows: `latest` (one row: the newest checkpoint that was cosigned), `contradictions` (the first signed checkpoints that
 * contradict it, at most `witness_evidence`: what shows that the log misbehaved).
 * Atomic: the old size is compared with the newest checkpoint, the proof is checked and the new one is stored without awaiting,
 * so of two that race one finds the other's; the output gate holds the cosignature back until the row is durable.
 * Eviction loses: nothing.
 * Source: contracts/spec/log.md#witness; C2SP tlog-witness.
 */
import { DurableObject } from "cloudflare:workers";
import { type ErrorCode, LIMITS, TalosError } from "@talos/contracts";
import { checkConsistency, cosignedText, edgeRoot, type Head, signatureLine } from "@talos/core/log";
import { codeOf, warn } from "./log.ts";
import { signText } from "./note-sign.ts";
import { equal } from "./tree-store.ts";
import { type WitnessEnv, witnessConfig } from "./witness-config.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS latest (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL, root BLOB NOT NULL,
    note TEXT NOT NULL, time_seconds INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS contradictions (id INTEGER PRIMARY KEY, time_seconds INTEGER NOT NULL, note TEXT NOT NULL);`;

/** A checkpoint whose log's signature was verified. */
export interface WitnessAsk extends Head {
  /** size of the newest checkpoint that the witness cosigned, as the log knows it */
  old: number;
  /** proof that the checkpoint extends it */
  hashes: Uint8Array;
  /** what is cosigned: the note's text */
  text: string;
  note: string;
}

/** `line`: the cosignature. A refusal by `size` is for want of another old size, or because the roots differ. */
export type WitnessAnswer =
  | { ok: true; line: string }
  | { ok: false; refused: "size"; size: number }
  | { ok: false; refused: "order" | "proof" | "unavailable" };

export interface WitnessView {
  size: number;
  note: string;
  time_seconds: number;
  contradictions: { time_seconds: number; note: string }[];
}

export class WitnessedLog extends DurableObject<WitnessEnv> {
  constructor(ctx: DurableObjectState, env: WitnessEnv) {
    super(ctx, env);
    ctx.storage.sql.exec(SCHEMA);
  }

  /** Compare, store and cosign. The same checkpoint again is cosigned again, as of now. */
  async add(ask: WitnessAsk): Promise<WitnessAnswer> {
    try {
      const { seed, key } = witnessConfig(this.env);
      const time = Math.floor(Date.now() / 1_000);
      const refusal = this.#take(ask, time);
      if (refusal !== undefined) return refusal;
      // The row stands: what is signed from here on is what it says, whatever another call does meanwhile.
      const signature = await signText(seed, cosignedText(ask.text, time));
      return { ok: true, line: signatureLine(key, signature, time) };
    } catch (error) {
      warn("witness.failed", { code: codeOf(error) });
      return { ok: false, refused: "unavailable" };
    }
  }

  /** What it knows of the log, for whoever watches; null when it never cosigned anything of it. */
  view(): WitnessView | null {
    const latest = this.#latest();
    if (latest === undefined) return null;
    const sql = "SELECT time_seconds, note FROM contradictions ORDER BY id";
    const contradictions = this.ctx.storage.sql.exec<{ time_seconds: number; note: string }>(sql).toArray();
    const { size, note, time_seconds } = latest;
    return { size, note, time_seconds, contradictions: contradictions.map((row) => ({ ...row })) };
  }

  /** Without awaiting. @returns the refusal, or undefined when the checkpoint is stored */
  #take(ask: WitnessAsk, time: number): WitnessAnswer | undefined {
    const latest = this.#latest();
    const known = latest?.size ?? 0;
    if (ask.old > ask.size) return { ok: false, refused: "order" };
    if (ask.old !== known) return { ok: false, refused: "size", size: known };
    if (latest !== undefined && ask.size === known && !equal(ask.root, latest.root)) {
      this.#remember(ask.note, time);
      return { ok: false, refused: "size", size: known };
    }
    const code = extendsIt(latest, ask);
    if (code !== undefined) {
      if (known > 0) this.#remember(ask.note, time);
      return { ok: false, refused: "proof" };
    }
    const { size, root, note } = ask;
    const sql = "INSERT OR REPLACE INTO latest VALUES (0, ?, ?, ?, ?)";
    this.ctx.storage.sql.exec(sql, size, root.slice().buffer, note, time);
    return undefined;
  }

  #remember(note: string, time: number): void {
    const sql = `INSERT INTO contradictions (time_seconds, note) SELECT ?1, ?2
      WHERE (SELECT count(*) FROM contradictions) < ?3 AND NOT EXISTS (SELECT 1 FROM contradictions WHERE note = ?2)`;
    this.ctx.storage.sql.exec(sql, time, note, LIMITS.witness_evidence);
    warn("witness.contradiction", { origin: this.ctx.id.name ?? "" });
  }

  #latest(): (Head & { note: string; time_seconds: number }) | undefined {
    const sql = "SELECT size, root, note, time_seconds FROM latest";
    type Row = { size: number; root: ArrayBuffer; note: string; time_seconds: number };
    const row = this.ctx.storage.sql.exec<Row>(sql).toArray()[0];
    return row === undefined ? undefined : { ...row, root: new Uint8Array(row.root) };
  }
}

/** The code of the failure, if the checkpoint is not shown to extend what is known. From nothing everything follows. */
function extendsIt(latest: Head | undefined, ask: WitnessAsk): ErrorCode | undefined {
  if (latest === undefined || latest.size === 0) {
    const empty = ask.size > 0 || equal(ask.root, edgeRoot(0, new Uint8Array(0)));
    return ask.hashes.length === 0 && empty ? undefined : "log.consistency_invalid";
  }
  try {
    checkConsistency({ old: latest, head: ask, hashes: ask.hashes });
    return undefined;
  } catch (error) {
    if (error instanceof TalosError && error.code === "log.consistency_invalid") return error.code;
    throw error;
  }
}
