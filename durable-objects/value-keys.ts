/**
 * Keys of what is kept. The deployment's `values` keyset gives each tenant a key for wrapping data keys and one for salts
 * on their way (HKDF-SHA-256); a data key is 32 random bytes of one subject, and everything is AES-256-GCM with a random
 * 96-bit nonce in front. No key leaves this file as bytes.
 * Source: contracts/spec/erasure.md#sealing, contracts/spec/keys.md.
 */
import { type Keysets, TalosError } from "@talos/contracts";
import { b64uDecode, b64uEncode } from "@talos/core";
import { type KeysetKey, openingKeys } from "./keysets.ts";
import { boundTo } from "./subject.ts";

const NONCE = 12;
const TAG = 16;
const DEK = 32;
const utf8 = new TextEncoder();
const text = new TextDecoder();

/** The key that seals, or undefined where the deployment has none: then nothing can be kept. */
export function sealingKey(keysets: Keysets): KeysetKey | undefined {
  return keysets.purposes.values?.find((key) => key.status === "primary");
}

/** @throws `config.incomplete` */
function openingKey(keysets: Keysets, kid: string, nowMs: number): KeysetKey {
  const found = openingKeys(keysets, "values", nowMs).find((key) => key.kid === kid);
  if (found === undefined) throw new TalosError("config.incomplete", { missing: [`values key ${kid}`] });
  return found;
}

type Use = "wrap" | "salts";
type Derivation = Parameters<SubtleCrypto["deriveKey"]>[0];

/** Derived once for each key that was read; a reading of the keysets that is dropped takes them along. */
const derived = new WeakMap<KeysetKey, Map<string, CryptoKey>>();
/** Tenants and uses remembered for a key; beyond, all are derived anew. */
const DERIVED = 512;

/** A tenant's own key: what one tenant's rows give away opens nothing of another's. */
export async function tenantKey(of: KeysetKey, tenant: string, use: Use): Promise<CryptoKey> {
  const name = `${tenant} ${use}`;
  const known = derived.get(of)?.get(name);
  if (known !== undefined) return known;
  const root = await crypto.subtle.importKey("raw", b64uDecode(of.key) as BufferSource, "HKDF", false, ["deriveKey"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: boundTo("values", tenant, use) };
  const aes = { name: "AES-GCM", length: 256 };
  const key = await crypto.subtle.deriveKey(how as Derivation, root, aes, false, ["encrypt", "decrypt"]);
  const keys = derived.get(of) ?? new Map<string, CryptoKey>();
  if (keys.size >= DERIVED) keys.clear();
  derived.set(of, keys.set(name, key));
  return key;
}

export async function seal(key: CryptoKey, bound: Uint8Array, value: Uint8Array): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE));
  const how = { name: "AES-GCM", iv, additionalData: bound as BufferSource };
  const sealed = new Uint8Array(await crypto.subtle.encrypt(how, key, value as BufferSource));
  const out = new Uint8Array(NONCE + sealed.byteLength);
  out.set(iv);
  out.set(sealed, NONCE);
  return out;
}

/** @throws `internal` for what this key did not seal for this place */
export async function open(key: CryptoKey, bound: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
  if (sealed.byteLength < NONCE + TAG) throw new TalosError("internal", { why: "a sealed text is cut" });
  const how = { name: "AES-GCM", iv: sealed.slice(0, NONCE), additionalData: bound as BufferSource };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, key, sealed.slice(NONCE)));
  } catch {
    throw new TalosError("internal", { why: "a sealed text is not of this key and place" });
  }
}

/** Which data key: the vault's name and the number of erasures before it. */
export interface KeyPlace {
  tenant: string;
  subject: string;
  generation: number;
}

/** A wrapped data key as it lies in a row; the column `kid` is bound, so no other key's text can take its place. */
export interface WrappedKey {
  kid: string;
  wrapped: string;
}

const wrapBound = ({ tenant, subject, generation }: KeyPlace, kid: string): Uint8Array =>
  boundTo("data-key", tenant, subject, generation, "AES-256-GCM", kid);

