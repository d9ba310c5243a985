/** `npm run -s bench -- authorize|http|start`: see docs/benchmarks.md. */
import { parseArgs } from "node:util";
import { finishReport, type Options, type Report, startReport, table } from "./measure.ts";

const HELP = `npm run -s bench -- authorize|http|start|audit [--json] [--smoke] [--full] [--only PREFIX] [--rounds N] [--profile CASE]

  authorize  what deciding costs inside workerd on one core, beside the bare platform and other engines
  http       requests a second and latencies through the whole gateway, beside an empty route and a plain proxy
  start      instantiation, the first decision of a cold isolate, sizes, memory
  audit      appending, sealing, publishing, proofs in a large log, projection, and what a call pays

  --json     print {name, commit, machine, rows, ratios, left_out} instead of a table
  --smoke    a few seconds in all: shows that everything runs, says nothing about speed
  --full     start: memory over 1,000,000 requests instead of 20,000; audit: proofs in a log of 1,000,000 entries instead of 100,000
  --only     authorize, http, audit: only cases whose name begins so; start: "memory" alone
  --rounds   runs of each case (7; at least 5)
  --profile  http: where the time of a case goes, sampled inside workerd, instead of a measurement

Figures are comparable only within one run, on a machine that does nothing else.
`;

const BENCHMARKS: Record<string, () => Promise<(report: Report, options: Options) => Promise<void>>> = {
  authorize: async () => (await import("./authorize.ts")).benchAuthorize,
  http: async () => (await import("./http.ts")).benchHttp,
  audit: async () => (await import("./audit.ts")).benchAudit,
  start: async () => (await import("./start.ts")).benchStart,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    rounds: { type: "string" },
    profile: { type: "string", default: "" },
  },
});
const [name = ""] = positionals;
const load = BENCHMARKS[name];
if (values.help || load === undefined) {
  (values.help ? process.stdout : process.stderr).write(HELP);
  process.exit(values.help ? 0 : 2);
}
const rounds = Number(values.rounds ?? (values.smoke ? 5 : 7));
if (!Number.isInteger(rounds) || rounds < 5 || rounds > 101) {
  process.stderr.write("--rounds: a whole number from 5 to 101\n");
  process.exit(2);
}
const { smoke, full, only, profile } = values;
const report = startReport(name);
await (await load())(report, { smoke, full, only, rounds, profile });
finishReport(report);
process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : table(report));
