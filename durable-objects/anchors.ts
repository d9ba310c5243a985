/**
 * The atom: what anchors the meta-log to one kind of chain, with the evidence of every checkpoint that is anchored.
 * Reached by: `evm` or `ots`; the meta-log asks for evidence, the Worker's clock whether the alarm was lost.
 * Rows: anchor-store.ts. Atomic: each step's rows are one transaction, before what it sends; the alarm is the only runner,
 * so nothing is under way twice. At most one checkpoint is under way to an EVM chain, and its transactions have one nonce.
 * Eviction loses: that node and contract were found to be the configured ones. Nothing else.
 * Source: contracts/spec/anchors.md#anchoring.
 */
import { DurableObject } from "cloudflare:workers";
import { type ErrorCode, LIMITS, TalosError } from "@talos/contracts";
import { OTS_NONCE_BYTES } from "@talos/core/anchor";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import { evmSettings, otsSettings } from "./anchor-settings.ts";
import { AnchorStore } from "./anchor-store.ts";
import type { Anchored, AnchorsPage, AnchorsPort, AnchorsStatus, AskPort } from "./anchor-types.ts";
import { checkpointOf } from "./checkpoint.ts";
import { withinMs } from "./deadline.ts";
import { bound, type Env } from "./env.ts";
import { EvmAnchoring } from "./evm-anchoring.ts";
import { EvmNode } from "./evm-node.ts";
import { keySigner } from "./evm-signer.ts";
import { codeOf, warn } from "./log.ts";
import { OtsAnchoring } from "./ots-anchoring.ts";

/** An alarm this long overdue was lost, and is set again. */
const LOST_ALARM_MS = 5_000;
/** Steps of one alarm: a flight has four, and a chain that is turned back now and then some more. */
const STEPS = 12;
/** Files that one alarm asks their calendars for. */
const UPGRADES = 8;

