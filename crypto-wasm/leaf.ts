/**
 * Leaf evaluation on grants that the core keeps compiled: the need goes into the core's memory as one frame, the answer
 * is a number. The same evaluation as `explain` (contracts/spec/capability.md#grant), which gives the details.
 */
import { type Grant, TalosError } from "@talos/contracts";
import { call, failure, live, wasm } from "./core.ts";
import { putWhole } from "./frame.ts";
import { type Room, roomFor } from "./memory.ts";
import type { Need } from "./types.ts";

export interface LeafHandle {
  handle: number;
}
/** A need that stays in the core's memory. */
export interface NeedHandle {
  handle: number;
}

/** What a leaf says to a need. */
export interface LeafAnswer {
  allow: boolean;
  /** where the nearest grant fails */
  field?: "tool" | "class" | "action" | "resource" | "args" | "closed";
  /** index of the nearest grant */
  grant?: number;
  /** `args`: which of the grant's arguments, `closed`: which of the need's, in the order of their names' bytes */
  argument?: number;
}

const CLASSES = { read: 0, write: 1, destructive: 2, pay: 3 } as const;
const FIELDS = ["tool", "class", "action", "resource", "args", "closed"] as const;
const NO_NEED = 7;
const NO_HANDLE = 0xffff_ffff;

/** Keep grants; free the handle when they are no longer needed. @throws as `explain` */
export function leafLoad(grants: Grant[]): LeafHandle {
  return { handle: call(wasm.leaf_load, JSON.stringify(grants)) };
}

/** Keep a need. @throws `MALFORMED` for what is none */
export function needLoad(need: Need): NeedHandle {
  return { handle: call(wasm.need_load, writeNeed(need)) };
}

/**
 * @returns 0 when a grant allows; otherwise see {@link readLeafAnswer}
 * @throws `MALFORMED` for what is no need; `internal` for a handle that was freed
 */
export function decideLeaf(leaf: LeafHandle, need: Need): number {
  const length = writeNeed(need);
  live();
  try {
    return checked(wasm.decide_leaf(leaf.handle, length));
  } catch (cause) {
    throw cause instanceof TalosError ? cause : failure(cause);
  }
}

/** As {@link decideLeaf}. */
export function decideKept(leaf: LeafHandle, need: NeedHandle): number {
  live();
  try {
    return checked(wasm.decide_kept(leaf.handle, need.handle));
  } catch (cause) {
    throw cause instanceof TalosError ? cause : failure(cause);
  }
}

function checked(answer: number): number {
  if (answer >>> 0 === NO_HANDLE) throw new TalosError("internal", { reason: "a handle that stands for nothing" });
  if (answer === NO_NEED) throw new TalosError("MALFORMED", { field: "need" });
  return answer;
}

export function readLeafAnswer(answer: number): LeafAnswer {
  if (answer === 0) return { allow: true };
  const field = FIELDS[(answer & 7) - 1]!;
  const said = { allow: false, field, grant: (answer >>> 3) & 0x1fff };
  return field === "args" || field === "closed" ? { ...said, argument: answer >>> 16 } : said;
}

const TEXT = 1;
const FALSE = 2;
const TRUE = 3;
const INTEGER = 4;
const LIST = 5;
const OTHER = 0;

/** Bytes that a value takes at most. */
function bound(value: unknown): number {
  if (typeof value === "string") return 5 + value.length * 3;
  return Array.isArray(value) ? value.reduce<number>((sum, item) => sum + bound(item), 5) : 9;
}

const NO_NAMES: readonly string[] = [];

/** Write the frame of `need` (base/src/need.rs). @returns its length */
function writeNeed({ tool, class: kind, action, resource, args }: Need): number {
  const names = args === undefined ? NO_NAMES : Object.keys(args);
  let most = 16 + (tool.length + action.length + (resource === undefined ? 0 : resource.length)) * 3;
  for (const name of names) most += 4 + name.length * 3 + bound(args![name]);
  const room = roomFor(most);
  const { start, bytes, view } = room;
  bytes[start] = CLASSES[kind] ?? 0xff;
  bytes[start + 1] = resource === undefined ? 0 : 1;
  let at = putWhole(bytes, view, start + 2, tool);
  at = putWhole(bytes, view, at, action);
  if (resource !== undefined) at = putWhole(bytes, view, at, resource);
  for (const name of names) {
    const value = args![name];
    if (value !== undefined) at = putValue(room, putWhole(bytes, view, at, name), value);
  }
  return at - start;
}

/** The kinds are those of the value's JSON: no number that JSON would print with a point or an exponent is an integer. */
function putValue(room: Room, at: number, value: unknown): number {
  const { bytes, view } = room;
  if (typeof value === "string") {
    bytes[at] = TEXT;
    return putWhole(bytes, view, at + 1, value);
  }
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 1e21) {
    if (!Number.isSafeInteger(value)) throw new TalosError("MALFORMED", { field: "need" });
    bytes[at] = INTEGER;
    view.setInt32(at + 1, value | 0, true);
    view.setInt32(at + 5, Math.floor(value / 0x1_0000_0000), true);
    return at + 9;
  }
  if (typeof value === "boolean") {
    bytes[at] = value ? TRUE : FALSE;
    return at + 1;
  }
  if (!Array.isArray(value)) {
    bytes[at] = OTHER;
    return at + 1;
  }
  bytes[at] = LIST;
  let end = at + 5;
  for (const item of value) {
    if (Array.isArray(item)) bytes[end++] = OTHER;
    else end = putValue(room, end, item);
  }
  view.setUint32(at + 1, end - at - 5, true);
  return end;
}
