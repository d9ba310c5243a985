import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import type { Sink, SinkAttempt, SinkDeadLetter, SinkKinds, SinkMade } from "@talos/contracts";
import { writeSecretFile } from "../key-file.ts";
import { type Command, EXIT, IDENTITY, list, text, UsageError, type Values, whole } from "./command.ts";
import type { Context } from "./context.ts";
import { printable } from "../printable.ts";

const KINDS = ["decision", "intent", "outcome", "key", "policy", "erasure", "frozen"] as const;
/** The highest place in a log that JSON can say exactly has 16 digits; options take ten. */
const MOST = 9_999_999_999;

const KIND: NonNullable<Command["options"]> = {
  kind: { type: "string", multiple: true, value: "KIND", help: `only events of this kind: ${KINDS.join(", ")} (all)` },
};
const DESCRIPTION: NonNullable<Command["options"]> = {
  description: { type: "string", value: "TEXT", help: "a line for people" },
};
const SECRET: NonNullable<Command["options"]> = {
  algorithm: { type: "string", value: "v1a|v1", help: "v1a: Ed25519, the receiver cannot forge; v1: HMAC-SHA256" },
  secret: { type: "string", value: "FILE", help: "where the secret of v1 goes, mode 0600; - for standard output" },
};
const PAGE: NonNullable<Command["options"]> = {
  limit: { type: "string", short: "n", value: "N", help: "how many, 1 to 100 (default 50)" },
  cursor: { type: "string", value: "N", help: "go on from the page before" },
};

const create: Command = {
  name: "sink create",
  usage: "URL",
  summary: "Make a webhook sink for the record; it works after `talos sink resume`",
  about: `Deliveries are signed as Standard Webhooks says. With v1a (the default) the receiver needs the public key that is
printed; with v1 it needs the secret, which is given this once, to --secret FILE.`,
  positionals: [1, 1],
  options: {
    ...IDENTITY,
    ...KIND,
    ...DESCRIPTION,
    ...SECRET,
    from: { type: "string", value: "SEQ", help: "first event to deliver (default: the next one of the log)" },
    "idempotency-key": { type: "string", value: "KEY", help: "the same key again is the same sink" },
  },
  examples: [
    "talos sink create https://siem.example.com/talos",
    "talos sink create https://siem.example.com/talos --algorithm v1 --secret siem.secret --kind outcome --from 0",
  ],
  async run(context, values, [url]) {
    const algorithm = algorithmOf(values);
    const description = text(values, "description");
    const from_seq = whole(values, "from", 0, MOST);
    const kinds = kindsOf(values);
    const settings = {
      url: url!,
      ...(kinds.length > 0 ? { kinds } : {}),
      ...(description === undefined ? {} : { description }),
      ...(algorithm === undefined ? {} : { algorithm }),
      ...(from_seq === undefined ? {} : { from_seq }),
    };
    const key = text(values, "idempotency-key") ?? randomUUID();
    return give(context, values, await context.client().sinks.create(settings, key));
  },
};

const show = one("show", "Show one sink: settings, cursor, breaker, public keys", (context, id) =>
  context.client().sinks.get(id),
);
const pause = one("pause", "Stop delivering; the cursor stays", (context, id) => context.client().sinks.pause(id));
const remove = one("delete", "Delete a sink with its secrets, delivery log and dead letters", (context, id) =>
  context.client().sinks.delete(id),
);
const resume = one(
  "resume",
  "Challenge the receiver where that is due, and deliver; what waits is tried at once",
  (context, id) => context.client().sinks.resume(id),
);

const all: Command = {
  name: "sink list",
  summary: "List the tenant's webhook sinks",
  options: IDENTITY,
  examples: ["talos sink list", "talos sink list --json | jq '.[].cursor'"],
  async run(context) {
    const sinks = await context.client().sinks.list();
    context.print(sinks, sinks.length > 0 ? sinks.map(line) : "There is no sink.");
    return undefined;
  },
};

const update: Command = {
  name: "sink update",
  usage: "ID",
  summary: "Change where a sink delivers, or which kinds",
  about: "What is not named stays. Another URL has to be verified again: `talos sink resume`.",
  positionals: [1, 1],
  options: { ...IDENTITY, url: { type: "string", value: "URL", help: "another receiver" }, ...KIND, ...DESCRIPTION },
  examples: ["talos sink update q83vEjRWeJCrze8SNFZ4kA --kind intent --kind outcome"],
  async run(context, values, [id]) {
    const { sinks } = context.client();
    const before = await sinks.get(id!);
    const kinds = kindsOf(values);
    const description = text(values, "description") ?? before.description;
    const settings = {
      url: text(values, "url") ?? before.url,
      kinds: kinds.length > 0 ? kinds : before.kinds,
      ...(description === undefined ? {} : { description }),
    };
    const sink = await sinks.update(id!, settings);
    context.print(sink, details(sink));
    return undefined;
  },
};

