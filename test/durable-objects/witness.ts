/** A witness behind the test's courier: the rule of the real one, a key of its own, and faults that a test asks for. */
import { publicKey } from "@talos/core";
import * as log from "@talos/core/log";
import { signText } from "../../durable-objects/note-sign.ts";
import type { Post, Posted } from "../../durable-objects/sink-types.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

export class FakeWitness {
  readonly seed = crypto.getRandomValues(new Uint8Array(32));
  readonly key: log.NoteKey;
  readonly vkey: string;
  readonly url: string;
  readonly name: string;
  /** what it cosigned last */
  latest: log.Head | undefined;
  /** how often it was asked */
  asked = 0;
  /** instead of an answer, or changing it; `lost`: it cosigns, and the answer does not arrive */
  fault: "none" | "down" | "lost" | ((answer: Posted, text: string) => Posted | Promise<Posted>) = "none";

  constructor(name: string) {
    this.name = name;
    this.key = { name, publicKey: publicKey(this.seed), cosigns: true };
    this.vkey = log.verifierKey(this.key);
    this.url = `https://${name}/w`;
  }

  get line(): string {
    return `witness ${this.name} ${this.vkey} ${this.url}\n`;
  }

  async post({ url, body }: Post): Promise<Posted> {
    if (url !== `${this.url}/add-checkpoint`) throw new Error(`nobody is at ${url}`);
    this.asked += 1;
    if (this.fault === "down") return { ok: false, code: "unreachable", ms: 1 };
    const { text, ...sent } = log.readSubmission(utf8(body));
    const answer = await this.#answer(sent, text);
    if (this.fault === "lost") return { ok: false, code: "timeout", ms: 1 };
    return typeof this.fault === "function" ? this.fault(answer, text) : answer;
  }

  /** The line that it adds to a text. */
  async cosign(text: string, time = Math.floor(Date.now() / 1_000)): Promise<string> {
    return log.signatureLine(this.key, await signText(this.seed, log.cosignedText(text, time)), time);
  }

  async #answer({ old, hashes }: log.Submission, text: string): Promise<Posted> {
    const [, size = "", root = ""] = text.split("\n");
    const head = { size: Number(size), root: Uint8Array.from(atob(root), (char) => char.charCodeAt(0)) };
    const known = this.latest;
    const said = (status: number, body: string): Posted => ({ ok: true, status, ms: 1, text: body });
    if (old !== (known?.size ?? 0)) return said(409, `${known?.size ?? 0}\n`);
    try {
      if (known !== undefined) log.checkConsistency({ old: known, head, hashes });
    } catch {
      return known?.size === head.size ? said(409, `${known.size}\n`) : said(422, "");
    }
    this.latest = head;
    return said(200, await this.cosign(text));
  }
}
