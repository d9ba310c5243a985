/**
 * The gateway's keys, read from one secret and judged. Pure: text and time in, keys or reasons out. Reasons name
 * purposes and kids, never key bytes. Source: contracts/spec/keys.md.
 */
import { type Keysets, TalosError, validate } from "@talos/contracts";

export type Purpose = keyof Keysets["purposes"];
export type KeysetKey = NonNullable<Keysets["purposes"][Purpose]>[number];

/** Purposes whose public halves stand in the DID document. */
export const signingPurposes = ["head", "promise", "receipt"] as const satisfies readonly Purpose[];
export const purposes = ["ticket", "mcp", ...signingPurposes, "ip", "sink"] as const satisfies readonly Purpose[];
/** Purposes that only a deployment needs whose policies ask for it; without a primary they do nothing. */
export const optionalPurposes = ["values"] as const satisfies readonly Purpose[];

export type ReadKeysets = { ok: true; keysets: Keysets } | { ok: false; code: "config.incomplete"; missing: string[] };

/**
 * Parse and judge `TALOS_KEYSETS`. All reasons are collected, so that one deployment mends them all.
 * @param mode `TALOS_MODE`; anything but `development` and `production` is a reason
 * @param nowMs unix ms, against which a primary's `not_after` is judged in production
 */
export function readKeysets(text: string | undefined, mode: string | undefined, nowMs: number): ReadKeysets {
  const missing: string[] = [];
  if (mode !== "development" && mode !== "production") missing.push("TALOS_MODE");
  const keysets = parse(text, missing);
  if (keysets !== undefined) judge(keysets, mode !== "development", nowMs, missing);
  return keysets === undefined || missing.length > 0
    ? { ok: false, code: "config.incomplete", missing }
    : { ok: true, keysets };
}

let kept: { text: string; mode: string | undefined; at_ms: number; read: ReadKeysets } | undefined;
/** A primary that expires is noticed within this time. */
const KEEP_MS = 1_000;

/**
 * The keysets of this isolate; parsed again when the secret changes, judged again every second.
 * @throws `config.incomplete`, its detail listing what is missing
 */
export function keysetsOf(env: { TALOS_KEYSETS?: string; TALOS_MODE?: string }, nowMs: number): Keysets {
  const { TALOS_KEYSETS: text = "", TALOS_MODE: mode } = env;
  const stale = kept === undefined || Math.abs(nowMs - kept.at_ms) >= KEEP_MS;
  if (kept === undefined || stale || kept.text !== text || kept.mode !== mode) {
    kept = { text, mode, at_ms: nowMs, read: readKeysets(text, mode, nowMs) };
  }
  if (!kept.read.ok) throw new TalosError("config.incomplete", { missing: kept.read.missing });
  return kept.read.keysets;
}

/** The one key of a purpose that seals and signs. `readKeysets` made sure that it exists. */
export function primaryKey(keysets: Keysets, purpose: (typeof purposes)[number]): KeysetKey {
  const primary = keysets.purposes[purpose].find((key) => key.status === "primary");
  if (primary === undefined) throw new TalosError("config.incomplete", { missing: [`a primary of ${purpose}`] });
  return primary;
}

/** Keys of a purpose that open and verify: staged, primary, and accepted ones until their `not_after`. */
export function openingKeys(keysets: Keysets, purpose: Purpose, nowMs: number): KeysetKey[] {
  return (keysets.purposes[purpose] ?? []).filter((key) => key.status !== "accept" || !expired(key, nowMs));
}

function parse(text: string | undefined, missing: string[]): Keysets | undefined {
  if (text === undefined || text === "") {
    missing.push("TALOS_KEYSETS");
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    missing.push("TALOS_KEYSETS is not JSON"); // without the parser's message, which quotes the secret
    return undefined;
  }
  const given: unknown = (value as { purposes?: unknown } | null)?.purposes;
  const absent = purposes.filter((purpose) => !(given as Record<string, unknown[]> | undefined)?.[purpose]?.length);
  if (absent.length > 0) {
    missing.push(...absent.map((purpose) => `keyset ${purpose}`));
    return undefined;
  }
  const shape = validate("keys/keysets", value);
  if (shape.ok) return shape.value;
  missing.push(...shape.errors.map((error) => `TALOS_KEYSETS ${error}`));
  return undefined;
}

function judge(keysets: Keysets, production: boolean, nowMs: number, missing: string[]): void {
  if (production && keysets.environment !== "production") missing.push("keysets of environment production");
  const kids = new Set<string>();
  const secrets = new Set<string>();
  for (const purpose of [...purposes, ...optionalPurposes]) {
    const keys = keysets.purposes[purpose] ?? [];
    const primaries = keys.filter((key) => key.status === "primary");
    // A purpose that was not there before begins with a staged key, as every key does.
    const optional = (optionalPurposes as readonly Purpose[]).includes(purpose);
    if (primaries.length !== 1 && !(optional && keys.every((key) => key.status === "staged")))
      missing.push(`exactly one primary of ${purpose}`);
    if (production && primaries.some((key) => expired(key, nowMs))) missing.push(`an unexpired primary of ${purpose}`);
    for (const { kid, key } of keys) {
      if (production && kid.startsWith("dev-")) missing.push(`a production key instead of ${kid} of ${purpose}`);
      if (kids.has(kid)) missing.push(`a kid of its own instead of ${kid} of ${purpose}`);
      if (secrets.has(key)) missing.push(`bytes of its own for ${kid} of ${purpose}`);
      kids.add(kid);
      secrets.add(key);
    }
  }
}

function expired(key: KeysetKey, nowMs: number): boolean {
  return key.not_after !== undefined && nowMs >= key.not_after * 1000;
}
