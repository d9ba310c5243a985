/**
 * The tables that a tenant's policy is made of, from `tenants` to `revoked_keys`. They are written and read together:
 * half of a policy is none.
 */
import type { PolicySnapshot } from "@talos/contracts";
import type { BatchItem } from "drizzle-orm/batch";
import type { PgTable } from "drizzle-orm/pg-core";
import { eq, getTableName } from "drizzle-orm";
import type { Database } from "./client.ts";
import * as schema from "./schema.ts";

/** What the tables hold: a snapshot that has no number yet. */
export type Policy = Omit<PolicySnapshot, "version">;

/** The lists of a policy, their tables, and the members that name an entry within its tenant. */
export const PARTS = {
  anchors: { table: schema.trustAnchors, key: ["did"] },
  dids: { table: schema.knownDids, key: ["did", "jkt"] },
  servers: { table: schema.servers, key: ["name"] },
  rate_classes: { table: schema.rateClasses, key: ["name"] },
  tools: { table: schema.tools, key: ["tool"] },
  roles: { table: schema.roles, key: ["id"] },
  bindings: { table: schema.bindings, key: ["id"] },
  forbids: { table: schema.forbids, key: ["id"] },
  peps: { table: schema.peps, key: ["jkt"] },
  revoked_keys: { table: schema.revokedKeys, key: ["jkt"] },
} as const satisfies Record<string, { table: PgTable; key: readonly string[] }>;

export type PartName = keyof typeof PARTS;
export const PART_NAMES = Object.keys(PARTS) as PartName[];

/** Replaces a tenant's policy: one transaction, so that a reader finds the old one or the new one. */
export async function writePolicy({ db }: Database, policy: Policy): Promise<void> {
  const { tenant, unregistered } = policy;
  const inserts = PART_NAMES.flatMap((part): BatchItem<"pg">[] => {
    const rows = entries(policy, part).map((entry) => ({ tenant, ...entry }));
    return rows.length === 0 ? [] : [db.insert(PARTS[part].table as PgTable).values(rows as never)];
  });
  // Everything of a tenant hangs on its row and goes with it.
  await db.batch([
    db.delete(schema.tenants).where(eq(schema.tenants.tenant, tenant)),
    db.insert(schema.tenants).values({ tenant, unregistered }),
    ...inserts,
  ]);
}

/**
 * A tenant's policy in its one order (lists by key), or null when none was loaded. One snapshot of all tables, whoever
 * writes meanwhile.
 */
export async function readPolicy({ sql }: Database, tenant: string): Promise<Policy | null> {
  const select = (table: PgTable) => sql.query(`SELECT * FROM ${getTableName(table)} WHERE tenant = $1`, [tenant]);
  const [tenants, ...lists] = await sql.transaction(
    [select(schema.tenants), ...PART_NAMES.map((part) => select(PARTS[part].table))],
    { isolationLevel: "RepeatableRead", readOnly: true },
  );
  if (tenants?.length !== 1) return null;
  const parts = Object.fromEntries(PART_NAMES.map((part, at) => [part, lists[at]!.map((row) => entryOf(part, row))]));
  return inOrder({ v: 1, tenant, unregistered: tenants[0]!.unregistered, ...parts } as Policy);
}

/** The same policy with every list in the order of its keys, so that equal policies are equal texts. */
export function inOrder(policy: Policy): Policy {
  const sorted = PART_NAMES.map((part) => {
    const list = [...(policy[part] as unknown[])];
    return [part, list.sort((a, b) => compare(keyOf(part, a), keyOf(part, b)))];
  });
  return { ...policy, ...Object.fromEntries(sorted) };
}

/** What names an entry within its list. */
export function keyOf(part: PartName, entry: unknown): string {
  if (typeof entry === "string") return entry;
  return PARTS[part].key.map((name) => (entry as Record<string, string>)[name]).join(" ");
}

/** `revoked_keys` is a list of thumbprints; its rows have a column for them like the others. */
function entries(policy: Policy, part: PartName): object[] {
  return policy[part].map((entry) => (typeof entry === "string" ? { jkt: entry } : entry));
}

function entryOf(part: PartName, row: Record<string, unknown>): unknown {
  if (part === "revoked_keys") return row.jkt;
  // A member that does not apply is absent in a snapshot, and null in a column.
  return Object.fromEntries(Object.entries(row).filter(([name, value]) => name !== "tenant" && value !== null));
}

// Keys are ASCII, so UTF-16 order is byte order.
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
