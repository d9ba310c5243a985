import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from "node:fs";
import { finished } from "node:stream/promises";
import { type AuditEntry, type AuditLogFacts, LIMITS } from "@talos/contracts";
import { uuidv7 } from "@talos/core";
import type { AuditFilter } from "../client.ts";
import { ClientError, isRecord } from "../errors.ts";
import { verifyExport } from "../export.ts";
import { treePolicies } from "../log-policy.ts";
import { verifyPromise } from "../record.ts";
import { type Command, IDENTITY, list, text, UsageError, type Values, whole } from "./command.ts";
import { parseJson, readInput } from "./context.ts";
import { recordLine } from "./show.ts";

const KINDS = ["decision", "intent", "outcome", "key", "policy", "erasure", "frozen"];
const INPUT_BYTES = 16 * 1_048_576;
/** A batch stays this far below a request's bound: what the gateway stamps does not count there, what we write does. */
const BATCH_BYTES = Math.floor(LIMITS.body_bytes * 0.6);
const utf8 = new TextEncoder();

/** Of what no size came: nobody is set up to vouch, or could not be asked. */
const UNKNOWN = "-";

const treeLine = ({ origin, first_seq, size, frozen }: NonNullable<AuditLogFacts["epochs"]>[number]): string =>
  `tree       ${origin}, ${size} events from ${first_seq} on${frozen ? ", over" : ""}`;

const log: Command = {
  name: "audit log",
  summary: "Show what the tenant's log is, and how far it has come; with --policy the text to verify with",
  about: `How many events are appended (durable), sealed (leaves of the tree), published (under a signed head), witnessed (that
head met the witnesses' quorum) and anchored (in a block of a chain). "${UNKNOWN}": nobody is set up for it, or the answer did not
come in time. With --json what is not known is left out.
A policy that the log itself gives shows no more than that the log agrees with itself: keep one from before. A log that was
rotated has one for each of its trees.`,
  options: {
    ...IDENTITY,
    policy: { type: "boolean", help: "print the tlog-policy alone" },
    origin: { type: "string", value: "ORIGIN", help: "with --policy: of this tree of a log that was rotated" },
  },
  examples: ["talos audit log", "talos audit log --policy > policy.txt"],
  async run(context, values) {
    const facts = await context.client().audit.log();
    const named = text(values, "origin");
    if (values.policy === true) {
      const found = treePolicies(facts).findLast((tree) => named === undefined || tree.origin === named);
      if (facts.policy === undefined) throw new UsageError("the log has no origin yet: nothing was sealed");
      if (found === undefined) throw new UsageError("the log lists no tree of this origin: see talos audit log");
      context.io.out(found.policy);
      return undefined;
    }
    if (named !== undefined) throw new UsageError("--origin says of which tree --policy is");
    const { origin = "(not sealed yet)", keys, appended, sealed, published, witnessed, anchored, forked } = facts;
    const { epochs = [] } = facts;
    const of = epochs.length > 1 ? " of the newest tree" : "";
    const leaves = (size: number | undefined): string => (size === undefined ? UNKNOWN : `${size}${of}`);
    context.print(facts, [
      `origin     ${origin}`,
      ...keys.map((key) => `key        ${key}`),
      ...(epochs.length > 1 ? epochs.map(treeLine) : []),
      `appended   ${appended}`,
      `sealed     ${leaves(sealed)}`,
      `published  ${leaves(published)}`,
      `witnessed  ${leaves(witnessed)}`,
      `anchored   ${leaves(anchored)}`,
      ...(forked ? ["FORKED: rows and bucket contradict each other; nothing is added any more"] : []),
    ]);
    return undefined;
  },
};

const checkpoint: Command = {
  name: "audit checkpoint",
  summary: "Print the newest published checkpoint, a signed note",
  options: {
    ...IDENTITY,
    origin: { type: "string", value: "ORIGIN", help: "of this tree of a log that was rotated (default: the newest)" },
  },
  examples: ["talos audit checkpoint", "talos audit checkpoint --json"],
  async run(context, values) {
    const named = text(values, "origin");
    const note = await context.client().audit.checkpoint(named === undefined ? {} : { origin: named });
    const [origin = "", size = "", root = ""] = note.split("\n");
    if (context.json) context.print({ origin, size: Number(size), root, note }, "");
    else context.io.out(note);
    return undefined;
  },
};

