/**
 * Exports of the record, verified by whoever holds them: nothing but the file and a policy is asked for, and every leaf is
 * shown to stand at its place in a log whose head was signed. Source: contracts/spec/audit.md#export.
 */
import { type AuditExportHead, LIMITS, TalosError, validate } from "@talos/contracts";
import { checkConsistency, concat, extend, type Frontier, leafHash, verifyCheckpoint } from "@talos/core/log";
import { policyFor, unwitnessed } from "./log-policy.ts";

/** The first line with every member at its bound. */
const HEAD_BYTES = 131_072;
/** Leaves that are hashed and appended at once. */
const STEP = 256;
const LF = 0x0a;
const utf8 = new TextEncoder();

export interface VerifiedExport {
  head: AuditExportHead;
  /** leaves of the head that covers the stretch */
  size: number;
  /** leaves that were verified */
  count: number;
}

/**
 * Verify an export, holding a few leaves at a time.
 * @param policy text of a tlog-policy that lists the log's keys, or one for each tree of a log that was rotated. Its quorum is
 *   not asked for: witnesses sign the meta-log's heads (`audit.proof` of the last event leads there)
 * @param onLeaf gets every leaf with its place, before the whole is verified: keep what it says back until this resolves
 * @throws TalosError the step that failed: `log.proof_malformed` (its lines), `log.tile_malformed` (its subtrees),
 *   `log.consistency_invalid` (its leaves), those of `verifyCheckpoint`
 */
export async function verifyExport(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  policy: string | readonly string[],
  onLeaf?: (leaf: Uint8Array, seq: number) => void,
): Promise<VerifiedExport> {
  let head: AuditExportHead | undefined;
  let tree: Pick<Frontier, "size" | "subtrees"> & { root?: Uint8Array } = { size: 0, subtrees: new Uint8Array(0) };
  let step: Uint8Array[] = [];
  let base = 0; // what the tree's first event is numbered with
  const append = (): void => {
    tree = extend(tree, concat(step));
    step = [];
  };
  for await (const line of lines(source)) {
    if (head === undefined) {
      head = readHead(line);
      base = head.first_seq ?? 0;
      tree = { size: head.from - base, subtrees: concat(head.subtrees.map(bytesOf)) };
      continue;
    }
    if (base + tree.size + step.length >= head.to) throw malformed("more leaves than its head says");
    onLeaf?.(line, base + tree.size + step.length);
    step.push(leafHash(line));
    if (step.length === STEP) append();
  }
  if (head === undefined) throw malformed("empty");
  append();
  if (base + tree.size !== head.to) throw malformed("fewer leaves than its head says");
  const note = utf8.encode(head.checkpoint);
  const policies = [policy].flat().map((text) => utf8.encode(text));
  const signed = await verifyCheckpoint({ note, policy: unwitnessed(policyFor(policies, head.origin)) });
  if (signed.origin !== head.origin) throw malformed("its head names another log than its checkpoint");
  const hashes = concat(head.consistency.map(bytesOf));
  checkConsistency({ old: { size: tree.size, root: tree.root! }, head: signed, hashes });
  return { head, size: signed.size, count: head.to - head.from };
}

function readHead(line: Uint8Array): AuditExportHead {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch (cause) {
    throw new TalosError("log.proof_malformed", { detail: "its first line is no JSON" }, { cause });
  }
  const read = validate("audit/export-head", value);
  if (!read.ok) throw malformed(read.errors[0] ?? "its first line");
  if (read.value.to <= read.value.from || read.value.from < (read.value.first_seq ?? 0))
    throw malformed("an empty stretch");
  return read.value;
}

/** Lines without their ends; the last one must be ended, or it may be half of one. */
async function* lines(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = [];
  let held = 0;
  let first = true;
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      yield concat([...rest, chunk.subarray(from, end)]);
      [rest, held, first, from] = [[], 0, false, end + 1];
    }
    if (from < chunk.length) rest.push(chunk.slice(from));
    held += chunk.length - from;
    if (held > (first ? HEAD_BYTES : LIMITS.event_bytes)) throw malformed("a line that is too long");
  }
  if (held > 0) throw malformed("it breaks off in a line");
}

const malformed = (detail: string) => new TalosError("log.proof_malformed", { detail });

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
