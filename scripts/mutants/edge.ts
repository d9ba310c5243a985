/** What TypeScript decides: the gate's nonces and slots, which head may follow which, how fresh a head must be, WebCrypto's answers. */
import { type Area, swap } from "./list.ts";

export const edge: Area[] = [
  {
    file: "durable-objects/capability-gate.ts",
    by: "workers durable-objects/capability-gate.worker.test.ts",
    mutants: [
      swap("a proof that is over", "aheadMs <= 0", "false"),
      swap("a proof that is too far ahead", "aheadMs > LIMITS.gate_expires_ahead_seconds * 1000", "false"),
      swap("a nonce that was used", 'if (this.#used(nonce.jkt, nonce.value)) return refuse("REPLAY");', ""),
      swap(
        "a nonce is remembered",
        'sql.exec("INSERT INTO nonces (jkt, value, expires) VALUES (?, ?, ?)", nonce.jkt, nonce.value, nonce.expires);',
        "",
      ),
      swap(
        "a nonce is remembered until its proof is over",
        '«nowMs - CLOCK_MARGIN_MS»);\n    sql.exec("DELETE FROM slots',
        "nowMs + 90_000",
      ),
      swap(
        "a nonce outlives its proof by a margin",
        '«nowMs - CLOCK_MARGIN_MS»);\n    sql.exec("DELETE FROM slots',
        "nowMs",
      ),
      swap("no room for a nonce is a refusal", "nonces + more.nonces <= LIMITS.gate_nonces", "true"),
      swap("no room for a bucket is a refusal", "buckets + more.buckets <= LIMITS.gate_buckets &&", ""),
      swap("a slot that comes back is free", "if (freed.length > 0) this.release(...freed);", ""),
      swap("a slot that is not free", "freeMs > nowMs", "false"),
      swap("slots of one class", "class = ? AND id <> ?", "? <> '' AND id <> ?"),
      swap("an ask that no request asks", "if («!sound») throw", "false"),
      swap("no link twice in an ask", "new Set(links).size === links.length &&", ""),
    ],
  },
  {
    file: "durable-objects/head-order.ts",
    by: "unit durable-objects/head-order.test.ts",
    mutants: [
      swap("no rollback of revocations", "head.rev_seq < than.rev_seq || ", ""),
      swap("no rollback of a policy", " || head.policy_version < than.policy_version", ""),
      swap(
        "one revocation number, one hash",
        "if (a.rev_seq === b.rev_seq && a.rev_hash !== b.rev_hash) return false;",
        "",
      ),
      swap(
        "one policy number, one hash",
        "a.policy_version !== b.policy_version || a.policy_hash === b.policy_hash",
        "true",
      ),
      swap(
        "a start with storage older than the record",
        'if (isLower(stored, recorded)) return "head.rolled_back";',
        "",
      ),
      swap(
        "a start with storage ahead of the record",
        "isLower(recorded, stored) || !sameWhereEqual",
        "!sameWhereEqual",
      ),
      swap("a start with storage that no record knows", "stored.rev_seq === 0 && stored.policy_version === 0", "true"),
    ],
  },
  {
    file: "workers/gateway/in-force.ts",
    by: "unit workers/gateway/in-force.test.ts",
    mutants: [
      swap("no older head than one seen", "  «checkOrder(head, floor);»\n", ""),
      swap("no head from the future", "head.as_of_ms > Date.now() + LIMITS.head_skew_ms", "false"),
      swap("a head is no younger than its arrival", "Math.min(head.as_of_ms, Date.now())", "head.as_of_ms"),
      swap("a read waits beyond its bound", "age > LIMITS.head_read_wait_ms", "false"),
      swap("a write waits beyond its bound", "Date.now() - held.asOfMs <= LIMITS.head_write_wait_ms", "true"),
      swap(
        "destructive calls ask",
        "try {\n    «await refresh(asker);»\n  } catch (error) {\n    if (error instanceof TalosError && error.code !==",
        "",
      ),
      swap("what was caught lying is asked again", " || state.distrusted", ""),
      swap("and is remembered for it", "stateOf(asker.tenant).distrusted = true;", ""),
    ],
  },
  {
    file: "crypto-wasm/verify.ts",
    by: "unit crypto-wasm/request.test.ts",
    mutants: [
      swap("WebCrypto's answer is the verdict", "ok: await holds(check)", "ok: true"),
      swap("each answer under its check's bytes", "record: check.record,", "record: checks[0]?.record ?? check.key,"),
    ],
  },
];
