/** What the anchors decide: whether it is the right chain, what is sent, how often, for how much, and what is kept. */
import { type Area, swap } from "./list.ts";

export const anchors: Area[] = [
  {
    file: "durable-objects/evm-anchoring.ts",
    by: "unit durable-objects/anchors-evm.test.ts",
    mutants: [
      swap("another chain", "if («chain_id !== this.#settings.chain_id»)", "false"),
      swap("a contract of other code", "if («bytesToHex(keccak256(code)) !== REGISTRY_CODE_HASH»)", "false"),
      swap("what the registry has already", "held.size === BigInt(flight.size) && held.digest === digest", "false"),
      swap("what the registry would refuse", 'if (held.size >= BigInt(flight.size)) return "refused";', ""),
      swap("what the registry itself refuses", 'throw new TalosError("anchor.refused", { name });', "return GAS;"),
      swap("a block that another one replaced", "if («bytesToHex(keccak256(header)) !== block_hash») {", "false"),
      swap("a replaced block is no unknown header", "if («block.hash !== block_hash») return", "false"),
      swap("a header that is not what its hash says", "if («block.hash !== block_hash») return", "true"),
      swap(
        "what is signed is a row",
        "this.#store.addSent({ n, ...signed, max_fee: String(max_fee), tip: String(tip), sent_ms: nowMs });",
        "",
      ),
      swap("one nonce for everything that is signed", "nonce: «flight.nonce», gas", "flight.nonce + n"),
      swap("an account that cannot pay", "if («balance < BigInt(gas) * fees.max_fee»)", "false"),
      swap("no more than the settings say", "if («max_fee <= most»)", "true"),
      swap("a fee is raised", "const wanted = «2n * base» + tip;", "0n"),
      swap("what waits too long is signed anew", "nowMs - last.sent_ms < LIMITS.anchoring_stuck_ms", "true"),
      swap("what does not wait too long is not", "nowMs - last.sent_ms < LIMITS.anchoring_stuck_ms ||", ""),
      swap("what is not known is sent again", "await this.#send(last.raw);", ""),
      swap(
        "a nonce that something else used",
        "if («(await this.#node.nonce(this.#signer.address)) > flight.nonce»)",
        "false",
      ),
      swap("blocks on top", "block_number + this.#settings.confirmations", "block_number"),
      swap("evidence is verified", "const { time_seconds } = verifyEvm(anchor, ask);", "const time_seconds = 0;"),
    ],
  },
  {
    file: "durable-objects/ots-anchoring.ts",
    by: "workers durable-objects/anchors-ots.worker.test.ts",
    mutants: [
      swap("two calendars", "const ENOUGH = «2»;", "1"),
      swap("an answer that is none", ".filter((answer) => readable(digest, stamp, answer))", ""),
      swap(
        "nobody whom the settings do not name",
        "![...this.#settings.calendars, ...this.#settings.upgrade_from].includes(uri)",
        "false",
      ),
      swap("what waits is bounded", "stamps.length - LIMITS.anchoring_pending", "0"),
    ],
  },
];
