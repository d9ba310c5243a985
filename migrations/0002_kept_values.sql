ALTER TABLE "tools" ADD COLUMN "keep" text;--> statement-breakpoint
ALTER TABLE "tools" ADD CONSTRAINT "tools_keep" CHECK ("tools"."keep" IN ('args', 'result', 'both'));