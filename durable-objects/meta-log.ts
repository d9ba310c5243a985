/**
 * The atom: the deployment's log of its logs' heads. A tenant's log stays private; that it has one history does not depend on
 * that, because each of its published heads is a leaf here, and this log alone is witnessed and anchored.
 * Reached by: the one name `meta`.
 * Rows: `heads` (one for each leaf, `meta-heads.ts`; never deleted), the tree's (`tree-store.ts`), witnesses and the newest
 * head that met their quorum (`cosigner.ts`).
 * Atomic: `add` compares with the origin's newest head, numbers the new one and writes it without awaiting in between. The
 * alarm makes leaves of what was added (one transaction), publishes them, and has the published head cosigned.
 * Eviction loses: how often publishing failed. No head: it was durable before it was answered.
 * Source: contracts/spec/log.md#meta-log.
 */
import { DurableObject } from "cloudflare:workers";
import { LIMITS, TalosError } from "@talos/contracts";
import { checkpointText, HASH_BYTES, inclusionProof, proofFile, treeRoot, verifyCheckpoint } from "@talos/core/log";
import { ANCHOR_KINDS, anchoredAt, anchorsOf, newestAnchored } from "./anchored.ts";
import { Cosigner } from "./cosigner.ts";
import { withinMs } from "./deadline.ts";
import type { Env } from "./env.ts";
import { keysetsOf } from "./keysets.ts";
import { codeOf, warn } from "./log.ts";
import { MetaHeads } from "./meta-heads.ts";
import { headKeys, metaKeys, metaNames, metaOrigin, signingSeed } from "./meta-key.ts";
import { logHost, Publisher } from "./publisher.ts";
import type { CourierPort } from "./sink-types.ts";
import { TreeStore } from "./tree-store.ts";
import type {
  Anchor,
  MetaAdded,
  MetaAsk,
  MetaHead,
  MetaLevel,
  MetaPage,
  MetaPort,
  MetaProof,
  MetaReached,
  MetaStatus,
} from "./types.ts";
import { witnessPolicy } from "./witness-policy.ts";

/** Beyond this the log refuses instead of meeting the platform's bound (10 GB an object) in the middle of a write. */
const MAX_BYTES = 9_000_000_000;
/** An alarm this long overdue was lost, and is set again. */
const LOST_ALARM_MS = 5_000;
/** Heads of one page: with their notes, 64 KiB. */
const HEADS_PAGE = 256;
/** How long an anchor is waited for where less will do. */
const ANCHORS_MS = 1_000;
/** Heads that wait for their verification at once. */
const WAITING = 1_024;

const utf8 = new TextEncoder();

/** A checkpoint of the meta-log, and what vouches for it. */
interface Covering {
  level: MetaLevel;
  size: number;
  note: string;
  anchors: Anchor[];
}

