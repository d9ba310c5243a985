/** Every head that a log was seen to publish, held at the end against its rows and against the files beside it. */
import type { Keysets } from "@talos/contracts";
import { publicKey } from "@talos/core";
import * as tree from "@talos/core/log";
import type { Talos } from "../harness.ts";
import type { Ledger } from "./ledger.ts";

const utf8 = new TextEncoder();

/** What the log signs with, in the form that a policy has. `origin` is how the log calls itself in its first line. */
export function verifierKeyOf(keysets: Keysets, origin: string): string {
  const { key } = keysets.purposes.head.find(({ status }) => status === "primary")!;
  return tree.verifierKey({ name: origin, publicKey: publicKey(new Uint8Array(Buffer.from(key, "base64url"))) });
}

export class Heads {
  /** by size, the root that was signed for it */
  readonly seen = new Map<number, Uint8Array>();
  /** sizes that were signed with two roots, and heads that came after a larger one */
  readonly forks: string[] = [];
  readonly #tenant: string;
  #origin: string | undefined;
  #largest = 0;

  constructor(tenant = "default") {
    this.#tenant = tenant;
  }

  /** Look at the head that lies in the bucket now. @throws when its signature is not the log's */
  async look(talos: Talos): Promise<tree.Head | undefined> {
    const note = await talos.published(this.#tenant, "checkpoint");
    if (note === undefined) {
      if (this.#largest > 0) this.forks.push(`the head of ${this.#largest} is gone`);
      return undefined;
    }
    const origin = new TextDecoder().decode(note).split("\n")[0]!;
    this.#origin ??= origin;
    if (origin !== this.#origin) this.forks.push(`another name: ${origin}`);
    const policy = utf8.encode(`log ${verifierKeyOf(talos.keysets, this.#origin)}\nquorum none\n`);
    const head = await tree.verifyCheckpoint({ note, policy });
    if (head.size < this.#largest) this.forks.push(`${head.size} after ${this.#largest}`);
    const known = this.seen.get(head.size);
    if (known !== undefined && !Buffer.from(known).equals(head.root)) this.forks.push(`two trees of ${head.size}`);
    this.seen.set(head.size, head.root);
    this.#largest = Math.max(this.#largest, head.size);
    return head;
  }

  /** Have the log publish all that it holds. @throws after `patienceMs` without that */
  async whole(talos: Talos, patienceMs = 60_000): Promise<void> {
    const untilMs = Date.now() + patienceMs;
    for (;;) {
      await talos.log(this.#tenant).flush();
      const { next_seq, published_size } = await talos.log(this.#tenant).status();
      if (published_size === next_seq) break;
      if (Date.now() > untilMs) throw new Error(`published ${published_size} of ${next_seq}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await this.look(talos);
  }

  /** What contradicts the rows: a head over another tree, an event that its bundle has not, a tile that is not theirs. */
  async breaches(talos: Talos, { leaves }: Ledger): Promise<string[]> {
    const found = [...this.forks];
    const hashes = Buffer.concat(leaves.map(({ leaf }) => Buffer.from(leaf, "base64url")));
    let grown = tree.emptyFrontier();
    for (const [size, root] of [...this.seen].sort(([a], [b]) => a - b)) {
      grown = tree.extend(grown, hashes.subarray(grown.size * tree.HASH_BYTES, size * tree.HASH_BYTES));
      if (grown.size !== size || !Buffer.from(grown.root).equals(root)) found.push(`the head of ${size}`);
    }
    const read = async (path: string): Promise<Uint8Array> => {
      const bytes = await talos.published(this.#tenant, path);
      if (bytes === undefined) throw new Error(`${path} is not published`);
      return bytes;
    };
    const size = this.#largest;
    const root = await tree.treeRoot(size, read);
    if (!Buffer.from(root).equals(this.seen.get(size)!)) found.push("the tiles of the newest head");
    for (let index = 0; ; index += 1) {
      const path = tree.tileAt("entries", index, size);
      if (path === undefined) break;
      const some = leaves.slice(index * tree.TILE_WIDTH, Math.min(size, (index + 1) * tree.TILE_WIDTH));
      const own = tree.bundle(some.map(({ body }) => utf8.encode(body)));
      if (!Buffer.from(own).equals(await read(path))) found.push(path);
    }
    return found;
  }
}