const FILTERS: NonNullable<Command["options"]> = {
  agent: { type: "string", value: "DID", help: "only this holder's" },
  tool: { type: "string", value: "SERVER/TOOL", help: "only this tool's" },
  decision: { type: "string", value: "allow|deny", help: "only what was allowed, or denied" },
  code: { type: "string", value: "CODE", help: "only decisions of this code" },
  kind: { type: "string", value: "KIND", help: `one of ${KINDS.join(", ")}` },
  correlation: { type: "string", value: "ID", help: "only the events of this intent" },
  since: { type: "string", value: "TIME", help: "not before: 2026-11-27T20:00:00Z, or milliseconds" },
  until: { type: "string", value: "TIME", help: "before" },
};

const listed: Command = {
  name: "audit list",
  summary: "Search the record by filter and time",
  about: "Read from Postgres; needs a grant for talos/audit.events. With --json one record a line.",
  options: {
    ...IDENTITY,
    ...FILTERS,
    oldest: { type: "boolean", help: "oldest first; newest first otherwise" },
    limit: { type: "string", short: "n", value: "N", help: "how many, 1 to 100000 (default 50)" },
  },
  examples: [
    "talos audit list --code REVOKED",
    "talos audit list --kind key --oldest --since 2026-11-01T00:00:00Z -n 500",
  ],
  async run(context, values) {
    const limit = whole(values, "limit", 1, 100_000) ?? 50;
    let shown = 0;
    for await (const record of context.client().auditEvents({ ...filterOf(values), page_size: Math.min(limit, 200) })) {
      context.io.out(`${context.json ? JSON.stringify(record) : recordLine(record)}\n`);
      shown += 1;
      if (shown === limit) break;
    }
    return undefined;
  },
};

const append: Command = {
  name: "audit append",
  usage: "FILE",
  summary: "Record events of one's own; prints a receipt an event, its promise verified",
  about: `FILE is a JSON list of entries, or one a line; - for standard input. event_id and ts are filled in where they are
missing: keep what is printed, and send it again as it is to get the same receipts. Needs a grant for talos/audit.append.`,
  positionals: [1, 1],
  options: { ...IDENTITY, dry: { type: "boolean", help: "print the entries that would be sent, and send nothing" } },
  examples: [
    `echo '{"kind":"decision","audit_action":"order.placed","meta":{"order":"A-1"}}' | talos audit append -`,
    "talos audit append entries.ndjson --json",
  ],
  async run(context, values, [file]) {
    const path = file!;
    const entries = entriesOf(readInput(path, INPUT_BYTES), path === "-" ? "standard input" : path);
    if (values.dry === true) {
      for (const entry of entries) context.io.out(`${JSON.stringify(entry)}\n`);
      return undefined;
    }
    const client = context.client();
    const { keys } = await client.gateway();
    for (const batch of batches(entries)) {
      for (const receipt of await client.audit.append(batch)) {
        const { event_id, seq, promise } = receipt;
        const told = promise === undefined ? undefined : verifyPromise(promise, keys);
        if (told !== undefined && (told.event_id !== event_id || told.seq !== seq))
          throw new ClientError("client.statement_invalid", "the promise is about another event");
        const durable =
          told === undefined ? "its promise's key is gone" : `durable at ${new Date(told.time_ms).toISOString()}`;
        context.io.out(`${context.json ? JSON.stringify(receipt) : `${event_id}  ${seq}  ${durable}`}\n`);
      }
    }
    return undefined;
  },
};

const stream: Command = {
  name: "audit stream",
  summary: "Follow the record: every event once, in order, from the moment it is durable",
  about: "Goes on by itself after interruptions until it is ended. With --json one record a line.",
  options: {
    ...IDENTITY,
    from: { type: "string", value: "N", help: "begin at this place in the log (default: what comes next)" },
    after: { type: "string", value: "N", help: "begin behind this place: the last one that was received" },
    kinds: { type: "string", value: "KIND,…", help: `only these of ${KINDS.join(", ")}` },
    count: { type: "string", value: "N", help: "end after so many" },
  },
  examples: ["talos audit stream", "talos audit stream --from 0 --kinds key,policy --json"],
  async run(context, values) {
    const [from, after, count] = ["from", "after", "count"].map((name) => whole(values, name, 0, 9_999_999_999));
    const kinds = text(values, "kinds")?.split(",");
    if (kinds?.some((kind) => !KINDS.includes(kind))) throw new UsageError(`--kinds are of ${KINDS.join(", ")}`);
    const where = {
      ...(from === undefined ? {} : { from }),
      ...(after === undefined ? {} : { after }),
      ...(kinds === undefined ? {} : { kinds }),
    };
    let left = count ?? Number.POSITIVE_INFINITY;
    if (left === 0) return undefined;
    for await (const record of context.client().audit.stream(where)) {
      context.io.out(`${context.json ? JSON.stringify(record) : recordLine(record)}\n`);
      left -= 1;
      if (left === 0) break;
    }
    return undefined;
  },
};

