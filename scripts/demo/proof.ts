/**
 * The proof of one event, fetched from the gateway and verified as a third party would: by the file and a policy alone, and
 * for the anchor by a block of a node that the verifier asks itself.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError, type Client, type ProofLevel } from "@talos/sdk";
import { type Proved, type Trust, verifyBundle } from "@talos/core/verify";
import { askNode } from "../../sdk/verifier/trust.ts";
import { eventually, expect } from "./steps.ts";

/** Publication takes seconds, cosignatures some more, an anchor an interval and its confirmations; the rest is patience. */
const WITNESSED_WITHIN_MS = 60_000;
const ANCHORED_WITHIN_MS = 120_000;

export const FILES = { bundle: "last-call.proof.json", policy: "last-call.policy.txt" };

/**
 * @param args.rpc a node of the chain that the gateway anchors on; without one the witnesses are what is asked for
 * @param args.dir where the two files are left, for `talos audit verify`
 */
export async function verifiedProof(args: {
  client: Client;
  event_id: string;
  rpc?: string | undefined;
  dir?: string | undefined;
}): Promise<Proved> {
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
  if (rpc === undefined) return verified(texts, {});
  // Which block the anchor names is read without trust; what its hash is, the node says.
  const named = await verified(texts, {});
  const blocks = await askNode(rpc, named.anchors);
  return verified(texts, { blocks, require: ["evm"] });
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
