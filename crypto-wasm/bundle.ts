/**
 * @talos/core/verify: whether a proof bundle proves its event (contracts/spec/log.md#proof-bundle). Rust compiled to a
 * WebAssembly module of its own, one for Node, browsers and workerd; no server, no file, no network. What a block is, the
 * caller says: an anchor whose block nobody named is `unchecked`, never `verified`.
 */
import { module } from "#load-bundle";
import { REGISTRY_CODE_HASH } from "@talos/contracts/evm/registry.ts";
import * as wasm from "./pkg-bundle/talos_bundle.js";
import { verifyNative } from "./verify-native.ts";

wasm.initSync({ module });

export const STEPS = ["policy", "bundle", "event", "log", "meta", "anchors"] as const;
export type Step = (typeof STEPS)[number];

/** What a caller takes for true about chains. */
export interface Trust {
  /** Blocks of EVM chains; `hash` in hex after `0x`. */
  blocks?: { chain_id: number; number: number; hash: string }[];
  /** Registries that may anchor, each with its publisher; any may where none is named, and the verdict says which did. */
  registries?: { chain_id: number; contract: string; publisher: string }[];
  /** Headers of Bitcoin blocks, 80 bytes each. */
  headers?: { height: number; header: Uint8Array }[];
  /** Kinds of which one anchor must be verified. */
  require?: ("evm" | "ots")[];
  /** The easiest target of a header, in the compact form; only a test has reasons for another than 2015's. */
  easiest?: number;
}

/** A leaf in a log, under a head that the log signed. */
export interface Placed {
  origin: string;
  index: number;
  size: number;
  /** base64 */
  root: string;
  /** Names of the witnesses' keys that signed, each with the time that it named. */
  witnesses: { name: string; time_seconds: number }[];
}

/** What an anchor shows. `unchecked`: nobody named its block, so it shows nothing yet. */
export type Shown =
  | {
      kind: "evm";
      status: "verified" | "unchecked";
      chain_id: number;
      block_number: number;
      block_hash: string;
      time_seconds: number;
      contract: string;
      publisher: string;
    }
  | { kind: "ots"; status: "verified"; height: number; block_hash: string; time_seconds: number }
  | { kind: "ots"; status: "unchecked"; height: number }
  | { kind: "ots"; status: "pending"; uri: string };

export interface Proved {
  ok: true;
  /** The leaf: canonical JSON. */
  event: string;
  log: Placed;
  /** The log's head in the meta-log; without it nobody but the log vouches for its history. */
  meta?: Placed;
  anchors: Shown[];
}

export interface Refused {
  ok: false;
  /** The first step that failed. */
  step: Step;
  code: string;
  /** What refused beneath it. */
  reason?: string;
  detail: string;
}

/** Ed25519: whether `signature` of `message` holds under `key`. */
export type Curve = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => Promise<boolean>;

let trapped = false;

/** After a trap an instance's memory is nobody's; it answers nothing any more. */
function call<R>(run: () => R): R | Refused {
  if (trapped) throw new Error("the verifier trapped before");
  try {
    return run();
  } catch (cause) {
    if (typeof cause === "string") {
      const [step = "", code = "", reason = "", ...detail] = cause.split(" ");
      const beneath = reason === "-" ? {} : { reason };
      return { ok: false, step: step as Step, code, ...beneath, detail: detail.join(" ") };
    }
    trapped = true;
    throw cause;
  }
}

const isRefused = (value: unknown): value is Refused => (value as Refused).ok === false;

/**
 * Verify a bundle under a policy, step by step.
 * @param file the bundle's bytes
 * @param policy a C2SP tlog-policy: the logs' keys, the meta-log's, witnesses, quorum
 * @returns what holds, or the first step that failed; never a part of a yes
 */
