/** Table `policy_snapshots`: what the gateway has confirmed. */
import { desc, eq } from "drizzle-orm";
import type { Database } from "./client.ts";
import { policySnapshots } from "./schema.ts";

export type PublishedSnapshot = typeof policySnapshots.$inferSelect;

/** The snapshot of a tenant that was confirmed last, or null. */
export async function lastSnapshot({ db }: Database, tenant: string): Promise<PublishedSnapshot | null> {
  const found = await db
    .select()
    .from(policySnapshots)
    .where(eq(policySnapshots.tenant, tenant))
    .orderBy(desc(policySnapshots.published_at_ms), desc(policySnapshots.version))
    .limit(1);
  return found[0] ?? null;
}

/** Keeps a confirmed snapshot; the same one again moves its time only. */
export async function recordSnapshot({ db }: Database, snapshot: PublishedSnapshot): Promise<void> {
  await db
    .insert(policySnapshots)
    .values(snapshot)
    .onConflictDoUpdate({
      target: [policySnapshots.tenant, policySnapshots.version, policySnapshots.hash],
      set: { published_at_ms: snapshot.published_at_ms, jws: snapshot.jws },
    });
}
