/**
 * The deployment's configuration, read once per isolate. With anything missing the answer is `config.incomplete` on
 * every surface; what is missing goes to the log only. Source: contracts/spec/keys.md.
 */
import { type Jwk, type Keysets, TalosError } from "@talos/contracts";
import {
  b64uDecode,
  b64uEncode,
  type KeyringHandle,
  keyringLoad,
  publicKey,
  type PublishedKey,
  type SealingKey,
  thumbprint,
} from "@talos/core";
import { publishersOf } from "../../durable-objects/publishers.ts";
import { witnessPolicy } from "../../durable-objects/witness-policy.ts";
import type { Env } from "../env.ts";
import { type Log, logger } from "../shared/log.ts";
import { type Redact, redactor } from "../shared/redact.ts";
import {
  type KeysetKey,
  primaryKey,
  purposes as allPurposes,
  readKeysets,
  signingPurposes,
} from "../../durable-objects/keysets.ts";
import { sealingKey } from "../../durable-objects/value-keys.ts";

/** A credential for one upstream. It is sent to `origin` only, whatever URL a policy gives the server. */
export interface UpstreamCredential {
  header: string;
  value: string;
  origin: string;
}

/** A key that verifies; with `until`, in seconds, a retired one, which verifies no longer than that. */
export interface VerifyingKey extends PublishedKey {
  until?: number;
}

export interface PublicSigningKey extends VerifyingKey {
  purpose: (typeof signingPurposes)[number];
  jkt: string;
}

/** The keys that verify at `nowMs`. Source: contracts/spec/keys.md, status `accept`. */
export const inUse = <K extends VerifyingKey>(keys: readonly K[], nowMs: number): K[] =>
  keys.filter(({ until }) => until === undefined || nowMs < until * 1_000);

export interface Config {
  mode: "development" | "production";
  origin: string;
  /** the gateway's `did:web` */
  did: string;
  tenants: readonly string[];
  publishers: Readonly<Record<string, Jwk[]>>;
  tickets: KeyringHandle;
  mcp: KeyringHandle;
  /** head keys that may have signed a head, while they are {@link inUse} */
  head_keys: VerifyingKey[];
  /** everything published in the DID document, while it is {@link inUse} */
  published: PublicSigningKey[];
  /** `key` is the seed in base64url */
  receipt: { kid: string; key: string; seed: Uint8Array };
  ip: { kid: string; key: Uint8Array };
  /** seals salts on their way to a vault; without it nothing is kept, and a tool whose policy keeps is refused */
  values: KeysetKey | undefined;
  /** keyed `<tenant>/<server>` */
  credentials: Readonly<Record<string, UpstreamCredential>>;
  browser_origins: ReadonlySet<string>;
  /** seconds; from then on a primary key has expired, which production refuses */
  valid_until: number;
  redact: Redact;
  log: Log;
}

const FOREVER = Number.MAX_SAFE_INTEGER;

type Read = { ok: true; config: Config } | { ok: false; missing: string[] };

const RAW = [
  "TALOS_MODE",
  "TALOS_ORIGIN",
  "TALOS_TENANTS",
  "TALOS_PUBLISHERS",
  "TALOS_KEYSETS",
  "TALOS_UPSTREAM_CREDENTIALS",
  "TALOS_BROWSER_ORIGINS",
  "TALOS_DATABASE_ENDPOINT",
  "DATABASE_URL",
  "TALOS_DOH_URL",
  "TALOS_LOOPBACK_RECEIVERS",
  "TALOS_WITNESSES",
] as const satisfies readonly (keyof Env)[];

let kept: { env: Env; raw: (string | undefined)[]; read: Read } | undefined;

/**
 * The configuration of this isolate. The same variables give the same object, so keyrings are loaded once.
 * @throws `config.incomplete`
 */
export function configOf(env: Env, nowMs: number): Config {
  // The platform gives one and the same object to all requests of an isolate.
  if (kept === undefined || kept.env !== env) {
    const raw = RAW.map((name) => env[name]);
    const same = kept?.raw.every((value, i) => value === raw[i]);
    kept = { env, raw, read: kept !== undefined && same === true ? kept.read : readConfig(env, nowMs) };
  }
  const { read } = kept;
  if (!read.ok) throw new TalosError("config.incomplete", { missing: read.missing });
  if (nowMs >= read.config.valid_until * 1_000)
    throw new TalosError("config.incomplete", { missing: ["an unexpired primary key"] });
  return read.config;
}

/** Read and judge everything; every reason is collected, so that one deploy fixes them all. */
export function readConfig(env: Env, nowMs: number): Read {
  const missing: string[] = [];
  const mode = env.TALOS_MODE;
  if (mode !== "development" && mode !== "production") missing.push("TALOS_MODE");
  const origin = readOrigin(env.TALOS_ORIGIN, mode === "production", missing);
  const tenants = readTenants(env.TALOS_TENANTS, missing);
  const publishers = readPublishers(env.TALOS_PUBLISHERS, tenants, missing);
  const credentials = readCredentials(env.TALOS_UPSTREAM_CREDENTIALS, missing);
  if (mode === "production") {
    if (!env.DATABASE_URL) missing.push("DATABASE_URL");
    if (env.TALOS_DATABASE_ENDPOINT) missing.push("TALOS_DATABASE_ENDPOINT is for development only");
    if (env.TALOS_LOOPBACK_RECEIVERS) missing.push("TALOS_LOOPBACK_RECEIVERS is for development only");
  }
  if (!isResolver(env.TALOS_DOH_URL, mode === "production")) missing.push("TALOS_DOH_URL");
  if (!isWitnessPolicy(env.TALOS_WITNESSES)) missing.push("TALOS_WITNESSES");
  const read = readKeysets(env.TALOS_KEYSETS, mode, nowMs);
  if (!read.ok) missing.push(...read.missing.filter((reason) => !missing.includes(reason)));
  if (missing.length > 0 || !read.ok || (mode !== "development" && mode !== "production"))
    return { ok: false, missing };
  return { ok: true, config: build({ env, mode, origin, tenants, publishers, credentials, keysets: read.keysets }) };
}

