/**
 * The scene that most gateway tests play in: one tenant with an operator as anchor, a publisher, the official MCP
 * server behind the gateway as `files` (and a second, `other`, with tools of the same names), and agents with
 * capabilities. A test tells what is special about it.
 */
import type { AuditEventV2, Grant, PolicySnapshot, ToolEntry } from "@talos/contracts";
import {
  type Ask,
  grant,
  narrow,
  newUuid,
  openSession,
  type Person,
  person,
  type PolicyParts,
  type Proven,
  publish,
  root,
  rpc,
  send,
  type Session,
  signed,
  snapshot,
} from "../fixtures.ts";
import { startTalos, type Talos, type TalosOptions } from "../harness.ts";
import { type McpUpstream, startMcpServer } from "./mcp-server.ts";

const tool = (name: string, over: Partial<ToolEntry> = {}): ToolEntry => ({
  tool: name,
  class: "read",
  actions: ["call"],
  rate_class: "read",
  ...over,
});

/** The registry of the two servers. `ghost` is not in it. */
export const TOOLS: ToolEntry[] = [
  tool("files/read_file", { resource_arg: "path" }),
  tool("files/slow"),
  tool("files/steps"),
  tool("files/hidden", { class: "write", rate_class: "write" }),
  tool("files/write_file", { class: "write", rate_class: "write", resource_arg: "path" }),
  tool("files/drop_table", { class: "destructive", rate_class: "write" }),
  tool("files/send_money", { class: "pay", rate_class: "write" }),
  tool("files/@resource", { actions: ["read", "subscribe"], resource: "explicit" }),
  tool("files/@prompt/greet", { actions: ["get"] }),
  tool("files/@prompt/other", { actions: ["get"] }),
  tool("other/read_file", { resource_arg: "path" }),
];

/** What the agent holds at the beginning. */
export const AGENT_GRANTS: Grant[] = [
  grant("files/read_file", { resource: { prefix: "/desk" } }),
  grant("files/slow"),
  grant("files/steps"),
  grant("files/write_file", { classes: ["write"], resource: { prefix: "/desk" } }),
  grant("files/drop_table", {
    classes: ["destructive"],
    args: { name: [{ op: "eq", type: "string", value: "scratch" }] },
  }),
  grant("files/send_money", {
    classes: ["pay"],
    args: { amount: [{ op: "range", type: "integer", min: 1, max: 10 }] },
  }),
  grant("files/@resource", { actions: ["read", "subscribe"], resource: { exact: "docs/project/readme" } }),
  grant("files/@prompt/greet", { actions: ["get"] }),
  grant("talos/audit.events"),
];

export interface WorldOptions extends TalosOptions {
  policy?: Partial<PolicyParts>;
  /** further servers, by name */
  servers?: Record<string, string>;
  /** the upstream answers with JSON instead of SSE */
  json?: boolean;
}

export interface World {
  talos: Talos;
  aud: string;
  upstream: McpUpstream;
  operator: Person;
  publisher: Person;
  agent: Person;
  /** the agent's chain, from the operator */
  chain: string;
  version: number;
  /** the policy in force, to be changed and published again */
  policy: PolicySnapshot;
  /** publish the next version; isolates learn of it with their next head */
  change(over: Partial<PolicySnapshot>): Promise<void>;
  /** signed as the agent (or another), under its chain */
  ask(path: string, body?: string, over?: Partial<Ask> & { as?: Person; chain?: string }): Promise<Response>;
  /** an MCP message of the agent */
  mcp(message: string, over?: Partial<Ask> & { as?: Person; chain?: string; server?: string }): Promise<Response>;
  /** tools/call in an MCP session; the answer's JSON-RPC message, whatever form it came in */
  call(
    name: string,
    args: Record<string, unknown>,
    over?: { as?: Person; chain?: string; server?: string; mcpSession?: string },
  ): Promise<Answer>;
  /** initialize; the outward session id */
  mcpSession(over?: { as?: Person; chain?: string; server?: string }): Promise<string>;
  session(writes?: boolean): Promise<Session>;
  /** events recorded so far that fit, after the buffer's window */
  events(fits?: (event: AuditEventV2) => boolean): Promise<AuditEventV2[]>;
  stop(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  message: any;
  /** everything that came before it on a stream */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  before: any[];
}

/** The JSON-RPC message of an answer, and what a stream carried before it. */
export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const stream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const messages = stream ? text.split("\n\n").flatMap(dataOf) : text === "" ? [] : [JSON.parse(text)];
  return {
    status: response.status,
    headers: response.headers,
    message: messages.at(-1),
    before: messages.slice(0, -1),
  };
}

function dataOf(event: string): unknown[] {
  const data = event
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => line.slice(6))
    .join("\n");
  return data === "" ? [] : [JSON.parse(data)];
}

export const MCP_HEADERS = { accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25" };
export const INITIALIZE = rpc(
  "initialize",
  { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
  0,
);

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { policy: parts = {}, servers = {}, json, ...rest } = options;
  const upstream = await startMcpServer(json === undefined ? {} : { json });
  const operator = person("operator");
  const publisher = person("publisher");
  const agent = person("agent");
  const talos = await startTalos({ faults: true, publishers: { default: [publisher.jwk] }, ...rest });
  const aud = talos.aud();
  const named = { files: upstream.url, other: upstream.url, ...servers };
  const policy = snapshot({
    anchors: [operator],
    tools: TOOLS,
    servers: Object.entries(named)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, url]) => ({ name, url, timeout_ms: 2_000 })),
    ...parts,
  });
  await publish(aud, publisher, policy);
  const chain = root(operator, agent, { aud: [aud], grants: AGENT_GRANTS });

  const world: World = {
    talos,
    aud,
    upstream,
    operator,
    publisher,
    agent,
    chain,
    policy,
    version: policy.version,
    async change(over) {
      world.version += 1;
      world.policy = { ...world.policy, ...over, version: world.version };
      await publish(aud, publisher, world.policy);
    },
    ask: (path, body, { as = agent, chain: own = chain, ...over } = {}) =>
      send(signed(as, own, { aud, path, ...(body === undefined ? {} : { body }), ...over })),
    mcp: (message, { as = agent, chain: own = chain, server = "files", headers, ...over } = {}) =>
      send(
        signed(as, own, {
          aud,
          path: `/mcp/${server}`,
          body: message,
          headers: { ...MCP_HEADERS, ...headers },
          ...over,
        }),
      ),
    async call(name, args, { mcpSession, ...over } = {}) {
      const session = mcpSession ?? (await world.mcpSession(over));
      const message = rpc("tools/call", { name, arguments: args }, newUuid());
      return readAnswer(await world.mcp(message, { ...over, headers: { "mcp-session-id": session } }));
    },
    async mcpSession(over = {}) {
      const response = await world.mcp(INITIALIZE, over);
      const text = await response.text();
      const id = response.headers.get("mcp-session-id");
      if (id === null) throw new Error(`no MCP session: ${response.status} ${text}`);
      return id;
    },
    session: (writes = true) => openSession(aud, agent, chain, writes),
    async events(fits = () => true) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      return (await talos.recorded()).filter(fits);
    },
    async stop() {
      await talos.stop();
      await upstream.close();
    },
  };
  return world;
}

/** A request whose headers are changed after it was proven. */
export const tampered = (request: Proven, over: Partial<Proven>): Proven => ({
  ...request,
  ...over,
  headers: { ...request.headers, ...over.headers },
});

export { narrow };
