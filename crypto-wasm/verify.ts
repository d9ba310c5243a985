/** Ed25519 by WebCrypto, which workerd runs natively. The core made its byte checks before (contracts/spec/identity.md). */
import { NO_ANSWERS } from "./types.ts";
import type { Check, Decided, FilterHandle, KeyringHandle, PolicyHandle, RevocationAnswers, Verdict } from "./types.ts";
import { begin, finish } from "./request.ts";
import { verifyNative } from "./verify-native.ts";

/** A second look-up can only be due to a filter that changed in between; more would be a loop. */
const LOOKUPS = 2;

/** Verify all checks at once, in order. A key or signature that WebCrypto cannot take is a wrong one. */
export async function verifyChecks(checks: Check[]): Promise<Verdict[]> {
  return Promise.all(checks.map(async (check) => ({ record: check.record, ok: await holds(check) })));
}

const holds = ({ key, message, signature }: Check): Promise<boolean> => verifyNative(key, message, signature);

/**
 * begin → WebCrypto → finish (→ look-up → finish). Nothing of the request is kept between the steps but the frame.
 * @param lookup asks the tenant's head for the exact entries of these items
 * @throws as `begin` and `finish`; what `lookup` throws
 */
export async function authorize(
  frame: Uint8Array,
  policy: PolicyHandle,
  filter: FilterHandle,
  tickets: KeyringHandle,
  lookup: (items: string[]) => Promise<RevocationAnswers>,
): Promise<Decided & { verdicts: Verdict[]; answers: RevocationAnswers }> {
  const began = begin(frame, policy, tickets);
  if (began.status === "refused") {
    return { status: "decided", decision: began.decision, verdicts: [], answers: NO_ANSWERS };
  }
  const verdicts = began.checks.length === 0 ? [] : await verifyChecks(began.checks);
  let answers = NO_ANSWERS;
  for (let round = 0; ; round += 1) {
    const finished = finish(frame, policy, filter, tickets, verdicts, answers);
    if (finished.status === "decided") return { ...finished, verdicts, answers };
    if (round === LOOKUPS) return { ...stale(), verdicts, answers };
    answers = await lookup(finished.items);
  }
}

/** The head kept giving answers for another moment than the filter's: what is in force cannot be told. */
function stale(): Decided {
  return { status: "decided", decision: { allow: false, code: "REVOCATION_STALE" } };
}