interface Parsed {
  env: Env;
  mode: Config["mode"];
  origin: string;
  tenants: string[];
  publishers: Record<string, Jwk[]>;
  credentials: Record<string, UpstreamCredential>;
  keysets: Keysets;
}

function build({ env, mode, origin, tenants, publishers, credentials, keysets }: Parsed): Config {
  const { purposes } = keysets;
  const receipt = primaryKey(keysets, "receipt");
  const ip = primaryKey(keysets, "ip");
  const published = signingPurposes.flatMap((purpose) =>
    purposes[purpose].map((key): PublicSigningKey => {
      const x = b64uEncode(publicKey(b64uDecode(key.key)));
      const until = key.status === "accept" && key.not_after !== undefined ? { until: key.not_after } : {};
      return { purpose, kid: key.kid, x, jkt: thumbprint(x), ...until };
    }),
  );
  const redact = redactor([
    ...Object.values(purposes).flatMap((keys) => keys.map((key) => key.key)),
    ...Object.values(credentials).map((credential) => credential.value),
    ...(env.DATABASE_URL ? [env.DATABASE_URL] : []),
  ]);
  return {
    mode,
    origin,
    did: `did:web:${new URL(origin).host.replace(":", "%3A")}`,
    tenants,
    publishers,
    tickets: keyringLoad(purposes.ticket as SealingKey[], "ticket"),
    mcp: keyringLoad(purposes.mcp as SealingKey[], "mcp"),
    head_keys: published.filter((key) => key.purpose === "head"),
    published,
    receipt: { kid: receipt.kid, key: receipt.key, seed: b64uDecode(receipt.key) },
    ip: { kid: ip.kid, key: b64uDecode(ip.key) },
    values: sealingKey(keysets),
    credentials,
    browser_origins: new Set((env.TALOS_BROWSER_ORIGINS ?? "").split(",").filter(Boolean)),
    valid_until:
      mode === "production"
        ? Math.min(
            ...allPurposes.map((purpose) => primaryKey(keysets, purpose).not_after ?? FOREVER),
            sealingKey(keysets)?.not_after ?? FOREVER,
          )
        : FOREVER,
    redact,
    log: logger(redact),
  };
}

function readOrigin(text: string | undefined, production: boolean, missing: string[]): string {
  const url = text === undefined ? null : URL.parse(text);
  const schemes = production ? ["https:"] : ["https:", "http:"];
  if (url === null || url.origin !== text || !schemes.includes(url.protocol)) missing.push("TALOS_ORIGIN");
  return text ?? "";
}

/** A resolver is asked over https; in development over http too, on this machine. */
function isResolver(text: string | undefined, production: boolean): boolean {
  if (text === undefined || text === "") return true;
  const url = URL.parse(text);
  return url !== null && (url.protocol === "https:" || (url.protocol === "http:" && !production));
}

function isWitnessPolicy(text: string | undefined): boolean {
  try {
    witnessPolicy(text);
    return true;
  } catch {
    return false; // named, without its text
  }
}

function readTenants(text: string | undefined, missing: string[]): string[] {
  const tenants = (text ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  if (tenants.length === 0 || !tenants.every((name) => /^[a-z0-9][a-z0-9-]{0,62}$/.test(name)))
    missing.push("TALOS_TENANTS");
  return tenants;
}

function readPublishers(text: string | undefined, tenants: string[], missing: string[]): Record<string, Jwk[]> {
  try {
    return Object.fromEntries(tenants.map((tenant) => [tenant, publishersOf(text, tenant)]));
  } catch (error) {
    if (!(error instanceof TalosError)) throw error;
    missing.push("TALOS_PUBLISHERS");
    return {};
  }
}

function readJson<T extends object>(name: string, text: string | undefined, absent: T, missing: string[]): T {
  if (text === undefined || text === "") return absent;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as T;
  } catch {
    // not JSON: named below, without the text, which may hold secrets
  }
  missing.push(name);
  return absent;
}

function readCredentials(text: string | undefined, missing: string[]): Record<string, UpstreamCredential> {
  const found = readJson<Record<string, UpstreamCredential>>("TALOS_UPSTREAM_CREDENTIALS", text, {}, missing);
  for (const [name, entry] of Object.entries(found)) {
    const fits =
      /^[a-z0-9][a-z0-9-]{0,62}\/[a-z0-9][a-z0-9-]{0,62}$/.test(name) &&
      typeof entry?.value === "string" &&
      /^[a-z0-9-]{1,64}$/.test(entry.header ?? "") &&
      typeof entry.origin === "string" &&
      URL.parse(entry.origin)?.origin === entry.origin;
    if (!fits) missing.push(`TALOS_UPSTREAM_CREDENTIALS ${name}`);
  }
  return found;
}
