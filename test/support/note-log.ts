/** A log for tests of what reads logs: any number of leaves, signed heads of any of its sizes, proofs between them. */
import { generateKeyPairSync, type KeyPairKeyObjectResult, sign } from "node:crypto";
import * as log from "@talos/core/log";

const utf8 = (text: string) => new TextEncoder().encode(text);

export class NoteLog {
  readonly origin: string;
  readonly vkey: string;
  readonly #tiles = new Map<string, Uint8Array>();
  readonly #heads = new Map<number, log.Head>();
  readonly #sign: (text: string) => string;
  readonly #salt: string;
  readonly #keys: KeyPairKeyObjectResult;
  #size = 0;

  constructor(origin: string, salt = "", keys = generateKeyPairSync("ed25519")) {
    this.origin = origin;
    this.#salt = salt;
    this.#keys = keys;
    const key = {
      name: origin,
      publicKey: new Uint8Array(keys.publicKey.export({ format: "der", type: "spki" }).subarray(-32)),
    };
    this.vkey = log.verifierKey(key);
    this.#sign = (text) => log.signatureLine(key, new Uint8Array(sign(null, utf8(text), keys.privateKey)));
    this.#heads.set(0, { size: 0, root: log.edgeRoot(0, new Uint8Array(0)) });
  }

  /** The same log by name and key with another history from the third leaf on. */
  twin(salt: string): NoteLog {
    return new NoteLog(this.origin, salt, this.#keys);
  }

  grow(size: number): void {
    while (this.#size < size) {
      const edge = Buffer.concat(log.edgeTiles(this.#size).map((path) => this.#tiles.get(path) as Uint8Array));
      const leaf = log.leafHash(utf8(`${this.#size < 2 ? "" : this.#salt}${this.#size}`));
      const { root, tiles } = log.append({ size: this.#size, edge, leaves: leaf });
      for (const { path, hashes } of tiles) this.#tiles.set(path, hashes);
      this.#size += 1;
      this.#heads.set(this.#size, { size: this.#size, root });
    }
  }

  head(size: number): log.Head {
    this.grow(size);
    return this.#heads.get(size)!;
  }

  /** A signed checkpoint. */
  note(size: number): string {
    return this.signed(this.text(size));
  }

  /** Any text, under its key. */
  signed(text: string): string {
    return log.note(text, [this.#sign(text)]);
  }

  text(size: number): string {
    return log.checkpointText(this.origin, this.head(size));
  }

  async proof(old: number, size: number): Promise<Uint8Array> {
    this.grow(size);
    if (old === 0 || old === size) return new Uint8Array(0);
    return log.consistencyProof(old, size, async (path) => this.#tiles.get(path) as Uint8Array);
  }

  /** What a witness is sent. */
  async submission(old: number, size: number): Promise<string> {
    return log.submission({ old, hashes: await this.proof(old, size), note: this.note(size) });
  }
}
