/** What a deployment says about anchoring: TALOS_EVM, TALOS_EVM_KEY and TALOS_OTS. Absent is off; wrong is config.incomplete. */
import { LIMITS, TalosError } from "@talos/contracts";

export interface EvmSettings {
  /** address of a node's JSON-RPC; it may hold a key, so it is shown nowhere */
  rpc: string;
  chain_id: number;
  contract: `0x${string}`;
  /** blocks on top of the one that took the transaction */
  confirmations: number;
  interval_seconds: number;
  /** what a unit of gas may cost at most, in 10^-9 of the coin */
  max_fee_gwei: number;
}

export interface OtsSettings {
  /** where digests are submitted */
  calendars: string[];
  /** others that may be asked for what a calendar promised in their name, as pools do */
  upgrade_from: string[];
  interval_seconds: number;
}

export interface SettingsEnv {
  TALOS_EVM?: string;
  TALOS_EVM_KEY?: string;
  TALOS_OTS?: string;
}

const MAX_FEE_GWEI = 200;

/** @throws `config.incomplete`, naming the variable and nothing of it */
export function evmSettings(env: SettingsEnv): (EvmSettings & { key: `0x${string}` }) | undefined {
  const members = ["rpc", "chain_id", "contract", "confirmations", "interval_seconds", "max_fee_gwei"];
  const given = objectOf(env.TALOS_EVM, "TALOS_EVM", members);
  if (given === undefined) return undefined;
  const { rpc, chain_id, contract, confirmations, interval_seconds, max_fee_gwei = MAX_FEE_GWEI } = given;
  const right =
    isUrl(rpc) &&
    isWhole(chain_id, 1, Number.MAX_SAFE_INTEGER) &&
    typeof contract === "string" &&
    /^0x[0-9a-f]{40}$/.test(contract) &&
    isWhole(confirmations, 0, LIMITS.anchoring_confirmations) &&
    isWhole(interval_seconds, 1, LIMITS.anchoring_interval_seconds) &&
    isWhole(max_fee_gwei, 1, 1_000_000);
  if (!right) throw wrong("TALOS_EVM");
  const key = env.TALOS_EVM_KEY ?? "";
  if (!/^0x[0-9a-f]{64}$/.test(key)) throw wrong("TALOS_EVM_KEY");
  const settings = { rpc, chain_id, contract, confirmations, interval_seconds, max_fee_gwei } as EvmSettings;
  return { ...settings, key: key as `0x${string}` };
}

/** @throws `config.incomplete`, naming the variable */
export function otsSettings(env: SettingsEnv): OtsSettings | undefined {
  const given = objectOf(env.TALOS_OTS, "TALOS_OTS", ["calendars", "upgrade_from", "interval_seconds"]);
  if (given === undefined) return undefined;
  const { calendars, upgrade_from = [], interval_seconds } = given;
  const right =
    isUrls(calendars, 2) && isUrls(upgrade_from, 0) && isWhole(interval_seconds, 1, LIMITS.anchoring_interval_seconds);
  if (!right) throw wrong("TALOS_OTS");
  return { calendars, upgrade_from, interval_seconds } as OtsSettings;
}

const wrong = (name: string) => new TalosError("config.incomplete", { missing: [name] });

function objectOf(text: string | undefined, name: string, members: string[]): Record<string, unknown> | undefined {
  if (text === undefined || text === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong(name);
  }
  const closed =
    typeof value === "object" && value !== null && Object.keys(value).every((key) => members.includes(key));
  if (!closed) throw wrong(name);
  return value as Record<string, unknown>;
}

const isWhole = (value: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;

const isUrl = (value: unknown): boolean =>
  typeof value === "string" && value.length <= LIMITS.url_bytes && URL.canParse(value);

function isUrls(value: unknown, least: number): boolean {
  const most = LIMITS.anchoring_calendars;
  const many =
    Array.isArray(value) &&
    value.length >= least &&
    value.length <= most &&
    value.every((one) => isUrl(one) && !one.endsWith("/"));
  return many && new Set(value as string[]).size === (value as string[]).length;
}
