/**
 * `npm run rebuild`: the projection in Postgres made again out of the published log, as an operator's command: it needs the
 * database's credentials, and a capability to read the log. Each event is proved to be in the signed head of its tree before it
 * is written, by the statement that the Worker uses, which the cursor guards: it may be stopped and started again, run twice
 * at once or beside the Worker, and still every event is written once.
 * Source: contracts/spec/audit.md#projection-and-cursors, docs/storage-schema.md.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LIMITS, TalosError } from "@talos/contracts";
import { leafHash } from "@talos/core";
import { Client } from "@talos/sdk";
import { loadKey } from "@talos/sdk/node";
import { verifyExport } from "@talos/sdk/export";
import { publishedSize, treePolicies } from "../sdk/log-policy.ts";
import { rowsOf } from "../workers/audit/row.ts";
import { project } from "../workers/db/audit-cursor.ts";
import { type Reached, reach } from "./neon/reach.ts";

const USAGE = `usage: npm run rebuild -- [options]

Writes what the projection of one tenant's log lacks, from where its cursor stands.

  --reset              first empty the projection, of ALL logs, and put every cursor to 0; the other logs are written
                       again by the Worker at their next event, or by this command with their --aud
  --aud URL            <origin>/t/{tenant} of the gateway; default: the capability's
  --key FILE           private JWK of the capability's holder
  --cap FILE           capability with talos/audit.events:read
  --policy FILE        the policy to verify the log with, once for each of its trees; default: what the log says of itself
  --database-url URL   default: DATABASE_URL
  --endpoint URL       a running local database endpoint; default: TALOS_DATABASE_ENDPOINT
  --state DIR          where a local stack keeps its state, for whatever is not given; default: .talos

exit codes: 0 the projection holds every published event, 1 failed, 2 wrong usage`;

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

const OPTIONS = {
  reset: { type: "boolean", default: false },
  aud: { type: "string" },
  key: { type: "string" },
  cap: { type: "string" },
  policy: { type: "string", multiple: true },
  "database-url": { type: "string" },
  endpoint: { type: "string" },
  state: { type: "string", default: ".talos" },
  help: { type: "boolean" },
} as const;

class UsageError extends Error {}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return console.log(USAGE);
  const stateFile = join(values.state, "state.json");
  const state: { database?: { url: string; endpoint: string } } = existsSync(stateFile)
    ? JSON.parse(readFileSync(stateFile, "utf8"))
    : {};
  const databaseUrl = values["database-url"] ?? process.env.DATABASE_URL ?? state.database?.url;
  if (databaseUrl === undefined) throw new UsageError("--database-url is needed");
  const endpoint = values.endpoint ?? process.env.TALOS_DATABASE_ENDPOINT ?? state.database?.endpoint;
  const chain = readFileSync(values.cap ?? join(values.state, "agent.cap"), "utf8").trim();
  const key = loadKey(values.key ?? join(values.state, "agent.json"));
  const client = new Client({ chain, key, ...(values.aud === undefined ? {} : { aud: values.aud }) });
  let shown = -1;
  const { written, size } = await rebuild({
    client,
    databaseUrl,
    reset: values.reset,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(values.policy === undefined ? {} : { policies: values.policy.map((file) => readFileSync(file, "utf8")) }),
    onProgress(done, of) {
      const percent = Math.floor((100 * done) / of);
      if (percent !== shown) console.log(`rebuild: ${done} of ${of} events, ${percent} %`);
      shown = percent;
    },
  });
  console.log(`rebuild: the projection holds all ${size} published events; ${written} were written now`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    const usage = error instanceof UsageError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
    const why = error instanceof TalosError ? `${error.code}: ${error.message}` : (error as Error).message;
    console.error(usage ? `${why}\n\n${USAGE}` : `rebuild: ${why}`);
    process.exitCode = usage ? 2 : 1;
  }
}
