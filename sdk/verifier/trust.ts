/** What a person says about chains, in one spelling for the command and the page. */
import type { Shown, Trust } from "@talos/core/verify";
import { printable } from "../printable.ts";

type Block = NonNullable<Trust["blocks"]>[number];
type Registry = NonNullable<Trust["registries"]>[number];
type Header = NonNullable<Trust["headers"]>[number];

const NODE_TIMEOUT_MS = 15_000;

function match(text: string, pattern: RegExp, form: string): string[] {
  const found = pattern.exec(text);
  if (!found) throw new RangeError(`${printable(text.slice(0, 80))} is not ${form}`);
  return found.slice(1);
}

/** `CHAIN:N=HASH`. @throws RangeError */
export function readBlock(text: string): Block {
  const form = "CHAIN:N=HASH, the hash as 0x…";
  const [chain, number, hash] = match(text, /^(\d{1,15}):(\d{1,15})=(0x[0-9a-f]{64})$/i, form);
  return { chain_id: Number(chain), number: Number(number), hash: hash!.toLowerCase() };
}

/** `CHAIN:CONTRACT:PUBLISHER`. @throws RangeError */
export function readRegistry(text: string): Registry {
  const form = "CHAIN:CONTRACT:PUBLISHER, addresses as 0x…";
  const [chain, contract, publisher] = match(text, /^(\d{1,15}):(0x[0-9a-f]{40}):(0x[0-9a-f]{40})$/i, form);
  return { chain_id: Number(chain), contract: contract!.toLowerCase(), publisher: publisher!.toLowerCase() };
}

/** `HEIGHT=HEX`; `load` reads what is no hex, e.g. a file's name. @throws RangeError */
export function readHeader(text: string, load?: (name: string) => Uint8Array): Header {
  const [height, given = ""] = match(text, /^(\d{1,9})=(.+)$/, "HEIGHT=HEX, the 80 bytes of a header");
  const bytes = headerBytes(given) ?? (load && bytesOf(load(given)));
  if (!bytes) throw new RangeError("a Bitcoin header is 80 bytes, or 160 digits of hex");
  return { height: Number(height), header: bytes };
}

const headerBytes = (text: string) =>
  /^[0-9a-f]{160}$/i.test(text)
    ? Uint8Array.from({ length: 80 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))
    : undefined;

const bytesOf = (file: Uint8Array) =>
  file.length === 80 ? file : headerBytes(new TextDecoder().decode(file.subarray(0, 1_024)).trim());

/**
 * The blocks that anchors name, as a node that the caller trusts knows them. Anchors of other chains stay unchecked.
 * @throws Error when the node cannot be asked
 */
export async function askNode(url: string, anchors: readonly Shown[]): Promise<Block[]> {
  const wanted = anchors.filter((anchor) => anchor.kind === "evm");
  if (wanted.length === 0) return [];
  const chain_id = Number(await rpc(url, "eth_chainId", []));
  const blocks: Block[] = [];
  for (const { chain_id: chain, block_number: number } of wanted) {
    if (chain !== chain_id) continue;
    const block = await rpc(url, "eth_getBlockByNumber", [`0x${number.toString(16)}`, false]);
    const hash = (block as { hash?: unknown } | null)?.hash;
    if (typeof hash === "string") blocks.push(readBlock(`${chain_id}:${number}=${hash}`));
  }
  return blocks;
}

async function rpc(url: string, method: string, params: unknown[]): Promise<unknown> {
  const refuse = (why: string) => new Error(`the node: ${method}: ${printable(why)}`);
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
  if (answer.result === undefined) throw refuse(answer.error?.message ?? "no result");
  return answer.result;
}
