/**
 * Keys change while callers keep calling: every step of `talos keys` is deployed edge by edge, so that scripts with
 * adjacent keysets serve the same objects at the same time, in both orders. Nobody's request fails, and what one
 * edge signed the other's published keys verify. Source: contracts/spec/keys.md.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Keysets } from "@talos/contracts";
import { policySign } from "@talos/core";
import { generateKeysets, pruneKeys } from "../../sdk/keysets.ts";
import { main } from "../../sdk/cli/main.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nowSeconds, openSession, person, root, rpc, send, sessionSigned, signed, snapshot } from "../fixtures.ts";
import { startTalos, type Talos, type TalosOptions } from "../harness.ts";
import { Appender } from "../support/appender.ts";
import { type Caller, faultOf, Load } from "../support/load.ts";
import { seeded, seedOfRun } from "../support/random.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { promised, publishedKeys, verified } from "../support/signatures.ts";
import { TOOLS_GRANTS } from "../support/tools.ts";
import { INITIALIZE, MCP_HEADERS } from "../support/world.ts";

const SEED = seedOfRun();
const DAY = 86_400;
/** Shots in each mix of keysets. */
const SHOTS = 24;

describe(`rotating every purpose while a deployment rolls out (seed ${SEED})`, () => {
  let scene: Scene;
  let folder: string;
  let file: string;
  let load: Load;
  let checked = 0;
  /** callers with sessions of every generation that may still be alive */
  let callers: Caller[] = [];
  const random = seeded(SEED);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const origins = () => [scene.talos.origin, ...scene.talos.edges];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "talos-keys-"));
    file = join(folder, "keysets.json");
    const first = generateKeysets("development", Date.now());
    await writeFile(file, JSON.stringify(first), { mode: 0o600 });
    scene = await startScene({ keysets: first, edges: [first] });
    await openEverywhere();
    load = new Load({
      ...{ aud: scene.aud, width: 4, random },
      ...{ caller: () => pick(callers), to: () => pick(origins()) },
    });
    load.start();
  });

  afterAll(async () => {
    await load?.stop();
    await scene?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A session of ours and one of the MCP server's at every edge. */
  async function openEverywhere(): Promise<void> {
    for (const origin of origins()) {
      const session = await openSession(scene.aud, scene.agent, scene.chain);
      const ask = { aud: scene.aud, path: "/mcp/tools", body: INITIALIZE, headers: MCP_HEADERS };
      const proven = signed(scene.agent, scene.chain, ask);
      const opened = await send({ ...proven, url: origin + new URL(proven.url).pathname });
      expect(await opened.text()).toContain('"result"');
      const mcp = { "mcp-session-id": opened.headers.get("mcp-session-id")! };
      callers.push({ holder: scene.agent, chain: scene.chain, session, mcp });
    }
  }

  /** Let them call; then everything that came back is good, and verifies with the keys of either edge. */
  async function serve(): Promise<void> {
    load.resume();
    await load.answers(SHOTS, 20_000);
    await openEverywhere();
    await load.answers(SHOTS, 20_000);
    await load.drain();
    expect(load.shots.map(faultOf).filter((fault) => fault !== undefined)).toEqual([]);
    const documents = await Promise.all(origins().map(publishedKeys));
    for (const { promise, receipt } of load.shots.slice(checked)) {
      for (const keys of documents) {
        if (promise !== undefined) expect(promised(promise, keys).log).toBe("default");
        if (receipt !== undefined)
          expect(verified<{ allow: boolean }>(receipt, "talos-receipt+jwt", keys).allow).toBe(true);
      }
    }
    checked = load.shots.length;
  }

  async function deploy(objects: Keysets, edge: Keysets): Promise<void> {
    await load.drain();
    await scene.talos.stop();
    await scene.restart({ keysets: objects, edges: [edge] });
  }

  /** From one generation to the next: edges first, then the objects; and the other way about. */
  async function rollOut(from: Keysets, to: Keysets): Promise<void> {
    await deploy(from, to);
    await serve();
    await deploy(to, from);
    await serve();
  }

  const current = async (): Promise<Keysets> => JSON.parse(await readFile(file, "utf8")) as Keysets;

  /** The command, as an operator runs it. */
  async function keys(command: string): Promise<Keysets> {
    const said: string[] = [];
    const io = {
      env: {},
      cwd: folder,
      out: (text: string) => void said.push(text),
      err: (text: string) => void said.push(text),
    };
    expect(await main(["keys", command, "--file", file], io), said.join("")).toBe(0);
    const after = await current();
    for (const one of Object.values(after.purposes).flat()) expect(said.join("")).not.toContain(one.key);
    return after;
  }

  const kidsOf = (keysets: Keysets, status: string): string[] =>
    Object.values(keysets.purposes).flatMap((of) => of.filter((key) => key.status === status).map(({ kid }) => kid));

  it("begins with one key a purpose", async () => {
    await serve();
    expect(load.shots.length).toBeGreaterThan(SHOTS);
  });

  it("stages: every edge knows the next keys before any uses them", async () => {
    const before = await current();
    const after = await keys("stage");
    expect(kidsOf(after, "staged")).toHaveLength(8); // one a purpose
    await rollOut(before, after);
  });

  it("promotes: new ones seal and sign, everything that the old ones made still holds", async () => {
    const before = await current();
    const after = await keys("promote");
    expect(kidsOf(after, "accept").sort()).toEqual(kidsOf(before, "primary").sort());
    await rollOut(before, after);
    await deploy(after, after);
    await openEverywhere();
    await serve();
  });

  it("prunes nothing that may still be needed, and each purpose when its time is over", async () => {
    const before = await current();
    expect(await keys("prune")).toEqual(before);
    const after = pruneKeys(before, Date.now() + 2 * DAY * 1000);
    expect(kidsOf(after, "accept")).toEqual(kidsOf(before, "accept").filter((kid) => !/ticket|mcp/.test(kid)));
    // Two days later no session of the old keys lives: their callers have opened new ones long since.
    await load.drain();
    callers = callers.slice(-2);
    await rollOut(before, after);
    await deploy(after, after);
    await serve();
  });

  it("refuses what an old ticket key sealed, by its name, once that key is gone", async () => {
    const shot = load.shots.find(({ intent }) => intent !== undefined)!;
    const stranger = generateKeysets("development", Date.now());
    const session = callers.at(-1)!.session!;
    await deploy(
      { ...(await current()), purposes: { ...(await current()).purposes, ticket: stranger.purposes.ticket } },
      stranger,
    );
    const body = JSON.stringify({ tool: "tools/look", args: { n: "old" } });
    const refused = await send(sessionSigned(session, { aud: scene.aud, path: "/v1/authorize", body }));
    expect(refused.status).toBe(401);
    expect(((await refused.json()) as { code: string }).code).toMatch(/^(MALFORMED|EXPIRED)$/);
    expect(shot.intent).toBeDefined();
  });

  it("still reads from the log what a key signed that is gone for good, without Postgres", async () => {
    const { intent } = load.shots.find((shot) => shot.intent !== undefined)!;
    const last = pruneKeys(await current(), Date.now() + 401 * DAY * 1000);
    expect(kidsOf(last, "accept")).toEqual([]);
    await scene.cable.cut();
    await deploy(last, last);
    const path = `/audit/events/${intent}`;
    const answer = await send(signed(scene.agent, scene.chain, { aud: scene.aud, path, method: "GET" }));
    expect(answer.status).toBe(200);
    const record = (await answer.json()) as object;
    expect(record).toMatchObject({ source: "log", event: { event_id: intent, kind: "intent" } });
    expect(record).not.toHaveProperty("promise");
  });
});

