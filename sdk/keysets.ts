import type { Keysets } from "@talos/contracts";
import { b64uEncode } from "@talos/core";
import { ClientError } from "./errors.ts";

/** Purposes of the gateway's keys (contracts/spec/keys.md); files from before `values` go without it. */
export const PURPOSES = ["ticket", "mcp", "head", "promise", "receipt", "ip", "sink", "values"] as const;
export type Purpose = (typeof PURPOSES)[number];
type KeysetKey = NonNullable<Keysets["purposes"][Purpose]>[number];

const DAY = 86_400;
/** How long a retired key must go on serving: as long as what it sealed or signed may live. Seconds. */
const ACCEPT_SECONDS: Record<Purpose, number> = {
  ticket: 600,
  mcp: DAY,
  head: 400 * DAY,
  promise: 400 * DAY,
  receipt: 400 * DAY,
  ip: 400 * DAY,
  sink: 400 * DAY,
  values: 400 * DAY,
};

/** New keysets: one primary for every purpose. Development kids begin with `dev-`, which production refuses. */
export function generateKeysets(environment: Keysets["environment"], now_ms: number): Keysets {
  const entries = PURPOSES.map((purpose) => [purpose, [newKey(purpose, "primary", environment, now_ms)]]);
  return { v: 1, environment, purposes: Object.fromEntries(entries) };
}

/**
 * Add a staged key: it is published and opens, and neither seals nor signs, so every isolate knows it before any uses it.
 * @throws `client.usage` when a purpose has one already
 */
export function stageKeys(keysets: Keysets, purposes: readonly Purpose[], now_ms: number): Keysets {
  return change(keysets, purposes, (keys, purpose) => {
    if (keys.some((key) => key.status === "staged")) {
      throw new ClientError("client.usage", `${purpose} has a staged key; promote it first`);
    }
    return [...keys, newKey(purpose, "staged", keysets.environment, now_ms)];
  });
}

/**
 * Staged becomes primary, primary becomes accepted until all that it sealed is past.
 * @throws `client.usage` when a purpose has no staged key
 */
export function promoteKeys(keysets: Keysets, purposes: readonly Purpose[], now_ms: number): Keysets {
  const now = Math.floor(now_ms / 1000);
  return change(keysets, purposes, (keys, purpose) => {
    if (!keys.some((key) => key.status === "staged")) {
      throw new ClientError("client.usage", `${purpose} has no staged key; stage one and deploy it first`);
    }
    return keys.map((key): KeysetKey => {
      if (key.status === "staged") return { ...key, status: "primary" };
      if (key.status === "primary") return { ...key, status: "accept", not_after: now + ACCEPT_SECONDS[purpose] };
      return key;
    });
  });
}

/** Remove accepted keys whose time is over. */
export function pruneKeys(keysets: Keysets, now_ms: number): Keysets {
  const now = now_ms / 1000;
  return change(keysets, present(keysets), (keys) =>
    keys.filter((key) => key.status !== "accept" || now < (key.not_after ?? 0)),
  );
}

/** What may be shown of keysets: everything but the keys. */
export function describeKeysets(keysets: Keysets): {
  environment: string;
  keys: { purpose: string; kid: string; status: string; created_at: number; not_after?: number }[];
} {
  const keys = PURPOSES.flatMap((purpose) =>
    (keysets.purposes[purpose] ?? []).map(({ kid, status, created_at, not_after }) => ({
      purpose,
      kid,
      status,
      created_at,
      ...(not_after === undefined ? {} : { not_after }),
    })),
  );
  return { environment: keysets.environment, keys };
}

/** Purposes that these keysets have. */
export const present = (keysets: Keysets): Purpose[] =>
  PURPOSES.filter((purpose) => keysets.purposes[purpose] !== undefined);

function change(
  keysets: Keysets,
  purposes: readonly Purpose[],
  step: (keys: KeysetKey[], purpose: Purpose) => KeysetKey[],
): Keysets {
  const next = { ...keysets.purposes } as Record<Purpose, KeysetKey[]>;
  for (const purpose of purposes) next[purpose] = step([...(keysets.purposes[purpose] ?? [])], purpose);
  return { ...keysets, purposes: next as Keysets["purposes"] };
}

function newKey(
  purpose: Purpose,
  status: "primary" | "staged",
  environment: Keysets["environment"],
  now_ms: number,
): KeysetKey {
  const random = crypto.getRandomValues(new Uint8Array(36));
  // The kid is public: it says what and when, and takes nothing from the key.
  const suffix = [...random.subarray(32)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const day = new Date(now_ms).toISOString().slice(0, 10);
  const kid = `${environment === "development" ? "dev-" : ""}${purpose}-${day}-${suffix}`;
  return { kid, status, key: b64uEncode(random.subarray(0, 32)), created_at: Math.floor(now_ms / 1000) };
}
