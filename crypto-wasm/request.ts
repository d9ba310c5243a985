/** Requests on the gateway's side: begin, finish, and what follows a decision (contracts/spec/capability.md#decision). */
import type { Decision, McpSession } from "@talos/contracts";
import { call, callJson, wasm } from "./core.ts";
import {
  type Began,
  type Check,
  type FilterHandle,
  type Finished,
  type KeyringHandle,
  NO_ANSWERS,
  type OpenedSession,
  type OpenSessionArgs,
  type PolicyHandle,
  type RevocationAnswers,
  type ToolClass,
  type Verdict,
} from "./types.ts";

const CLASSES: (ToolClass | null)[] = [null, "read", "write", "destructive", "pay"];
const decoder = new TextDecoder();

/**
 * Steps 1 to 3: read the request and say which signatures decide about it. Nothing is kept in the core.
 * The MAC form has no checks: `finish` verifies the MAC itself, so `begin` may be skipped there.
 * @throws `contract.invalid`, `mcp.header_mismatch`, `request.malformed` for a body that is no message of its surface
 */
export function begin(frame: Uint8Array, policy: PolicyHandle, tickets: KeyringHandle): Began {
  const out = call(wasm.begin, frame, policy.handle, tickets.handle);
  if (out[0] === 1) return { status: "refused", decision: JSON.parse(decoder.decode(out.subarray(1))) as Decision };
  return { status: "checks", class: CLASSES[out[1]!] ?? null, checks: readChecks(out) };
}

/** Answer of `begin`: 0, class, then for each check 32 key, 64 signature, u32 length and the message. */
function readChecks(out: Uint8Array): Check[] {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  const checks: Check[] = [];
  for (let at = 2; at < out.byteLength; ) {
    const end = at + 100 + view.getUint32(at + 96, true);
    checks.push({
      key: out.subarray(at, at + 32),
      signature: out.subarray(at + 32, at + 96),
      message: out.subarray(at + 100, end),
      record: out.subarray(at, end),
    });
    at = end;
  }
  return checks;
}

/**
 * Steps 1 to 12 on the same frame, with the verdicts. The list of checks is derived anew: a missing, foreign,
 * reordered or superfluous verdict is refused.
 * @returns `lookup` when the revocation filter hit something `answers` does not settle for its `rev_seq`
 * @throws as {@link begin}; `internal` when the verdicts are not those of this request
 */
export function finish(
  frame: Uint8Array,
  policy: PolicyHandle,
  filter: FilterHandle,
  tickets: KeyringHandle,
  verdicts: Verdict[],
  answers: RevocationAnswers = NO_ANSWERS,
): Finished {
  const [p, f, t] = [policy.handle, filter.handle, tickets.handle];
  return callJson(wasm.finish, frame, p, f, t, printVerdicts(verdicts), printAnswers(answers));
}

/** The same decision with the core's own Ed25519, synchronously: for offline use and differential tests. */
export function authorizePure(
  frame: Uint8Array,
  policy: PolicyHandle,
  filter: FilterHandle,
  tickets: KeyringHandle,
  answers: RevocationAnswers = NO_ANSWERS,
): Finished {
  return callJson(wasm.authorize_pure, frame, policy.handle, filter.handle, tickets.handle, printAnswers(answers));
}

/**
 * The same decision again for a request whose proof was accepted before, at a later `now_ms` in the frame: an open
 * stream, or a destructive call after the head was asked. The proof's own life and the replay window are left aside;
 * everything else is checked anew against what is in force now. Nothing is consumed.
 */
export function recheck(
  frame: Uint8Array,
  policy: PolicyHandle,
  filter: FilterHandle,
  tickets: KeyringHandle,
  verdicts: Verdict[],
  answers: RevocationAnswers = NO_ANSWERS,
): Finished {
  const [p, f, t] = [policy.handle, filter.handle, tickets.handle];
  return callJson(wasm.recheck, frame, p, f, t, printVerdicts(verdicts), printAnswers(answers));
}

/** Each record, then 1 or 0. */
export function printVerdicts(verdicts: Verdict[]): Uint8Array {
  const printed = new Uint8Array(verdicts.reduce((sum, { record }) => sum + record.byteLength + 1, 0));
  let at = 0;
  for (const { record, ok } of verdicts) {
    printed.set(record, at);
    at += record.byteLength + 1;
    printed[at - 1] = ok ? 1 : 0;
  }
  return printed;
}

export function printAnswers(answers: RevocationAnswers): string | undefined {
  return answers === NO_ANSWERS ? undefined : JSON.stringify(answers);
}

/**
 * The answer to `sessions.open`. The whole request is decided again: without an allow no ticket is sealed.
 * @throws the decision's code; `PROOF_INVALID` for an all-zero agreement
 */
export function openSession(args: OpenSessionArgs): OpenedSession {
  const response: OpenedSession["response"] = callJson(
    wasm.open_session,
    args.frame,
    args.policy.handle,
    args.filter.handle,
    args.tickets.handle,
    printVerdicts(args.verdicts),
    printAnswers(args.answers ?? NO_ANSWERS),
    args.receipt.seed,
    args.receipt.kid,
    args.gateway_did,
    args.session_id,
    args.server_secret,
    args.salt,
  );
  return { response };
}

/**
 * Which of these names the caller may be shown (contracts/spec/gateway.md#mcp), arguments left aside: capability,
 * roles and forbid rules. `names` are tool names, prompt names or resource URIs as the upstream listed them.
 */
export function filterList(
  frame: Uint8Array,
  policy: PolicyHandle,
  tickets: KeyringHandle,
  verdicts: Verdict[],
  kind: "tools" | "resources" | "resource_templates" | "prompts",
  names: string[],
): { allowed: boolean[]; classes: (ToolClass | null)[] } {
  const args = JSON.stringify({ kind, names });
  return callJson(wasm.filter_list, frame, policy.handle, tickets.handle, printVerdicts(verdicts), args);
}

/** Seal any text under a keyring, e.g. the JSON-RPC id of a forwarded request. `salt`: 32 random bytes, never reused. */
export function sealText(keyring: KeyringHandle, salt: Uint8Array, text: string): string {
  return call(wasm.seal_text, keyring.handle, salt, text);
}

/** @throws `MALFORMED` for anything that this keyring did not seal */
export function openText(keyring: KeyringHandle, sealed: string, nowMs: number): string {
  return call(wasm.open_text, keyring.handle, sealed, BigInt(nowMs));
}

/** Seal an upstream's session id to its principal; `plaintext` as contracts/spec/session.md#mcp-session-ids says. */
export function sealMcp(keyring: KeyringHandle, salt: Uint8Array, plaintext: McpSession): string {
  return call(wasm.seal_mcp, keyring.handle, salt, JSON.stringify(plaintext));
}

/** @throws `mcp.session_unknown`, whatever is wrong with it */
export function openMcp(
  keyring: KeyringHandle,
  text: string,
  expected: { tenant: string; principal: string; jkt: string; server: string; now_ms: number },
): { upstream: string } {
  return callJson(wasm.open_mcp, keyring.handle, text, JSON.stringify(expected));
}
