/**
 * The publisher's key behind a port, so that a remote signer can take its place: whoever holds it can anchor, and spend what
 * the account has. A transaction goes to one contract, on one chain, with no value.
 */
import { REGISTRY_ABI } from "@talos/contracts/evm/registry.ts";
import { decodeErrorResult, decodeFunctionResult, encodeFunctionData, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { Hex } from "./evm-node.ts";

export interface Anchoring {
  chain_id: number;
  contract: Hex;
  nonce: number;
  gas: number;
  max_fee: bigint;
  tip: bigint;
  input: Hex;
}

export interface Signed {
  /** what is sent */
  raw: Hex;
  tx: Hex;
}

export interface Signer {
  address: Hex;
  sign(anchoring: Anchoring): Promise<Signed>;
}

/** @param key 32 bytes of secp256k1; it is held by the closure and appears in no error */
export function keySigner(key: Hex): Signer {
  const account = privateKeyToAccount(key);
  return {
    address: account.address.toLowerCase() as Hex,
    async sign({ chain_id: chainId, contract: to, nonce, gas, max_fee, tip, input }) {
      const fees = { maxFeePerGas: max_fee, maxPriorityFeePerGas: tip };
      const unsigned = {
        type: "eip1559",
        chainId,
        to,
        nonce,
        gas: BigInt(gas),
        value: 0n,
        data: input,
        ...fees,
      } as const;
      const raw = await account.signTransaction(unsigned);
      return { raw, tx: keccak256(raw) };
    },
  };
}

// What is said to the registry, and what it says.

export const anchorInput = (logId: Hex, size: number, root: Hex, digest: Hex): Hex =>
  encodeFunctionData({ abi: REGISTRY_ABI, functionName: "anchor", args: [logId, BigInt(size), root, digest] });

export const newestInput = (publisher: Hex, logId: Hex): Hex =>
  encodeFunctionData({ abi: REGISTRY_ABI, functionName: "newest", args: [publisher, logId] });

export function newestOf(answer: Hex): { size: bigint; digest: Hex } {
  const [size, digest] = decodeFunctionResult({ abi: REGISTRY_ABI, functionName: "newest", data: answer });
  return { size, digest };
}

/** The registry's refusal by name; undefined for what is none of its. */
export function refusalOf(reverted: Hex | undefined): string | undefined {
  if (reverted === undefined) return undefined;
  try {
    return decodeErrorResult({ abi: REGISTRY_ABI, data: reverted }).errorName;
  } catch {
    return undefined;
  }
}
