import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { LIMITS } from "@talos/contracts";
import { type Proved, type Refused, type Shown, type Trust, verifyBundle } from "@talos/core/verify";
import { ClientError, readBounded, toError } from "../errors.ts";
import { type Command, EXIT, IDENTITY, list, text, UsageError, type Values } from "./command.ts";
import type { Context } from "./context.ts";
import { verdictLines } from "../verifier/report.ts";
import { askNode, readBlock, readHeader, readRegistry } from "../verifier/trust.ts";

const LEVELS = ["published", "witnessed", "anchored"];

export const proof: Command = {
  name: "audit proof",
  usage: "EVENT_ID",
  summary: "Fetch the file that proves one event",
  about:
    "Needs a grant for talos/audit.events. What is fetched is not believed: check it with `talos audit verify`, here or\n" +
    "anywhere. At a level that the event has not reached yet the answer says how long to wait (exit code 3).",
  options: {
    ...IDENTITY,
    level: { type: "string", value: LEVELS.join("|"), help: "the least that will do (default published)" },
    output: { type: "string", short: "o", value: "FILE", help: "write it there instead of to standard output" },
  },
  positionals: [1, 1],
  examples: [
    "talos audit proof 0199f3c2-7d1e-7a44-9b1c-0c5b8d3e2f10 -o event.json",
    "talos audit proof 0199f3c2-7d1e-7a44-9b1c-0c5b8d3e2f10 --level witnessed",
  ],
  async run(context, values, [id]) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id!)) throw new UsageError("an event id is a UUIDv7");
    const level = text(values, "level") ?? "published";
    if (!LEVELS.includes(level)) throw new UsageError(`--level is one of ${LEVELS.join(", ")}`);
    const client = context.client();
    const response = await client.fetch(`${client.aud}/audit/events/${id}/proof?level=${level}`);
    if (!response.ok) throw await toError(response);
    const bytes = await readBounded(response.body, LIMITS.proof_bundle_bytes);
    if (bytes === null) throw new ClientError("client.answer_invalid", "a proof that is too long");
    const output = text(values, "output");
    if (output === undefined) {
      context.io.out(new TextDecoder().decode(bytes)); // its bytes are the proof: nothing is added to them
      return undefined;
    }
    writeFileSync(output, bytes);
    context.print({ file: output, bytes: bytes.length }, `${bytes.length} bytes written to ${output}`);
    return undefined;
  },
};

export const verify: Command = {
  name: "audit verify",
  usage: "FILE",
  summary: "Verify a proof offline, step by step",
  about:
    "Needs nothing of the deployment: FILE, and a policy (C2SP tlog-policy) with the keys and witnesses that YOU trust, got\n" +
    "from somewhere else than the file. An anchor counts as verified only by a block that you name, or that a node of your\n" +
    "own names; without one it is reported as unchecked.",
  options: {
    policy: { type: "string", short: "p", value: "FILE", help: "the policy: logs' keys, witnesses, quorum" },
    "evm-block": { type: "string", multiple: true, value: "CHAIN:N=HASH", help: "a block of an EVM chain" },
    "evm-rpc": { type: "string", value: "URL", help: "a node of your own: asked for the blocks that anchors name" },
    "evm-registry": {
      type: "string",
      multiple: true,
      value: "CHAIN:CONTRACT:PUBLISHER",
      help: "who may anchor (default: anyone; shown)",
    },
    "btc-header": {
      type: "string",
      multiple: true,
      value: "HEIGHT=HEX|FILE",
      help: "a Bitcoin block's header, 80 bytes",
    },
    require: { type: "string", value: "evm,ots", help: "kinds of which one anchor must be verified" },
  },
  positionals: [1, 1],
  examples: [
    "talos audit verify event.json --policy policy.txt",
    "talos audit verify event.json --policy policy.txt --require evm --evm-rpc http://127.0.0.1:8545",
    "talos audit verify event.json --policy policy.txt --btc-header 871234=00e0ff…",
  ],
  async run(context, values, [path]) {
    const policyPath = text(values, "policy");
    if (policyPath === undefined) throw new UsageError("--policy FILE is needed: nothing is trusted by itself");
    const file = readBytes(path!, LIMITS.proof_bundle_bytes);
    const policy = readBytes(policyPath, LIMITS.policy_text_bytes);
    const trust = trustOf(values);
    let verdict = await verifyBundle({ file, policy, trust: { ...trust, require: [] } });
    const url = text(values, "evm-rpc");
    if (url !== undefined && verdict.ok) trust.blocks.push(...(await asked(url, verdict.anchors)));
    if (verdict.ok) verdict = await verifyBundle({ file, policy, trust });
    return report(context, verdict);
  },
};

/** A node that does not answer is no answer to whether the proof holds. @throws `client.unreachable` */
async function asked(url: string, anchors: Shown[]): ReturnType<typeof askNode> {
  try {
    return await askNode(url, anchors);
  } catch (cause) {
    throw new ClientError("client.unreachable", cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function report(context: Context, verdict: Proved | Refused): number {
  context.print(verdict.ok ? { ...verdict, event: JSON.parse(verdict.event) } : verdict, verdictLines(verdict));
  return verdict.ok ? EXIT.ok : EXIT.refused;
}

/** @throws UsageError */
function trustOf(values: Values): Trust & { blocks: NonNullable<Trust["blocks"]> } {
  const kinds = (text(values, "require") ?? "").split(",").filter(Boolean);
  if (kinds.some((kind) => kind !== "evm" && kind !== "ots")) throw new UsageError("--require is evm, ots or both");
  try {
    return {
      blocks: list(values, "evm-block").map(readBlock),
      registries: list(values, "evm-registry").map(readRegistry),
      headers: list(values, "btc-header").map((value) => readHeader(value, (path) => readBytes(path, 1_024))),
      require: kinds as ("evm" | "ots")[],
    };
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

/** A file's bytes as they are; bounded. */
export function readBytes(path: string, limit: number): Uint8Array {
  if (path !== "-" && !existsSync(path)) throw new UsageError(`${path} does not exist`);
  if (path !== "-" && statSync(path).size > limit) throw new UsageError(`${path} is larger than ${limit} bytes`);
  const bytes = new Uint8Array(readFileSync(path === "-" ? 0 : path));
  if (bytes.length > limit) throw new UsageError(`the input is larger than ${limit} bytes`);
  return bytes;
}
