import { join } from "node:path";
import { migrate } from "../migrate.ts";
import { type NeonEndpoint, startNeonEndpoint } from "../neon-endpoint.ts";
import { publishPolicy } from "../policy.ts";
import { startLocalChain } from "./chain.ts";
import type { Child } from "./children.ts";
import { demoPolicy } from "./demo-policy.ts";
import { startEverything } from "./everything.ts";
import { freePort } from "./ports.ts";
import { holdState, noteRunning, openState, type State, TENANT } from "./state.ts";
import { quorumOf, witnessesOf } from "./witness.ts";
import { startWorker, waitFor } from "./worker.ts";

/** The embedded database has one user and one name; nobody but loopback reaches it. */
const EMBEDDED_URL = "postgresql://talos:talos@127.0.0.1/postgres";

export interface Stack {
  state: State;
  everythingUrl: string;
  /** where the database is: embedded, or DATABASE_URL's host */
  database: string;
  policy_version: number;
  /** its own chain, if there is one */
  chain?: { rpc: string };
  /** settles when a program of the stack ends without having been asked to */
  broken: Promise<Error>;
  stop(): Promise<void>;
}

export interface StackOptions {
  dir?: string;
  reset?: boolean;
  /** a real Postgres instead of the embedded one */
  databaseUrl?: string | undefined;
  /** with a chain of its own, where npm has one for this platform, that the meta-log is anchored to */
  chain?: boolean;
  onStep?: (text: string) => void;
}

/**
 * Bring the whole local stack up: database, migrations, the everything server, two witnesses, the Worker, the demo policy.
 * What was started is stopped again when a step fails.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const step = options.onStep ?? (() => {});
  const state = await openState(options);
  const stops: (() => Promise<void> | void)[] = [holdState(state.dir)];
  const children: Child[] = [];
  let stopping: Promise<void> | null = null;
  const stop = () => {
    stopping ??= stopAll(stops);
    return stopping;
  };
  try {
    // All start at once; the Worker is told now where the database and the witnesses will be.
    const port = await freePort();
    const databaseUrl = options.databaseUrl ?? EMBEDDED_URL;
    const database = { url: databaseUrl, endpoint: `http://127.0.0.1:${port}` };
    const witnesses = await witnessesOf(state);
    const chain = options.chain ? await startLocalChain(state.dir) : undefined;
    if (chain !== undefined) {
      stops.push(() => chain.child.stop());
      children.push(chain.child);
    }
    if (options.chain)
      step(chain ? `chain: registry at ${chain.contract}` : "chain: none, npm has no anvil for this platform");
    const worker = startWorker(state, database, quorumOf(witnesses), chain?.vars);
    stops.push(() => worker.stop());
    children.push(worker);
    const beside = witnesses.map(({ start, url }) => ({ url, child: start() }));
    for (const { child } of beside) {
      stops.push(() => child.stop());
      children.push(child);
    }
    const everything = startEverything(state.dir);
    // Each registers its end as soon as it runs: a failure of the other must not leave it behind.
    const settled = await Promise.allSettled([
      startDatabase(state, options.databaseUrl, port).then((started) => stops.unshift(() => started.close())),
      everything.then(({ child }) => {
        stops.push(() => child.stop());
        children.push(child);
      }),
    ]);
    for (const result of settled) if (result.status === "rejected") throw result.reason;
    const { url: everythingUrl } = await everything;
    noteRunning(state, { database, ...(chain && { chain: { rpc: chain.rpc } }) });

    const { applied } = await migrate({ databaseUrl, endpoint: database.endpoint });
    step(applied > 0 ? `database: ${applied} migrations applied` : "database: up to date");
    await waitFor(`${state.origin}/health/live`, worker);
    step(`gateway: listening on ${state.origin}`);

    const { version } = await publishPolicy({
      aud: state.aud,
      tenant: TENANT,
      policy: demoPolicy({ everythingUrl, operator: { did: state.operator.did, x: state.operator.jwk.x } }),
      publisher: state.publisher,
      databaseUrl,
      endpoint: database.endpoint,
    });
    step(`policy: version ${version} in force`);
    await waitFor(`${state.origin}/health/ready`, worker);
    for (const { url, child } of beside) await waitFor(`${url}/vkey`, child);
    step(`witnesses: ${witnesses.map(({ name, url }) => `${name} at ${url}`).join(", ")}`);
    const broken = Promise.race(children.map((child) => child.ended.then(() => child.failure("ended"))));
    const where = options.databaseUrl ? new URL(options.databaseUrl).host : `embedded, ${join(state.dir, "pg")}`;
    return {
      state,
      everythingUrl,
      database: where,
      policy_version: version,
      broken,
      stop,
      ...(chain && { chain: { rpc: chain.rpc } }),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the scenario is played against. */
export const stage = ({ state, chain }: Stack): State & { chain?: { rpc: string } } => ({
  ...state,
  ...(chain && { chain }),
});

function startDatabase(state: State, databaseUrl: string | undefined, port: number): Promise<NeonEndpoint> {
  return startNeonEndpoint({
    port,
    backend: databaseUrl ? { kind: "url", url: databaseUrl } : { kind: "pglite", dataDir: join(state.dir, "pg") },
  });
}

/** Back to front: the Worker lets go of the database before the database goes. */
async function stopAll(stops: (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of stops.reverse()) {
    try {
      await stop();
    } catch (error) {
      failures.push(error); // the others must be stopped all the same
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, "not everything could be stopped");
}
