/**
 * Secrets are planted in every place that holds one, then everything is done that may be done with them, well and
 * badly; afterwards all that Talos wrote, stored, sent and printed is searched for them. A value of an argument or a
 * result is in one place only, between the caller and the tool. Source: contracts/spec/audit.md#commitments,
 * contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { b64uDecode } from "@talos/core";
import { Key } from "@talos/sdk";
import { saveKey } from "@talos/sdk/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../sdk/cli/main.ts";
import { connect } from "../../workers/db/client.ts";
import {
  grant,
  maced,
  person,
  type Proven,
  rpc,
  send,
  type Session,
  sessionSigned,
  signed,
  statement,
} from "../fixtures.ts";
import { Canaries } from "../support/canaries.ts";
import { type Ledger, projected, readLedger } from "../support/ledger.ts";
import { startRawServer, type Upstream } from "../support/mcp-server.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { INITIALIZE, MCP_HEADERS, tampered } from "../support/world.ts";

const canaries = new Canaries();
/** What a caller sends along that is nobody's business but his. */
const caller = {
  authorization: `Bearer ${canaries.plant("caller-token")}`,
  cookie: `sid=${canaries.plant("caller-cookie")}`,
};
const credential = canaries.plant("upstream-credential");
const argument = canaries.plant("argument");
const result = canaries.plant("result");
/** What an upstream says outside an answer: headers, and bodies of failures. */
const aside = canaries.plant("upstream-aside");
const upstreamSession = canaries.plant("upstream-session");

interface Heard {
  what: string;
  status: number;
  text: string;
  headers: string;
}

let scene: Scene;
let leaky: Upstream;
let session: Session;
let ledger: Ledger;
const heard: Heard[] = [];

/** An upstream that tells everything it knows, in every way that HTTP has for it. */
const startLeaky = (): Promise<Upstream> =>
  startRawServer(({ body, method }, response) => {
    const message =
      body === ""
        ? {}
        : (JSON.parse(body) as { id?: string; method?: string; params?: { arguments?: { mode?: string } } });
    const headers = {
      "set-cookie": `s=${aside}`,
      "x-internal": aside,
      "www-authenticate": `Bearer ${aside}`,
      server: aside,
    };
    const answer = (extra: object) => JSON.stringify({ jsonrpc: "2.0", id: message.id, ...extra });
    const say = (status: number, type: string, text: string, more: object = {}) =>
      void response.writeHead(status, { "content-type": type, ...headers, ...more }).end(text);
    if (method === "POST" && message.id === undefined) return void response.writeHead(202, headers).end();
    if (method !== "POST") return say(405, "text/plain", aside);
    if (message.method === "initialize") {
      const made = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "leaky", version: "1" } };
      return say(200, "application/json", answer({ result: made }), { "mcp-session-id": upstreamSession });
    }
    const good = answer({ result: { content: [{ type: "text", text: `${result} ${argument}` }] } });
    switch (message.params?.arguments?.mode) {
      case "error":
        return say(200, "application/json", answer({ error: { code: -32000, message: result } }));
      case "sse":
        return say(200, "text/event-stream", `event: message\ndata: ${good}\n\n`);
      case "500":
        return say(500, "text/plain", `${aside} ${credential}`);
      case "html":
        return say(200, "text/html", `<p>${aside} ${credential}`);
      case "broken":
        return say(200, "application/json", `{"${aside}": "${credential}`);
      case "redirect":
        return say(302, "text/plain", aside, { location: `http://127.0.0.1:1/${aside}?c=${credential}` });
      default:
        return say(200, "application/json", good);
    }
  });

async function hear(what: string, request: Proven): Promise<Heard> {
  const response = await send(request);
  const one = {
    what,
    status: response.status,
    text: await response.text(),
    headers: JSON.stringify([...response.headers]),
  };
  heard.push(one);
  return one;
}

const call = (name: string, mode: string, mcp: Record<string, string> = {}) => ({
  aud: scene.aud,
  path: "/mcp/leaky",
  headers: { ...MCP_HEADERS, ...mcp, ...caller },
  body: rpc("tools/call", { name, arguments: { mode, memo: argument, amount: mode === "too much" ? 11 : 1 } }, 7),
});

