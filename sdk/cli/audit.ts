import { setTimeout as sleep } from "node:timers/promises";
import type { AuditFilter, AuditRecord, Client } from "../client.ts";
import { verifyPromise } from "../record.ts";
import { monitor } from "./audit-monitor.ts";
import { proof, verify } from "./audit-verify.ts";
import { type Command, IDENTITY, text, UsageError, type Values, whole } from "./command.ts";
import { printable } from "../printable.ts";
import { recordLine } from "./show.ts";

/** How often `--follow` asks. The projection is at most 10 s behind; a second is what a person waits. */
const FOLLOW_MS = 1_000;

const tail: Command = {
  name: "audit tail",
  summary: "Show the latest records, oldest of them first",
  about:
    "Read from Postgres; needs a grant for talos/audit.events. Records arrive there some seconds after they are durable.",
  options: {
    ...IDENTITY,
    limit: { type: "string", short: "n", value: "N", help: "how many, 1 to 1000 (default 20)" },
    agent: { type: "string", value: "DID", help: "only this holder's" },
    tool: { type: "string", value: "SERVER/TOOL", help: "only this tool's" },
    decision: { type: "string", value: "allow|deny", help: "only what was allowed, or denied" },
    follow: { type: "boolean", short: "f", help: "go on until interrupted" },
  },
  examples: [
    "talos audit tail",
    "talos audit tail -f --decision deny",
    "talos audit tail -n 100 --tool everything/echo --json",
  ],
  async run(context, values) {
    const client = context.client();
    const limit = whole(values, "limit", 1, 1_000) ?? 20;
    const filter = filterOf(values);
    const shown = new Set<string>();
    const print = (records: AuditRecord[]) => {
      for (const record of records) {
        if (shown.has(record.event.event_id)) continue;
        shown.add(record.event.event_id);
        // With --json one value a line: a stream has no end to wait for.
        context.io.out(`${context.json ? JSON.stringify(record) : recordLine(record)}\n`);
      }
      while (shown.size > 10_000) shown.delete(shown.values().next().value!);
    };
    print(await latest(client, filter, limit));
    while (values.follow === true) {
      await sleep(FOLLOW_MS);
      print(await latest(client, filter, 200));
    }
    return undefined;
  },
};

const show: Command = {
  name: "audit show",
  usage: "EVENT_ID",
  summary: "Show one record, and verify its hashes and the log's signed promise",
  positionals: [1, 1],
  options: IDENTITY,
  examples: ["talos audit show 0199f3c2-7d1e-7a44-9b1c-0c5b8d3e2f10"],
  async run(context, _values, [id]) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id!)) throw new UsageError("an event id is a UUIDv7");
    const client = context.client();
    const record = await client.auditEvent(id!);
    const { keys } = await client.gateway();
    const promise = record.promise ? verifyPromise(record.promise, keys, record) : null;
    const durable = promise && new Date(promise.time_ms).toISOString();
    context.print({ ...record, verified: promise }, [
      printable(JSON.stringify(record.event, null, 2), "\n"),
      promise
        ? `promise verified: event ${promise.seq} of log ${promise.log}, durable at ${durable}`
        : "no promise came with it: the log itself could not be asked",
    ]);
    return undefined;
  },
};

/** The newest `limit` records, oldest first. */
async function latest(client: Client, filter: AuditFilter, limit: number): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  for await (const record of client.auditEvents({ ...filter, page_size: Math.min(limit, 200) })) {
    records.push(record);
    if (records.length === limit) break;
  }
  return records.reverse();
}

function filterOf(values: Values): AuditFilter {
  const decision = text(values, "decision");
  if (decision !== undefined && decision !== "allow" && decision !== "deny") {
    throw new UsageError("--decision is allow or deny");
  }
  const agent = text(values, "agent");
  const tool = text(values, "tool");
  return { ...(agent ? { agent } : {}), ...(tool ? { tool } : {}), ...(decision ? { decision } : {}) };
}

export const auditCommands = [tail, show, proof, verify, monitor];