const exported: Command = {
  name: "audit export",
  usage: "FILE",
  summary: "Save stretches of the log that verify by themselves",
  about: `FILE gets every event from --from on, as exports one after another: "audit verify-export" reads it with a policy
alone. Nothing is left under its name unless all of it came.`,
  positionals: [1, 1],
  options: {
    ...IDENTITY,
    from: { type: "string", value: "N", help: "place of the first event (default 0)" },
    to: { type: "string", value: "N", help: "place behind the last one (default: all that is published)" },
  },
  examples: ["talos audit export record.ndjson", "talos audit export part.ndjson --from 1000 --to 2000"],
  async run(context, values, [file]) {
    const path = file!;
    if (existsSync(path)) throw new UsageError(`${path} exists`);
    const to = whole(values, "to", 1, 9_999_999_999);
    let next: number | undefined = whole(values, "from", 0, 9_999_999_999) ?? 0;
    const client = context.client();
    const part = `${path}.part`;
    const out = createWriteStream(part, { flags: "wx", mode: 0o600 });
    const first = next;
    let end = next;
    try {
      while (next !== undefined) {
        const saved = await save(await client.audit.export(next, to), out);
        ({ next } = saved);
        end = saved.to;
      }
      out.end();
      await finished(out);
      renameSync(part, path);
    } catch (error) {
      out.destroy();
      rmSync(part, { force: true });
      throw error;
    }
    context.print({ file: path, from: first, to: end }, `${end - first} events, ${first} to ${end - 1}, in ${path}`);
    return undefined;
  },
};

const verifyExported: Command = {
  name: "audit verify-export",
  usage: "FILE",
  summary: "Verify a saved stretch of the log with a policy, asking nobody",
  about: `The policy decides which log is believed: keep one from before, do not take it from whoever gave the file. A log that was
rotated has a policy for each of its trees; the last event of a tree says that it is over. Heads of a log are signed by its
own key; that witnesses vouch for them too is what "audit proof" of the last event shows.`,
  positionals: [1, 1],
  options: {
    policy: { type: "string", multiple: true, value: "FILE", help: "a tlog-policy, one for each tree" },
  },
  examples: [
    "talos audit verify-export record.ndjson --policy policy.txt",
    "talos audit verify-export record.ndjson --policy tree-1.txt --policy tree-2.txt",
  ],
  async run(context, values, [file]) {
    const files = list(values, "policy");
    if (files.length === 0) throw new UsageError("--policy FILE is needed: nothing is trusted by itself");
    const policies = files.map((path) => readInput(path, LIMITS.policy_text_bytes));
    if (!existsSync(file!)) throw new UsageError(`${file} does not exist`);
    const trees: TreeStretch[] = [];
    let last: Uint8Array = new Uint8Array(0);
    for await (const one of parts(createReadStream(file!))) {
      const [before, ending] = [trees.at(-1), last];
      const { head, size } = await verifyExport(one, policies, (leaf) => {
        last = leaf;
      });
      const { origin, first_seq = 0, from, to } = head;
      const stretch = { origin, first_seq, from, to, size };
      if (before !== undefined && !follows(before, ending, stretch))
        throw new ClientError("client.answer_invalid", "its stretches do not follow each other");
      if (before?.origin === origin) Object.assign(before, { to, size });
      else trees.push(stretch);
    }
    const [first, newest] = [trees.at(0), trees.at(-1)];
    if (first === undefined || newest === undefined)
      throw new ClientError("client.answer_invalid", "the file is empty");
    context.print(
      { origin: newest.origin, from: first.from, to: newest.to, size: newest.size, trees },
      trees.map(
        ({ origin, from, to, size }) => `verified: events ${from} to ${to - 1} of ${origin}, under a head of ${size}`,
      ),
    );
    return undefined;
  },
};

/** What a file has of one tree. */
interface TreeStretch {
  origin: string;
  /** number of the tree's first event */
  first_seq: number;
  from: number;
  to: number;
  /** leaves of the head that covers it */
  size: number;
}

/** More of the same tree; or the beginning of the next one, after the event that ends this (contracts/spec/audit.md#epochs). */
function follows(before: TreeStretch, ending: Uint8Array, { origin, first_seq, from }: TreeStretch): boolean {
  if (before.to !== from) return false;
  if (before.origin === origin) return before.first_seq === first_seq;
  const event = parseJson(new TextDecoder().decode(ending), "a leaf");
  if (first_seq !== from || !isRecord(event) || event.kind !== "frozen" || !isRecord(event.meta)) return false;
  return event.meta.origin === before.origin && event.meta.first_seq === before.first_seq;
}

