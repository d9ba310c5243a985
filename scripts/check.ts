/** `npm run check`: generated files, types, style, boundaries, the built core, sizes, then `npm test`. The first failure ends it. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root, toolEnv } from "./bootstrap.js";

const hasCargo = spawnSync("cargo", ["--version"], { env: toolEnv() }).status === 0;
const core = join(root, "crypto-wasm");

const steps: { name: string; command: string; args: string[]; cwd?: string; needsCargo?: boolean }[] = [
  { name: "generated contracts are up to date", command: "node", args: ["scripts/contracts.ts", "--check"] },
  { name: "types of what runs in workerd", command: "tsc", args: ["-p", "tsconfig.json"] },
  { name: "types of tests that run in workerd", command: "tsc", args: ["-p", "tsconfig.worker-tests.json"] },
  { name: "types of what runs in Node", command: "tsc", args: ["-p", "tsconfig.node.json"] },
  { name: "style", command: "biome", args: ["ci", "."] },
  {
    name: "boundaries",
    command: "depcruise",
    args: ["--config", ".dependency-cruiser.cjs", "contracts/gen", "crypto-wasm", "durable-objects", "workers", "sdk"],
  },
  { name: "house rules of the tree", command: "node", args: ["scripts/house.ts"] },
  { name: "Rust style", command: "cargo", args: ["fmt", "--all", "--check"], cwd: core, needsCargo: true },
  {
    name: "Rust lints",
    command: "cargo",
    args: ["clippy", "--locked", "--all-targets", "--quiet", "--", "-D", "warnings"],
    cwd: core,
    needsCargo: true,
  },
  { name: "the built core is what its sources say", command: "node", args: ["scripts/build-wasm.ts", "--check"] },
  { name: "sizes", command: "node", args: ["scripts/sizes.ts"] },
  ...["authorize", "http", "start", "audit"].map((bench) => ({
    name: `benchmark ${bench} runs (no assertion on time)`,
    command: "node",
    args: ["bench/index.ts", bench, "--smoke"],
  })),
  { name: "tests", command: "node", args: ["scripts/test.ts"] },
];

for (const step of steps) {
  if (step.needsCargo && !hasCargo) {
    process.stdout.write(`\n== ${step.name}: skipped, no cargo on this machine\n`);
    continue;
  }
  process.stdout.write(`\n== ${step.name}\n`);
  const begun = performance.now();
  const { status, error } = spawnSync(step.command, step.args, {
    cwd: step.cwd ?? root,
    env: toolEnv(),
    stdio: "inherit",
  });
  if (error) process.stderr.write(`${step.command}: ${error.message}\n`);
  if (status !== 0) {
    process.stderr.write(`\ncheck: "${step.name}" failed\n`);
    process.exit(1);
  }
  if (step.name !== "tests") process.stdout.write(`   ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
}