export class Anchors extends DurableObject<Env> implements AnchorsPort {
  readonly #store: AnchorStore;
  #evm: EvmAnchoring | undefined;
  #alarmMs: number | null = null;
  readonly #one = new OneRun();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new AnchorStore(ctx.storage);
    ctx.blockConcurrencyWhile(async () => {
      this.#alarmMs = await ctx.storage.getAlarm();
    });
  }

  async covering(metaSize: number): Promise<Anchored | null> {
    await this.poke(); // a runtime without the Worker's clock, as in development, has no other first word
    return this.#store.covering(metaSize) ?? null;
  }

  async list({ before = Number.MAX_SAFE_INTEGER, limit = LIMITS.anchoring_page }): Promise<AnchorsPage> {
    const most = Math.max(1, Math.min(limit, LIMITS.anchoring_page));
    const anchors = this.#store.list(before, most);
    const last = anchors.at(-1)?.size;
    return { anchors, ...(anchors.length === most && last !== undefined ? { before: last } : {}) };
  }

  async status(): Promise<AnchorsStatus> {
    await this.poke();
    const kind = this.#kind();
    const { failures, code, refused_size } = this.#store.run();
    const newest = this.#store.newest();
    const anchored_size = newest?.size ?? 0;
    const waiting = this.#store.stamps().length;
    const flight = this.#flight();
    const wrong = this.#misconfigured();
    // A refusal stands until something larger is anchored, whatever else works or fails.
    const shown = wrong ?? (refused_size > anchored_size ? "anchor.refused" : code);
    const working = flight !== undefined || waiting > 0 ? "working" : "idle";
    const troubled = shown === "anchor.refused" ? "refused" : "failing";
    return {
      ...{ kind, failures, anchored_size },
      state: this.#off(wrong) ? "off" : shown === null ? working : troubled,
      ...(shown === null ? {} : { code: shown }),
      ...(newest === undefined ? {} : { anchored_ms: newest.done_ms }),
      ...(flight === undefined ? {} : { flight }),
      ...(kind === "ots" ? { waiting } : {}),
      ...this.#chain(wrong),
      ...(this.#alarmMs === null ? {} : { next_ms: this.#alarmMs }),
    };
  }

  /** Somebody who looks now and then: an alarm that was never set or was lost is set. */
  async poke(): Promise<void> {
    const nowMs = Date.now();
    if (this.#off(this.#misconfigured())) return;
    if (this.#alarmMs === null || this.#alarmMs < nowMs - LOST_ALARM_MS) await this.#setAlarm(nowMs);
  }

  /** Never throws for a node or calendar: the platform gives up an alarm that throws six times. */
  override async alarm(): Promise<void> {
    return this.#one.run(() => this.#run());
  }

  async #run(): Promise<void> {
    this.#alarmMs = null;
    let waitMs: number | null;
    try {
      waitMs = this.#kind() === "evm" ? await this.#anchorEvm() : await this.#anchorOts();
      this.#succeeded();
    } catch (error) {
      waitMs = this.#failed(error);
    }
    if (waitMs !== null) await this.#setAlarm(Date.now() + waitMs);
  }

  /** @returns when to come again, in ms; null when it is off */
  async #anchorEvm(): Promise<number | null> {
    const settings = evmSettings(this.env);
    if (settings === undefined) return null;
    const { key, ...chain } = settings;
    this.#evm ??= new EvmAnchoring(this.#store, new EvmNode(this.#port(), chain.rpc), keySigner(key), chain);
    for (let steps = 0; steps < STEPS; steps += 1) {
      const flight = this.#store.flight() ?? (await this.#takeOff(settings.interval_seconds * 1_000));
      if (typeof flight === "number") return flight;
      if (flight === undefined) continue;
      const step = await this.#evm.step(flight, Date.now());
      if (step === "pause") return LIMITS.anchoring_poll_ms;
      if (step === "refused") throw new TalosError("anchor.refused");
    }
    return LIMITS.anchoring_poll_ms;
  }

  /** Begin with the newest checkpoint, when it is time. @returns what to wait, in ms, when there is nothing to do */
  async #takeOff(intervalMs: number): Promise<number | undefined> {
    const next = await this.#next(intervalMs);
    if (typeof next === "number") return next;
    const nothing = { nonce: null, block_number: null, block_hash: null, anchor: null, time_seconds: null };
    this.#store.atomically(() => {
      this.#store.saveFlight({ ...next, state: "pending", ...nothing });
      this.#store.saveRun({ ...this.#store.run(), started_ms: Date.now() });
    });
    return undefined;
  }

  async #anchorOts(): Promise<number | null> {
    const settings = otsSettings(this.env);
    if (settings === undefined) return null;
    const ots = new OtsAnchoring(this.#store, this.#port(), settings);
    const intervalMs = settings.interval_seconds * 1_000;
    const next = await this.#next(intervalMs);
    if (typeof next !== "number") {
      const nonce = crypto.getRandomValues(new Uint8Array(OTS_NONCE_BYTES));
      this.#store.atomically(() => {
        this.#store.saveStamp({ ...next, nonce, file: null, asked_ms: 0 });
        this.#store.saveRun({ ...this.#store.run(), started_ms: Date.now() });
        ots.giveUp();
      });
    }
    const nowMs = Date.now();
    const due = this.#store.stamps().filter((stamp) => nowMs - stamp.asked_ms >= LIMITS.anchoring_upgrade_ms);
    for (const stamp of due.slice(0, UPGRADES)) {
      if (stamp.file === null) await ots.submit(stamp, nowMs);
      else await ots.upgrade({ ...stamp, file: stamp.file }, nowMs);
    }
    const waitsMs = this.#store.stamps().map((stamp) => stamp.asked_ms + LIMITS.anchoring_upgrade_ms - nowMs);
    return Math.max(1, Math.min(typeof next === "number" ? next : intervalMs, ...waitsMs));
  }

  /** The newest cosigned checkpoint, if it is larger than all that were taken and the time has come; else what to wait. */
  async #next(intervalMs: number): Promise<{ size: number; note: string } | number> {
    const { started_ms, refused_size } = this.#store.run();
    const leftMs = started_ms + intervalMs - Date.now();
    if (leftMs > 0) return Math.min(leftMs, intervalMs);
    const meta = bound(this.env, "META_LOG").getByName("meta");
    const head = await withinMs(meta.cosigned(), LIMITS.object_timeout_ms, "asking the meta-log");
    const waiting = this.#store.stamps().at(-1)?.size ?? 0;
    const taken = Math.max(this.#store.newest()?.size ?? 0, waiting, refused_size);
    if (head === null || head.size <= taken) return Math.min(intervalMs, LIMITS.anchoring_retry_max_ms);
    if (checkpointOf(head.note).size !== head.size) throw new TalosError("log.checkpoint_malformed");
    return { size: head.size, note: head.note };
  }

  #succeeded(): void {
    const run = this.#store.run();
    if (run.failures > 0) this.#store.saveRun({ ...run, failures: 0, code: null });
  }

  /** @returns what to wait, in ms */
  #failed(error: unknown): number {
    const run = this.#store.run();
    const code: ErrorCode = error instanceof TalosError ? error.code : "anchor.unavailable";
    warn("anchors.failed", { kind: this.#kind(), code: codeOf(error) });
    const flight = this.#store.flight();
    if (code === "anchor.refused" && flight !== undefined) {
      // Final for this checkpoint: the registry is ahead of us, or has another history. The next larger one is tried.
      this.#store.atomically(() => {
        this.#store.land();
        this.#store.saveRun({ ...run, failures: run.failures + 1, code, refused_size: flight.size });
      });
      return LIMITS.anchoring_retry_max_ms;
    }
    this.#store.saveRun({ ...run, failures: run.failures + 1, code });
    return backoffMs(run.failures + 1, LIMITS.anchoring_retry_ms, LIMITS.anchoring_retry_max_ms);
  }

  #flight(): AnchorsStatus["flight"] {
    const flight = this.#store.flight();
    if (flight === undefined) return undefined;
    const sent = this.#store.sent();
    const tx = sent.at(-1)?.tx;
    return { size: flight.size, state: flight.state, attempts: sent.length, ...(tx === undefined ? {} : { tx }) };
  }

  /** The code of settings that cannot be read. */
  #misconfigured(): ErrorCode | null {
    try {
      if (this.#kind() === "evm") evmSettings(this.env);
      else otsSettings(this.env);
      return null;
    } catch (error) {
      return error instanceof TalosError ? error.code : "internal";
    }
  }

  #off(wrong: ErrorCode | null): boolean {
    if (wrong !== null) return false;
    return (this.#kind() === "evm" ? evmSettings(this.env) : otsSettings(this.env)) === undefined;
  }

  #chain(wrong: ErrorCode | null): Pick<AnchorsStatus, "chain"> {
    const settings = wrong === null && this.#kind() === "evm" ? evmSettings(this.env) : undefined;
    if (settings === undefined) return {};
    const { chain_id, contract, key } = settings;
    return { chain: { chain_id, contract, publisher: keySigner(key).address } };
  }

  #kind(): "evm" | "ots" {
    const { name } = this.ctx.id;
    if (name === "evm" || name === "ots") return name;
    throw new Error("anchors are reached by their kind");
  }

  #port(): AskPort {
    // The Worker's own entrypoint, by its name: what may be called from here is decided in one place.
    return (this.ctx.exports as unknown as { Courier: AskPort }).Courier;
  }

  async #setAlarm(atMs: number): Promise<void> {
    this.#alarmMs = atMs;
    await this.ctx.storage.setAlarm(atMs);
  }
}
