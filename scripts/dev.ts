import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { FILES } from "./demo/proof.ts";
import { playScenario } from "./demo/scenario.ts";
import { type Stack, stage, startStack } from "./dev/stack.ts";

const HELP = `npm start: the whole of Talos on this machine

  npm start [-- options]

Brings up a database, a local chain where npm has one, the gateway, two witnesses and a demo MCP server, plays the demo scenario, and keeps serving until Ctrl-C.
Everything that lasts is in .talos; DATABASE_URL names a real Postgres instead of the embedded one.

Options:
  --reset     begin anew: keys, capabilities and the record of .talos are removed
  --no-demo   do not play the scenario
  --help      show this help
`;

async function main(): Promise<number> {
  const started = Date.now();
  const { values } = parseArgs({
    options: { reset: { type: "boolean" }, "no-demo": { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const interrupted = new Promise<"interrupted">((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve("interrupted"));
  });
  say("starting");
  const starting = startStack({
    reset: values.reset === true,
    chain: true,
    databaseUrl: process.env.DATABASE_URL,
    onStep: (text) => say(text),
  });
  // Ctrl-C while things start: let them finish starting, then stop them in order.
  const early = await Promise.race([starting.then(() => null), interrupted]);
  const stack = await starting;
  try {
    if (early) return 0;
    say(`ready in ${seconds(started)} s`);
    if (!values["no-demo"]) {
      process.stdout.write("\n");
      const scenario = playScenario({ state: stage(stack), say: (line) => process.stdout.write(`${line}\n`) });
      const result = await Promise.race([scenario, interrupted, stack.broken]);
      if (result === "interrupted") return 0;
      if (result instanceof Error) throw result;
      process.stdout.write("\n");
    }
    process.stdout.write(whereToLook(stack));
    const end = await Promise.race([interrupted, stack.broken]);
    if (end instanceof Error) throw end;
    return 0;
  } finally {
    say("stopping");
    await stack.stop();
  }
}

function whereToLook({ state: { origin, aud, dir }, database, chain }: Stack): string {
  const here = relative(process.cwd(), dir) || dir;
  const anchored = chain === undefined ? "" : ` --require evm --evm-rpc ${chain.rpc}`;
  const [proof, policy] = [join(here, FILES.bundle), join(here, FILES.policy)];
  return `Talos serves at ${origin} until Ctrl-C. In another terminal, try:

  npx talos tools everything
  npx talos call everything/echo '{"message":"hello"}'
  npx talos call everything/get-env               # refused, and says why
  npx talos audit tail                            # what just happened
  npx talos audit verify ${proof} --policy ${policy}${anchored}
                                                  # the last call's proof: nothing that runs here is asked for it
  npx talos audit log                             # how far the record has come
  npx talos cap inspect                           # what you may do
  npm run demo                                    # the scenario again

  tenant    ${aud}
  API       ${origin}/openapi.json
  identity  ${origin}/.well-known/did.json
  meta-log  ${origin}/meta/status (its head is cosigned by two witnesses beside it)
  database  ${database}
  state     ${here} (keys, capabilities, logs in ${join(here, "logs")})
`;
}

function say(text: string): void {
  process.stdout.write(`talos: ${text}\n`);
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`talos: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
