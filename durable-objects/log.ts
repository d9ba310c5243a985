/** One line of JSON for whoever runs this. Codes, names and numbers only: what is logged here needs no redaction. */
import { TalosError } from "@talos/contracts";

/** @param event what happened, dotted and stable, so that it can be searched and alarmed on */
export function warn(event: string, facts: Record<string, string | number | boolean | null>): void {
  console.warn(JSON.stringify({ level: "warn", event, ...facts }));
}

/** A code of ours, or the class of a foreign error: never its message, which may quote what must not be logged. */
export function codeOf(error: unknown): string {
  if (error instanceof TalosError) return error.code;
  return error instanceof Error ? error.name : typeof error;
}
