/**
 * One checkpoint to one chain: what the next step is, from the rows and from what the node says. Nothing is remembered
 * but in rows, so a step that was cut off is done again, and none of them twice to the chain:
 * - what is signed is a row before it leaves, so whatever became of it, it is looked for and not replaced by another;
 * - everything that is signed for a checkpoint has one nonce, of which a chain takes one;
 * - the registry takes a checkpoint once: the same again changes nothing, an older one is refused.
 * `pending` → signed and `sent` → `mined`, its evidence read and verified → confirmed and kept. A block that is gone leads
 * back to `sent`, a nonce that somebody else used back to `pending`.
 * Source: contracts/spec/anchors.md#anchoring.
 */
import { type EvmAnchor, LIMITS, TalosError } from "@talos/contracts";
import { REGISTRY_CODE_HASH } from "@talos/contracts/evm/registry.ts";
import { checkpointDigest, checkpointSlot, keccak256, logId, toBase64, verifyEvm } from "@talos/core/anchor";
import { bytesToHex, hexToBytes } from "viem";
import type { AnchorStore, Flight, Sent } from "./anchor-store.ts";
import type { EvmSettings } from "./anchor-settings.ts";
import { checkpointOf } from "./checkpoint.ts";
import { baseFee, headerOf } from "./evm-block.ts";
import { type EvmNode, type Hex, NodeRefusal } from "./evm-node.ts";
import { anchorInput, newestInput, newestOf, refusalOf, type Signer } from "./evm-signer.ts";

/** What `anchor` may use at most; it uses some 76,000 the first time (docs/evidence.md). */
const GAS = 200_000;
const GWEI = 1_000_000_000n;
/** Asked for where a node names no tip. */
const TIP = GWEI / 10n;

/** What became of a step: `again` at once, after a `pause`, or the flight has `landed` or is `refused` for good. */
export type Step = "again" | "pause" | "landed" | "refused";

export class EvmAnchoring {
  readonly #store: AnchorStore;
  readonly #node: EvmNode;
  readonly #signer: Signer;
  readonly #settings: EvmSettings;
  #known = false;

  constructor(store: AnchorStore, node: EvmNode, signer: Signer, settings: EvmSettings) {
    this.#store = store;
    this.#node = node;
    this.#signer = signer;
    this.#settings = settings;
  }

  /** @throws `anchor.…`; then nothing changed, and the step is done again later */
  async step(flight: Flight, nowMs: number): Promise<Step> {
    await this.#check();
    if (flight.state === "pending") return this.#begin(flight, nowMs);
    if (flight.state === "sent") return this.#look(flight, nowMs);
    return this.#confirm(flight, nowMs);
  }

