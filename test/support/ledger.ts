/** A tenant's whole record as it lies on the disk of its object, and as Postgres has it, each read on its own. */
import { createHash } from "node:crypto";
import { type AuditEventV2, LIMITS } from "@talos/contracts";
import { connect } from "../../workers/db/client.ts";
import type { Talos } from "../harness.ts";
import { readSalts } from "./vaults.ts";

export interface Leaf {
  seq: number;
  event_id: string;
  /** base64url, computed here from `body` (RFC 6962) */
  leaf: string;
  body: string;
  event: AuditEventV2;
}

export interface Ledger {
  leaves: Leaf[];
  byId: Map<string, Leaf>;
  /** base64url salts by event and commitment */
  salts: Map<string, Record<string, string>>;
}

interface Batch {
  first_seq: number;
  count: number;
  events: string;
}

interface Indexed {
  event_id: string;
  seq: number;
}

/** An id as it is written, out of its bytes. */
const UUID = `lower(substr(hex(event_id), 1, 8) || '-' || substr(hex(event_id), 9, 4) || '-' || substr(hex(event_id), 13, 4)
  || '-' || substr(hex(event_id), 17, 4) || '-' || substr(hex(event_id), 21))`;

/** Batches that are asked for at once: each is 1 MiB at most, and what crosses has a bound of 32 MiB. */
const PAGE = 30;
/** Rows of the projection that are asked for at once: a query has 10 s. */
const ROWS = 2_000;
const NO_ID = "00000000-0000-0000-0000-000000000000";

/**
 * Read a log's rows past its own code, at a moment when nothing is appended.
 * @throws Error when the rows are no log: gaps, an id twice, an index that disagrees, a leaf hash that is not its body's
 */
export async function readLedger(talos: Talos, tenant = "default"): Promise<Ledger> {
  const rows = <T>(sql: string) => talos.sql("AuditLog", tenant, sql) as Promise<T[]>;
  const log = talos.log(tenant);
  for (;;) {
    const { next_seq } = await log.status();
    const batches: Batch[] = [];
    for (let page: Batch[] | undefined; page === undefined || page.length === PAGE; batches.push(...page)) {
      const after = batches.at(-1)?.first_seq ?? -1;
      page = await rows<Batch>(
        `SELECT first_seq, count, events FROM batches JOIN texts USING (first_seq) WHERE first_seq > ${after} ORDER BY first_seq LIMIT ${PAGE}`,
      );
    }
    const index = await rows<Indexed>(`SELECT ${UUID} AS event_id, seq FROM event_ids`);
    if ((await log.status()).next_seq !== next_seq) continue;
    const ledger = ledgerOf(batches, index);
    const salts = await readSalts(
      talos,
      ledger.leaves.map(({ event }) => event),
      tenant,
    );
    return { ...ledger, salts };
  }
}

function ledgerOf(batches: Batch[], index: Indexed[]): Omit<Ledger, "salts"> {
  const leaves = batches.flatMap(({ first_seq, count, events }) => {
    const lines = events.split("\n");
    if (lines.length !== count) throw new Error(`the batch at ${first_seq} says ${count}, and has ${lines.length}`);
    return lines.map((line, i) => readLine(line, first_seq + i));
  });
  leaves.forEach(({ seq }, i) => {
    if (seq !== i) throw new Error(`number ${seq} stands where ${i} belongs`);
  });
  const byId = new Map(leaves.map((leaf) => [leaf.event_id, leaf]));
  if (byId.size !== leaves.length) throw new Error("an event id stands in the log twice");
  if (index.length !== leaves.length || index.some(({ event_id, seq }) => byId.get(event_id)?.seq !== seq)) {
    throw new Error("the index of ids is not that of the rows");
  }
  return { leaves, byId };
}

function readLine(line: string, seq: number): Leaf {
  const [event_id, hash] = line.split(" ", 2) as [string, string];
  const body = line.slice(event_id.length + hash.length + 2);
  const leaf = createHash("sha256").update("\0").update(body).digest("base64url");
  if (leaf !== hash) throw new Error(`the leaf hash at ${seq} is not its body's`);
  const event = JSON.parse(body) as AuditEventV2;
  if (event.event_id !== event_id) throw new Error(`the event at ${seq} has another id inside`);
  return { seq, event_id, leaf, body, event };
}

/** The ledger as it was when it had `size` leaves. */
export function firstOf({ leaves, salts }: Ledger, size: number): Ledger {
  const first = leaves.slice(0, size);
  return { leaves: first, byId: new Map(first.map((leaf) => [leaf.event_id, leaf])), salts };
}

/** A commitment, computed from its definition. `value` is canonical JSON. Source: contracts/spec/audit.md#commitments. */
export const commitmentTo = (salt: string, value: string): string =>
  createHash("sha256").update(Buffer.from(salt, "base64url")).update(value).digest("base64url");

/** What Postgres holds of a log, in the order of its numbers. */
export async function readProjection(
  database: { url: string; endpoint: string },
  log = "default",
): Promise<{ seq: number; event_id: string; leaf: string; body: string }[]> {
  const env = {
    ...{ TALOS_MODE: "development", DATABASE_URL: database.url },
    TALOS_DATABASE_ENDPOINT: database.endpoint,
  };
  const all: { seq: number; event_id: string; leaf: string; body: string }[] = [];
  for (let page: typeof all | undefined; page === undefined || page.length === ROWS; all.push(...page)) {
    const { seq, event_id } = all.at(-1) ?? { seq: -1, event_id: NO_ID };
    const { sql } = connect(env); // whose time begins here
    page = (await sql`SELECT seq::int, event_id::text, leaf_hash AS leaf, body FROM audit_event
      WHERE log_id = ${log} AND (seq, event_id) > (${seq}, ${event_id}::uuid)
      ORDER BY seq, event_id LIMIT ${ROWS}`) as typeof all;
  }
  return all;
}

/**
 * Wait until the log has handed everything on, what isolates still hold in their buffers too.
 * @param stalled_ms how long it may make no progress
 * @throws Error when it makes none for that long
 */
export async function projected(talos: Talos, stalled_ms = 20_000, tenant = "default"): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 3 * LIMITS.audit_buffer_ms));
  let farthest = -1;
  let untilMs = 0;
  for (;;) {
    await talos.log(tenant).flush();
    const { next_seq, projected_seq, projection_failures } = await talos.log(tenant).status();
    if (projected_seq === next_seq) return;
    if (projected_seq > farthest) untilMs = Date.now() + stalled_ms;
    else if (Date.now() > untilMs) {
      throw new Error(`projected up to ${projected_seq} of ${next_seq}, ${projection_failures} failures in a row`);
    }
    farthest = Math.max(farthest, projected_seq);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The part of a ledger that Postgres must hold, row for row. */
export const asProjected = ({ leaves }: Ledger): { seq: number; event_id: string; leaf: string; body: string }[] =>
  leaves.map(({ seq, event_id, leaf, body }) => ({ seq, event_id, leaf, body }));
