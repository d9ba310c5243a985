/**
 * `npm run oracle [-- --requests <n>] [--seed <n>]`: the core's decisions on random grants and requests held against Cedar's.
 * A difference is made smaller until it is plain, and printed with the seed that makes it again.
 */
import { parseArgs } from "node:util";
import { orHelp } from "./help.ts";
import { compare } from "./oracle/compare.ts";

orHelp(`npm run oracle [-- OPTIONS]: the core's decisions held against Cedar's

  --requests N  requests to decide (120000)
  --seed N      of the random grants and requests (the time)
`);

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "120000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});
const seed = Number(values.seed);
const requests = Number(values.requests);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(requests) || requests < 1) throw new Error("numbers, please");
try {
  const counts = compare({ requests, seed });
  process.stdout.write(
    `oracle: ${counts.requests} requests decided as Cedar does (${counts.allowed} allowed, ${counts.denied} denied), ` +
      `${counts.leaves} leaves, ${counts.contained_pairs} contained pairs with ${counts.contained_allowed} requests allowed, seed ${seed}\n`,
  );
} catch (error) {
  const smallest = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  process.stderr.write(`oracle: ${smallest}\nagain with: npm run oracle -- --requests ${requests} --seed ${seed}\n`);
  process.exitCode = 1;
}