/** Take one export down. @returns where it ends, and where the next one begins */
async function save(
  body: ReadableStream<Uint8Array>,
  out: NodeJS.WritableStream,
): Promise<{ to: number; next: number | undefined }> {
  let head = "";
  let whole = false;
  let lines = 0;
  for await (const chunk of body) {
    if (!whole) {
      head += new TextDecoder().decode(chunk);
      whole = head.includes("\n");
    }
    lines += chunk.reduce((sum, byte) => sum + (byte === 0x0a ? 1 : 0), 0);
    if (!out.write(chunk)) await new Promise((resolve) => out.once("drain", resolve));
  }
  const { from, to, next } = parseJson(head.split("\n", 1)[0]!, "the export's head") as Record<string, number>;
  if (typeof from !== "number" || typeof to !== "number" || lines !== to - from + 1)
    throw new ClientError("client.answer_invalid", "the export broke off");
  return { to, next };
}

/** The exports of a file, one after another: each has as many lines as its head says. */
async function* parts(source: AsyncIterable<Uint8Array>): AsyncGenerator<AsyncIterable<Uint8Array>> {
  const lines = linesOf(source);
  for (;;) {
    const first = await lines.next();
    if (first.done) return;
    const head: unknown = parseJson(new TextDecoder().decode(first.value), "an export's head");
    if (!isRecord(head) || typeof head.from !== "number" || typeof head.to !== "number")
      throw new ClientError("client.answer_invalid", "no export begins here");
    let left = head.to - head.from;
    async function* one(): AsyncGenerator<Uint8Array> {
      yield first.value as Uint8Array;
      while (left > 0) {
        const line = await lines.next();
        if (line.done) return;
        left -= 1;
        yield line.value;
      }
    }
    yield one();
  }
}

/** Lines with their ends; what has none comes as it is. */
async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  let rest = new Uint8Array(0);
  for await (const chunk of source) {
    let all = Buffer.concat([rest, chunk]);
    for (let end = all.indexOf(0x0a); end >= 0; end = all.indexOf(0x0a)) {
      yield all.subarray(0, end + 1);
      all = all.subarray(end + 1);
    }
    if (all.length > 262_144) throw new ClientError("client.answer_invalid", "a line that is too long");
    rest = Uint8Array.from(all);
  }
  if (rest.length > 0) yield rest;
  return undefined;
}

/** Entries of a list or of lines, with an id and a time each. */
function entriesOf(input: string, what: string): AuditEntry[] {
  const trimmed = input.trim();
  const values = trimmed.startsWith("[")
    ? parseJson(trimmed, what)
    : trimmed.split("\n").map((line, i) => parseJson(line, `line ${i + 1} of ${what}`));
  if (!Array.isArray(values) || values.length === 0 || !values.every(isRecord))
    throw new UsageError(`${what} holds no entries`);
  const nowMs = Date.now();
  return values.map((value) => {
    const event_id = uuidv7(nowMs, crypto.getRandomValues(new Uint8Array(10)));
    return { event_id, ts: new Date(nowMs).toISOString(), meta: {}, ...value } as AuditEntry;
  });
}

function* batches(entries: readonly AuditEntry[]): Generator<AuditEntry[]> {
  let batch: AuditEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = utf8.encode(JSON.stringify(entry)).length;
    if (batch.length > 0 && (batch.length === LIMITS.audit_batch_events || bytes + size > BATCH_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(entry);
    bytes += size;
  }
  yield batch;
}

function filterOf(values: Values): AuditFilter {
  const filter: Record<string, unknown> = {};
  for (const name of ["agent", "tool", "code", "correlation"]) {
    const value = text(values, name);
    if (value !== undefined) filter[name] = value;
  }
  const [decision, kind] = [text(values, "decision"), text(values, "kind")];
  if (decision !== undefined && decision !== "allow" && decision !== "deny")
    throw new UsageError("--decision is allow or deny");
  if (kind !== undefined && !KINDS.includes(kind)) throw new UsageError(`--kind is one of ${KINDS.join(", ")}`);
  const [from, to] = [time(values, "since"), time(values, "until")];
  const oldest = values.oldest === true ? { order: "oldest" } : {};
  return Object.fromEntries(
    Object.entries({ ...filter, decision, kind, from, to, ...oldest }).filter(([, value]) => value !== undefined),
  ) as AuditFilter;
}

function time(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const ms = /^\d{1,15}$/.test(value) ? Number(value) : Date.parse(value);
  if (!Number.isSafeInteger(ms) || ms < 0) throw new UsageError(`--${name} is a time like 2026-11-27T20:00:00Z`);
  return ms;
}

export const auditLogCommands = [log, checkpoint, listed, append, stream, exported, verifyExported];
