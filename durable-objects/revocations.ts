/**
 * Bookkeeping of revocation entries: which say the same, which replace which, and how many there may be. Pure.
 * Source: contracts/spec/in-force.md#revocation-statement, #revocation-body.
 */
import { LIMITS } from "@talos/contracts";

/** An entry that stands, or is to stand. */
export interface Revocation {
  /** as printed in `entries_hash` */
  entry: string;
  /** the root whose allowance it counts against */
  root_link: string;
  /** seconds; no chain concerned lives longer */
  expires_at: number;
}

/** What the filter and look-ups know an entry by: `link:<id>`, `key:<jkt>` or `epoch:<jkt>`. */
export function itemOf(entry: string): string {
  return entry.split(":", 2).join(":");
}

/** The epoch that an `epoch:<jkt>:<n>` entry demands; undefined for other entries. */
function epochOf(entry: string): number | undefined {
  return entry.startsWith("epoch:") ? Number(entry.slice(entry.lastIndexOf(":") + 1)) : undefined;
}

/**
 * The standing entry that says as much already: itself, or an epoch of that key that is as high.
 * @param standing the entries of the same item
 */
export function coveredBy(standing: readonly string[], entry: string): string | undefined {
  const epoch = epochOf(entry);
  if (epoch === undefined) return standing.find((known) => known === entry);
  return standing.find((known) => (epochOf(known) ?? -1) >= epoch);
}

/** Standing entries that `entry` makes superfluous: lower epochs of the same key. */
export function replacedBy(standing: readonly string[], entry: string): string[] {
  const epoch = epochOf(entry);
  return epoch === undefined ? [] : standing.filter((known) => (epochOf(known) ?? epoch) < epoch);
}

/**
 * How high the signer stands in the chain: 0 for the anchor, i + 1 for the holder of link i.
 * @param holders thumbprints of the holders' keys, root link first
 */
export function signerDepth(holders: readonly string[], jkt: string): number {
  return holders.indexOf(jkt) + 1;
}

/** Room that each level leaves for every level above it, so that nobody can use up what is needed to revoke him. */
const PER_LEVEL = 100;
/** Room that links and keys leave for epochs, which stand for any number of them. */
const FOR_EPOCHS = 50;
/** Room in the tenant that only anchors may use. */
const FOR_ANCHORS = 4_096;
/** Room at one key for its own entry and those of the anchors, should granters crowd it. */
const AT_KEY = LIMITS.anchors + 1;

/** How many live entries there are already. */
export interface Live {
  root: number;
  tenant: number;
  /** of the entry's item */
  item: number;
}

/** Whether one more entry fits, by who signed it. Source: contracts/spec/in-force.md#revocation-statement. */
export function fits(entry: string, depth: number, live: Live): boolean {
  const own = LIMITS.revocations_per_root - PER_LEVEL * depth - (epochOf(entry) === undefined ? FOR_EPOCHS : 0);
  const tenant = LIMITS.revocations_per_tenant - (depth === 0 ? 0 : FOR_ANCHORS);
  const item = LIMITS.lookup_entries - (entry.includes(":under:") ? AT_KEY : 0);
  return live.root < own && live.tenant < tenant && live.item < item;
}
