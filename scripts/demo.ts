import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { loadKey } from "@talos/sdk/node";
import { playScenario } from "./demo/scenario.ts";
import { stage, startStack } from "./dev/stack.ts";
import { DEFAULT_DIR, readPort, TENANT } from "./dev/state.ts";

const HELP = `npm run demo: play the scenario, step by step, each one checked

  npm run demo [-- options]

Against the stack that \`npm start\` brought up, or, when none is running, against one of its own that ends with it.
Exit code 1 when a step did not go as expected.

Options:
  --state DIR  state folder (default .talos)
  --help       show this help
`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { state: { type: "string" }, help: { type: "boolean", short: "h" } } });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const dir = values.state ? resolve(values.state) : DEFAULT_DIR;
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const running = await runningStack(dir);
  if (running) return exitCode(await playScenario({ state: running, say }));

  say("no stack is running: starting one");
  const stack = await startStack({
    dir,
    chain: true,
    databaseUrl: process.env.DATABASE_URL,
    onStep: (text) => say(`talos: ${text}`),
  });
  const interrupted = new Promise<null>((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => done(null));
  });
  try {
    const result = await Promise.race([playScenario({ state: stage(stack), say }), stack.broken, interrupted]);
    if (result instanceof Error) throw result;
    return result === null ? 1 : exitCode(result);
  } finally {
    await stack.stop();
  }
}

function exitCode({ passed, of }: { passed: number; of: number }): number {
  return passed === of ? 0 : 1;
}

/** The stack of this state folder, when it answers. */
async function runningStack(dir: string): Promise<Parameters<typeof playScenario>[0]["state"] | null> {
  const file = join(dir, "state.json");
  if (!existsSync(file)) return null;
  const origin = `http://127.0.0.1:${readPort(file)}`;
  try {
    const response = await fetch(`${origin}/health/live`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    if (response.status !== 200) return null;
  } catch (error) {
    if (error instanceof TypeError) return null; // nothing listens there
    throw error;
  }
  const { chain } = JSON.parse(readFileSync(file, "utf8")) as { chain?: { rpc: string } };
  return { aud: `${origin}/t/${TENANT}`, operator: loadKey(join(dir, "operator.json")), dir, ...(chain && { chain }) };
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`talos: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
