/**
 * What lies in logs and vaults, opened here with node:crypto and the deployment's keysets: nothing of the code that
 * sealed it is used. Source: contracts/spec/erasure.md#sealing.
 */
import { createDecipheriv, createHash, hkdfSync } from "node:crypto";
import type { AuditEventV2, Keysets } from "@talos/contracts";
import type { Talos } from "../harness.ts";

export const subjectHash = (tenant: string, did: string): string =>
  createHash("sha256")
    .update(JSON.stringify(["talos.subject.v1", tenant, did]))
    .digest("base64url");

function tenantKey(keysets: Keysets, kid: string, tenant: string, use: "wrap" | "salts"): Buffer {
  const { key } = keysets.purposes.values!.find((one) => one.kid === kid)!;
  const info = JSON.stringify(["talos.values.v1", tenant, use]);
  return Buffer.from(hkdfSync("sha256", Buffer.from(key, "base64url"), "", info, 32));
}

function opened(key: Buffer, bound: (string | number)[], sealed: Buffer): Buffer {
  const cipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
  cipher.setAAD(Buffer.from(JSON.stringify(bound)));
  cipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]);
}

const bytes = (text: string): Buffer => Buffer.from(text, "base64url");

interface Sealed {
  event_id: string;
  sealed: string;
}

export interface VaultRows {
  /** the data key, wrapped as it lies in its row, and open */
  wrapped?: Buffer;
  dek?: Buffer;
  generation: number;
  /** base64url salts by event and commitment */
  salts: Map<string, Record<string, string>>;
  /** sealed salts as they lie in their rows */
  sealed: Map<string, Buffer>;
}

/** A subject's vault, read past its own code. */
export async function readVault(talos: Talos, subject: string, tenant = "default"): Promise<VaultRows> {
  const rows = <T>(sql: string) => talos.sql("SubjectVault", `${tenant}/${subject}`, sql) as Promise<T[]>;
  const tables = await rows<{ name: string }>("SELECT name FROM sqlite_master WHERE name = 'vault'");
  if (tables.length === 0) return { generation: 0, salts: new Map(), sealed: new Map() }; // never spoken to
  const [vault] = await rows<{ generation: number }>("SELECT generation FROM vault");
  const { generation } = vault!;
  const [key] = await rows<{ kid: string; wrapped: string }>("SELECT kid, wrapped FROM keys");
  const all: VaultRows = { generation, salts: new Map(), sealed: new Map() };
  if (key === undefined) return all;
  all.wrapped = bytes(key.wrapped);
  const bound = ["talos.data-key.v1", tenant, subject, generation, "AES-256-GCM", key.kid];
  all.dek = opened(tenantKey(talos.keysets, key.kid, tenant, "wrap"), bound, all.wrapped);
  for (const { event_id, sealed } of await rows<Sealed>("SELECT event_id, sealed FROM salts")) {
    const at = ["talos.salt.v1", tenant, subject, generation, event_id];
    all.sealed.set(event_id, bytes(sealed));
    all.salts.set(event_id, JSON.parse(opened(all.dek, at, bytes(sealed)).toString()) as Record<string, string>);
  }
  return all;
}

/** An object of the bucket, opened. */
export function openValue(vault: VaultRows, subject: string, event: string, name: string, sealed: Uint8Array): Buffer {
  return opened(vault.dek!, ["talos.value.v1", "default", subject, vault.generation, event, name], Buffer.from(sealed));
}

/** All salts of these events, from where each lies: with the log still, or in its subject's vault. */
export async function readSalts(
  talos: Talos,
  events: readonly AuditEventV2[],
  tenant = "default",
): Promise<Map<string, Record<string, string>>> {
  const salts = new Map<string, Record<string, string>>();
  type Waiting = Sealed & { subject: string; kid: string; kept: string };
  const sql = "SELECT event_id, subject, kid, kept, sealed FROM salt_outbox";
  for (const { event_id, subject, kid, kept, sealed } of (await talos.sql("AuditLog", tenant, sql)) as Waiting[]) {
    const at = ["talos.salts.v1", tenant, subject, event_id, kid, kept];
    const plain = opened(tenantKey(talos.keysets, kid, tenant, "salts"), at, bytes(sealed));
    salts.set(event_id, JSON.parse(plain.toString()) as Record<string, string>);
  }
  const committed = events.filter(({ commitments }) => commitments !== undefined);
  const subjects = new Set(committed.map(({ principal: { did, root_sub } }) => subjectHash(tenant, root_sub ?? did)));
  for (const subject of subjects) {
    for (const [event, own] of (await readVault(talos, subject, tenant)).salts) salts.set(event, own);
  }
  return salts;
}