  /** The chain and the code are the configured ones: asked once a life of the object, before anything is signed. */
  async #check(): Promise<void> {
    if (this.#known) return;
    const chain_id = await this.#node.chainId();
    if (chain_id !== this.#settings.chain_id) throw new TalosError("anchor.chain_unknown", { chain_id });
    const code = hexToBytes(await this.#node.code(this.#settings.contract));
    if (bytesToHex(keccak256(code)) !== REGISTRY_CODE_HASH)
      throw new TalosError("anchor.chain_unknown", { code: "other" });
    this.#known = true;
  }

  /** Sign, write, and only then send. */
  async #begin(flight: Flight, nowMs: number): Promise<Step> {
    const { digest, log } = facts(flight);
    const held = newestOf(await this.#node.call(this.#settings.contract, newestInput(this.#signer.address, log)));
    if (held.size === BigInt(flight.size) && held.digest === digest) return this.#adopt(flight);
    if (held.size >= BigInt(flight.size)) return "refused";
    const nonce = await this.#node.nonce(this.#signer.address);
    const first = await this.#fees(undefined);
    await this.#sign({ ...flight, nonce }, { ...first, n: 0 }, nowMs);
    return "again";
  }

  /** The registry has it already, though no row says how: the newest block shows it as well as any. */
  async #adopt(flight: Flight): Promise<Step> {
    const block = await this.#node.block("latest");
    if (block === null) return "pause";
    const header = headerOf(block);
    const [number, hash] = [Number(block.number), bytesToHex(keccak256(header))];
    this.#store.saveFlight({ ...flight, ...mined(number, hash) });
    return "again";
  }

  async #sign(
    flight: Flight & { nonce: number },
    fees: { n: number; max_fee: bigint; tip: bigint },
    nowMs: number,
  ): Promise<void> {
    const { chain_id, contract } = this.#settings;
    const { log, root, digest } = facts(flight);
    const input = anchorInput(log, flight.size, root, digest);
    const gas = await this.#gas(input);
    const balance = await this.#node.balance(this.#signer.address);
    if (balance < BigInt(gas) * fees.max_fee) throw new TalosError("anchor.unfunded");
    const { n, max_fee, tip } = fees;
    const signed = await this.#signer.sign({ chain_id, contract, nonce: flight.nonce, gas, max_fee, tip, input });
    this.#store.atomically(() => {
      this.#store.saveFlight({ ...flight, state: "sent" });
      this.#store.addSent({ n, ...signed, max_fee: String(max_fee), tip: String(tip), sent_ms: nowMs });
    });
    await this.#send(signed.raw);
  }

  /** What the contract says to it now. @throws `anchor.refused` */
  async #gas(input: Hex): Promise<number> {
    try {
      const gas = await this.#node.gas(this.#signer.address, this.#settings.contract, input);
      if (gas > GAS) throw new TalosError("anchor.unavailable", { gas });
      return Math.min(GAS, Math.ceil(gas * 1.25));
    } catch (error) {
      if (!(error instanceof NodeRefusal)) throw error;
      const name = refusalOf(error.data);
      if (name === undefined)
        throw new TalosError("anchor.unavailable", { method: "eth_estimateGas" }, { cause: error });
      throw new TalosError("anchor.refused", { name });
    }
  }

  /** The chain's price, doubled so that six full blocks in a row are not too many; over the last one's by an eighth. */
  async #fees(last: Sent | undefined): Promise<{ max_fee: bigint; tip: bigint }> {
    const most = BigInt(this.#settings.max_fee_gwei) * GWEI;
    const base = baseFee(await this.#node.block("latest"));
    const asked = await this.#tip();
    const raised = (fee: bigint) => fee + fee / 8n + 1n;
    const tip = last === undefined ? asked : larger(asked, raised(BigInt(last.tip)));
    const wanted = 2n * base + tip;
    const max_fee = last === undefined ? wanted : larger(wanted, raised(BigInt(last.max_fee)));
    if (max_fee <= most) return { max_fee, tip };
    // A node takes a second transaction of a nonce only for an eighth more of both.
    const enough = last === undefined ? base + 1n : raised(BigInt(last.max_fee));
    if (most < enough) throw new TalosError("anchor.unfunded", { max_fee_gwei: this.#settings.max_fee_gwei });
    return { max_fee: most, tip: tip < most ? tip : most };
  }

  async #tip(): Promise<bigint> {
    try {
      return await this.#node.tip();
    } catch (error) {
      if (error instanceof NodeRefusal) return TIP;
      throw error;
    }
  }

  /** A node that has it already refuses it; whether it was taken shows the chain. */
  async #send(raw: Hex): Promise<void> {
    try {
      await this.#node.send(raw);
    } catch (error) {
      if (!(error instanceof NodeRefusal)) throw error;
    }
  }

  /** Whether a block has any of what was sent; else it is sent again, for more when it waits too long. */
  async #look(flight: Flight, nowMs: number): Promise<Step> {
    const sent = this.#store.sent();
    for (const { tx } of sent) {
      const receipt = await this.#node.receipt(tx);
      if (receipt === null) continue;
      // Refused by the contract: somebody with this key anchored something newer.
      if (!receipt.taken) return this.#restart(flight);
      this.#store.saveFlight({ ...flight, ...mined(receipt.block_number, receipt.block_hash) });
      return "again";
    }
    const last = sent.at(-1);
    if (last === undefined || flight.nonce === null) return this.#restart(flight);
    // The nonce is used, and by nothing of ours. Asked for receipts first: a block in between would look the same.
    if ((await this.#node.nonce(this.#signer.address)) > flight.nonce) {
      for (const { tx } of sent) if ((await this.#node.receipt(tx)) !== null) return "again";
      return this.#restart(flight);
    }
    if (nowMs - last.sent_ms < LIMITS.anchoring_stuck_ms || sent.length > LIMITS.anchoring_bumps) {
      await this.#send(last.raw);
      return "pause";
    }
    const fees = await this.#fees(last);
    await this.#sign({ ...flight, nonce: flight.nonce }, { ...fees, n: last.n + 1 }, nowMs);
    return "pause";
  }

  #restart(flight: Flight): Step {
    this.#store.atomically(() => {
      this.#store.forgetSent();
      this.#store.saveFlight({ ...flight, ...NOWHERE, state: "pending", nonce: null });
    });
    return "pause";
  }

  /** Evidence first, while every node still has the state of that block; then wait for the blocks on top. */
  async #confirm(flight: Flight, nowMs: number): Promise<Step> {
    const { block_number, block_hash } = flight;
    if (block_number === null || block_hash === null) return this.#lost(flight);
    const block = await this.#node.block(block_number);
    if (block === null) return this.#lost(flight);
    const header = headerOf(block);
    if (bytesToHex(keccak256(header)) !== block_hash) {
      if (block.hash !== block_hash) return this.#lost(flight);
      throw new TalosError("anchor.unavailable", { reason: "a header with fields that are not known" });
    }
    if (flight.anchor === null) {
      this.#store.saveFlight({ ...flight, ...(await this.#evidence(flight, block_number, header)) });
      return "again";
    }
    if ((await this.#node.blockNumber()) < block_number + this.#settings.confirmations) return "pause";
    const found = { number: block_number, hash: block_hash, time_seconds: flight.time_seconds ?? 0 };
    this.#store.atomically(() => {
      const anchor = JSON.parse(flight.anchor ?? "") as EvmAnchor;
      this.#store.keep({ size: flight.size, note: flight.note, anchor, block: found, done_ms: nowMs });
      this.#store.land();
    });
    return "landed";
  }

  async #evidence(flight: Flight, block: number, header: Uint8Array): Promise<Pick<Flight, "anchor" | "time_seconds">> {
    const { chain_id, contract } = this.#settings;
    const { text, origin } = checkpointOf(flight.note);
    const ask = { digest: checkpointDigest(text), logId: logId(origin) };
    const publisher = this.#signer.address;
    const proof = await this.#node.proof(contract, checkpointSlot(publisher, ask.logId) as Hex, block);
    const nodes = (list: Hex[]) => list.map((node) => toBase64(hexToBytes(node)));
    const anchor: EvmAnchor = {
      ...{ kind: "evm", chain_id, contract, publisher, header: toBase64(header) },
      ...{ account_proof: nodes(proof.account), storage_proof: nodes(proof.storage) },
    };
    // Kept only if it would convince somebody who was not there.
    const { time_seconds } = verifyEvm(anchor, ask);
    return { anchor: JSON.stringify(anchor), time_seconds };
  }

  /** The block is not of the chain any more: what was sent is looked for again. */
  #lost(flight: Flight): Step {
    if (flight.nonce === null) return this.#restart(flight);
    this.#store.saveFlight({ ...flight, ...NOWHERE, state: "sent" });
    return "again";
  }
}

const NOWHERE = { block_number: null, block_hash: null, anchor: null, time_seconds: null } as const;
const mined = (block_number: number, block_hash: Hex) =>
  ({ ...NOWHERE, state: "mined", block_number, block_hash }) as const;
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);

function facts({ note }: Flight): { log: Hex; root: Hex; digest: Hex } {
  const { text, origin, root } = checkpointOf(note);
  return { log: bytesToHex(logId(origin)), root: bytesToHex(root), digest: bytesToHex(checkpointDigest(text)) };
}
