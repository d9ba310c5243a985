/**
 * Carries the sealed tree of a log into the bucket: full tiles and bundles under `f/`, partial ones under `p/` (none of them
 * ever changes), then the signed checkpoint in the place of the last one. The bucket is compared with the rows before anything
 * is signed: whoever restored old rows, or another bucket, must not get a second history signed.
 *
 * Every step is harmless to repeat: files are written if absent and compared if present, the checkpoint if it is still the
 * one that was seen. Until the checkpoint is replaced nothing was published.
 * Source: contracts/spec/audit.md#sealing-and-publication.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { b64uDecode, b64uEncode, publicKey } from "@talos/core";
import {
  bundle,
  bundleLeaves,
  checkConsistency,
  checkpointText,
  consistencyProof,
  type Head,
  note,
  signatureLine,
  TILE_WIDTH,
  tileAt,
  treeRoot,
} from "@talos/core/log";
import { backoffMs } from "./backoff.ts";
import { OneRun } from "./one-run.ts";
import { atOnce } from "./at-once.ts";
import { withinMs } from "./deadline.ts";
import { codeOf, warn } from "./log.ts";
import { signText } from "./note-sign.ts";
import { equal, type PublishedHead, type SealedHead, type TreeStore } from "./tree-store.ts";

/** What of R2 is used. */
export type Bucket = Pick<R2Bucket, "get" | "put">;

/** Levels of tiles that a tree within bounds has (contracts/spec/log.md#tiles). */
const LEVELS = [0, 1, 2, 3, 4, 5, 6];
/** How long one look into the bucket, or one file into it, may take. */
const ATTEMPT_MS = 15_000;

/** Files on their way to the bucket at once; the platform opens six connections for a request or an alarm. */
const FILES_AT_ONCE = 4;

const utf8 = new TextEncoder();

/** The published head is ahead of the rows, or not of their tree. Final until an operator acts. */
class Fork extends Error {
  override readonly name = "Fork";
}

/** Where a log's files lie. Apart, so that what is full can be locked for good and what is partial can be cleared. */
export interface FileNames {
  /** prefix of full tiles and bundles, without the last slash */
  full: string;
  /** of partial ones */
  partial: string;
  checkpoint: string;
}

export interface PublisherPorts {
  /** which log this is, for whoever runs it: the tenant's name, or another kind's own */
  log: string;
  tree: TreeStore;
  bucket: () => Bucket;
  names: FileNames;
  /** base64url seed of the key that signs heads */
  seed: () => string | Promise<string>;
  /**
   * A head is known to be in the bucket. Called in the turn that writes the row, so what it writes is durable with it;
   * also for a head that was found at a start, of which an earlier instance may not have come to say anything.
   */
  published?: (head: SealedHead & PublishedHead) => void;
  /** A head is about to be signed by this key. */
  signed?: (origin: string, publicKey: Uint8Array) => void;
}

/** Where a tile or bundle of this name lies. */
const fileName = ({ full, partial }: FileNames, path: string): string =>
  `${path.includes(".p/") ? partial : full}/${path}`;

/** A tile or bundle that was published. @throws Error when it is gone, or the bucket cannot be read in time */
export async function publishedFile(bucket: Bucket, names: FileNames, path: string): Promise<Uint8Array> {
  const read = async () => (await bucket.get(fileName(names, path)))?.arrayBuffer();
  const found = await withinMs(read(), LIMITS.object_timeout_ms, "the bucket");
  if (found === undefined) throw new Error("a file that was published is gone");
  return new Uint8Array(found);
}

/** Where the files of a tenant's log lie; another kind of log uses a prefix that is no tenant's name. */
export function fileNames(log: string): FileNames {
  return { full: `f/${log}`, partial: `p/${log}`, checkpoint: `c/${log}/checkpoint` };
}

export class Publisher {
  /** attempts that failed since the last one that did not */
  failures = 0;
  /** `unknown` until the bucket was seen; `forked` for good */
  state: "unknown" | "same" | "forked" = "unknown";
  readonly #ports: PublisherPorts;
  readonly #one = new OneRun();
  #lastMs = 0;

  constructor(ports: PublisherPorts) {
    this.#ports = ports;
  }