export async function verifyBundle(
  args: { file: Uint8Array; policy: Uint8Array; trust?: Trust },
  curve: Curve = verifyNative,
): Promise<Proved | Refused> {
  const { file, policy } = args;
  const equations = call(() => wasm.begin(file, policy));
  if (isRefused(equations)) return equations;
  const view = new DataView(equations.buffer, equations.byteOffset);
  const asked: Promise<boolean>[] = [];
  for (let at = 0; at < equations.length; ) {
    const message = at + 100;
    const end = message + view.getUint32(at + 96);
    const part = (from: number, to: number) => equations.subarray(from, to);
    asked.push(curve(part(at, at + 32), part(message, end), part(at + 32, at + 96)));
    at = end;
  }
  const answers = Uint8Array.from(await Promise.all(asked), Number);
  const lines = call(() => wasm.finish(file, policy, answers, linesOf(args.trust ?? {})));
  return isRefused(lines) ? lines : read(lines);
}

/** The easiest target that a Bitcoin header may have, see anchor.ts. */
const EASIEST_BITS = 0x1820_0000;

const HEX = /^0x(?:[0-9a-f]{2})+$/;

/** What the module reads. @throws RangeError for what is no block, registry or header */
function linesOf({ blocks = [], registries = [], headers = [], require = [], easiest = EASIEST_BITS }: Trust): string {
  const number = (value: number) => {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a number of a block or chain: ${value}`);
    return value;
  };
  const hex = (text: string, bytes: number) => {
    if (!HEX.test(text) || text.length !== 2 + 2 * bytes) throw new RangeError(`not ${bytes} bytes in hex: ${text}`);
    return text.slice(2);
  };
  const lines = [`code ${hex(REGISTRY_CODE_HASH, 32)}`, `easiest ${easiest}`];
  for (const block of blocks) {
    lines.push(`block ${number(block.chain_id)} ${number(block.number)} ${hex(block.hash, 32)}`);
  }
  for (const { chain_id, contract, publisher } of registries) {
    lines.push(`registry ${number(chain_id)} ${hex(contract, 20)} ${hex(publisher, 20)}`);
  }
  for (const { height, header } of headers) {
    const text = Array.from(header, (byte) => byte.toString(16).padStart(2, "0")).join("");
    lines.push(`header ${number(height)} ${hex(`0x${text}`, 80)}`);
  }
  for (const kind of require) lines.push(`require ${kind}`);
  return lines.join("\n");
}

function read(lines: string): Proved {
  const anchors: Shown[] = [];
  const proved: Partial<Proved> = { anchors };
  let last: Placed | undefined;
  for (const line of lines.split("\n")) {
    const [word = "", ...rest] = line.split(" ");
    if (word === "event") proved.event = line.slice("event ".length);
    else if (word === "witness") {
      last?.witnesses.push({ time_seconds: Number(rest[0]), name: rest.slice(1).join(" ") });
    } else if (word === "log" || word === "meta") {
      const [index, size, root = "", ...origin] = rest;
      last = { origin: origin.join(" "), index: Number(index), size: Number(size), root, witnesses: [] };
      proved[word] = last;
    } else if (word !== "") anchors.push(shown(word, rest));
  }
  return { ok: true, ...proved } as Proved;
}

function shown(word: string, rest: string[]): Shown {
  if (word === "pending") return { kind: "ots", status: "pending", uri: rest.join(" ") };
  const status = rest[0] === "verified" ? "verified" : "unchecked";
  if (word === "evm") {
    const [, chain, number, time, block_hash = "", contract = "", publisher = ""] = rest;
    const block = { block_number: Number(number), block_hash, time_seconds: Number(time) };
    return { kind: "evm", status, chain_id: Number(chain), ...block, contract, publisher };
  }
  const [, height, time, block_hash = ""] = rest;
  if (status === "unchecked") return { kind: "ots", status, height: Number(height) };
  return { kind: "ots", status, height: Number(height), block_hash, time_seconds: Number(time) };
}
