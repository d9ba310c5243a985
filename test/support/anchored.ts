/**
 * Evidence that chains give, made by a test for a checkpoint that a running system signed: a registry on anvil, a real
 * node, and a Bitcoin block of a chain of its own. What a node says goes into the anchor as it is.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { LogAnchor } from "@talos/contracts";
import { REGISTRY_ABI, REGISTRY_BYTECODE } from "@talos/contracts/evm/registry.ts";
import { checkpointDigest, checkpointSlot, logId, otsCommitment, otsFile, toBase64 } from "@talos/core/anchor";
import { createWalletClient, type Hex, hexToBytes, http, publicActions, toHex, toRlp } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { freePort } from "../../scripts/dev/ports.ts";

export const CHAIN_ID = foundry.id;
const START_MS = 30_000;

/** Undefined where npm has none for this platform. */
export function anvil(): string | undefined {
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const path = join(import.meta.dirname, `../../node_modules/@foundry-rs/anvil-${process.platform}-${arch}/bin/anvil`);
  if (!existsSync(path)) return undefined;
  chmodSync(path, 0o755);
  return path;
}

export interface Chain {
  rpc: string;
  /** Anchor a checkpoint's text, and fetch the evidence for the block that took it. */
  anchor(text: string): Promise<LogAnchor>;
  stop(): Promise<void>;
}

export async function startChain(): Promise<Chain> {
  const port = await freePort();
  const node = spawn(anvil()!, ["--host", "127.0.0.1", "--port", String(port)], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<void>((resolve) => node.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    setTimeout(() => reject(new Error("anvil did not start")), START_MS).unref();
    node.stdout.on("data", (data: Buffer) => data.toString().includes("Listening on") && resolve());
  });
  const rpc = `http://127.0.0.1:${port}`;
  const account = privateKeyToAccount(generatePrivateKey());
  const client = createWalletClient({ account, chain: foundry, transport: http(rpc) }).extend(publicActions);
  const params = [account.address, toHex(10n ** 18n)];
  await client.request({ method: "anvil_setBalance" as never, params: params as never });
  const mined = async (hash: Hex) => client.waitForTransactionReceipt({ hash });
  const deployed = await mined(await client.deployContract({ abi: REGISTRY_ABI, bytecode: REGISTRY_BYTECODE }));
  const address = deployed.contractAddress!;
  return {
    rpc,
    async anchor(text) {
      const [origin = "", size = "", root = ""] = text.split("\n");
      const [id, digest] = [logId(origin), checkpointDigest(text)];
      const args = [toHex(id), BigInt(size), toHex(Buffer.from(root, "base64")), toHex(digest)] as const;
      const sent = { address, abi: REGISTRY_ABI, functionName: "anchor", args } as const;
      const { blockNumber } = await mined(await client.writeContract(sent));
      const publisher = account.address.toLowerCase() as Hex;
      const storageKeys = [checkpointSlot(publisher, id) as Hex];
      const proof = await client.getProof({ address, storageKeys, blockNumber });
      const asked = { method: "eth_getBlockByNumber", params: [toHex(blockNumber), false] };
      const block = await client.request(asked as never);
      const nodes = (hexes: readonly Hex[]) => hexes.map((node) => toBase64(hexToBytes(node)));
      return {
        kind: "evm",
        chain_id: CHAIN_ID,
        contract: address.toLowerCase(),
        publisher,
        header: toBase64(headerOf(block as unknown as Record<string, Hex>)),
        account_proof: nodes(proof.accountProof),
        storage_proof: nodes(proof.storageProof[0]!.proof),
      };
    },
    async stop() {
      node.kill();
      await ended;
    },
  };
}

/** The fields of a header in the protocol's order; its hash shows whether that is all of them. */
function headerOf(block: Record<string, Hex>): Uint8Array {
  const bytes = (name: string) => block[name]!;
  const number = (name: string): Hex => {
    const digits = BigInt(block[name]!).toString(16);
    return digits === "0" ? "0x" : `0x${digits.length % 2 ? "0" : ""}${digits}`;
  };
  const first = ["parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"];
  const numbers = ["difficulty", "number", "gasLimit", "gasUsed", "timestamp"];
  const appended: [string, boolean][] = [
    ["baseFeePerGas", true],
    ["withdrawalsRoot", false],
    ["blobGasUsed", true],
    ["excessBlobGas", true],
    ["parentBeaconBlockRoot", false],
    ["requestsHash", false],
  ];
  const rest = appended.filter(([name]) => block[name]).map(([name, is]) => (is ? number(name) : bytes(name)));
  const fields = [
    ...first.map(bytes),
    ...numbers.map(number),
    ...["extraData", "mixHash", "nonce"].map(bytes),
    ...rest,
  ];
  return hexToBytes(toRlp(fields));
}

/** A target that every second hash meets. */
export const EASY = 0x207f_ffff;
export const HEIGHT = 300;

/** A file of OpenTimestamps of a checkpoint, and the header of a block that attests it. */
export function stamped(text: string): { anchor: LogAnchor; header: Uint8Array } {
  const digest = checkpointDigest(text);
  const nonce = new Uint8Array(16).fill(7);
  // The commitment itself is the root of the block's transactions; its height is 300.
  const answer = Uint8Array.of(0, 0x05, 0x88, 0x96, 0x0d, 0x73, 0xd7, 0x19, 0x01, 2, 0xac, 2);
  const header = new Uint8Array(80);
  const view = new DataView(header.buffer);
  header.set(otsCommitment(digest, nonce), 36);
  view.setUint32(68, 1_767_225_600, true);
  view.setUint32(72, EASY, true);
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
  for (let tries = 0; sha256(sha256(header))[31]! > 0x7f; tries += 1) view.setUint32(76, tries, true);
  return { anchor: { kind: "ots", file: toBase64(otsFile({ digest, nonce, answers: [answer] })) }, header };
}
