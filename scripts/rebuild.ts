/**
 * `talos audit rebuild`: the projection in Postgres made again out of the published log, as an operator's command: it needs the
 * database's credentials, and a capability to read the log. Each event is proved to be in the signed head of its tree before it
 * is written, by the statement that the Worker uses, which the cursor guards: it may be stopped and started again, run twice
 * at once or beside the Worker, and still every event is written once.
 * Source: contracts/spec/audit.md#projection-and-cursors, docs/storage-schema.md.
 */
import { LIMITS, TalosError } from "@talos/contracts";
import { leafHash } from "@talos/core";
import type { Client } from "@talos/sdk";
import { verifyExport } from "@talos/sdk/export";
import { publishedSize, treePolicies } from "../sdk/log-policy.ts";
import { rowsOf } from "../workers/audit/row.ts";
import { project } from "../workers/db/audit-cursor.ts";
import { type Reached, reach } from "./neon/reach.ts";

/** The statement takes longer than a request's on a large table. */
const TIMEOUT_MS = 60_000;

export interface RebuildOptions {
  client: Pick<Client, "aud" | "audit">;
  databaseUrl: string;
  endpoint?: string;
  /** one for each tree of a log that was rotated */
  policies?: readonly string[];
  reset?: boolean;
  onProgress?: (done: number, size: number) => void;
}

/**
 * @returns how many events this run wrote, and how many the log had published when it ended
 * @throws TalosError `log.…` when the log does not prove what it serves: nothing of that is written
 */
export async function rebuild(options: RebuildOptions): Promise<{ written: number; size: number }> {
  const reached = await reach(options.databaseUrl, options.endpoint);
  try {
    if (options.reset) await reset(reached);
    return await fill(reached, options);
  } finally {
    await reached.close();
  }
}

/** Both or neither: a cursor that stands beyond an empty table would leave it empty. */
async function reset(reached: Reached): Promise<void> {
  const { sql } = reached.connect(TIMEOUT_MS);
  await sql.transaction([sql`TRUNCATE audit_event`, sql`UPDATE audit_cursor SET next_seq = 0, moved_at = now()`]);
}

async function fill(reached: Reached, options: RebuildOptions): Promise<{ written: number; size: number }> {
  const tenant = new URL(options.client.aud).pathname.split("/")[2]!;
  let written = 0;
  let { next_seq: at } = await project(reached.connect(TIMEOUT_MS), tenant, 0, []);
  for (let shown = await shownBy(options); ; ) {
    if (at >= shown.size) {
      shown = await shownBy(options);
      if (shown.size <= at) return { written, size: shown.size };
    }
    options.onProgress?.(at, shown.size);
    const rows = await provedRows(options.client, at, shown);
    const batch = rowsOf({ log_id: tenant, from_seq: at, next_seq: at + rows.length, rows });
    const answer = await project(reached.connect(TIMEOUT_MS), tenant, at, batch);
    // Not moved: the Worker's own projector was there before; it says where it stands.
    if (answer.moved) written += rows.length;
    else if (answer.next_seq === at) throw new Error("the cursor did not move");
    at = answer.next_seq;
  }
}

/** What the log has published in all its trees, and what that is verified with. */
interface Shown {
  size: number;
  policies: readonly string[];
}

async function shownBy({ client, policies }: RebuildOptions): Promise<Shown> {
  const facts = await client.audit.log();
  return { size: publishedSize(facts), policies: policies ?? treePolicies(facts).map(({ policy }) => policy) };
}

/** The next rows, of one tree, each proved to be in its signed head. */
async function provedRows({ audit }: RebuildOptions["client"], at: number, { size, policies }: Shown) {
  const rows: { seq: number; event_id: string; body: string; leaf_hash: string }[] = [];
  const stretch = await audit.export(at, Math.min(at + LIMITS.audit_project_rows, size));
  await verifyExport(stretch, policies, (leaf, seq) => {
    const body = new TextDecoder("utf-8", { fatal: true }).decode(leaf);
    const { event_id } = JSON.parse(body) as { event_id: string };
    rows.push({ seq, event_id, body, leaf_hash: leafHash(body) });
  });
  if (rows[0]?.seq !== at) throw new TalosError("log.proof_malformed", { detail: "an export of another stretch" });
  return rows;
}
