import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { ClientError, isRecord } from "../errors.ts";
import { type MonitorState, newState } from "./monitor.ts";

const STATE_BYTES = 16 * 1_048_576;

/** @throws `client.usage` for a file that is none of ours: to begin anew is for a person to decide */
export function readState(path: string): MonitorState {
  if (!existsSync(path)) return newState();
  const wrong = (why: string) => new ClientError("client.usage", `${path} ${why}; move it away to begin anew`);
  if (statSync(path).size > STATE_BYTES) throw wrong("is too large for a monitor's state");
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw wrong("is not JSON");
  }
  if (!isRecord(value) || value.v !== 1 || !Array.isArray(value.waiting) || !Array.isArray(value.alarms)) {
    throw wrong("is not a monitor's state");
  }
  return value as unknown as MonitorState;
}

/** Whole or not at all: a monitor that forgets what it saw would take a rollback for a beginning. */
export function writeState(path: string, state: MonitorState): void {
  const temporary = `${path}.${process.pid}.new`;
  const file = openSync(temporary, "w", 0o600);
  try {
    writeSync(file, `${JSON.stringify(state)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