  /** Whether the tree holds what no published head covers. */
  behind(): boolean {
    return this.#behindBy() > 0;
  }

  #behindBy(): number {
    const { tree } = this.#ports;
    return (tree.sealed()?.size ?? 0) - (tree.published()?.size ?? 0);
  }

  /** How long to wait before the next run, in ms; null when there is nothing to publish, or never again. */
  waitMs(nowMs: number): number | null {
    if (this.state === "forked" || !this.behind()) return null;
    const { audit_publish_events, audit_publish_ms, audit_publish_retry_ms, audit_publish_soon_ms } = LIMITS;
    if (this.failures === 0) {
      // A whole slice and more is behind: at the ordinary pace a log that takes events faster would never come to its end.
      const ms = this.#behindBy() >= audit_publish_events ? audit_publish_soon_ms : audit_publish_ms;
      return Math.max(1, this.#lastMs + ms - nowMs);
    }
    return backoffMs(this.failures, audit_publish_ms, audit_publish_retry_ms);
  }

  /** Look into the bucket, if that was not done yet. Never throws; a bucket that cannot be read is looked into again. */
  async check(): Promise<void> {
    if (this.state !== "unknown") return;
    try {
      await withinMs(this.#compare(), LIMITS.object_timeout_ms, "the bucket");
      this.state = "same";
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Publish what is sealed, unless that was done a moment ago. One run at a time; never throws for the bucket. */
  run(nowMs: number, force = false): Promise<void> {
    const early = !force && (this.waitMs(nowMs) ?? 0) > 1;
    if (!this.#one.running && early) return Promise.resolve();
    return this.#one.run(() => this.#run(nowMs));
  }

  async #run(nowMs: number): Promise<void> {
    await this.check();
    if (this.state !== "same" || !this.behind()) return;
    try {
      await this.#publish();
      this.failures = 0;
      this.#lastMs = nowMs;
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.failures += 1;
    // A tile or head that contradicts what was published is no failure of the bucket.
    const forked = error instanceof Fork || codeOf(error).startsWith("log.");
    if (forked) this.state = "forked";
    const facts = { log: this.#ports.log, failures: this.failures, code: codeOf(error) };
    warn(forked ? "audit_log.forked" : "audit_log.publish_failed", facts);
  }

  /** The start-up rule: what is in the bucket is a head of our tree, and none that is older than we know of. */
  async #compare(): Promise<void> {
    const { tree } = this.#ports;
    const known = tree.published();
    const found = await this.#ports.bucket().get(this.#ports.names.checkpoint);
    if (found === null) {
      if (known !== undefined) throw new Fork("the published head is gone");
      return;
    }
    const text = await found.text();
    const sealed = tree.sealed();
    const size = Number(text.split("\n")[1]);
    if (sealed === undefined || !(size >= (known?.size ?? 1) && size <= sealed.size)) {
      throw new Fork("the published head is ahead of the rows, or behind what was published");
    }
    const root = await treeRoot(size, async (path) => tree.tile(path));
    if (!text.startsWith(`${checkpointText(sealed.origin, { size, root })}\n`)) {
      throw new Fork("the published head is of another tree");
    }
    this.#settle(sealed.origin, { size, root, note: text, etag: found.etag });
  }

  async #publish(): Promise<void> {
    const { tree } = this.#ports;
    const sealed = tree.sealed()!;
    const before = tree.published();
    const head = await this.#next(sealed, before);
    await this.#putAll(this.#files(before?.size ?? 0, head.size));

    const text = checkpointText(sealed.origin, head);
    const signed = note(text, [await this.#sign(sealed.origin, text)]);
    const onlyIf = before === undefined ? { etagDoesNotMatch: "*" } : { etagMatches: before.etag };
    const httpMetadata = { contentType: "text/plain; charset=utf-8", cacheControl: "private, no-cache" };
    const bucket = this.#ports.bucket();
    const put = await withinMs(
      bucket.put(this.#ports.names.checkpoint, signed, { onlyIf, httpMetadata }),
      ATTEMPT_MS,
      "a put",
    );
    if (put === null) {
      // Not the checkpoint that we saw: our own put whose answer was lost, or somebody else's. The next look tells.
      this.state = "unknown";
      throw new Error("the checkpoint was replaced in between");
    }
    this.#settle(sealed.origin, { ...head, note: signed, etag: put.etag });
  }

  #settle(origin: string, head: PublishedHead): void {
    this.#ports.tree.setPublished(head);
    this.#ports.published?.({ ...head, origin });
  }

  /** The head to publish, shown to extend the last one by the tiles that are stored. */
  async #next(sealed: SealedHead, before: PublishedHead | undefined): Promise<Head> {
    const read = async (path: string) => this.#ports.tree.tile(path);
    const size = Math.min(sealed.size, (before?.size ?? 0) + LIMITS.audit_publish_events);
    const head = { size, root: await treeRoot(size, read) };
    if (size === sealed.size && !equal(head.root, sealed.root)) throw new Fork("the tiles are not those of the head");
    if (before !== undefined)
      checkConsistency({ old: before, head, hashes: await consistencyProof(before.size, size, read) });
    return head;
  }

  /** A few at a time, each read when its turn comes: appends that wait for the object get theirs in between. */
  async #putAll(files: Iterable<{ path: string; bytes: Uint8Array }>): Promise<void> {
    await atOnce(FILES_AT_ONCE, files, ({ path, bytes }) => this.#put(path, bytes));
  }

  /** Every tile and bundle that the tree of `size` leaves has and the one of `before` had not. */
  *#files(before: number, size: number): Generator<{ path: string; bytes: Uint8Array }> {
    const { tree } = this.#ports;
    for (const level of LEVELS) {
      const [had, has] = [before, size].map((leaves) => Math.floor(leaves / TILE_WIDTH ** level)) as [number, number];
      if (had === has) continue;
      for (let index = Math.floor(had / TILE_WIDTH); ; index += 1) {
        const path = tileAt(level, index, size);
        if (path === undefined) break;
        const bytes = tree.tile(path);
        yield { path, bytes };
        if (level === 0) yield this.#bundle(index, size, bytes);
      }
    }
  }

  #bundle(index: number, size: number, leaves: Uint8Array): { path: string; bytes: Uint8Array } {
    const first = index * TILE_WIDTH;
    const entries = this.#ports.tree.entries(first, Math.min(size, first + TILE_WIDTH));
    const bytes = bundle([...entries].map(({ body }) => utf8.encode(body)));
    if (!equal(bundleLeaves(bytes), leaves)) throw new Fork("the stored events are not those that were sealed");
    return { path: tileAt("entries", index, size)!, bytes };
  }

  /** Written once; what is there already must be the same. */
  async #put(path: string, bytes: Uint8Array): Promise<void> {
    const name = fileName(this.#ports.names, path);
    const bucket = this.#ports.bucket();
    const onlyIf = { etagDoesNotMatch: "*" };
    const httpMetadata = {
      contentType: "application/octet-stream",
      cacheControl: "private, max-age=31536000, immutable",
    };
    if ((await withinMs(bucket.put(name, bytes, { onlyIf, httpMetadata }), ATTEMPT_MS, "a put")) !== null) return;
    const there = await withinMs(bucket.get(name), ATTEMPT_MS, "a get");
    if (there === null) throw new Error("a file that is there and is not");
    if (!equal(new Uint8Array(await there.arrayBuffer()), bytes)) throw new Fork(`another ${path} is published`);
  }

  async #sign(origin: string, text: string): Promise<string> {
    const seed = b64uDecode(await this.#ports.seed());
    const own = publicKey(seed);
    this.#ports.signed?.(origin, own);
    return signatureLine({ name: origin, publicKey: own }, await signText(seed, text));
  }
}

/** The host that a deployment's logs are named after. @throws `config.incomplete` without an origin of its own */
export function logHost(deployment: string | undefined): string {
  const host = URL.canParse(deployment ?? "") ? new URL(deployment!).host : "";
  if (host === "") throw new TalosError("config.incomplete", { missing: ["TALOS_ORIGIN"] });
  return host;
}

/**
 * A name for a new log of a tenant: drawn, because heads of it are handed to the public meta-log, which must not tell
 * who the tenants are (contracts/spec/audit.md#sealing-and-publication).
 */
export function newOrigin(deployment: string | undefined): string {
  return `${logHost(deployment)}/log/${b64uEncode(crypto.getRandomValues(new Uint8Array(16)))}`;
}
