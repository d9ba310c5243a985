/**
 * Tiles of a log's trees: out of the rows, or out of the bucket where leaf hashes went with what was archived
 * (`archiving.ts`). A file is believed when it hashes to what the tree has above it, which stays.
 * Source: contracts/spec/audit.md#archive.
 */
import { HASH_BYTES, parseTile, tileAt } from "@talos/core/log";
import type { Epoch } from "./epochs.ts";
import { type Bucket, publishedFile } from "./publisher.ts";

export class LogTiles {
  readonly #bucket: () => Bucket;

  constructor(bucket: () => Bucket) {
    this.#bucket = bucket;
  }

  /** @throws Error when it is in the bucket alone and that cannot be read, or has something else */
  async read(epoch: Epoch, path: string): Promise<Uint8Array> {
    const { level, index, width } = parseTile(path);
    if (level !== 0 || epoch.tree.hasTile(path)) return epoch.tree.tile(path);
    return (await this.file(epoch, index)).subarray(0, width * HASH_BYTES);
  }

  /** The full tile of leaf hashes that was published, shown to be what was sealed. */
  async file({ tree, names }: Epoch, index: number): Promise<Uint8Array> {
    const path = tileAt(0, index, tree.published()?.size ?? 0);
    if (path === undefined || path.includes(".p/")) throw new Error("a tile that no published head has full");
    const bytes = await publishedFile(this.#bucket(), names, path);
    if (!tree.hasLeaves(index, bytes)) throw new Error("a tile is not what was sealed");
    return bytes;
  }
}
