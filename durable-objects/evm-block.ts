/**
 * A block's header from what a node says of it. The fields' order is the protocol's; later upgrades append, and each field
 * stands only where the ones before it do. Whether nothing was left out shows the hash, which the caller compares.
 * Source: contracts/spec/anchors.md#evm.
 */
import { TalosError } from "@talos/contracts";
import { hexToBytes, toRlp } from "viem";
import { amount, data, type Hex } from "./evm-node.ts";

const BYTES = ["parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"];
const NUMBERS = ["difficulty", "number", "gasLimit", "gasUsed", "timestamp"];
const ENDS = ["extraData", "mixHash", "nonce"];
/** Of London, Shanghai, Cancun, Prague, in their order, and whether each is a number. */
const APPENDED: [name: string, number: boolean][] = [
  ["baseFeePerGas", true],
  ["withdrawalsRoot", false],
  ["blobGasUsed", true],
  ["excessBlobGas", true],
  ["parentBeaconBlockRoot", false],
  ["requestsHash", false],
  ["blockAccessListHash", false],
];

/** @throws `anchor.unavailable` for a block without its fields */
export function headerOf(block: Record<string, unknown>): Uint8Array {
  const appended: Hex[] = [];
  for (const [name, number] of APPENDED) {
    const value = block[name];
    if (value === undefined || value === null) break;
    appended.push(number ? integer(value) : data(value));
  }
  const bytes = (name: string) => data(block[name]);
  const fields = [...BYTES.map(bytes), ...NUMBERS.map((name) => integer(block[name])), ...ENDS.map(bytes), ...appended];
  return hexToBytes(toRlp(fields));
}

/** As RLP has it: without leading zeros, and zero is nothing. */
function integer(value: unknown): Hex {
  const number = amount(value);
  if (number === 0n) return "0x";
  const digits = number.toString(16);
  return `0x${digits.length % 2 === 1 ? "0" : ""}${digits}`;
}

/** What a unit of gas costs in this block, before a tip. */
export function baseFee(block: Record<string, unknown> | null): bigint {
  if (block === null) throw new TalosError("anchor.unavailable", { reason: "no block" });
  return amount(block.baseFeePerGas);
}
