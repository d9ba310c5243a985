/**
 * `npm run anchor:deploy -- --rpc URL`: puts a registry on a chain and says what TALOS_EVM needs. The key comes from
 * TALOS_EVM_KEY, never from an argument: those are seen by everybody on the machine.
 */
import { parseArgs } from "node:util";
import { keccak256 } from "@talos/core/anchor";
import { bytesToHex, createPublicClient, createWalletClient, type Hex, hexToBytes, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { REGISTRY_ABI, REGISTRY_BYTECODE, REGISTRY_CODE_HASH } from "../contracts/evm/registry.ts";

export interface Deployed {
  chain_id: number;
  contract: Hex;
  gas: number;
}

/** Whether the code at an address is the registry's. */
export async function isRegistry(rpc: string, contract: Hex): Promise<boolean> {
  const code = await createPublicClient({ transport: http(rpc) }).getCode({ address: contract });
  return code !== undefined && bytesToHex(keccak256(hexToBytes(code))) === REGISTRY_CODE_HASH;
}

/** Deploy, wait for the block, and see that the code there is the registry's. */
export async function deployRegistry(args: { rpc: string; key: Hex }): Promise<Deployed> {
  const transport = http(args.rpc);
  const chain = createPublicClient({ transport, pollingInterval: 250 });
  const wallet = createWalletClient({ transport, account: privateKeyToAccount(args.key) });
  const hash = await wallet.deployContract({ abi: REGISTRY_ABI, bytecode: REGISTRY_BYTECODE, chain: null });
  const { contractAddress, gasUsed } = await chain.waitForTransactionReceipt({ hash });
  if (!contractAddress) throw new Error(`transaction ${hash} made no contract`);
  if (!(await isRegistry(args.rpc, contractAddress)))
    throw new Error(`the code at ${contractAddress} is not the registry's`);
  return { chain_id: await chain.getChainId(), contract: contractAddress.toLowerCase() as Hex, gas: Number(gasUsed) };
}

if (import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({ options: { rpc: { type: "string" }, help: { type: "boolean" } } });
  const key = process.env.TALOS_EVM_KEY ?? "";
  if (values.help || values.rpc === undefined || !/^0x[0-9a-f]{64}$/.test(key)) {
    console.log(
      "TALOS_EVM_KEY=0x… npm run anchor:deploy -- --rpc URL: deploy the registry, paid by that key's account",
    );
    process.exitCode = values.help ? 0 : 1;
  } else {
    const { chain_id, contract, gas } = await deployRegistry({ rpc: values.rpc, key: key as Hex });
    console.log(`registry: chain ${chain_id}, contract ${contract}, ${gas} gas, code ${REGISTRY_CODE_HASH}`);
  }
}
