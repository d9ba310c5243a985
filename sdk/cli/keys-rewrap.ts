/**
 * `talos keys rewrap`: what is waited for before an old key of keyset `values` is destroyed. Subjects are in no list, but each
 * one that has anything kept stands in the record with a commitment, so the record says who they all are; each is asked,
 * which wraps its data key anew. Source: contracts/spec/erasure.md#sealing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type AuditLogFacts, LIMITS } from "@talos/contracts";
import type { Client } from "../client.ts";
import { ClientError, GatewayError, isRecord } from "../errors.ts";
import { verifyExport } from "../export.ts";
import { publishedSize, treePolicies } from "../log-policy.ts";
import { printable } from "../printable.ts";
import { type Command, EXIT, IDENTITY, list, text, UsageError, whole } from "./command.ts";
import { parseJson, readInput } from "./context.ts";

/** Attempts to ask once more what is over a limit or away for now. */
const TRIES = 60;
const AGAIN_MS = 1_000;

export const rewrap: Command = {
  name: "keys rewrap",
  summary: "After a rotation of `values`: wrap every subject's data key under the new key, and say which are not yet",
  about: `Run it when the promoted keysets are deployed everywhere, for each tenant. It reads who the subjects are out of the verified
record, and asks for each of them, which wraps its key anew. Exit code 0: of every call that was recorded when it began, what
is kept is under --kid; of later calls it is from the first. Exit code 3: of some it is not, which are named; run it again.
Interrupted, it goes on with --from. Needs grants for talos/audit.events and talos/privacy.subjects, class read, action read.`,
  options: {
    ...IDENTITY,
    kid: { type: "string", value: "KID", help: "the new primary of `values`, as `talos keys show` has it" },
    from: { type: "string", value: "N", help: "place in the record to begin at (default 0)" },
    policy: {
      type: "string",
      multiple: true,
      value: "FILE",
      help: "to verify the record with (default: the log's own)",
    },
  },
  examples: [
    "talos keys rewrap --kid values-2026-11-27-08e6284f",
    "talos keys rewrap --kid values-2026-11-27-08e6284f --from 40960 --json",
  ],
  async run(context, values) {
    const kid = text(values, "kid");
    if (kid === undefined) throw new UsageError("--kid is missing: the key that everything is to be wrapped under");
    const given = list(values, "policy").map((path) => readInput(path, LIMITS.policy_text_bytes));
    const client = context.client();
    const facts = await whenPublished(client);
    const policies = given.length > 0 ? given : treePolicies(facts).map(({ policy }) => policy);
    const end = facts.appended;
    const from = whole(values, "from", 0, 9_999_999_999) ?? 0;
    if (from > end) throw new UsageError(`--from is beyond the ${end} events of the record`);
    const seen = new Set<string>();
    const count = { subjects: 0, wrapped: 0, nothing_kept: 0, not_yet: 0 };
    for (let at = from; at < end; ) {
      const stretch = await subjectsOf(client, at, end, policies);
      for (const subject of stretch.subjects) {
        if (seen.has(subject)) continue;
        seen.add(subject);
        const { key_id } = await patiently(() => client.privacy.subject(subject));
        count.subjects += 1;
        if (key_id === undefined) count.nothing_kept += 1;
        else if (key_id === kid) count.wrapped += 1;
        else {
          count.not_yet += 1;
          context.print({ subject, key_id }, printable(`not yet   ${subject}: under ${key_id}`));
        }
      }
      at = stretch.to;
      context.print(
        { to: at, of: end, ...count },
        `up to ${at} of ${end} events: ${count.subjects} subjects, ${count.wrapped} under ${kid}, ` +
          `${count.nothing_kept} with nothing kept, ${count.not_yet} not yet`,
      );
    }
    return count.not_yet === 0 ? EXIT.ok : EXIT.unavailable;
  },
};

/** What the log is, once all that was appended when it was first asked is published: `appended` is what it was then. */
async function whenPublished(client: Client): Promise<AuditLogFacts> {
  const { appended } = await patiently(() => client.audit.log());
  for (let tries = 1; ; tries += 1) {
    const facts = await patiently(() => client.audit.log());
    if (publishedSize(facts) >= appended) return { ...facts, appended };
    if (tries === TRIES) throw new ClientError("client.timeout", "the log does not publish what was appended");
    await sleep(AGAIN_MS);
  }
}

/** Whose calls a stretch of the record has, where it commits to something, and where it ends. */
async function subjectsOf(client: Client, from: number, end: number, policies: readonly string[]) {
  const subjects = new Set<string>();
  const body = await patiently(() => client.audit.export(from, end));
  const { head } = await verifyExport(body, policies, (leaf) => {
    const event = parseJson(new TextDecoder().decode(leaf), "an event");
    if (!isRecord(event) || event.commitments === undefined || !isRecord(event.principal)) return;
    const { root_sub, did } = event.principal;
    const subject = root_sub ?? did; // contracts/spec/erasure.md#subjects
    if (typeof subject === "string") subjects.add(subject);
  });
  return { subjects, to: head.to };
}

/** @throws the last refusal, after {@link TRIES}, or the first that no waiting helps */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof GatewayError) || !error.problem.retryable || tries === TRIES) throw error;
      await sleep(error.problem.retry_after_ms ?? AGAIN_MS);
    }
  }
}
