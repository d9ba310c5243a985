/**
 * Where each kind of test runs.
 * - `unit`: pure modules, under Node, beside what they test (`*.test.ts`), and simulations, in which an object's class
 *   runs under Node over a SQLite of its own.
 * - `workers`: inside workerd, never in a simulation of it (`*.worker.test.ts`); real Durable Objects and KV, with a
 *   projector that tests can make fail.
 * - `integration`: whole stacks over loopback, started by the tests themselves; one file at a time, and only when the
 *   others are done: each stack is several processes, and what it does in time must not depend on who else computes.
 */
import { fileURLToPath } from "node:url";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { testBindings } from "./test/support/worker-bindings.ts";

export default defineConfig({
  test: {
    projects: [
      {
        resolve: {
          alias: { "cloudflare:workers": fileURLToPath(new URL("test/support/workers-module.ts", import.meta.url)) },
        },
        test: {
          name: "unit",
          testTimeout: 30_000,
          include: ["{contracts,crypto-wasm,durable-objects,workers,sdk,scripts,test/simulation}/**/*.test.ts"],
          exclude: ["**/*.worker.test.ts", "**/node_modules/**", "**/target/**"],
        },
      },
      {
        plugins: [
          cloudflareTest({
            main: "./test/durable-objects/worker.ts",
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: { bindings: testBindings() },
          }),
        ],
        test: {
          name: "workers",
          include: ["{contracts,crypto-wasm,durable-objects,workers,sdk}/**/*.worker.test.ts"],
          exclude: ["**/node_modules/**", "**/target/**"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "test/e2e/**/*.test.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
