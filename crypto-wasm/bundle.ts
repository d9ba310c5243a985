/**
 * @talos/core/verify: whether a proof bundle proves its event (contracts/spec/log.md#proof-bundle). Rust compiled to a
 * WebAssembly module of its own, one for Node, browsers and workerd; no server, no file, no network. What a block is, the
 * caller says: an anchor whose block nobody named is `unchecked`, never `verified`.
 */
import { module } from "#load-bundle";
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

export interface Proved {
  ok: true;
  /** The leaf: canonical JSON. */
  event: string;
  log: Placed;
  /** The log's head in the meta-log; without it nobody but the log vouches for its history. */
  meta?: Placed;
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
  const lines = call(() => wasm.finish(file, policy, answers));
  return isRefused(lines) ? lines : read(lines);
}

function read(lines: string): Proved {
  const proved: Partial<Proved> = {};
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
    }
  }
  return { ok: true, ...proved } as Proved;
}