const test: Command = {
  name: "sink test",
  usage: "ID",
  summary: "Send one signed delivery of no event",
  about: "Exit code 1 when the receiver did not take it.",
  positionals: [1, 1],
  options: IDENTITY,
  examples: ["talos sink test q83vEjRWeJCrze8SNFZ4kA"],
  async run(context, _values, [id]) {
    const attempt = await context.client().sinks.test(id!);
    context.print(attempt, attemptLine(attempt));
    return attempt.ok ? EXIT.ok : EXIT.refused;
  },
};

const replay: Command = {
  name: "sink replay",
  usage: "ID",
  summary: "Deliver again from a place in the log, or a range",
  about:
    "Every event keeps its webhook-id. With --to the sink then goes on from where it was; without, from the range.",
  positionals: [1, 1],
  options: {
    ...IDENTITY,
    from: { type: "string", value: "SEQ", help: "the first event" },
    to: { type: "string", value: "SEQ", help: "end of the range, exclusive" },
  },
  examples: ["talos sink replay q83vEjRWeJCrze8SNFZ4kA --from 1000 --to 2000"],
  async run(context, values, [id]) {
    const from_seq = whole(values, "from", 0, MOST);
    const to_seq = whole(values, "to", 0, MOST);
    if (from_seq === undefined) throw new UsageError("--from is missing");
    if (to_seq !== undefined && to_seq <= from_seq) throw new UsageError("--to is beyond --from");
    const sink = await context.client().sinks.replay(id!, { from_seq, ...(to_seq === undefined ? {} : { to_seq }) });
    context.print(sink, details(sink));
    return undefined;
  },
};

const rotate: Command = {
  name: "sink rotate",
  usage: "ID",
  summary: "Make a new signing secret; the older ones sign beside it for a while",
  positionals: [1, 1],
  options: {
    ...IDENTITY,
    ...SECRET,
    overlap: {
      type: "string",
      value: "SECONDS",
      help: "how long the older ones go on (default a day; 0: end them now)",
    },
  },
  examples: [
    "talos sink rotate q83vEjRWeJCrze8SNFZ4kA",
    "talos sink rotate q83vEjRWeJCrze8SNFZ4kA --algorithm v1 --secret s",
  ],
  async run(context, values, [id]) {
    // Named, so that it is known beforehand whether a secret will have to be put somewhere.
    const algorithm = algorithmOf(values) ?? "v1a";
    const overlap_seconds = whole(values, "overlap", 0, 604_800);
    const how = { algorithm, ...(overlap_seconds === undefined ? {} : { overlap_seconds }) };
    return give(context, values, await context.client().sinks.rotate(id!, how));
  },
};

const deliveries: Command = {
  name: "sink deliveries",
  usage: "ID",
  summary: "Show what was attempted, newest first",
  positionals: [1, 1],
  options: { ...IDENTITY, ...PAGE },
  examples: ["talos sink deliveries q83vEjRWeJCrze8SNFZ4kA -n 20"],
  async run(context, values, [id]) {
    const page = await context.client().sinks.deliveries(id!, pageOf(values));
    const lines = page.deliveries.map(attemptLine);
    context.print(page, lines.length > 0 ? [...lines, ...more(page.next_cursor)] : "Nothing was attempted.");
    return undefined;
  },
};

const deadLetters: Command = {
  name: "sink dead-letters",
  usage: "ID",
  summary: "Show events that were given up, or deliver them again",
  positionals: [1, 1],
  options: {
    ...IDENTITY,
    ...PAGE,
    replay: { type: "string", multiple: true, value: "SEQ", help: "try this one again" },
    "replay-all": { type: "boolean", help: "try all of them again" },
  },
  examples: [
    "talos sink dead-letters q83vEjRWeJCrze8SNFZ4kA",
    "talos sink dead-letters q83vEjRWeJCrze8SNFZ4kA --replay-all",
  ],
  async run(context, values, [id]) {
    const seqs = list(values, "replay").map((seq) => whole({ replay: seq }, "replay", 0, MOST)!);
    const everything = values["replay-all"] === true;
    if (everything && seqs.length > 0) throw new UsageError("--replay and --replay-all exclude each other");
    if (everything || seqs.length > 0) {
      const count = await context.client().sinks.redeliver(id!, everything ? undefined : seqs);
      context.print({ count }, `${count} will be tried again.`);
      return undefined;
    }
    const page = await context.client().sinks.deadLetters(id!, pageOf(values));
    const lines = page.dead_letters.map(letterLine);
    context.print(page, lines.length > 0 ? [...lines, ...more(page.next_cursor)] : "There is no dead letter.");
    return undefined;
  },
};

