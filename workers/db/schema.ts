/**
 * Postgres: what a tenant's policy is made of, the snapshots that were published, and the searchable projection of the
 * record. Nothing here is read while a request is authorised. Reasons and sizes: docs/storage-schema.md.
 */
import type { BindingScope, Grant, Jwk } from "@talos/contracts";
import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from "drizzle-orm/pg-core";

const tenant = () => text("tenant").notNull();
const tenantOfDeployment = () => tenant().references(() => tenants.tenant, { onDelete: "cascade" });

/** One row a tenant that a policy was ever loaded for. */
export const tenants = pgTable(
  "tenants",
  {
    tenant: text("tenant").primaryKey(),
    unregistered: text("unregistered").notNull(),
    loaded_at: timestamp("loaded_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [check("tenants_unregistered", sql`${table.unregistered} IN ('deny', 'destructive')`)],
);

/** Issuers that may root chains. */
export const trustAnchors = pgTable(
  "trust_anchors",
  { tenant: tenantOfDeployment(), did: text("did").notNull(), jwk: jsonb("jwk").$type<Jwk>().notNull() },
  (table) => [primaryKey({ columns: [table.tenant, table.did] })],
);

/** did:web holders with the thumbprint that the policy fixes for them. */
export const knownDids = pgTable(
  "known_dids",
  { tenant: tenantOfDeployment(), did: text("did").notNull(), jkt: text("jkt").notNull() },
  (table) => [primaryKey({ columns: [table.tenant, table.did, table.jkt] })],
);

/** MCP servers behind the gateway. */
export const servers = pgTable(
  "servers",
  {
    tenant: tenantOfDeployment(),
    name: text("name").notNull(),
    url: text("url").notNull(),
    timeout_ms: integer("timeout_ms"),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name] })],
);

/** Buckets by kind of call. */
export const rateClasses = pgTable(
  "rate_classes",
  {
    tenant: tenantOfDeployment(),
    name: text("name").notNull(),
    capacity: integer("capacity").notNull(),
    refill_per_second: integer("refill_per_second").notNull(),
    link_share_percent: integer("link_share_percent").notNull(),
    concurrency: integer("concurrency").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name] })],
);

/** The tool registry: the only source of a call's class. */
export const tools = pgTable(
  "tools",
  {
    tenant: tenantOfDeployment(),
    tool: text("tool").notNull(),
    class: text("class").notNull(),
    actions: jsonb("actions").$type<string[]>().notNull(),
    resource: text("resource"),
    resource_arg: text("resource_arg"),
    rate_class: text("rate_class").notNull(),
    cost: integer("cost"),
    keep: text("keep"),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.tool] }),
    foreignKey({
      columns: [table.tenant, table.rate_class],
      foreignColumns: [rateClasses.tenant, rateClasses.name],
      name: "tools_rate_class",
    }),
    check("tools_class", sql`${table.class} IN ('read', 'write', 'destructive', 'pay')`),
    check("tools_keep", sql`${table.keep} IN ('args', 'result', 'both')`),
  ],
);

/** Roles; their grants are evaluated like a capability's. */
export const roles = pgTable(
  "roles",
  { tenant: tenantOfDeployment(), id: text("id").notNull(), grants: jsonb("grants").$type<Grant[]>().notNull() },
  (table) => [primaryKey({ columns: [table.tenant, table.id] })],
);

/** Who has which role, and where. */
export const bindings = pgTable(
  "bindings",
  {
    tenant: tenantOfDeployment(),
    id: text("id").notNull(),
    role: text("role").notNull(),
    principal: text("principal").notNull(),
    scope: jsonb("scope").$type<BindingScope>().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.id] }),
    foreignKey({
      columns: [table.tenant, table.role],
      foreignColumns: [roles.tenant, roles.id],
      name: "bindings_role",
    }),
  ],
);

