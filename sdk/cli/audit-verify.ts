import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { LIMITS } from "@talos/contracts";
import { type Proved, type Refused, type Shown, type Trust, verifyBundle } from "@talos/core/verify";
import { ClientError, readBounded, toError } from "../errors.ts";
import { type Command, EXIT, IDENTITY, list, text, UsageError, type Values } from "./command.ts";
import type { Context } from "./context.ts";
import { printable } from "./show.ts";

const LEVELS = ["published", "witnessed", "anchored"];
const NODE_TIMEOUT_MS = 15_000;

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
    if (url !== undefined && verdict.ok) trust.blocks!.push(...(await askNode(url, verdict.anchors)));
    if (verdict.ok) verdict = await verifyBundle({ file, policy, trust });
    return report(context, verdict);
  },
};

function report(context: Context, verdict: Proved | Refused): number {
  if (!verdict.ok) {
    const { step, code, reason, detail } = verdict;
    context.print(verdict, `NOT VERIFIED at step ${step}: ${code}${reason ? ` (${reason})` : ""}: ${detail}`);
    return EXIT.refused;
  }
  context.print({ ...verdict, event: JSON.parse(verdict.event) }, verdictLines(verdict));
  return EXIT.ok;
}

/** What each step showed, for people. */
export function verdictLines({ event, log, meta, anchors }: Proved): string[] {
  const { event_id, kind, ts } = JSON.parse(event) as Record<string, unknown>;
  const place = (step: string, { origin, index, size }: Proved["log"]) =>
    `  ${step.padEnd(8)} leaf ${index} of ${size}, ${printable(origin)}`;
  return [
    `VERIFIED: event ${printable(String(event_id))}${kind ? `, ${printable(String(kind))}` : ""}, ${printable(String(ts))}`,
    place("log", log),
    ...(meta ? [place("meta", meta)] : ["  meta     none: only the log itself vouches for its history"]),
    ...(meta ?? log).witnesses.map(({ name, time_seconds }) => `  witness  ${iso(time_seconds)}  ${printable(name)}`),
    ...anchors.map((anchor) => `  anchor   ${anchorLine(anchor)}`),
  ];
}

function anchorLine(anchor: Shown): string {
  if (anchor.kind === "evm") {
    const block = `block ${anchor.block_number} ${anchor.block_hash} of chain ${anchor.chain_id}, ${iso(anchor.time_seconds)}`;
    const by = `registry ${anchor.contract}, publisher ${anchor.publisher}`;
    return anchor.status === "verified" ? `evm, ${block}, ${by}` : `evm UNCHECKED: name ${block}; ${by}`;
  }
  if (anchor.status === "pending") return `ots pending at ${printable(anchor.uri)}`;
  if (anchor.status === "unchecked") return `ots UNCHECKED: name the header of Bitcoin block ${anchor.height}`;
  return `ots, Bitcoin block ${anchor.height} ${anchor.block_hash}, ${iso(anchor.time_seconds)}`;
}

/** Times of others may be beyond what a date can say. */
function iso(seconds: number): string {
  const date = new Date(seconds * 1_000);
  return Number.isNaN(date.getTime()) ? `${seconds} s` : date.toISOString();
}

/** @throws UsageError */
function trustOf(values: Values): Trust & { blocks: NonNullable<Trust["blocks"]> } {
  const matched = (name: string, pattern: RegExp, form: string) =>
    list(values, name).map((value) => {
      const match = pattern.exec(value);
      if (!match) throw new UsageError(`--${name} is ${form}`);
      return match.slice(1) as string[];
    });
  const blocks = matched("evm-block", /^(\d{1,15}):(\d{1,15})=(0x[0-9a-f]{64})$/i, "CHAIN:N=HASH, the hash 0x…");
  const registries = matched(
    "evm-registry",
    /^(\d{1,15}):(0x[0-9a-f]{40}):(0x[0-9a-f]{40})$/i,
    "CHAIN:CONTRACT:PUBLISHER, addresses 0x…",
  );
  const headers = matched("btc-header", /^(\d{1,9})=(.+)$/, "HEIGHT=HEX or HEIGHT=FILE");
  const kinds = (text(values, "require") ?? "").split(",").filter(Boolean);
  if (kinds.some((kind) => kind !== "evm" && kind !== "ots")) throw new UsageError("--require is evm, ots or both");
  return {
    blocks: blocks.map(([chain, number, hash]) => ({
      chain_id: Number(chain),
      number: Number(number),
      hash: hash!.toLowerCase(),
    })),
    registries: registries.map(([chain, contract, publisher]) => ({
      chain_id: Number(chain),
      contract: contract!.toLowerCase(),
      publisher: publisher!.toLowerCase(),
    })),
    headers: headers.map(([height, given]) => ({ height: Number(height), header: headerOf(given!) })),
    require: kinds as ("evm" | "ots")[],
  };
}

function headerOf(given: string): Uint8Array {
  const hex = /^(0x)?([0-9a-f]{160})$/i;
  let found = hex.exec(given);
  if (!found) {
    const bytes = readBytes(given, 1_024);
    if (bytes.length === 80) return bytes;
    found = hex.exec(new TextDecoder().decode(bytes).trim());
  }
  if (!found) throw new UsageError("a Bitcoin header is 80 bytes, or 160 digits of hex");
  return new Uint8Array(Buffer.from(found[2]!, "hex"));
}

/** The blocks that anchors name, as a node of the user's own knows them. @throws UsageError when it cannot be asked */
async function askNode(url: string, anchors: Shown[]): Promise<NonNullable<Trust["blocks"]>> {
  const wanted = anchors.filter((anchor) => anchor.kind === "evm");
  if (wanted.length === 0) return [];
  const chain_id = Number(await rpc(url, "eth_chainId", []));
  const blocks = [];
  for (const { chain_id: chain, block_number: number } of wanted) {
    if (chain !== chain_id) continue; // another chain's; it stays unchecked
    const block = (await rpc(url, "eth_getBlockByNumber", [`0x${number.toString(16)}`, false])) as {
      hash?: string;
    } | null;
    if (typeof block?.hash === "string") blocks.push({ chain_id, number, hash: block.hash.toLowerCase() });
  }
  return blocks;
}

async function rpc(url: string, method: string, params: unknown[]): Promise<unknown> {
  const refuse = (why: string) => new UsageError(`--evm-rpc: ${method}: ${why}`);
  if (!/^https?:\/\//.test(url)) throw refuse("an address is http:// or https://");
  let answer: { result?: unknown; error?: { message?: string } };
  try {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = { "content-type": "application/json" };
    const signal = AbortSignal.timeout(NODE_TIMEOUT_MS);
    const response = await fetch(url, { method: "POST", headers, body, signal, redirect: "error" });
    answer = (await response.json()) as typeof answer;
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause));
  }
  if (answer.result === undefined) throw refuse(printable(answer.error?.message ?? "no result"));
  return answer.result;
}

/** A file's bytes as they are; bounded. */
export function readBytes(path: string, limit: number): Uint8Array {
  if (path !== "-" && !existsSync(path)) throw new UsageError(`${path} does not exist`);
  if (path !== "-" && statSync(path).size > limit) throw new UsageError(`${path} is larger than ${limit} bytes`);
  const bytes = new Uint8Array(readFileSync(path === "-" ? 0 : path));
  if (bytes.length > limit) throw new UsageError(`the input is larger than ${limit} bytes`);
  return bytes;
}
