/** A chain's node, asked by JSON-RPC. What it says is read strictly, and is believed only where evidence shows it. */
import { LIMITS, TalosError } from "@talos/contracts";
import type { AskPort } from "./anchor-types.ts";

export type Hex = `0x${string}`;

/** The node understood and refused: `code` is JSON-RPC's, `data` what a contract reverted with. */
export class NodeRefusal extends Error {
  override readonly name = "NodeRefusal";
  readonly code: number;
  readonly data: Hex | undefined;
  constructor(code: number, data: Hex | undefined) {
    super(`the node refused: ${code}`);
    this.code = code;
    this.data = data;
  }
}

export interface Receipt {
  block_hash: Hex;
  block_number: number;
  /** whether the contract took it */
  taken: boolean;
  gas_used: number;
}

const unavailable = (reason: string) => new TalosError("anchor.unavailable", { reason });
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class EvmNode {
  readonly #port: AskPort;
  readonly #url: string;
  #id = 0;

  constructor(port: AskPort, url: string) {
    this.#port = port;
    this.#url = url;
  }

  chainId = async (): Promise<number> => quantity(await this.ask("eth_chainId", []));
  blockNumber = async (): Promise<number> => quantity(await this.ask("eth_blockNumber", []));
  code = async (address: Hex): Promise<Hex> => data(await this.ask("eth_getCode", [address, "latest"]));
  nonce = async (address: Hex): Promise<number> =>
    quantity(await this.ask("eth_getTransactionCount", [address, "latest"]));
  balance = async (address: Hex): Promise<bigint> => amount(await this.ask("eth_getBalance", [address, "latest"]));
  tip = async (): Promise<bigint> => amount(await this.ask("eth_maxPriorityFeePerGas", []));
  call = async (to: Hex, input: Hex): Promise<Hex> => data(await this.ask("eth_call", [{ to, data: input }, "latest"]));
  /** @throws NodeRefusal when the contract would revert */
  gas = async (from: Hex, to: Hex, input: Hex): Promise<number> =>
    quantity(await this.ask("eth_estimateGas", [{ from, to, data: input }]));
  send = async (raw: Hex): Promise<Hex> => data(await this.ask("eth_sendRawTransaction", [raw]));
  /** Null for a block that the node does not have. */
  block = async (number: number | "latest"): Promise<Record<string, unknown> | null> => {
    const name = number === "latest" ? number : toHex(number);
    return record(await this.ask("eth_getBlockByNumber", [name, false]));
  };

  /** Null while no block of the node's chain has it. */
  async receipt(tx: Hex): Promise<Receipt | null> {
    const found = record(await this.ask("eth_getTransactionReceipt", [tx]));
    if (found === null) return null;
    return {
      block_hash: data(found.blockHash),
      block_number: quantity(found.blockNumber),
      taken: quantity(found.status) === 1,
      gas_used: quantity(found.gasUsed),
    };
  }

  /** Nodes of the tries from a block's state to a slot of a contract. */
  async proof(contract: Hex, slot: Hex, block: number): Promise<{ account: Hex[]; storage: Hex[] }> {
    const found = record(await this.ask("eth_getProof", [contract, [slot], toHex(block)]));
    const [storage] = Array.isArray(found?.storageProof) ? (found.storageProof as unknown[]) : [];
    return { account: list(found?.accountProof), storage: list(record(storage)?.proof) };
  }

  /** @throws NodeRefusal; `anchor.unavailable` for everything else that is no answer */
  async ask(method: string, params: unknown[]): Promise<unknown> {
    this.#id += 1;
    const id = this.#id;
    const body = encoder.encode(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    const headers = { "content-type": "application/json" };
    const asked = await this.#port.ask({ method: "POST", url: this.#url, headers, body });
    if (!asked.ok) throw unavailable(`${method}: ${asked.code}`);
    let answer: Record<string, unknown> | null;
    try {
      answer = JSON.parse(decoder.decode(asked.body)) as Record<string, unknown> | null;
    } catch {
      throw unavailable(`${method}: status ${asked.status}, not JSON`);
    }
    if (typeof answer !== "object" || answer === null || answer.id !== id) throw unavailable(`${method}: no answer`);
    const { error, result } = answer as { error?: { code?: unknown; data?: unknown }; result?: unknown };
    if (error !== undefined && error !== null) {
      const reverted = typeof error.data === "string" && isData(error.data) ? error.data : undefined;
      throw new NodeRefusal(typeof error.code === "number" ? error.code : 0, reverted);
    }
    if (result === undefined) throw unavailable(`${method}: no result`);
    return result;
  }
}

export const toHex = (value: number | bigint): Hex => `0x${value.toString(16)}`;

const isData = (value: string): value is Hex =>
  value.length <= LIMITS.anchoring_answer_bytes && /^0x(?:[0-9a-f]{2})*$/.test(value);

export function data(value: unknown): Hex {
  if (typeof value === "string" && isData(value)) return value;
  throw unavailable("not bytes");
}

export function amount(value: unknown): bigint {
  if (typeof value === "string" && /^0x[0-9a-f]{1,64}$/.test(value)) return BigInt(value);
  throw unavailable("not a number");
}

export function quantity(value: unknown): number {
  const number = Number(amount(value));
  if (Number.isSafeInteger(number)) return number;
  throw unavailable("a number beyond its bound");
}

function record(value: unknown): Record<string, unknown> | null {
  if (typeof value !== "object" || Array.isArray(value)) throw unavailable("not an object");
  return value as Record<string, unknown> | null;
}

function list(value: unknown): Hex[] {
  if (Array.isArray(value) && value.length <= LIMITS.anchor_proof_nodes) return value.map(data);
  throw unavailable("not a list");
}