export class MetaLog extends DurableObject<Env> implements MetaPort {
  readonly #heads: MetaHeads;
  readonly #tree: TreeStore;
  readonly #publisher: Publisher;
  readonly #cosigner: Cosigner;
  #alarmMs: number | null = null;
  /** Heads are judged in the order in which they came, though each is verified first. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#heads = new MetaHeads(ctx.storage.sql);
    this.#tree = new TreeStore(ctx.storage, this.#heads);
    this.#publisher = new Publisher({
      log: this.#name(),
      tree: this.#tree,
      bucket: () => this.env.AUDIT_TILES,
      names: metaNames(this.#name()),
      seed: () => signingSeed(keysetsOf(this.env, Date.now())),
    });
    this.#cosigner = new Cosigner(ctx.storage.sql, {
      tree: this.#tree,
      courier: () => (this.ctx.exports as unknown as { Courier: CourierPort }).Courier,
      bucket: () => this.env.AUDIT_TILES,
      file: metaNames(this.#name()).cosigned,
      policy: () => witnessPolicy(this.env.TALOS_WITNESSES),
      keys: () => metaKeys(keysetsOf(this.env, Date.now()), this.#tree.sealed()!.origin),
      now: () => Date.now(),
    });
    ctx.blockConcurrencyWhile(async () => {
      this.#alarmMs = await ctx.storage.getAlarm();
      await this.#publisher.check();
    });
  }

  /**
   * Take a tenant's published head. The same head again gives the same index.
   * @returns `audit.forked` for a head that contradicts one of its origin (smaller than the newest, or of a size that it has
   * with another root), `log.…` for a note that does not verify or says something else, `contract.invalid`,
   * `config.incomplete`, `audit.unavailable`; then nothing was stored
   */
  async add(head: MetaHead): Promise<MetaAdded> {
    if (this.#waiting >= WAITING) return { ok: false, code: "audit.unavailable" };
    this.#waiting += 1;
    const added = this.#last.then(() => this.#add(head));
    this.#last = added.finally(() => {
      this.#waiting -= 1;
    });
    return added;
  }

  async #add(head: MetaHead): Promise<MetaAdded> {
    try {
      if (!isHead(head)) return { ok: false, code: "contract.invalid" };
      await this.#verify(head);
      return this.#store(head);
    } catch (error) {
      const code = error instanceof TalosError ? error.code : "audit.unavailable";
      warn("meta_log.add_failed", { log: head.log, code: codeOf(error) });
      return { ok: false, code };
    }
  }

  /** Signed by a `head` key of this deployment, and saying what the ask says, in three lines. */
  async #verify({ origin, size, root, note }: MetaHead): Promise<void> {
    const logs = headKeys(keysetsOf(this.env, Date.now()), origin).map((key) => `log ${key}\n`);
    const policy = utf8.encode(`${logs.join("")}quorum none\n`);
    await verifyCheckpoint({ note: utf8.encode(note), policy });
    // The leaf is the text: what the signature covers has to be that text, and nothing more.
    if (!note.startsWith(`${checkpointText(origin, { size, root })}\n`))
      throw new TalosError("log.checkpoint_malformed");
  }

  /** Judge, number and write, without awaiting. */
  #store({ log, origin, size, root, note }: MetaHead): MetaAdded {
    const known = this.#heads.judge(origin, { size, root });
    if (known === "fork") {
      warn("meta_log.fork_refused", { log, size });
      return { ok: false, code: "audit.forked" };
    }
    if (known !== undefined) return { ok: true, index: known };
    // What is published contradicts these rows: a leaf that is added now would be in no tree that anybody signs.
    if (this.#publisher.state === "forked") return { ok: false, code: "audit.unavailable" };
    if (this.ctx.storage.sql.databaseSize > MAX_BYTES) return { ok: false, code: "audit.unavailable" };
    const leaf = this.#heads.next();
    const nowMs = Date.now();
    this.#heads.add({ leaf, origin, size, root, note, time_ms: nowMs });
    this.#arm(nowMs);
    return { ok: true, index: leaf };
  }

  /** See {@link MetaPort}. The best that there is of the levels that will do. */
  async prove({ origin, index, level }: MetaAsk): Promise<MetaProof> {
    const head = this.#heads.covering(origin, index);
    const found = head === undefined ? undefined : await this.#covering(head.leaf, level);
    if (head === undefined || found === undefined) {
      return { ok: false, code: "audit.proof_pending", retry_after_ms: LIMITS.audit_publish_ms };
    }
    const hashes = await inclusionProof(head.leaf, found.size, async (path) => this.#tree.tile(path));
    const proof = proofFile({ index: head.leaf, hashes, checkpoint: found.note });
    const { level: reached, anchors } = found;
    return { ok: true, level: reached, head: { size: head.size, note: head.note }, proof, anchors };
  }

  /** The checkpoint of at least this level that covers a leaf. */
  async #covering(leaf: number, least: MetaLevel): Promise<Covering | undefined> {
    const asking = anchoredAt(leaf + 1, this.#anchors());
    const waitMs = least === "anchored" ? LIMITS.object_timeout_ms : ANCHORS_MS;
    const anchored = await withinMs(asking, waitMs, "the anchors").catch(() => undefined);
    if (anchored !== undefined && (await this.#isOurs(anchored))) return { level: "anchored", ...anchored };
    if (least === "anchored") return undefined;
    const cosigned = this.#cosigner.cosigned();
    if (cosigned !== undefined && cosigned.size > leaf) return { level: "witnessed", ...cosigned, anchors: [] };
    const published = this.#tree.published();
    if (least === "witnessed" || published === undefined || published.size <= leaf) return undefined;
    return { level: "published", size: published.size, note: published.note, anchors: [] };
  }

  /** Whether a checkpoint that others kept is one of this tree: rows that were put back know another, and prove nothing of it. */
  async #isOurs({ size, note }: { size: number; note: string }): Promise<boolean> {
    const sealed = this.#tree.sealed();
    if (sealed === undefined || size > sealed.size) return false;
    const root = await treeRoot(size, async (path) => this.#tree.tile(path));
    return note.startsWith(`${checkpointText(sealed.origin, { size, root })}\n`);
  }

  /** See {@link MetaPort}. With nobody to ask, what is published is all that there is. */
  async cosigned(): Promise<{ size: number; note: string } | null> {
    if (witnessPolicy(this.env.TALOS_WITNESSES).witnesses.length > 0) return this.#cosigner.cosigned() ?? null;
    const published = this.#tree.published();
    return published === undefined ? null : { size: published.size, note: published.note };
  }

  /** See {@link MetaPort}. */
  async reached(origin: string): Promise<MetaReached> {
    const within = (size = 0) => this.#heads.within(origin, size);
    const anchored = await this.#anchoredSize();
    const asks = witnessPolicy(this.env.TALOS_WITNESSES).witnesses.length > 0;
    return {
      ...(asks ? { witnessed: within(this.#cosigner.cosigned()?.size) } : {}),
      ...(anchored === undefined ? {} : { anchored: within(anchored) }),
    };
  }

  /** Of the newest anchored checkpoint; undefined without anchors, and when they cannot say, or say it of another tree. */
  async #anchoredSize(): Promise<number | undefined> {
    try {
      const newest = await withinMs(newestAnchored(this.#anchors()), ANCHORS_MS, "the anchors");
      if (newest === undefined) return undefined;
      if (newest === null) return 0;
      return (await this.#isOurs(newest)) ? newest.size : undefined;
    } catch (error) {
      warn("meta_log.anchors_unasked", { code: codeOf(error) });
      return undefined;
    }
  }

  #anchors() {
    return ANCHOR_KINDS.map((kind) => anchorsOf(this.env, kind)).filter((source) => source !== undefined);
  }

  /** The head that anybody is shown; null before the first. */
  checkpoint(): string | null {
    return this.#cosigner.cosigned()?.note ?? this.#tree.published()?.note ?? null;
  }

  /** Heads as they were taken, from a leaf on, for whoever looks into it. */
  page(from: number): MetaPage {
    const rows = this.#heads.page(from, HEADS_PAGE);
    const heads = rows.map(({ leaf, origin, size, note, time_ms }) => ({ index: leaf, origin, size, note, time_ms }));
    return { heads, next: from + heads.length };
  }

  status(): MetaStatus {
    const cosigned = this.#cosigner.cosigned();
    return {
      origin: this.#tree.sealed()?.origin ?? null,
      heads: this.#heads.next(),
      sealed_size: this.#tree.sealed()?.size ?? 0,
      published_size: this.#tree.published()?.size ?? 0,
      publish_failures: this.#publisher.failures,
      forked: this.#publisher.state === "forked",
      witnessed_size: cosigned?.size ?? 0,
      ...(cosigned === undefined ? {} : { witnessed_ms: cosigned.time_ms }),
      witnesses: this.#cosigner.status(),
      bytes: this.ctx.storage.sql.databaseSize,
    };
  }

  /** Somebody who looks now and then: an alarm that was lost is set again. */
  async poke(): Promise<void> {
    this.#armAgain(Date.now());
  }

  /** Seal, publish and ask the witnesses now, as far as it goes; failures are counted in `status` and tried again by the alarm. */
  async flush(): Promise<void> {
    await this.#work(true);
  }

  /** Come again while anything is left. Never throws for R2 or a witness. */
  override async alarm(): Promise<void> {
    await this.#work(false);
  }

  async #work(force: boolean): Promise<void> {
    this.#alarmMs = null;
    try {
      this.#seal();
      await this.#publisher.run(Date.now(), force);
      // What is not ours to publish is not ours to have cosigned either.
      if (this.#publisher.state === "same") await this.#cosign(force);
    } finally {
      this.#armAgain(Date.now());
    }
  }

  /** A witness that does not answer holds up nothing: the round goes on, and says when it is over. */
  async #cosign(force: boolean): Promise<void> {
    const round = this.#cosigner.run(force);
    if (force) return round;
    const over = round.finally(() => this.#armAgain(Date.now()));
    this.ctx.waitUntil(over);
    await Promise.race([over, scheduler.wait(LIMITS.audit_publish_ms)]);
  }

  /** Make leaves of what was added. Rows that contradict each other stop the log: nothing is added to them. */
  #seal(): void {
    if (this.#publisher.state === "forked") return;
    try {
      while (this.#tree.seal(this.#heads.next(), () => metaOrigin(logHost(this.env.TALOS_ORIGIN))) > 0);
    } catch (error) {
      const code = codeOf(error);
      if (code !== "config.incomplete") this.#publisher.state = "forked";
      warn("meta_log.seal_failed", { code });
    }
  }

  #name(): string {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error("the meta-log is reached by its name");
    return name;
  }

  #armAgain(nowMs: number): void {
    if (this.#publisher.state === "forked") return;
    const unsealed = (this.#tree.sealed()?.size ?? 0) < this.#heads.next();
    const treeMs = unsealed ? LIMITS.audit_project_ms : this.#publisher.waitMs(nowMs);
    const waits = [treeMs, this.#cosigner.waitMs()].filter((ms) => ms !== null);
    if (waits.length > 0) this.#arm(nowMs, Math.max(1, Math.min(...waits)));
  }

  /** The earlier of what is set and what is asked for. */
  #arm(nowMs: number, waitMs: number = LIMITS.audit_project_ms): void {
    const dueMs = nowMs + waitMs;
    if (this.#alarmMs !== null && this.#alarmMs >= nowMs - LOST_ALARM_MS && this.#alarmMs <= dueMs) return;
    this.#alarmMs = dueMs;
    // Not awaited: the output gate waits for it like for any other write, and fails the object if it fails.
    void this.ctx.storage.setAlarm(dueMs);
  }
}

/** What the types say, since it crossed RPC; an origin is the log's to judge. */
function isHead({ origin, size, root, note }: MetaHead): boolean {
  const texts = typeof origin === "string" && typeof note === "string";
  const sized = Number.isSafeInteger(size) && size > 0;
  return texts && sized && root instanceof Uint8Array && root.length === HASH_BYTES;
}
