/** Bindings, variables and secrets that the objects and the Worker share; wrangler.toml says what each is. */
import { TalosError } from "@talos/contracts";
import type { Anchors } from "./anchors.ts";
import type { AuditIntake } from "./audit-intake.ts";
import type { AuditLog } from "./audit-log.ts";
import type { CapabilityGate } from "./capability-gate.ts";
import type { LogArchive } from "./log-archive.ts";
import type { MetaLog } from "./meta-log.ts";
import type { SubjectVault } from "./subject-vault.ts";
import type { TenantHead } from "./tenant-head.ts";
import type { WebhookSink } from "./webhook-sink.ts";

export interface Env {
  /** by `<tenant>/<root link id>` */
  CAPABILITY_GATES: DurableObjectNamespace<CapabilityGate>;
  /** by tenant */
  TENANT_HEADS: DurableObjectNamespace<TenantHead>;
  /** by tenant */
  AUDIT_LOGS: DurableObjectNamespace<AuditLog>;
  /** by `<tenant>/<number>`, before the log of a tenant that appends much */
  AUDIT_INTAKES: DurableObjectNamespace<AuditIntake>;
  /** by `<log>/<n>` */
  LOG_ARCHIVES: DurableObjectNamespace<LogArchive>;
  /** one object, `meta` */
  META_LOG: DurableObjectNamespace<MetaLog>;
  /** by `<tenant>/<sink id>` */
  WEBHOOK_SINKS: DurableObjectNamespace<WebhookSink>;
  /** by `<tenant>/<hash of the subject>` */
  SUBJECT_VAULTS: DurableObjectNamespace<SubjectVault>;
  /** `evm`, `ots` */
  ANCHORS?: DurableObjectNamespace<Anchors>;
  /** `policy/<hash>`, `rev/<hash>`: bodies under their hash, a cache that is never believed unseen */
  SNAPSHOTS: KVNamespace;
  /** `f/<log>/tile/…`, `p/<log>/tile/…`, `c/<log>/checkpoint`: what a log published (contracts/spec/audit.md) */
  AUDIT_TILES: R2Bucket;
  /** `<tenant>/<hash of the subject>/<key>/<event id>.<name>`: kept values, sealed (contracts/spec/erasure.md) */
  SEALED_VALUES: R2Bucket;
  /** `development` or `production`; anything else is incomplete */
  TALOS_MODE?: string;
  TALOS_ORIGIN?: string;
  /** comma-separated */
  TALOS_TENANTS?: string;
  /** JSON `{tenant: [JWK]}` */
  TALOS_PUBLISHERS?: string;
  /** secret, JSON: contracts/spec/keys.md */
  TALOS_KEYSETS?: string;
  /** secret; read by the audit service only */
  DATABASE_URL?: string;
  /** development only: the local endpoint that speaks the database driver's protocol */
  TALOS_DATABASE_ENDPOINT?: string;
  /** resolver of receivers' names, DNS over HTTPS with JSON answers; without it no name is called */
  TALOS_DOH_URL?: string;
  /** text of a tlog-policy: whom the meta-log asks for cosignatures, and how many make a quorum; nobody when absent */
  TALOS_WITNESSES?: string;
  /** development only: `allow` lets webhooks and witnesses be on loopback, over http */
  TALOS_LOOPBACK_RECEIVERS?: string;
  /** JSON {rpc, chain_id, contract, confirmations, interval_seconds}: where the meta-log is anchored; absent: nowhere */
  TALOS_EVM?: string;
  /** secret: the publisher's key, 0x and 64 hex digits */
  TALOS_EVM_KEY?: string;
  /** JSON {calendars, interval_seconds}: OpenTimestamps; absent: none */
  TALOS_OTS?: string;
}

/** A binding that a deployment may have left out. @throws `config.incomplete` naming it */
export function bound<K extends "AUDIT_TILES" | "LOG_ARCHIVES" | "META_LOG">(env: Env, name: K): NonNullable<Env[K]> {
  const binding = env[name];
  if (binding === undefined) throw new TalosError("config.incomplete", { missing: [name] });
  return binding as NonNullable<Env[K]>;
}
