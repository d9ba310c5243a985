/**
 * Which witnesses are asked for cosignatures, and how many of them make a head good: the text of a tlog-policy from the
 * configuration, without logs, since the deployment's own keys are put before it. Source: contracts/spec/log.md#meta-log.
 */
import { TalosError } from "@talos/contracts";
import { policyKeys } from "@talos/core/log";

/** A cosignature of this type is checked; another kind's key would be asked in vain (contracts/spec/log.md#notes). */
const COSIGNATURE = 0x04;

export interface Witness {
  /** as policies write it */
  key: string;
  name: string;
  /** where `add-checkpoint` is appended */
  url: string;
}

export interface WitnessPolicy {
  witnesses: readonly Witness[];
  /** groups, quorum and all: a policy but for the logs */
  text: string;
}

/** Nobody is asked, and nothing is demanded. */
const NOBODY: WitnessPolicy = { witnesses: [], text: "quorum none\n" };

let kept: { text: string; policy: WitnessPolicy | undefined } | undefined;

/**
 * @param text `TALOS_WITNESSES`; nothing, or nothing in it: no witnesses
 * @throws `config.incomplete` when it is no policy, lists logs, or a witness without an address or with a key that is not asked
 */
export function witnessPolicy(text: string | undefined): WitnessPolicy {
  if (text === undefined || text === "") return NOBODY;
  if (kept?.text !== text) kept = { text, policy: read(text) };
  if (kept.policy === undefined) throw new TalosError("config.incomplete", { missing: ["TALOS_WITNESSES"] });
  return kept.policy;
}

/** The policy of the meta-log as a verifier takes it. */
export const metaPolicy = (keys: readonly string[], { text }: Pick<WitnessPolicy, "text">): string =>
  `${keys.map((key) => `log ${key}\n`).join("")}${text}`;

function read(text: string): WitnessPolicy | undefined {
  try {
    const { logs, witnesses } = policyKeys(new TextEncoder().encode(text));
    return logs.length === 0 && witnesses.every(isAskable) ? { witnesses, text } : undefined;
  } catch {
    return undefined; // named by the caller
  }
}

function isAskable({ key, url }: Witness): boolean {
  const [, , ...base64] = key.split("+"); // which has plus signs of its own
  const type = atob(base64.join("+")).charCodeAt(0);
  const address = URL.parse(url);
  const sound = address !== null && /^https?:$/.test(address.protocol) && address.search === "" && address.hash === "";
  return type === COSIGNATURE && sound;
}
