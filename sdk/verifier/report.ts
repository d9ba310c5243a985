/** A verdict for people: the same lines in a terminal and on the page. */
import type { Proved, Refused, Shown } from "@talos/core/verify";
import { printable } from "../printable.ts";

/** One line that names the step, or what each step showed. */
export function verdictLines(verdict: Proved | Refused): string[] {
  if (!verdict.ok) {
    const { step, code, reason, detail } = verdict;
    return [`NOT VERIFIED at step ${step}: ${code}${reason ? ` (${reason})` : ""}: ${detail}`];
  }
  const { event, log, meta, anchors } = verdict;
  const { event_id, kind, ts } = JSON.parse(event) as Record<string, unknown>;
  const place = (step: string, { origin, index, size }: Proved["log"]) =>
    `  ${step.padEnd(8)} leaf ${index} of ${size}, ${printable(origin)}`;
  return [
    `VERIFIED: event ${printable(String(event_id))}${kind ? `, ${printable(String(kind))}` : ""}, ${printable(String(ts))}`,
    place("log", log),
    meta ? place("meta", meta) : "  meta     none: only the log itself vouches for its history",
    ...(meta ?? log).witnesses.map(({ name, time_seconds }) => `  witness  ${iso(time_seconds)}  ${printable(name)}`),
    ...anchors.map((anchor) => `  anchor   ${anchorLine(anchor)}`),
  ];
}

function anchorLine(anchor: Shown): string {
  if (anchor.kind === "evm") {
    const { block_number, block_hash, chain_id, time_seconds, contract, publisher } = anchor;
    const block = `block ${block_number} ${block_hash} of chain ${chain_id}, ${iso(time_seconds)}`;
    const by = `registry ${contract}, publisher ${publisher}`;
    return anchor.status === "verified" ? `evm, ${block}, ${by}` : `evm UNCHECKED: name ${block}; ${by}`;
  }
  if (anchor.status === "pending") return `ots pending at ${printable(anchor.uri)}`;
  if (anchor.status === "unchecked") return `ots UNCHECKED: name the header of Bitcoin block ${anchor.height}`;
  return `ots, Bitcoin block ${anchor.height} ${anchor.block_hash}, ${iso(anchor.time_seconds)}`;
}

/** Times of others may be beyond what a date can say. */
function iso(seconds: number): string {
  const date = new Date(seconds * 1_000);
  return Number.isNaN(date.getTime()) ? `${seconds} s` : date.toISOString();
}