/** Rules that win over every role. */
export const forbids = pgTable(
  "forbids",
  {
    tenant: tenantOfDeployment(),
    id: text("id").notNull(),
    principal: text("principal").notNull(),
    tool: text("tool").notNull(),
    classes: jsonb("classes").$type<string[]>().notNull(),
    reason: text("reason").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.id] })],
);

/** Third parties that enforce decisions and may ask for others. */
export const peps = pgTable(
  "peps",
  {
    tenant: tenantOfDeployment(),
    jkt: text("jkt").notNull(),
    origins: jsonb("origins").$type<string[]>().notNull(),
    servers: jsonb("servers").$type<string[]>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.jkt] })],
);

/** Keys that the policy itself refuses, wherever they occur. */
export const revokedKeys = pgTable(
  "revoked_keys",
  { tenant: tenantOfDeployment(), jkt: text("jkt").notNull() },
  (table) => [primaryKey({ columns: [table.tenant, table.jkt] })],
);

/**
 * Every snapshot that the gateway confirmed. A gateway that was set up anew counts from 1 again, so the number alone
 * names none; `published_at_ms` tells which was the last.
 */
export const policySnapshots = pgTable(
  "policy_snapshots",
  {
    tenant: tenant(),
    version: bigint("version", { mode: "number" }).notNull(),
    hash: text("hash").notNull(),
    jws: text("jws").notNull(),
    published_at_ms: bigint("published_at_ms", { mode: "number" }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.version, table.hash] })],
);

/** How far a log has been projected: the sequence number of the first event that is not in `audit_event` yet. */
export const auditCursor = pgTable("audit_cursor", {
  log_id: text("log_id").primaryKey(),
  next_seq: bigint("next_seq", { mode: "number" }).notNull(),
  moved_at: timestamp("moved_at", { withTimezone: true }).notNull().defaultNow(),
});

/**
 * The record, for search. Partitioned by month of `ts_ms` (migrations/), so no index can make `event_id` unique over
 * all of it: that is `AuditLog`'s own promise. `body` is the leaf, byte for byte, so every row can be re-hashed.
 */
export const auditEvent = pgTable(
  "audit_event",
  {
    log_id: text("log_id").notNull(),
    seq: bigint("seq", { mode: "number" }).notNull(),
    ts_ms: bigint("ts_ms", { mode: "number" }).notNull(),
    tenant: tenant(),
    event_id: uuid("event_id").notNull(),
    kind: text("kind").notNull(),
    correlation: uuid("correlation"),
    /** Holder of the leaf. */
    agent: text("agent").notNull(),
    /** Holder of the root link, when another. */
    root_agent: text("root_agent"),
    /** Whom a third party asked for. */
    behalf_agent: text("behalf_agent"),
    tool: text("tool"),
    allow: boolean("allow"),
    code: text("code"),
    leaf_hash: text("leaf_hash").notNull(),
    body: text("body").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.log_id, table.seq, table.ts_ms] }),
    index("audit_event_newest").on(table.tenant, table.ts_ms, table.event_id),
    index("audit_event_by_id").on(table.tenant, table.event_id),
    index("audit_event_by_agent").on(table.tenant, table.agent, table.ts_ms, table.event_id),
    index("audit_event_by_root_agent")
      .on(table.tenant, table.root_agent, table.ts_ms, table.event_id)
      .where(sql`${table.root_agent} IS NOT NULL`),
    index("audit_event_by_behalf_agent")
      .on(table.tenant, table.behalf_agent, table.ts_ms, table.event_id)
      .where(sql`${table.behalf_agent} IS NOT NULL`),
    index("audit_event_by_tool").on(table.tenant, table.tool, table.ts_ms, table.event_id),
    index("audit_event_by_decision").on(table.tenant, table.allow, table.ts_ms, table.event_id),
    index("audit_event_by_code")
      .on(table.tenant, table.code, table.ts_ms, table.event_id)
      .where(sql`${table.code} IS NOT NULL`),
    index("audit_event_by_kind").on(table.tenant, table.kind, table.ts_ms, table.event_id),
    index("audit_event_by_correlation").on(table.tenant, table.correlation),
  ],
);
