/**
 * The stack's own chain: anvil with a registry, whose blocks outlive it in the state folder. It makes a block for each
 * transaction and none while idle, so nothing is waited for.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { getContractAddress, type Hex } from "viem";
import { privateKeyToAddress } from "viem/accounts";
import { deployRegistry, isRegistry } from "../anchor-deploy.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, anvilBinary, startAnvil } from "./anvil.ts";
import type { Child } from "./children.ts";

export interface LocalChain {
  child: Child;
  /** address of the node */
  rpc: string;
  contract: string;
  /** for the Worker */
  vars: { TALOS_EVM: string; TALOS_EVM_KEY: string };
}

/** How often the stack anchors, so that a newcomer sees it. */
const INTERVAL_SECONDS = 10;

/** Undefined where npm has no anvil for this platform. */
export async function startLocalChain(dir: string): Promise<LocalChain | undefined> {
  if (anvilBinary() === undefined) return undefined;
  const file = join(dir, "chain.json");
  const start = () => startAnvil({ dir, args: ["--state", file, "--preserve-historical-states"] });
  const { rpc, child } = await start().catch(async () => {
    rmSync(file, { force: true }); // cut by a crash, or of another version: what is anchored anew is worth as much here
    return start();
  });
  try {
    // Where the first contract of this account lies: blocks of an earlier run have it already.
    const first = getContractAddress({ from: privateKeyToAddress(ANVIL_KEYS[0]), nonce: 0n }).toLowerCase() as Hex;
    const there = await isRegistry(rpc, first);
    const { contract } = there ? { contract: first } : await deployRegistry({ rpc, key: ANVIL_KEYS[0] });
    const settings = { rpc, chain_id: ANVIL_CHAIN_ID, contract, confirmations: 0, interval_seconds: INTERVAL_SECONDS };
    return { child, rpc, contract, vars: { TALOS_EVM: JSON.stringify(settings), TALOS_EVM_KEY: ANVIL_KEYS[1] } };
  } catch (error) {
    await child.stop();
    throw error;
  }
}
