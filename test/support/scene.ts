/**
 * The scene of the tests under failure: the shipped Worker over state that outlives it, a database, the `tools`
 * upstream, and an agent who may use both of its tools. `restart` starts another Talos on the same state.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Grant, PolicySnapshot, ToolEntry } from "@talos/contracts";
import { freePort } from "../../scripts/dev/ports.ts";
import { migrate } from "../../scripts/migrate.ts";
import { startReal, type TestDatabase } from "../../scripts/neon/test-database.ts";
import { startNeonEndpoint } from "../../scripts/neon-endpoint.ts";
import {
  developmentKeysets,
  nowSeconds,
  openSession,
  type Person,
  person,
  publish,
  root,
  type Session,
  snapshot,
} from "../fixtures.ts";
import { startTalos, type Talos, type TalosOptions } from "../harness.ts";
import { Cable } from "./cable.ts";
import { startTools, TOOLS_GRANTS, TOOLS_REGISTRY, type Tools } from "./tools.ts";

export interface Scene {
  talos: Talos;
  aud: string;
  tools: Tools;
  agent: Person;
  operator: Person;
  publisher: Person;
  chain: string;
  policy: PolicySnapshot;
  /** the way to the database, which can be cut */
  cable: Cable;
  database: { url: string; endpoint: string };
  state: string;
  /** Start another on the same state and port; the one before must be gone. */
  restart(over?: Partial<TalosOptions>): Promise<Talos>;
  session(): Promise<Session>;
  stop(): Promise<void>;
}

/** PGlite, or the real PostgreSQL that `TALOS_TEST_DATABASE_URL` names. */
async function startDatabase(): Promise<TestDatabase> {
  const real = process.env.TALOS_TEST_DATABASE_URL;
  if (real) return startReal(real);
  const endpoint = await startNeonEndpoint({ backend: { kind: "pglite" } });
  return { url: "postgresql://talos:embedded@127.0.0.1/postgres", endpoint, close: () => endpoint.close() };
}

export interface SceneOptions extends Partial<TalosOptions> {
  /** slots of reads, and of writes; as default more than any test holds, as a killed caller's frees itself late */
  concurrency?: number;
  /** how long the agent's capability lives, seconds; an hour unless said otherwise */
  life_seconds?: number;
  /** how long the gateway waits for the upstreams */
  timeout_ms?: number;
  /** further servers with their tools, and what the agent may do there */
  more?: { servers: Record<string, string>; tools: ToolEntry[]; grants: Grant[] };
}

export async function startScene(options: SceneOptions = {}): Promise<Scene> {
  const {
    more = { servers: {}, tools: [], grants: [] },
    concurrency = 1_000,
    timeout_ms = 5_000,
    life_seconds = 3_600,
    ...rest
  } = options;
  const [source, tools, state, port] = await Promise.all([
    startDatabase(),
    startTools(),
    mkdtemp(join(tmpdir(), "talos-scene-")),
    freePort(),
  ]);
  const database = { url: source.url, endpoint: source.endpoint.url };
  await migrate({ databaseUrl: database.url, endpoint: database.endpoint });
  const cable = new Cable(source.endpoint.port);
  await cable.mend();
  const [operator, publisher, agent] = [person("operator"), person("publisher"), person("agent")];
  const fixed: TalosOptions = {
    ...{ publishers: { default: [publisher.jwk] }, keysets: developmentKeysets(), state, port },
    ...{ database: { url: database.url, endpoint: cable.url } },
    ...rest,
  };
  const talos = await startTalos(fixed);
  const aud = talos.aud();
  const servers = Object.entries({ ...more.servers, tools: tools.url }).sort(([a], [b]) => (a < b ? -1 : 1));
  const policy = snapshot({
    ...{ anchors: [operator], tools: [...more.tools, ...TOOLS_REGISTRY] },
    servers: servers.map(([name, url]) => ({ name, url, timeout_ms })),
    rates: { read: { concurrency }, write: { concurrency } },
  });
  await publish(aud, publisher, policy);
  const exp = nowSeconds() + life_seconds;
  const chain = root(operator, agent, { aud: [aud], grants: [...more.grants, ...TOOLS_GRANTS], exp });
  const scene: Scene = {
    ...{ talos, aud, tools, agent, operator, publisher, chain, policy, cable, database, state },
    async restart(again = {}) {
      scene.talos = await startTalos({ ...fixed, ...again });
      return scene.talos;
    },
    session: () => openSession(aud, agent, chain),
    async stop() {
      await scene.talos.stop();
      await tools.close();
      await cable.cut();
      await source.close();
      await rm(state, { recursive: true, force: true });
    },
  };
  return scene;
}
