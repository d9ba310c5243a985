/**
 * Callers that misbehave below HTTP's level: they take nothing of an answer or a byte at a time, never finish what they
 * send, vanish at any moment, or come all at once. What they hold is bounded in time and memory, the record says how
 * their calls ended, and others notice nothing.
 *
 * `TALOS_BURST` says how many come at once.
 */
import { Agent, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { isErrorCode, LIMITS } from "@talos/contracts";
import { b64uEncode, sha256 } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BODY_MS } from "../../workers/shared/request.ts";
import { grant, maced, nowSeconds, person, type Proven, root, rpc, sessionSigned, signed } from "../fixtures.ts";
import { type Received, startRawServer, type Upstream } from "../support/mcp-server.ts";
import { seeded, seedOfRun } from "../support/random.ts";
import { MCP_HEADERS, startWorld, TOOLS, type World } from "../support/world.ts";

const SEED = seedOfRun();
const BURST = Number(process.env.TALOS_BURST ?? 2_000);
/** Connections of the burst; a request waits for one of them. */
const WIDTH = 500;
/** What a busy machine adds to any deadline. */
const SLACK_MS = 30_000;
const MB = 1_048_576;

let world: World;
let raw: Upstream;
/** streams of the upstream that are open, by the caller's DID-free tool name */
const flowing = new Set<string>();
const waiting: (() => void)[] = [];

const names = ["flow", "flow_bytes", "big", "wait"];
const nameOf = ({ body }: Received) => (JSON.parse(body) as { params: { name: string } }).params.name;
const idOf = ({ body }: Received) => (JSON.parse(body) as { id: unknown }).id;

beforeAll(async () => {
  raw = await startRawServer((request, response) => {
    const name = nameOf(request);
    const answer = { jsonrpc: "2.0", id: idOf(request), result: { content: [] as object[] } };
    if (name.startsWith("flow")) {
      const note = {
        jsonrpc: "2.0",
        method: "notifications/message",
        params: { level: "info", data: "x".repeat(32_768) },
      };
      const piece = `data: ${JSON.stringify(note)}\n\n`;
      flowing.add(name);
      response.on("close", () => flowing.delete(name)).writeHead(200, { "content-type": "text/event-stream" });
      const more = (): void => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
      return;
    }
    const end = (): void => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    };
    if (name === "big") answer.result.content.push({ type: "text", text: "y".repeat(3 * MB) });
    if (name === "wait") waiting.push(end);
    else end();
  });
  const tools = names.map((name) => ({
    ...{ tool: `raw/${name}`, class: "write" as const, actions: ["call"], rate_class: "write" },
  }));
  world = await startWorld({ servers: { raw: raw.url }, policy: { tools: [...TOOLS, ...tools] } });
});
afterAll(async () => {
  await world?.stop();
  await raw?.close();
});

/** A caller with a capability, and so with a gate, of its own. */
function newcomer(name: string) {
  const holder = person(name);
  const grants = names.map((tool) => grant(`raw/${tool}`, { classes: ["write"] }));
  const chain = root(world.operator, holder, { aud: [world.aud], grants });
  const call = (tool: string) =>
    signed(holder, chain, {
      ...{ aud: world.aud, path: "/mcp/raw", headers: MCP_HEADERS },
      body: rpc("tools/call", { name: tool, arguments: {} }, name),
    });
  const gate = `default/${b64uEncode(sha256(new TextEncoder().encode(chain)))}`;
  const slots = async (): Promise<number> => {
    const rows = await world.talos.sql("CapabilityGate", gate, "SELECT count(*) AS n FROM slots");
    return (rows as { n: number }[])[0]!.n;
  };
  return { call, slots };
}

