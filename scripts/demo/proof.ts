/**
 * The proof of one event, fetched from the gateway and verified as a third party would: by the file and a policy alone, and
 * for the anchor by a block of a node that the verifier asks itself.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError, type Client, type ProofLevel } from "@talos/sdk";
import { type Proved, type Trust, verifyBundle } from "@talos/core/verify";
import { eventually, expect } from "./steps.ts";

/** Publication takes seconds, cosignatures some more, an anchor an interval and its confirmations; the rest is patience. */
const WITNESSED_WITHIN_MS = 60_000;
const ANCHORED_WITHIN_MS = 120_000;

export const FILES = { bundle: "last-call.proof.json", policy: "last-call.policy.txt" };

export interface Verified {
  proved: Proved;
  /** the block that the node said, when there is a chain */
  block?: { number: number; hash: string };
}

/**
 * @param args.rpc a node of the chain that the gateway anchors on; without one the witnesses are what is asked for
 * @param args.dir where the two files are left, for `talos audit verify`
 */
export async function verifiedProof(args: {
  client: Client;
  event_id: string;
  rpc?: string | undefined;
  dir?: string | undefined;
}): Promise<Verified> {
  const { client, event_id, rpc, dir } = args;
  const level: ProofLevel = rpc === undefined ? "witnessed" : "anchored";
  const bundle = await eventually(() => proofOf(client, event_id, level), {
    every_ms: 500,
    timeout_ms: rpc === undefined ? WITNESSED_WITHIN_MS : ANCHORED_WITHIN_MS,
    otherwise: `event ${event_id} is not ${level} yet`,
  });
  const { policy } = await client.audit.log();
  expect(policy !== undefined, "the log has no policy yet");
  if (dir !== undefined) {
    writeFileSync(join(dir, FILES.bundle), bundle);
    writeFileSync(join(dir, FILES.policy), policy);
  }
  const texts = { file: new TextEncoder().encode(bundle), policy: new TextEncoder().encode(policy) };
  if (rpc === undefined) return { proved: await verified(texts, {}) };
  // What block the anchor names is read without trust; what its hash is, the node says.
  const named = await verified(texts, {});
  const evm = named.anchors.find((anchor) => anchor.kind === "evm");
  expect(evm !== undefined, "no anchor on the chain");
  const hash = await blockHash(rpc, evm.block_number);
  const trust: Trust = {
    blocks: [{ chain_id: evm.chain_id, number: evm.block_number, hash }],
    require: ["evm"],
  };
  return { proved: await verified(texts, trust), block: { number: evm.block_number, hash } };
}

async function verified(texts: { file: Uint8Array; policy: Uint8Array }, trust: Trust): Promise<Proved> {
  const verdict = await verifyBundle({ ...texts, trust });
  expect(verdict.ok, verdict.ok ? "" : `${verdict.step}: ${verdict.code} ${verdict.detail}`);
  return verdict;
}

/** Null while it is too early. */
async function proofOf(client: Client, event_id: string, level: ProofLevel): Promise<string | null> {
  try {
    return await client.audit.proof(event_id, level);
  } catch (error) {
    const early = ["audit.not_published", "audit.not_witnessed", "audit.not_anchored", "audit.proof_pending"];
    if (error instanceof GatewayError && early.includes(error.problem.code)) return null;
    throw error;
  }
}

async function blockHash(rpc: string, number: number): Promise<string> {
  const body = JSON.stringify({
    ...{ jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber" },
    params: [`0x${number.toString(16)}`, false],
  });
  const response = await fetch(rpc, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { result } = (await response.json()) as { result?: { hash?: string } | null };
  expect(typeof result?.hash === "string", `the node has no block ${number}`);
  return result.hash;
}
