import { defineConfig } from "drizzle-kit";

/** `drizzle-kit generate` compares the schema with migrations/meta and writes the next forward migration. */
export default defineConfig({
  dialect: "postgresql",
  schema: "./workers/db/schema.ts",
  out: "./migrations",
});