/** A command that takes an id and shows the sink as it then stands. */
function one(name: string, summary: string, ask: (context: Context, id: string) => Promise<Sink>): Command {
  return {
    name: `sink ${name}`,
    usage: "ID",
    summary,
    positionals: [1, 1],
    options: IDENTITY,
    examples: [`talos sink ${name} q83vEjRWeJCrze8SNFZ4kA`],
    async run(context, _values, [id]) {
      const sink = await ask(context, id!);
      context.print(sink, details(sink));
      return undefined;
    },
  };
}

/** @throws UsageError, also where a secret would come that nothing is there for */
function algorithmOf(values: Values): "v1a" | "v1" | undefined {
  const algorithm = text(values, "algorithm");
  if (algorithm !== undefined && algorithm !== "v1a" && algorithm !== "v1") {
    throw new UsageError("--algorithm is v1a or v1");
  }
  if ((algorithm === "v1") !== (text(values, "secret") !== undefined)) {
    throw new UsageError("--algorithm v1 and --secret FILE go together");
  }
  return algorithm;
}

function kindsOf(values: Values): SinkKinds {
  const kinds = list(values, "kind");
  const unknown = kinds.find((kind) => !(KINDS as readonly string[]).includes(kind));
  if (unknown !== undefined) throw new UsageError(`--kind ${unknown} is none of ${KINDS.join(", ")}`);
  return [...new Set(kinds)] as SinkKinds;
}

function pageOf(values: Values): { cursor?: number; limit?: number } {
  const cursor = whole(values, "cursor", 0, MOST);
  const limit = whole(values, "limit", 1, 100);
  return { ...(cursor === undefined ? {} : { cursor }), ...(limit === undefined ? {} : { limit }) };
}

/** Print what was made; its secret goes where it was asked to go, and nowhere else. */
function give(context: Context, values: Values, made: SinkMade): undefined {
  const out = text(values, "secret");
  const { sink, secret } = made;
  if (secret !== undefined && out === "-") {
    context.io.out(context.json ? `${JSON.stringify(made)}\n` : `${secret}\n`);
    return undefined;
  }
  if (secret !== undefined && out !== undefined) writeSecretFile(resolve(context.io.cwd, out), `${secret}\n`);
  context.print(sink, details(sink));
  return undefined;
}

const time = (ms: number): string => new Date(ms).toISOString();
const line = (sink: Sink): string =>
  printable(`${sink.id}  ${sink.status.padEnd(10)}  ${String(sink.cursor).padStart(8)}  ${sink.url}`);

function details(sink: Sink): string[] {
  const rows: [string, string | undefined][] = [
    ["sink", sink.id],
    ["url", sink.url],
    ["about", sink.description],
    ["status", sink.reason === undefined ? sink.status : `${sink.status}: ${sink.reason}`],
    ["kinds", sink.kinds.length > 0 ? sink.kinds.join(", ") : "all"],
    [
      "cursor",
      sink.replaying_to === undefined ? String(sink.cursor) : `${sink.cursor}, replaying to ${sink.replaying_to}`,
    ],
    ["failures", sink.failures === 0 ? undefined : String(sink.failures)],
    [
      "breaker",
      sink.breaker_open_until_ms === undefined ? undefined : `open until ${time(sink.breaker_open_until_ms)}`,
    ],
    ["next", sink.next_attempt_ms === undefined ? undefined : time(sink.next_attempt_ms)],
    ["dead", sink.dead_letters === 0 ? undefined : `${sink.dead_letters} dead letters`],
    ...sink.keys.map((key): [string, string] => [
      "key",
      `${key.algorithm} ${key.public_key ?? "(shared secret)"}${key.expires_ms === undefined ? "" : ` until ${time(key.expires_ms)}`}`,
    ]),
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [printable(`${name.padEnd(9)} ${value}`)]));
}

function attemptLine(attempt: SinkAttempt): string {
  const what = attempt.what === "event" ? `event ${attempt.seq}` : attempt.what;
  const said = attempt.ok ? "taken" : (attempt.code ?? "");
  const status = attempt.status === undefined ? "" : ` ${attempt.status}`;
  return printable(
    `${time(attempt.time_ms)}  ${what}, attempt ${attempt.attempt}: ${said}${status}, ${attempt.duration_ms} ms`,
  );
}

function letterLine(letter: SinkDeadLetter): string {
  const said = `${letter.code ?? ""}${letter.status === undefined ? "" : ` ${letter.status}`}`;
  const again = letter.requested ? ", to be tried again" : "";
  return printable(`${letter.seq}  ${letter.event_id}  ${letter.kind}, ${letter.attempts} attempts: ${said}${again}`);
}

const more = (cursor: number | undefined): string[] => (cursor === undefined ? [] : [`more: --cursor ${cursor}`]);

export const sinkCommands = [
  ...[create, all, show, update, remove, pause, resume, test],
  ...[replay, rotate, deliveries, deadLetters],
];
