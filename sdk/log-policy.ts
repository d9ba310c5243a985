/**
 * Policies for a tenant's log. Its heads are signed by its own key; witnesses sign the meta-log's, so a quorum is asked for
 * where a proof leads there, and not of the log's own heads. A log that was rotated has a policy for each of its trees.
 * since a policy takes no key under two names. Source: contracts/spec/audit.md#epochs, contracts/spec/log.md#policies.
 */
import type { AuditLogFacts } from "@talos/contracts";
import { policyKeys } from "@talos/core/log";

/** A policy without its quorum. */
export function unwitnessed(policy: Uint8Array): Uint8Array {
  const lines = new TextDecoder().decode(policy).split("\n");
  return new TextEncoder().encode(
    lines.map((line) => (/^[ \t]*quorum[ \t]/.test(line) ? "quorum none" : line)).join("\n"),
  );
}

/** Of several policies the one that lists a log of this name; where none does, the first, which then says so. */
export function policyFor(policies: readonly Uint8Array[], origin: string): Uint8Array {
  const lists = (policy: Uint8Array) => policyKeys(policy).logs.some((key) => key.startsWith(`${origin}+`));
  return policies.find(lists) ?? policies[0] ?? new Uint8Array(0);
}

/** The policies that a log gives of its trees, oldest first; none before its first seal. */
export function treePolicies({
  origin: newest,
  policy,
  epochs = [],
}: AuditLogFacts): { origin: string; policy: string }[] {
  if (policy === undefined || newest === undefined) return [];
  const others = policy.split("\n").filter((line) => !line.startsWith(`log ${newest}+`));
  return epochs.map(({ origin, keys }) => ({
    origin,
    policy: origin === newest ? policy : [...keys.map((key) => `log ${key}`), ...others].join("\n"),
  }));
}

/** How many events the published heads of all trees cover. Heads are published in order: the last tree that has one says it. */
export function publishedSize({ epochs = [] }: AuditLogFacts): number {
  const last = epochs.findLast(({ published }) => published > 0);
  return last === undefined ? 0 : last.first_seq + last.published;
}
