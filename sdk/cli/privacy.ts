import { setTimeout as sleep } from "node:timers/promises";
import { validate } from "@talos/contracts";
import type { Client } from "../client.ts";
import type { AuditValues, Erasure, PrivacySubject } from "../privacy.ts";
import { type Command, IDENTITY, text, UsageError } from "./command.ts";
import { printable } from "./show.ts";

/** How often `--wait` asks. */
const ASK_MS = 500;

const values: Command = {
  name: "audit values",
  usage: "EVENT_ID",
  summary: "Open the commitments of one record: what was asked, or answered, where the policy keeps it",
  about: `Each value is checked against the commitment in the event. That somebody looked is itself recorded, first.
Needs a grant for talos/audit.values. Values that were erased are refused with value.erased.`,
  positionals: [1, 1],
  options: IDENTITY,
  examples: ["talos audit values 0199f3c2-7d1e-7a44-9b1c-0c5b8d3e2f10"],
  async run(context, _values, [id]) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id!)) throw new UsageError("an event id is a UUIDv7");
    const opened = await context.client().privacy.values(id!);
    context.print(opened, opened.values.map(valueLine));
    return undefined;
  },
};

const erase: Command = {
  name: "erase",
  usage: "DID | --id ID",
  summary: "Destroy what is kept of a subject's calls; the record and its proofs stand",
  about: `The key of everything that is kept of the subject up to now is destroyed at once; sealed values are deleted and the
erasure is recorded after that, also when nobody waits for it. A subject is the holder of a capability's root link, and answers
for everyone who acts for it. Needs grants for talos/privacy.erasures: class destructive, action write, to erase; read, read, to
wait. A subject under legal hold is refused with privacy.held.`,
  positionals: [0, 1],
  options: {
    ...IDENTITY,
    reason: { type: "string", value: "TEXT", help: "for people; it stays out of the log" },
    id: { type: "string", value: "ID", help: "do not erase: show how far this erasure is" },
    wait: { type: "boolean", short: "w", help: "until it is done" },
  },
  examples: [
    "talos erase did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK --wait",
    'talos erase "$(talos key show --did)" --reason "asked by letter"',
    "talos erase --id ID --wait",
  ],
  async run(context, options, [did]) {
    const id = text(options, "id");
    if ((id === undefined) === (did === undefined))
      throw new UsageError("either a DID to erase, or --id of an erasure");
    if (did !== undefined) requireDid(did);
    if (id !== undefined && !/^[\w-]{64}$/.test(id)) throw new UsageError("--id is what `talos erase` printed");
    const client = context.client();
    let erasure =
      id === undefined ? await client.privacy.erase(did!, text(options, "reason")) : await client.privacy.erasure(id);
    if (options.wait === true) erasure = await finished(client, erasure);
    context.print(erasure, erasureLines(erasure));
    return undefined;
  },
};

const hold: Command = {
  name: "hold",
  usage: "DID",
  summary: "Put a subject under legal hold, lift it, or show what is kept of it",
  about:
    "While a subject is held no erasure of it begins. Needs grants for talos/privacy.holds, class write (action write to set,\n" +
    "delete to lift), or, to show, for talos/privacy.subjects, class read, action read.",
  positionals: [1, 1],
  options: {
    ...IDENTITY,
    release: { type: "boolean", help: "lift the hold" },
    show: { type: "boolean", help: "change nothing" },
  },
  examples: [
    "talos hold did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    "talos hold did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK --release",
    'talos hold "$(talos key show --did)" --show',
  ],
  async run(context, options, [did]) {
    if (options.release === true && options.show === true)
      throw new UsageError("--release and --show exclude each other");
    requireDid(did!);
    const { privacy } = context.client();
    const ask = options.show === true ? "subject" : options.release === true ? "release" : "hold";
    const subject = await privacy[ask](did!);
    context.print(subject, subjectLines(subject));
    return undefined;
  },
};

/** @throws UsageError */
function requireDid(did: string): void {
  if (!validate("privacy/erase", { subject: did }).ok)
    throw new UsageError(`${printable(did)} is no DID, did:key:… or the like`);
}

async function finished(client: Client, begun: Erasure): Promise<Erasure> {
  let erasure = begun;
  while (erasure.state !== "done") {
    await sleep(ASK_MS);
    erasure = await client.privacy.erasure(erasure.id);
  }
  return erasure;
}

function valueLine({ name, state, salt, value }: AuditValues["values"][0]): string {
  const shown = value === undefined ? state : Buffer.from(value, "base64url").toString();
  return `${name}: ${printable(shown, "\n")}${salt === undefined ? "" : `\n  salt ${salt}`}`;
}

const time = (ms: number): string => new Date(ms).toISOString();

const erasureLines = (of: Erasure): string[] => [
  `erasure   ${of.id}`,
  `state     ${of.state}${of.failures === 0 ? "" : `, ${of.failures} attempts failed`}`,
  `of        calls that began by ${time(of.requested_ms)}`,
  `destroyed the key of ${of.values} values, and the salts of ${of.commitments} events`,
  `deleted   ${of.deleted} sealed values`,
  `record    ${of.event_id}${of.state === "done" ? "" : " (not yet)"}`,
];

const subjectLines = (of: PrivacySubject): string[] => [
  printable(`subject   ${of.subject}`),
  `hold      ${of.held ? "yes" : "no"}`,
  `kept      ${of.values} values, ${of.bytes} bytes; salts of ${of.commitments} events`,
  ...(of.unsealed + of.too_large === 0 ? [] : [`not kept  ${of.unsealed} never came, ${of.too_large} too large`]),
  ...(of.key_id === undefined ? [] : [`key       wrapped under ${of.key_id}`]),
  ...(of.erased_ms === undefined ? [] : [`erased    calls that began by ${time(of.erased_ms)}: ${of.erasure}`]),
];

export const valuesCommand = values;
export const privacyCommands = [erase, hold];
