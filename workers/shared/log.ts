/** Structured log lines: one JSON object a line, through the redactor, never with payload. */
import type { Redact } from "./redact.ts";

export type Level = "info" | "warn" | "error";

/** Writes one line; `event` is a dotted name, `fields` what is worth knowing about it. */
export type Log = (level: Level, event: string, fields?: Record<string, unknown>) => void;

/** A log whose lines carry `base` (request id, surface) and pass through `redact`. */
export function logger(redact: Redact, base: Record<string, unknown> = {}): Log {
  return (level, event, fields = {}) => {
    const line = JSON.stringify(redact({ level, event, ...base, ...fields }));
    if (level === "error") console.error(line);
    else if (level === "warn") console.warn(line);
    else console.log(line);
  };
}
