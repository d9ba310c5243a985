/**
 * What the meta-log is called and signs with. A policy takes no key under two names, and tenants' logs sign with the primary of
 * keyset `head` itself, so the meta-log's key is derived from it: HKDF-SHA-256, no salt, `info` a text of its own. It
 * rotates with the keyset, and whoever holds one key of the two learns nothing of the other.
 * Source: contracts/spec/log.md#meta-log.
 */
import type { Keysets } from "@talos/contracts";
import { b64uDecode, b64uEncode, publicKey } from "@talos/core";
import { type NoteKey, verifierKey } from "@talos/core/log";
import { primaryKey } from "./keysets.ts";
import type { FileNames } from "./publisher.ts";

const INFO = new TextEncoder().encode("talos meta-log v1");

/** The one object of a deployment. */
export const META = "meta";

/** Where its files lie: no tenant's name has an `@`. `cosigned`: the newest head that met the quorum, with its cosignatures. */
export const metaNames = (name: string): FileNames & { cosigned: string } => ({
  full: `f/@${name}`,
  partial: `p/@${name}`,
  checkpoint: `c/@${name}/checkpoint`,
  cosigned: `c/@${name}/cosigned`,
});

/** @param host as `logHost` gives it */
export const metaOrigin = (host: string): string => `${host}/meta`;

/** @param head base64url seed of a key of keyset `head` @returns base64url seed of the meta-log's key */
export async function metaSeed(head: string): Promise<string> {
  const key = await crypto.subtle.importKey("raw", b64uDecode(head).slice(), "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: INFO };
  return b64uEncode(new Uint8Array(await crypto.subtle.deriveBits(how, key, 256)));
}

/** The seed that signs now. */
export const signingSeed = (keysets: Keysets): Promise<string> => metaSeed(primaryKey(keysets, "head").key);

/** Every key that may have signed a head of the meta-log, as policies write them: those of all `head` keys. */
export async function metaKeys(keysets: Keysets, origin: string): Promise<string[]> {
  const seeds = await Promise.all(keysets.purposes.head.map(({ key }) => metaSeed(key)));
  return seeds.map((seed) => verifierKey(keyOf(origin, seed)));
}

/** Every key that may have signed a head of a tenant's log, as policies write them. */
export const headKeys = (keysets: Keysets, origin: string): string[] =>
  keysets.purposes.head.map(({ key }) => verifierKey(keyOf(origin, key)));

const keyOf = (name: string, seed: string): NoteKey => ({ name, publicKey: publicKey(b64uDecode(seed)) });
