/** Recognisable secrets, and where they turn up: in any spelling that a careless program would give them. */
import { randomBytes } from "node:crypto";

/** How much of a long credential is enough to know it by. */
const FRAGMENT = 40;

export class Canaries {
  readonly #spellings = new Map<string, string[]>();

  /** A new secret text that occurs nowhere else. */
  plant(name: string): string {
    const value = `canary-${name}-${randomBytes(9).toString("hex")}`;
    this.watch(name, value);
    return value;
  }

  /** A text that exists already. Long ones are known by pieces of them, too. */
  watch(name: string, text: string): void {
    const bytes = Buffer.from(text);
    const pieces = [text, encodeURIComponent(text), bytes.toString("hex"), bytes.toString("base64url")];
    for (let at = 0; text.length >= 3 * FRAGMENT && at + FRAGMENT <= text.length; at += FRAGMENT) {
      pieces.push(text.slice(at, at + FRAGMENT));
    }
    this.#keep(name, pieces);
  }

  /** Bytes of a key. */
  key(name: string, bytes: Uint8Array): void {
    const from = Buffer.from(bytes);
    const base64 = from.toString("base64").replace(/=+$/, "");
    this.#keep(name, [base64, from.toString("base64url"), from.toString("hex"), [...bytes].join(",")]);
  }

  #keep(name: string, spellings: string[]): void {
    this.#spellings.set(name, [...(this.#spellings.get(name) ?? []), ...spellings]);
  }

  get names(): string[] {
    return [...this.#spellings.keys()];
  }

  /** Names of those that stand in a text, but for the ones that belong there. */
  in(text: string, ...allowed: string[]): string[] {
    const lower = text.toLowerCase();
    return this.names.filter(
      (name) =>
        !allowed.includes(name) &&
        this.#spellings.get(name)!.some((one) => text.includes(one) || lower.includes(one.toLowerCase())),
    );
  }
}