/** Everything good and bad that a caller can do with the leaky server, in each form of proof. */
async function exercise(mcp: Record<string, string>): Promise<void> {
  const { agent, chain, aud } = scene;
  for (const mode of ["plain", "error", "sse", "500", "html", "broken", "redirect"]) {
    await hear(`act ${mode}`, signed(agent, chain, call("act", mode, mcp)));
    await hear(`act ${mode}, session`, sessionSigned(session, call("act", mode, mcp)));
    await hear(`look ${mode}, mac`, maced(session, call("look", mode, mcp)));
  }
  await hear("refused: argument", signed(agent, chain, call("act", "too much", mcp)));
  await hear("refused: tool", signed(agent, chain, call("ghost", "plain", mcp)));
  const once = signed(agent, chain, call("look", "plain", mcp));
  await hear("first", once);
  await hear("replayed", once);
  const wrong = (request: Proven) => tampered(request, { headers: { "mcp-session-id": "changed" } });
  await hear("wrong proof", wrong(signed(agent, chain, call("act", "plain", mcp))));
  await hear("wrong mac", wrong(maced(session, call("look", "plain", mcp))));
  await hear("another's key", signed(person("thief"), chain, call("act", "plain", mcp)));
  const asked = (body: string) => signed(agent, chain, { aud, path: "/v1/authorize", body, headers: caller });
  await hear(
    "decided",
    asked(JSON.stringify({ tool: "leaky/act", args: { memo: argument, amount: 1 }, receipt: true })),
  );
  await hear("decided: no", asked(JSON.stringify({ tool: "leaky/act", args: { memo: argument, amount: 12 } })));
  await hear("twice the same member", asked(`{"tool":"leaky/act","args":{"memo":"${argument}","memo":"x"}}`));
  await hear("no JSON", asked(`{"tool":"${argument}`));
  await hear("not of the contract", asked(JSON.stringify({ tool: "leaky/act", [argument]: argument })));
  const listen = (path: string) => signed(agent, chain, { aud, path, method: "GET", headers: caller });
  await hear("a search of no shape", listen(`/audit/events?agent=${argument}`));
  await hear("a parameter twice", listen(`/audit/events?${argument}=1&${argument}=2`));
  await hear("a parameter of no name", listen(`/audit/events?${argument}=${argument}`));
  await hear("no such path", listen(`/${argument}?token=${argument}`));
  const body = JSON.stringify({ statement: statement(person("thief"), aud, { kind: "key", jkt: agent.jkt }), chain });
  await hear("a revocation by a stranger", {
    url: `${aud}/v1/revocations`,
    method: "POST",
    headers: { "content-type": "application/json", ...caller },
    body: Buffer.from(body),
  });
  await hear("a policy by a stranger", {
    url: `${aud}/v1/policy`,
    method: "PUT",
    headers: { "content-type": "application/jose", ...caller },
    body: Buffer.from(`a.${argument}.b`),
  });
  const long = { ...once, headers: { ...once.headers, "talos-capability": chain + chain.repeat(48) } };
  await hear("a header too long", long);
}

