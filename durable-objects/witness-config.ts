/**
 * What a witness is configured with, read and judged: its name, its key, the logs that it knows. Without any of it, it answers
 * nothing. Reasons never quote a key. Source: contracts/spec/log.md#witness.
 */
import { TalosError } from "@talos/contracts";
import { b64uDecode, publicKey } from "@talos/core";
import { type NoteKey, policyKeys, verifierKey } from "@talos/core/log";
import type { WitnessedLog } from "./witnessed-log.ts";

/** Bindings, variables and secrets of the witness' own script (wrangler.witness.toml). */
export interface WitnessEnv {
  /** by a log's origin */
  WITNESSED_LOGS: DurableObjectNamespace<WitnessedLog>;
  /** name of its key, a host name without a scheme */
  WITNESS_NAME?: string;
  /** secret: base64url of an Ed25519 seed, 32 bytes */
  WITNESS_KEY?: string;
  /** text of a tlog-policy: a line `log <key>` for each key of each log, and `quorum none` */
  WITNESS_KNOWN_LOGS?: string;
}

export interface WitnessConfig {
  seed: Uint8Array;
  key: NoteKey;
  /** its key as policies write it */
  vkey: string;
  /** the known logs, as a policy */
  policy: Uint8Array;
  /** names of the known logs */
  origins: ReadonlySet<string>;
}

const RAW = ["WITNESS_NAME", "WITNESS_KEY", "WITNESS_KNOWN_LOGS"] as const;

let kept: { raw: (string | undefined)[]; read: { config?: WitnessConfig; missing: string[] } } | undefined;

/** @throws `config.incomplete`, its detail listing what is missing */
export function witnessConfig(env: WitnessEnv): WitnessConfig {
  const raw = RAW.map((name) => env[name]);
  if (kept === undefined || raw.some((value, i) => value !== kept?.raw[i])) kept = { raw, read: read(env) };
  const { config, missing } = kept.read;
  if (config === undefined) throw new TalosError("config.incomplete", { missing });
  return config;
}

function read(env: WitnessEnv): { config?: WitnessConfig; missing: string[] } {
  const missing: string[] = [];
  const seed = seedOf(env.WITNESS_KEY ?? "");
  if (seed === undefined) missing.push("WITNESS_KEY");
  const key = { name: env.WITNESS_NAME ?? "", publicKey: publicKey(seed ?? new Uint8Array(32)), cosigns: true };
  const vkey = attempt(() => verifierKey(key));
  if (vkey === undefined) missing.push("WITNESS_NAME");
  const policy = new TextEncoder().encode(env.WITNESS_KNOWN_LOGS ?? "");
  const known = attempt(() => policyKeys(policy));
  // A witness that demanded others' cosignatures would cosign nothing; one without a log knows nothing.
  if (known === undefined || known.logs.length === 0 || known.witnesses.length > 0) missing.push("WITNESS_KNOWN_LOGS");
  if (seed === undefined || vkey === undefined || known === undefined || missing.length > 0) return { missing };
  // One key must not speak for a log and about it.
  const own = btoa(String.fromCharCode(1, ...key.publicKey));
  if (known.logs.some((log) => log.endsWith(`+${own}`))) return { missing: ["a key of its own, instead of a log's"] };
  const origins = new Set(known.logs.map((log) => log.slice(0, log.indexOf("+"))));
  return { config: { seed, key, vkey, policy, origins }, missing };
}

function seedOf(text: string): Uint8Array | undefined {
  const seed = attempt(() => b64uDecode(text));
  return seed?.length === 32 ? seed : undefined;
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined; // named by the caller, without the text, which may be a secret
  }
}
