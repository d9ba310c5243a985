-- Written by `npm run db:generate`, then completed by hand where drizzle-kit has no words: the partitioning of
-- "audit_event", and the two functions and the trigger at the end. Forward only: an applied file is never edited.
CREATE TABLE "audit_cursor" (
	"log_id" text PRIMARY KEY NOT NULL,
	"next_seq" bigint NOT NULL,
	"moved_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_event" (
	"log_id" text NOT NULL,
	"seq" bigint NOT NULL,
	"ts_ms" bigint NOT NULL,
	"tenant" text NOT NULL,
	"event_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"correlation" uuid,
	"agent" text NOT NULL,
	"root_agent" text,
	"behalf_agent" text,
	"tool" text,
	"allow" boolean,
	"code" text,
	"leaf_hash" text NOT NULL,
	"body" text NOT NULL,
	CONSTRAINT "audit_event_log_id_seq_ts_ms_pk" PRIMARY KEY("log_id","seq","ts_ms")
) PARTITION BY RANGE ("ts_ms");
--> statement-breakpoint
CREATE TABLE "bindings" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"role" text NOT NULL,
	"principal" text NOT NULL,
	"scope" jsonb NOT NULL,
	CONSTRAINT "bindings_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
CREATE TABLE "forbids" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"principal" text NOT NULL,
	"tool" text NOT NULL,
	"classes" jsonb NOT NULL,
	"reason" text NOT NULL,
	CONSTRAINT "forbids_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
CREATE TABLE "known_dids" (
	"tenant" text NOT NULL,
	"did" text NOT NULL,
	"jkt" text NOT NULL,
	CONSTRAINT "known_dids_tenant_did_jkt_pk" PRIMARY KEY("tenant","did","jkt")
);
--> statement-breakpoint
CREATE TABLE "peps" (
	"tenant" text NOT NULL,
	"jkt" text NOT NULL,
	"origins" jsonb NOT NULL,
	"servers" jsonb NOT NULL,
	CONSTRAINT "peps_tenant_jkt_pk" PRIMARY KEY("tenant","jkt")
);
--> statement-breakpoint
CREATE TABLE "policy_snapshots" (
	"tenant" text NOT NULL,
	"version" bigint NOT NULL,
	"hash" text NOT NULL,
	"jws" text NOT NULL,
	"published_at_ms" bigint NOT NULL,
	CONSTRAINT "policy_snapshots_tenant_version_hash_pk" PRIMARY KEY("tenant","version","hash")
);
--> statement-breakpoint
CREATE TABLE "rate_classes" (
	"tenant" text NOT NULL,
	"name" text NOT NULL,
	"capacity" integer NOT NULL,
	"refill_per_second" integer NOT NULL,
	"link_share_percent" integer NOT NULL,
	"concurrency" integer NOT NULL,
	CONSTRAINT "rate_classes_tenant_name_pk" PRIMARY KEY("tenant","name")
);
--> statement-breakpoint
CREATE TABLE "revoked_keys" (
	"tenant" text NOT NULL,
	"jkt" text NOT NULL,
	CONSTRAINT "revoked_keys_tenant_jkt_pk" PRIMARY KEY("tenant","jkt")
);
--> statement-breakpoint
CREATE TABLE "roles" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"grants" jsonb NOT NULL,
	CONSTRAINT "roles_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
CREATE TABLE "servers" (
	"tenant" text NOT NULL,
	"name" text NOT NULL,
	"url" text NOT NULL,
	"timeout_ms" integer,
	CONSTRAINT "servers_tenant_name_pk" PRIMARY KEY("tenant","name")
);
--> statement-breakpoint
CREATE TABLE "tenants" (
	"tenant" text PRIMARY KEY NOT NULL,
	"unregistered" text NOT NULL,
	"loaded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tenants_unregistered" CHECK ("tenants"."unregistered" IN ('deny', 'destructive'))
);
--> statement-breakpoint
CREATE TABLE "tools" (
	"tenant" text NOT NULL,
	"tool" text NOT NULL,
	"class" text NOT NULL,
	"actions" jsonb NOT NULL,
	"resource" text,
	"resource_arg" text,
	"rate_class" text NOT NULL,
	"cost" integer,
	CONSTRAINT "tools_tenant_tool_pk" PRIMARY KEY("tenant","tool"),
	CONSTRAINT "tools_class" CHECK ("tools"."class" IN ('read', 'write', 'destructive', 'pay'))
);
--> statement-breakpoint
CREATE TABLE "trust_anchors" (
	"tenant" text NOT NULL,
	"did" text NOT NULL,
	"jwk" jsonb NOT NULL,
	CONSTRAINT "trust_anchors_tenant_did_pk" PRIMARY KEY("tenant","did")
);
--> statement-breakpoint
ALTER TABLE "bindings" ADD CONSTRAINT "bindings_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "bindings" ADD CONSTRAINT "bindings_role" FOREIGN KEY ("tenant","role") REFERENCES "public"."roles"("tenant","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "forbids" ADD CONSTRAINT "forbids_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "known_dids" ADD CONSTRAINT "known_dids_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "peps" ADD CONSTRAINT "peps_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "rate_classes" ADD CONSTRAINT "rate_classes_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "revoked_keys" ADD CONSTRAINT "revoked_keys_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "roles" ADD CONSTRAINT "roles_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "servers" ADD CONSTRAINT "servers_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tools" ADD CONSTRAINT "tools_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tools" ADD CONSTRAINT "tools_rate_class" FOREIGN KEY ("tenant","rate_class") REFERENCES "public"."rate_classes"("tenant","name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "trust_anchors" ADD CONSTRAINT "trust_anchors_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("tenant") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_event_newest" ON "audit_event" USING btree ("tenant","ts_ms","event_id");--> statement-breakpoint
CREATE INDEX "audit_event_by_id" ON "audit_event" USING btree ("tenant","event_id");--> statement-breakpoint
CREATE INDEX "audit_event_by_agent" ON "audit_event" USING btree ("tenant","agent","ts_ms","event_id");--> statement-breakpoint
CREATE INDEX "audit_event_by_root_agent" ON "audit_event" USING btree ("tenant","root_agent","ts_ms","event_id") WHERE "audit_event"."root_agent" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_event_by_behalf_agent" ON "audit_event" USING btree ("tenant","behalf_agent","ts_ms","event_id") WHERE "audit_event"."behalf_agent" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_event_by_tool" ON "audit_event" USING btree ("tenant","tool","ts_ms","event_id");--> statement-breakpoint
CREATE INDEX "audit_event_by_decision" ON "audit_event" USING btree ("tenant","allow","ts_ms","event_id");--> statement-breakpoint
CREATE INDEX "audit_event_by_correlation" ON "audit_event" USING btree ("tenant","correlation");
--> statement-breakpoint
-- The partition of the month (UTC) that "at_ms" lies in. Asked before each projection, in its transaction; one
-- catalogue look-up once it exists. Two projectors that meet at the turn of a month take turns. The bounds, 2020 to 2100,
-- keep a wrong clock from filling the catalogue with partitions.
CREATE FUNCTION "audit_event_partition"("at_ms" bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	month timestamp := date_trunc('month', to_timestamp(at_ms / 1000.0) AT TIME ZONE 'UTC');
	name text := 'audit_event_' || to_char(month, '"y"YYYY"m"MM');
BEGIN
	IF at_ms < 1577836800000 OR at_ms >= 4102444800000 THEN
		RAISE EXCEPTION 'audit_event_partition: % is out of bounds', at_ms USING ERRCODE = '22023';
	END IF;
	IF to_regclass(name) IS NOT NULL THEN
		RETURN;
	END IF;
	-- A table lock, not an advisory one: taking it is what makes this session see another's new partition.
	LOCK TABLE "audit_event" IN SHARE UPDATE EXCLUSIVE MODE;
	IF to_regclass(name) IS NULL THEN
		EXECUTE format('CREATE TABLE %I PARTITION OF "audit_event" FOR VALUES FROM (%s) TO (%s)', name,
			(extract(epoch FROM month AT TIME ZONE 'UTC') * 1000)::bigint,
			(extract(epoch FROM (month + interval '1 month') AT TIME ZONE 'UTC') * 1000)::bigint);
	END IF;
END $$;
--> statement-breakpoint
-- A row of the record is never changed and never deleted alone; old months go as whole partitions.
CREATE FUNCTION "audit_event_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'audit_event is append-only' USING ERRCODE = '42501';
END $$;
--> statement-breakpoint
CREATE TRIGGER "audit_event_append_only" BEFORE UPDATE OR DELETE ON "audit_event"
	FOR EACH ROW EXECUTE FUNCTION "audit_event_append_only"();