beforeAll(async () => {
  leaky = await startLeaky();
  const registry = { actions: ["call"], rate_class: "read" };
  const most = { amount: [{ op: "range" as const, type: "integer" as const, min: 1, max: 10 }] };
  scene = await startScene({
    more: {
      servers: { leaky: leaky.url },
      tools: [
        { ...registry, tool: "leaky/act", class: "write", rate_class: "write" },
        { ...registry, tool: "leaky/look", class: "read" },
      ],
      grants: [grant("leaky/act", { classes: ["write"], args: most }), grant("leaky/look")],
    },
    env: {
      // The embedded database asks for no password, so any will do; a real one has its own, which is no secret here.
      ...(process.env.TALOS_TEST_DATABASE_URL
        ? {}
        : { DATABASE_URL: `postgresql://talos:${canaries.plant("database-password")}@127.0.0.1/postgres` }),
      TALOS_UPSTREAM_CREDENTIALS: JSON.stringify({
        "default/leaky": { header: "authorization", value: `Bearer ${credential}`, origin: new URL(leaky.url).origin },
      }),
    },
  });
  session = await scene.session();
  canaries.key("mac-key", session.mac_key);
  canaries.watch("ticket", session.ticket);
  // Claims are no secret (the record names links, keys and principals); the token is, and its signatures make it one.
  for (const link of scene.chain.split("~")) canaries.watch("capability", link.split(".")[2]!);
  for (const one of [scene.agent, scene.operator, scene.publisher]) canaries.key(`seed of ${one.name}`, one.seed);
  for (const [purpose, keys] of Object.entries(scene.talos.keysets.purposes)) {
    for (const { key } of keys) canaries.key(`key of ${purpose}`, b64uDecode(key));
  }
  const opened = await hear("initialize", signed(scene.agent, scene.chain, { ...call("", ""), body: INITIALIZE }));
  expect(opened.status, opened.text).toBe(200);
  const mcp = { "mcp-session-id": new Headers(JSON.parse(opened.headers)).get("mcp-session-id")! };
  canaries.watch("mcp-session", mcp["mcp-session-id"]);
  await exercise(mcp);
  await scene.cable.cut();
  await exercise(mcp);
  await scene.talos.log().flush();
  await hear(
    "a search without a database",
    signed(scene.agent, scene.chain, { aud: scene.aud, path: "/audit/events", method: "GET" }),
  );
  await scene.cable.mend();
  await projected(scene.talos);
  ledger = await readLedger(scene.talos);
}, 120_000);

afterAll(async () => {
  await scene?.stop();
  await leaky?.close();
});

describe("secrets that were planted", () => {
  it("were really in play: calls succeeded, calls failed, and each secret is found where it belongs", () => {
    expect(new Set(heard.map(({ status }) => status))).toEqual(
      new Set([200, 400, 401, 403, 404, 409, 422, 431, 502, 503]),
    );
    const up = JSON.stringify(leaky.received.map(({ headers, body }) => [headers, body]));
    expect(canaries.in(up).sort()).toEqual(["argument", "upstream-credential", "upstream-session"]);
    const good = heard.filter(({ what, status }) => what.startsWith("act plain") && status === 200);
    expect(good.length).toBe(4);
    for (const { text } of good) expect(canaries.in(text)).toEqual(["argument", "result"]);
  });

  it("go up only where they belong: the tool gets its arguments and its own credential, and nothing of the caller's", () => {
    for (const { headers, body } of leaky.received) {
      expect(canaries.in(JSON.stringify(headers), "upstream-credential", "upstream-session")).toEqual([]);
      expect(canaries.in(body, "argument")).toEqual([]);
      expect(Object.keys(headers).filter((name) => /^(talos-|signature|content-digest|cookie)/.test(name))).toEqual([]);
    }
    for (const { headers } of scene.tools.received) expect(canaries.in(JSON.stringify(headers))).toEqual([]);
  });

  it("come down in no header, and in no body but the answer of the tool", () => {
    for (const { what, status, text, headers } of heard) {
      expect(canaries.in(headers), what).toEqual(what === "initialize" ? ["mcp-session"] : []);
      expect(headers, what).not.toMatch(/set-cookie|x-internal|www-authenticate|canary/);
      const answers = status === 200 && /^(act|look|first)/.test(what);
      expect(canaries.in(text, ...(answers ? ["argument", "result"] : [])), `${what}: ${text}`).toEqual([]);
    }
  });

  it("stand in no event of the log, only commitments do", () => {
    expect(ledger.leaves.length).toBeGreaterThan(60);
    for (const { body } of ledger.leaves) expect(canaries.in(body), body).toEqual([]);
    const committed = ledger.leaves.filter(({ event }) => event.commitments !== undefined);
    expect(committed.length).toBeGreaterThan(40);
  });

  it("stand in no row of Postgres", async () => {
    const { sql } = connect({
      TALOS_MODE: "development",
      DATABASE_URL: scene.database.url,
      TALOS_DATABASE_ENDPOINT: scene.database.endpoint,
    });
    const tables = await sql`SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`;
    let rows = 0;
    for (const { name } of tables) {
      for (const row of await sql.query(`SELECT t::text AS text FROM "${name}" AS t`)) {
        rows += 1;
        expect(canaries.in(row.text as string), name).toEqual([]);
      }
    }
    expect(rows).toBeGreaterThan(ledger.leaves.length);
  });

  it("are in no line that the Worker wrote, though it had much to complain of", () => {
    expect(scene.talos.logs.length).toBeGreaterThan(10);
    for (const line of scene.talos.logs) expect(canaries.in(line), line).toEqual([]);
  });

  it("lie nowhere on the disk: not in an object, not in KV, not in a cache", async () => {
    const files = await readdir(scene.state, { recursive: true, withFileTypes: true });
    let bytes = 0;
    for (const file of files.filter((one) => one.isFile())) {
      const content = await readFile(join(file.parentPath, file.name), "latin1");
      bytes += content.length;
      expect(canaries.in(content), file.name).toEqual([]);
    }
    expect(bytes).toBeGreaterThan(100_000);
  });
});