/** The bytes of a request as HTTP/1.1 has them. */
function bytesOf({ url, method, headers, body }: Proven): Buffer {
  const { host, pathname, search } = new URL(url);
  const fields = { host, ...headers, "content-length": String(body?.byteLength ?? 0) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  const head = `${method} ${pathname}${search} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body ?? Buffer.alloc(0)]);
}

async function open(): Promise<Socket> {
  const socket = connect({ port: world.talos.port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => undefined); // what it is about shows in what comes, or does not
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

/** Read up to the end of the header fields, and no further than that. @returns the intent that they name */
async function headOf(socket: Socket): Promise<string> {
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const piece = socket.read(1) as Buffer | null;
    if (piece === null) await new Promise((resolve) => socket.once("readable", resolve));
    else text += piece.toString("latin1");
  }
  return /^talos-intent: (\S+)\r$/im.exec(text)![1]!;
}

const outcomes = (intent: string) => world.events((event) => event.correlation === intent && event.kind === "outcome");

describe.concurrent("a caller", () => {
  it.for([
    ["that takes nothing of a stream", "flow", false],
    ["that takes a stream one byte at a time", "flow_bytes", true],
  ] as const)(
    "%s holds its upstream and its slot for a bounded time",
    { timeout: 150_000 },
    async ([who, tool, sips], { expect }) => {
      const { call, slots } = newcomer(who);
      const before = await world.talos.memory();
      const socket = await open();
      socket.write(bytesOf(call(tool)));
      const intent = await headOf(socket);
      const sipping = sips ? setInterval(() => socket.read(1), 20) : undefined;
      await expect.poll(() => flowing.has(tool), { timeout: SLACK_MS }).toBe(true);
      await expect
        .poll(() => flowing.has(tool), { timeout: LIMITS.sse_recheck_ms + SLACK_MS, interval: 500 })
        .toBe(false);
      await expect.poll(slots, { timeout: SLACK_MS, interval: 500 }).toBe(0);
      await expect
        .poll(() => outcomes(intent), { timeout: SLACK_MS })
        .toMatchObject([{ effect: { state: "unknown" } }]);
      expect((await world.talos.memory()) - before).toBeLessThan(256 * MB);
      clearInterval(sipping);
      socket.destroy();
    },
  );

  it("that takes a large answer one byte at a time holds nothing: its call ended before", {
    timeout: 60_000,
  }, async ({ expect }) => {
    const { call, slots } = newcomer("reader of much");
    const socket = await open();
    socket.write(bytesOf(call("big")));
    const intent = await headOf(socket);
    const sipping = setInterval(() => socket.read(1), 20);
    await expect.poll(slots, { timeout: SLACK_MS }).toBe(0);
    await expect.poll(() => outcomes(intent)).toMatchObject([{ effect: { state: "confirmed" } }]);
    clearInterval(sipping);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  it("that never finishes its body is answered in time, and nothing was decided", { timeout: 90_000 }, async ({
    expect,
  }) => {
    const { call } = newcomer("half open");
    const bytes = bytesOf(call("wait"));
    const socket = await open();
    let text = "";
    socket.on("data", (piece: Buffer) => {
      text += piece.toString("latin1");
    });
    socket.write(bytes.subarray(0, -10));
    await expect.poll(() => text, { timeout: BODY_MS + SLACK_MS, interval: 500 }).toContain("request.malformed");
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
    expect(await world.events((event) => event.meta.mcp_id === '"half open"')).toEqual([]);
  });

  it(`that vanishes at any moment leaves no slot and no intent without outcome (seed ${SEED})`, {
    timeout: 120_000,
  }, async ({ expect }) => {
    const random = seeded(SEED);
    const { call, slots } = newcomer("vanishing");
    const all = Array.from({ length: 40 }, async (_, i) => {
      const bytes = bytesOf(call("wait"));
      const socket = await open();
      socket.write(i % 2 === 0 ? bytes : bytes.subarray(0, Math.floor(random() * bytes.length)));
      await new Promise((resolve) => setTimeout(resolve, random() * 1_500));
      socket.resetAndDestroy();
    });
    await Promise.all(all);
    await expect.poll(slots, { timeout: SLACK_MS, interval: 500 }).toBe(0);
    for (const end of waiting) end();
    const own = await world.events((event) => event.meta.mcp_id === '"vanishing"');
    const intents = own.filter(({ kind }) => kind === "intent");
    expect(intents.length).toBeGreaterThan(0);
    const ended = new Set(own.flatMap(({ kind, correlation }) => (kind === "outcome" ? [correlation] : [])));
    expect(intents.filter(({ event_id }) => !ended.has(event_id))).toEqual([]);
  });
});

interface Answer {
  status: number;
  body: string;
}

function ask(agent: Agent, { url, method, headers, body }: Proven): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = { "content-length": body?.byteLength ?? 0 };
    const asked = httpRequest(url, { agent, method, headers: { ...headers, ...length } }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode!, body: Buffer.concat(pieces).toString() }));
    });
    asked.on("error", reject);
    asked.setTimeout(120_000, () => asked.destroy(new Error("no answer within 120 s")));
    asked.end(body);
  });
}

describe("a burst", () => {
  it(`of ${BURST} requests is answered to the last one, each by success or a named refusal`, {
    timeout: 300_000,
  }, async () => {
    const session = await world.session();
    const body = JSON.stringify({ tool: "files/read_file", args: { path: "/desk/x" } });
    const decision = { aud: world.aud, path: "/v1/authorize", body };
    const write = { aud: world.aud, path: "/mcp/raw", headers: MCP_HEADERS };
    const agent = new Agent({ keepAlive: true, maxSockets: WIDTH });
    const expires = nowSeconds() + LIMITS.proof_life_seconds - 1;
    const before = await world.talos.memory();
    const one = (i: number): Proven => {
      if (i % 10 === 0) return sessionSigned(session, decision, { expires });
      if (i % 10 === 1) return { ...maced(session, decision, { expires }), body: Buffer.from("{}") };
      if (i % 10 === 2) return { ...maced(session, write, { expires }), body: Buffer.from("no JSON") };
      return maced(session, decision, { expires });
    };
    const settled = await Promise.allSettled(Array.from({ length: BURST }, (_, i) => ask(agent, one(i))));
    agent.destroy();
    const failed = settled.flatMap((answer) => (answer.status === "rejected" ? [String(answer.reason)] : []));
    expect(failed).toEqual([]);
    const answers = settled.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    const unnamed = answers.filter(({ status, body: text }) => {
      if (status === 200) return false;
      const code = /"code":"([a-zA-Z._]+)"/.exec(text)?.[1];
      return code === "internal" || !isErrorCode(code);
    });
    expect(unnamed).toEqual([]);
    const byStatus = Object.entries(Object.groupBy(answers, ({ status }) => String(status)));
    const grown = (await world.talos.memory()) - before;
    console.log(
      `burst: ${answers.length} requests answered (${byStatus.map(([s, all]) => `${all!.length} × ${s}`).join(", ")}), ` +
        `${Math.round(grown / MB)} MB more memory`,
    );
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(BURST / 4);
    expect(grown).toBeLessThan(512 * MB);
    expect((await world.ask("/v1/authorize", body)).status).toBe(200);
  });
});
