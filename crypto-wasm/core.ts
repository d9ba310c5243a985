/** The one instance of the wasm core: started at import, checked against the contracts, every failure a TalosError. */
import { module } from "#load";
import { CONTRACT_HASH, ERRORS, type ErrorCode, TalosError } from "@talos/contracts";
import { CORE_HASH } from "./pkg/hash.ts";
import * as wasm from "./pkg/talos_core.js";

const { memory } = wasm.initSync({ module });
const built = wasm.start(CORE_HASH);
if (built !== CONTRACT_HASH) {
  throw new TalosError("config.incomplete", {
    reason: "core and contracts differ",
    core: built,
    contracts: CONTRACT_HASH,
  });
}

/** The raw exports; only the wrappers beside this file use them. */
export { CORE_HASH, memory, wasm };

let trapped: unknown;

/**
 * Run one export. A refusal arrives as the text `CODE` or `CODE {detail}` and leaves as TalosError. A trap (which the
 * core's lints exclude) leaves memory in an unknown state: from then on this instance answers nothing.
 * @throws TalosError of the code that the core names; `internal` after a trap
 */
export function call<A extends unknown[], R>(run: (...args: A) => R, ...args: A): R {
  live();
  try {
    return run(...args);
  } catch (cause) {
    throw failure(cause);
  }
}

/** For calls that are too frequent for {@link call}: before it. @throws `internal` after a trap */
export function live(): void {
  if (trapped !== undefined) throw new TalosError("internal", { reason: "core trapped" }, { cause: trapped });
}

/** For calls that are too frequent for {@link call}: what is thrown for what it threw. */
export function failure(cause: unknown): TalosError {
  if (typeof cause === "string") return refusal(cause);
  if (cause instanceof WebAssembly.RuntimeError) trapped = cause;
  return new TalosError("internal", { reason: "core failed" }, { cause });
}

/** As {@link call}, for exports that answer JSON. */
export function callJson<T, A extends unknown[]>(run: (...args: A) => string, ...args: A): T {
  return JSON.parse(call(run, ...args)) as T;
}

/** What a refusal of the core says. */
export function refusal(text: string): TalosError {
  const space = text.indexOf(" ");
  const code = space < 0 ? text : text.slice(0, space);
  const detail = space < 0 ? {} : (JSON.parse(text.slice(space + 1)) as Record<string, unknown>);
  return code in ERRORS ? new TalosError(code as ErrorCode, detail) : new TalosError("internal", { code, ...detail });
}