describe("the command", () => {
  it("prints no key, ticket or capability, whether it succeeds or fails", async () => {
    const cwd = await mkdtemp(join(tmpdir(), "talos-canary-"));
    const said: string[] = [];
    const run = async (...args: string[]): Promise<number> => {
      const io = {
        env: {},
        cwd,
        out: (text: string) => void said.push(text),
        err: (text: string) => void said.push(text),
      };
      return main(args, io);
    };
    try {
      saveKey(join(cwd, "agent.json"), new Key(scene.agent.seed));
      saveKey(join(cwd, "thief.json"), new Key(person("thief").seed));
      await writeFile(join(cwd, "agent.cap"), scene.chain, { mode: 0o600 });
      await writeFile(join(cwd, "keysets.json"), JSON.stringify(scene.talos.keysets), { mode: 0o600 });
      const me = ["--key", "agent.json", "--cap", "agent.cap"];
      const intent = heard.length > 0 ? ledger.leaves.find(({ event }) => event.kind === "intent")!.event_id : "";
      const memo = JSON.stringify({ mode: "plain", memo: "x", amount: 1 });
      for (const json of [[], ["--json"]]) {
        expect(await run("key", "show", "agent.json", ...json), said.join("")).toBe(0);
        expect(await run("cap", "inspect", "agent.cap", ...json), said.join("")).toBe(0);
        expect(await run("session", ...me, ...json), said.join("")).toBe(0);
        expect(await run("call", "leaky/look", memo, ...me, ...json), said.join("")).toBe(0);
        expect(await run("audit", "show", intent, ...me, ...json), said.join("")).toBe(0);
        expect(await run("audit", "tail", ...me, ...json), said.join("")).toBe(0);
        expect(await run("keys", "show", "--file", "keysets.json", ...json), said.join("")).toBe(0);
        expect(
          await run("keys", "stage", "--file", "keysets.json", "--out", `staged${json.length}.json`, ...json),
        ).toBe(0);
        expect(await run("call", "leaky/act", JSON.stringify({ amount: 11 }), ...me, ...json)).not.toBe(0);
        expect(await run("call", "leaky/ghost", "{}", ...me, ...json)).not.toBe(0);
        expect(await run("session", "--key", "thief.json", "--cap", "agent.cap", ...json)).not.toBe(0);
        expect(await run("session", "--key", "keysets.json", "--cap", "agent.cap", ...json)).not.toBe(0);
        expect(await run("session", "--key", "agent.json", "--cap", "keysets.json", ...json)).not.toBe(0);
        expect(await run("keys", "show", "--file", "agent.json", ...json)).not.toBe(0);
      }
      const all = said.join("\n");
      expect(canaries.in(all, "argument", "result")).toEqual([]);
      for (const staged of ["staged0.json", "staged1.json"]) {
        const { purposes } = JSON.parse(await readFile(join(cwd, staged), "utf8")) as typeof scene.talos.keysets;
        for (const { key } of Object.values(purposes).flat()) expect(all).not.toContain(key);
      }
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  });
});
