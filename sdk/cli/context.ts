import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Client } from "../client.ts";
import { ClientError, isRecord } from "../errors.ts";
import type { Answered } from "../fetch.ts";
import { loadKey } from "../key-file.ts";
import type { Key } from "../keys.ts";
import { text, UsageError, type Values } from "./command.ts";

/** A chain has at most 16 KiB; some room for white space. */
const CAPABILITY_BYTES = 20_000;
const INPUT_BYTES = 1_048_576;

/** Where a command reads and prints. Tests give their own. */
export interface Io {
  env: Record<string, string | undefined>;
  cwd: string;
  out(text: string): void;
  err(text: string): void;
}

/** Defaults of a command: options first, then `TALOS_*`, then the state folder that `npm start` leaves behind. */
export class Context {
  readonly io: Io;
  readonly json: boolean;
  readonly #values: Values;

  constructor(io: Io, values: Values) {
    this.io = io;
    this.json = values.json === true;
    this.#values = values;
  }

  /** Print one result: `value` with `--json`, else the lines. */
  print(value: unknown, lines: string | string[]): void {
    if (this.json) this.io.out(`${JSON.stringify(value)}\n`);
    else this.io.out(`${typeof lines === "string" ? lines : lines.join("\n")}\n`);
  }

  /** The state folder: named, or the nearest `.talos` at or above the working folder. */
  stateDir(): string | null {
    const named = text(this.#values, "state") ?? this.io.env.TALOS_STATE;
    if (named) return resolve(this.io.cwd, named);
    for (let dir = resolve(this.io.cwd); ; dir = dirname(dir)) {
      if (existsSync(join(dir, ".talos", "state.json"))) return join(dir, ".talos");
      if (dirname(dir) === dir) return null;
    }
  }

  /** A file named by option or variable, else one of the state folder when it is there. */
  path(option: string, variable: string, inState: string): string | null {
    const named = text(this.#values, option) ?? this.io.env[variable];
    if (named) return named === "-" ? named : resolve(this.io.cwd, named);
    const state = this.stateDir();
    const file = state && join(state, inState);
    return file && existsSync(file) ? file : null;
  }

  /** @throws UsageError when there is none, `client.key_file` when it cannot be used */
  key(inState = "agent.json"): Key {
    const path = this.path("key", "TALOS_KEY", inState);
    if (!path) throw new UsageError(`no key: give --key FILE or TALOS_KEY, or run \`npm start\` once`);
    return loadKey(path);
  }

  /** @throws UsageError when there is none */
  chain(): string {
    const path = this.path("cap", "TALOS_CAP", "agent.cap");
    if (!path) throw new UsageError("no capability: give --cap FILE or TALOS_CAP, or run `npm start` once");
    return readChain(path);
  }

  /** The audience that was named, if any; a capability for one tenant names it itself. */
  aud(): string | undefined {
    return text(this.#values, "aud") ?? this.io.env.TALOS_AUD;
  }

  /** The named audience or the one of the local stack. @throws UsageError */
  requireAud(): string {
    const aud = this.aud() ?? this.state()?.aud;
    if (!aud) throw new UsageError("no tenant: give --aud URL or TALOS_AUD, or run `npm start` once");
    return aud;
  }

  /** What the local stack wrote down about itself. */
  state(): { aud: string; operator?: string } | null {
    const dir = this.stateDir();
    const file = dir && join(dir, "state.json");
    if (!file || !existsSync(file)) return null;
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (!isRecord(value) || typeof value.aud !== "string") throw new UsageError(`${file} is not a state file`);
    return { aud: value.aud, ...(typeof value.operator === "string" ? { operator: value.operator } : {}) };
  }

  client(onAnswer?: (answer: Answered) => void, more: { writes?: boolean } = {}): Client {
    const aud = this.aud();
    const options = { chain: this.chain(), key: this.key(), ...(aud ? { aud } : {}), ...more };
    return new Client({ ...options, ...(onAnswer ? { onAnswer } : {}) });
  }
}

/** Read a capability file, or standard input for `-`. @throws `client.capability_file` */
export function readChain(path: string): string {
  if (path !== "-" && !existsSync(path)) throw new ClientError("client.capability_file", `${path} does not exist`);
  const chain = readInput(path, CAPABILITY_BYTES).trim();
  if (!/^[\w.~-]+$/.test(chain)) throw new ClientError("client.capability_file", `${path} holds no capability`);
  return chain;
}

/** A file's text, or standard input for `-`; bounded. */
export function readInput(path: string, limit = INPUT_BYTES): string {
  if (path !== "-" && !existsSync(path)) throw new UsageError(`${path} does not exist`);
  if (path !== "-" && statSync(path).size > limit) throw new UsageError(`${path} is larger than ${limit} bytes`);
  const content = readFileSync(path === "-" ? 0 : path, "utf8");
  if (content.length > limit) throw new UsageError(`the input is larger than ${limit} bytes`);
  return content;
}

/** Parse JSON that a person gave. @throws UsageError naming where it came from */
export function parseJson(content: string, what: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new UsageError(`${what} is not JSON`);
  }
}
