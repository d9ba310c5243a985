/**
 * Checkpoints to Bitcoin, by calendars of OpenTimestamps: submit, wait hours, ask for what was promised. A calendar learns
 * neither the digest nor whose it is, and is asked only where settings name it: an answer cannot send us elsewhere.
 * Source: contracts/spec/anchors.md#opentimestamps.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import {
  checkpointDigest,
  type OtsAttestation,
  otsCommitment,
  otsFile,
  otsToBlock,
  readOts,
  toBase64,
  upgradeOts,
} from "@talos/core/anchor";
import type { AnchorStore, Stamp } from "./anchor-store.ts";
import type { OtsSettings } from "./anchor-settings.ts";
import type { AskPort } from "./anchor-types.ts";
import { checkpointOf } from "./checkpoint.ts";
import { codeOf, warn } from "./log.ts";

/** Calendars of which answers are needed: one alone could forget. */
const ENOUGH = 2;
const HEADERS = { accept: "application/vnd.opentimestamps.v1" };

type Pending = Extract<OtsAttestation, { kind: "pending" }>;

export class OtsAnchoring {
  readonly #store: AnchorStore;
  readonly #port: AskPort;
  readonly #settings: OtsSettings;

  constructor(store: AnchorStore, port: AskPort, settings: OtsSettings) {
    this.#store = store;
    this.#port = port;
    this.#settings = settings;
  }

  /** Submit what was not, and keep the file. @throws `anchor.unavailable` when too few calendars answer */
  async submit(stamp: Stamp, nowMs: number): Promise<void> {
    const digest = digestOf(stamp);
    const body = otsCommitment(digest, stamp.nonce);
    const asked = await Promise.all(this.#settings.calendars.map((calendar) => this.#submitTo(calendar, body)));
    const answers = asked.filter((answer) => answer !== undefined).filter((answer) => readable(digest, stamp, answer));
    if (answers.length < ENOUGH) throw new TalosError("anchor.unavailable", { calendars: answers.length });
    this.#keep({ ...stamp, file: otsFile({ digest, nonce: stamp.nonce, answers }) }, nowMs);
  }

  async #submitTo(calendar: string, body: Uint8Array): Promise<Uint8Array | undefined> {
    const asked = await this.#port.ask({ method: "POST", url: `${calendar}/digest`, headers: HEADERS, body });
    return asked.ok && asked.status === 200 ? asked.body : undefined;
  }

  /**
   * Ask every calendar for what it promised; the file is anchored when it names a block.
   * @returns whether it does now
   */
  async upgrade(stamp: Stamp & { file: Uint8Array }, nowMs: number): Promise<boolean> {
    let { file } = stamp;
    const pending = readOts(file).attestations.filter((made): made is Pending => made.kind === "pending");
    for (const one of pending) {
      const answer = await this.#promised(one);
      if (answer === undefined) continue;
      try {
        file = upgradeOts(file, one, answer);
      } catch (error) {
        // A calendar that answers nonsense, or not yet with a block: the others may do better, and so may it later.
        warn("anchors.upgrade_refused", { code: codeOf(error), size: stamp.size });
      }
    }
    return this.#keep({ ...stamp, file }, nowMs);
  }

  /** The file as it is now: among the anchored ones once it names a block. @returns whether it does */
  #keep({ file, ...stamp }: Stamp & { file: Uint8Array }, nowMs: number): boolean {
    const anchored = readOts(file).attestations.some((made) => made.kind === "bitcoin");
    this.#store.atomically(() => {
      if (!anchored) return this.#store.saveStamp({ ...stamp, file, asked_ms: nowMs });
      const { size, note } = stamp;
      this.#store.keep({ size, note, anchor: { kind: "ots", file: toBase64(otsToBlock(file)) }, done_ms: nowMs });
      this.#store.dropStamp(size);
    });
    return anchored;
  }

  /** Undefined while there is nothing, and for an address that the settings do not name. */
  async #promised({ uri, commitment }: Pending): Promise<Uint8Array | undefined> {
    if (![...this.#settings.calendars, ...this.#settings.upgrade_from].includes(uri)) return undefined;
    const hex = Array.from(commitment, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const asked = await this.#port.ask({ method: "GET", url: `${uri}/timestamp/${hex}`, headers: HEADERS });
    if (asked.ok && asked.status === 200) return asked.body;
    if (asked.ok && asked.status === 404) return undefined;
    warn("anchors.calendar_failed", { code: asked.ok ? String(asked.status) : asked.code });
    return undefined;
  }

  /** Those that wait beyond the bound are given up, oldest first: their calendars forgot them, and newer ones cover them. */
  giveUp(): void {
    const stamps = this.#store.stamps();
    for (const { size } of stamps.slice(0, Math.max(0, stamps.length - LIMITS.anchoring_pending))) {
      warn("anchors.stamp_given_up", { size });
      this.#store.dropStamp(size);
    }
  }
}

const digestOf = ({ note }: Stamp): Uint8Array => checkpointDigest(checkpointOf(note).text);

/** An answer that is no tree, or says nothing that we read, is none. */
function readable(digest: Uint8Array, { nonce }: Stamp, answer: Uint8Array): boolean {
  try {
    const { attestations } = readOts(otsFile({ digest, nonce, answers: [answer] }));
    return attestations.some((made) => made.kind !== "unknown");
  } catch {
    return false;
  }
}