async function wrap(key: KeysetKey, place: KeyPlace, dek: Uint8Array): Promise<WrappedKey> {
  const kek = await tenantKey(key, place.tenant, "wrap");
  return { kid: key.kid, wrapped: b64uEncode(await seal(kek, wrapBound(place, key.kid), dek)) };
}

async function unwrap(keysets: Keysets, place: KeyPlace, row: WrappedKey, nowMs: number): Promise<Uint8Array> {
  const kek = await tenantKey(openingKey(keysets, row.kid, nowMs), place.tenant, "wrap");
  return open(kek, wrapBound(place, row.kid), b64uDecode(row.wrapped));
}

/** @throws `config.incomplete` without a primary */
function required(keysets: Keysets): KeysetKey {
  const key = sealingKey(keysets);
  if (key === undefined) throw new TalosError("config.incomplete", { missing: ["a primary of values"] });
  return key;
}

/** A new data key, wrapped. @throws `config.incomplete` */
export function newDataKey(keysets: Keysets, place: KeyPlace): Promise<WrappedKey> {
  return wrap(required(keysets), place, crypto.getRandomValues(new Uint8Array(DEK)));
}

/** @throws `config.incomplete` when the key that wrapped it is gone, `internal` for a wrap that is not of this place */
export async function dataKey(keysets: Keysets, place: KeyPlace, row: WrappedKey, nowMs: number): Promise<CryptoKey> {
  const raw = await unwrap(keysets, place, row, nowMs);
  return crypto.subtle.importKey("raw", raw as BufferSource, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** The same data key under today's primary, opened once more before it is believed; undefined where it is already. */
export async function rewrapped(
  keysets: Keysets,
  place: KeyPlace,
  row: WrappedKey,
  nowMs: number,
): Promise<WrappedKey | undefined> {
  const primary = required(keysets);
  if (primary.kid === row.kid) return undefined;
  const raw = await unwrap(keysets, place, row, nowMs);
  const next = await wrap(primary, place, raw);
  const again = await unwrap(keysets, place, next, nowMs);
  if (!again.every((byte, i) => byte === raw[i])) throw new TalosError("internal", { why: "a wrap differs" });
  return next;
}

/** base64url salts by the name of their commitment. */
export type Salts = Partial<Record<"args" | "result", string>>;

/** Salts on their way from the gateway through the log to the vault: sealed, so that no salt lies in a row of the log. */
export interface SealedSalts {
  /** hash of the subject, as in its vault's name */
  subject: string;
  kid: string;
  /** base64url */
  sealed: string;
  /** names of commitments whose value follows, joined by a comma; empty: none */
  kept: string;
}

const saltsBound = (tenant: string, subject: string, eventId: string, kid: string, kept: string): Uint8Array =>
  boundTo("salts", tenant, subject, eventId, kid, kept);

/** @param transit the tenant's key for `salts` under `kid` */
export async function sealSalts(
  transit: CryptoKey,
  place: { tenant: string; subject: string; event_id: string; kid: string; kept: string },
  salts: Salts,
): Promise<SealedSalts> {
  const { tenant, subject, event_id, kid, kept } = place;
  const bound = saltsBound(tenant, subject, event_id, kid, kept);
  const sealed = await seal(transit, bound, utf8.encode(JSON.stringify(salts)));
  return { subject, kid, sealed: b64uEncode(sealed), kept };
}

/** @throws `config.incomplete` when the key is gone, `internal` */
export async function openSalts(
  keysets: Keysets,
  tenant: string,
  event_id: string,
  { subject, kid, sealed, kept }: SealedSalts,
  nowMs: number,
): Promise<Uint8Array> {
  const transit = await tenantKey(openingKey(keysets, kid, nowMs), tenant, "salts");
  return open(transit, saltsBound(tenant, subject, event_id, kid, kept), b64uDecode(sealed));
}

/** The salts that a vault's row holds, once opened. */
export const readSalts = (opened: Uint8Array): Salts => JSON.parse(text.decode(opened)) as Salts;
