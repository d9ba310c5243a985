/** Which head may follow which. Pure. Source: contracts/spec/in-force.md#head. */
import type { HeadMark } from "./types.ts";

/** Whether `next` may stand after `last`: no number goes down, and an equal number has the equal hash. */
export function follows(last: HeadMark | null, next: HeadMark): boolean {
  if (last === null) return true;
  return !isLower(next, last) && sameWhereEqual(last, next);
}

/**
 * Whether what is stored is what the log has recorded last. Every head is recorded before it is in force, so any
 * difference means that one of the two was restored or lost.
 * @returns null, `head.rolled_back` when the storage is older, `head.inconsistent` when it is ahead or another
 */
export function judgeStart(
  stored: HeadMark,
  recorded: HeadMark | null,
): "head.rolled_back" | "head.inconsistent" | null {
  if (recorded === null) return stored.rev_seq === 0 && stored.policy_version === 0 ? null : "head.inconsistent";
  if (isLower(stored, recorded)) return "head.rolled_back";
  return isLower(recorded, stored) || !sameWhereEqual(stored, recorded) ? "head.inconsistent" : null;
}

function isLower(head: HeadMark, than: HeadMark): boolean {
  return head.rev_seq < than.rev_seq || head.policy_version < than.policy_version;
}

function sameWhereEqual(a: HeadMark, b: HeadMark): boolean {
  if (a.rev_seq === b.rev_seq && a.rev_hash !== b.rev_hash) return false;
  return a.policy_version !== b.policy_version || a.policy_hash === b.policy_hash;
}