describe("production", () => {
  const publisher = person("publisher");
  const ORIGIN = "https://talos.example";
  let state: string;
  beforeAll(async () => {
    state = await mkdtemp(join(tmpdir(), "talos-production-"));
  });
  afterAll(() => rm(state, { recursive: true, force: true }));

  const start = (keysets: Keysets, name: string): Promise<Talos> => {
    const options: TalosOptions = {
      ...{ mode: "production", keysets, state: join(state, name), publishers: { default: [publisher.jwk] } },
      env: {
        TALOS_ORIGIN: ORIGIN,
        TALOS_DATABASE_ENDPOINT: undefined,
        DATABASE_URL: "postgresql://talos:talos@db.example/talos",
      },
    };
    return startTalos(options);
  };
  /** Objects that have rows, and bodies in KV. `metadata.sqlite` is the simulator's own list of them. */
  const touched = async (name: string): Promise<string[]> => {
    const all = await readdir(join(state, name), { recursive: true });
    return all.filter((path) => /(do\/.*|blobs\/.*)[0-9a-f]{64}/.test(path));
  };
  type Purpose = keyof Keysets["purposes"];
  type Key = NonNullable<Keysets["purposes"][Purpose]>[number];
  /** Good keysets but for what is special about the key of one purpose. */
  const keysetsBut = (purpose: Purpose, over: Partial<Key>): Keysets => {
    const keysets = generateKeysets("production", Date.now());
    return {
      ...keysets,
      purposes: { ...keysets.purposes, [purpose]: [{ ...keysets.purposes[purpose]![0]!, ...over }] },
    };
  };
  const keysetsWithout = (purpose: Purpose): Keysets => {
    const keysets = generateKeysets("production", Date.now());
    return { ...keysets, purposes: { ...keysets.purposes, [purpose]: [] } };
  };
  /** Everything that would name an object: a decision, a session, a policy, a revocation, an MCP call. */
  const requests = (origin: string): Promise<Response>[] => {
    const agent = person("agent");
    const aud = `${ORIGIN}/t/default`;
    const chain = root(person("operator"), agent, { aud: [aud], grants: TOOLS_GRANTS });
    const at = (path: string, body: string, type = "application/json") => {
      const proven = signed(agent, chain, { aud, path, body, headers: { ...MCP_HEADERS, "content-type": type } });
      return send({ ...proven, url: `${origin}/t/default${path}` });
    };
    return [
      at("/v1/authorize", JSON.stringify({ tool: "tools/look" })),
      at("/v1/sessions", JSON.stringify({ share: "A".repeat(43), writes: true })),
      at("/v1/revocations", JSON.stringify({ statement: "a.b.c", chain })),
      at("/mcp/tools", rpc("tools/call", { name: "act", arguments: {} })),
    ];
  };

  it.each([
    ["a development key", keysetsBut("mcp", { kid: "dev-mcp-1" })],
    ["a missing purpose", keysetsWithout("promise")],
    ["an expired primary", keysetsBut("ticket", { not_after: nowSeconds() - 1 })],
    ["keysets of development", generateKeysets("development", Date.now())],
  ])("with %s touches no object and no KV, and the log itself appends nothing", async (what, keysets) => {
    const name = what.replaceAll(" ", "-");
    const talos = await start(keysets, name);
    try {
      for (const answer of await Promise.all(requests(talos.origin))) {
        expect(answer.status).toBe(503);
        expect(await answer.text()).toContain("config.incomplete");
      }
      expect(await touched(name)).toEqual([]);
      const appender = new Appender(
        () => talos.log(),
        () => 0,
      );
      appender.start();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await appender.halt();
      expect(appender.batches.length).toBeGreaterThan(0);
      expect(appender.acknowledged.size).toBe(0);
      expect((await talos.log().status()).next_seq).toBe(0);
    } finally {
      await talos.stop();
    }
  });

  it("stops serving the moment a primary expires, and the moment before it serves", async () => {
    const until = nowSeconds() + 6;
    const talos = await start(keysetsBut("receipt", { not_after: until }), "expiring");
    try {
      expect((await fetch(`${talos.origin}/health/live`)).status).toBe(200);
      const { jws } = policySign({ seed: publisher.seed, snapshot: snapshot({ anchors: [person("operator")] }) });
      const put = () =>
        fetch(`${talos.aud()}/v1/policy`, {
          method: "PUT",
          headers: { "content-type": "application/jose" },
          body: jws,
        });
      expect((await put()).status).toBe(200);
      const { next_seq } = await talos.log().status();
      await new Promise((resolve) => setTimeout(resolve, until * 1000 - Date.now() + 50));
      const refused = await put();
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({ code: "config.incomplete" });
      for (const answer of await Promise.all(requests(talos.origin))) expect(answer.status).toBe(503);
      expect((await talos.log().status()).next_seq).toBe(next_seq);
    } finally {
      await talos.stop();
    }
  }, 30_000);
});
