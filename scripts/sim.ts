/**
 * `npm run sim`: the simulations of test/simulation, long. Each says `simulation: <steps> steps, <what>, seed <seed>, …`;
 * what they found stands at the end. TALOS_SIM_STEPS (a million unless said) and TALOS_SEED play a run again.
 */
import { spawnSync } from "node:child_process";
import { root, toolEnv } from "./bootstrap.js";
import { orHelp } from "./help.ts";

orHelp(`npm run sim [-- VITEST ARGUMENTS]: the simulations of test/simulation, long

  TALOS_SIM_STEPS  steps of each (1000000)
  TALOS_SEED       plays a run again
`);

const { TALOS_SIM_STEPS = "1000000", ...env } = process.env;
const args = ["run", "--project", "unit", "--silent=false", "--reporter=default", "test/simulation"];
const { status } = spawnSync("vitest", [...args, ...process.argv.slice(2)], {
  cwd: root,
  env: toolEnv({ ...env, TALOS_SIM_STEPS }),
  stdio: "inherit",
});
process.exitCode = status ?? 1;
