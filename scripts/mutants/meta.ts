/** Mutants of the meta-log, of its witnesses' client and of the witness. */
import { type Area, swap } from "./list.ts";

export const meta: Area[] = [
  {
    file: "durable-objects/meta-heads.ts",
    by: "workers durable-objects/meta-log.worker.test.ts",
    mutants: [
      swap("a head of a known size has its root", '«equal(known.root, head.root) ? known.leaf : "fork"»', "known.leaf"),
      swap("no head smaller than the newest", '«newest !== undefined && newest.size > head.size» ? "fork"', "false"),
    ],
  },
  {
    file: "durable-objects/meta-log.ts",
    by: "workers durable-objects/meta-log.worker.test.ts",
    mutants: [
      swap("a head is signed by the deployment", "«await verifyCheckpoint({ note: utf8.encode(note), policy });»", ""),
      swap(
        "what is signed is the leaf and nothing more",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the source
        "if («!note.startsWith(`${checkpointText(origin, { size, root })}\\n`)»)",
        "false",
      ),
      swap(
        "an anchored checkpoint is one of this tree",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the source
        "return «note.startsWith(`${checkpointText(sealed.origin, { size, root })}\\n`)»",
        "true",
      ),
      swap(
        "how far a log was anchored is not said of another tree",
        "return «(await this.#isOurs(newest))» ? newest.size",
        "true",
      ),
    ],
  },
  {
    file: "durable-objects/anchored.ts",
    by: "unit durable-objects/anchored.test.ts",
    mutants: [
      swap("an anchor covers what it is asked for", "one !== null «&& one.size >= size»", ""),
      swap(
        "evidence is for the text of the checkpoint",
        "sound.filter((one) => «text(one.note) === text(first.note)»)",
        "true",
      ),
    ],
  },
  {
    file: "durable-objects/cosigner.ts",
    by: "workers durable-objects/cosigner.worker.test.ts",
    mutants: [
      swap(
        "a cosignature is verified before it is kept",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the source
        "const { witnesses } = «await verifyCheckpoint({ note: utf8(`${head.note}${line}\\n`), policy })»",
        "{ witnesses: [{ time_seconds: 1 }] }",
      ),
      swap(
        "a time in the future is refused",
        "if («time_seconds <= this.#ports.now() / 1_000 + AHEAD_SECONDS»)",
        "true",
      ),
      swap(
        "what is witnessed met the quorum",
        "«await verifyCheckpoint({ note: utf8(note), policy: utf8(metaPolicy(await this.#ports.keys(), policy)) });»",
        "",
      ),
      swap("of the policy that is in force", "row === undefined «|| row.policy !== this.#policy()?.text»", ""),
      swap("the same size told back is another history", "if («size === known») throw", "false"),
      swap("a newer head than ours is an alarm", "if («size > head.size») throw", "false"),
    ],
  },
  {
    file: "durable-objects/witnessed-log.ts",
    by: "integration test/integration/witness.test.ts",
    mutants: [
      swap("the old size is the one that is known", "if («ask.old !== known») return", "false"),
      swap("one root a size", "«ask.size === known && !equal(ask.root, latest.root)»", "false"),
      swap("the proof holds", "«checkConsistency({ old: latest, head: ask, hashes: ask.hashes });»", ""),
      swap("from nothing there is no proof", "return «ask.hashes.length === 0 && empty» ?", "true"),
      swap("evidence is bounded", "WHERE «(SELECT count(*) FROM contradictions) < ?3» AND", "?3 = ?3"),
    ],
  },
  {
    file: "workers/witness/index.ts",
    by: "integration test/integration/witness.test.ts",
    mutants: [swap("the body is bounded", "if («body === null») return answer(413", "false")],
  },
  {
    file: "durable-objects/witness-config.ts",
    by: "integration test/integration/witness.test.ts",
    mutants: [
      swap("a log is known", "known === undefined «|| known.logs.length === 0» || known.witnesses", ""),
      swap("a key is there", "return «seed?.length === 32» ? seed", "seed !== undefined"),
    ],
  },
];
