import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client as McpClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { createFetch, type GrantInit, issueCapability, Key, narrowCapability } from "@talos/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FILES } from "../../scripts/demo/proof.ts";
import { playScenario } from "../../scripts/demo/scenario.ts";
import { type Stack, stage, startStack } from "../../scripts/dev/stack.ts";
import { startReal, type TestDatabase } from "../../scripts/neon/test-database.ts";

let dir: string;
let stack: Stack;
let database: TestDatabase | null = null;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "talos-e2e-"));
  const server = process.env.TALOS_TEST_DATABASE_URL;
  database = server ? await startReal(server) : null; // a database of this run's own
  stack = await startStack({ dir, chain: true, databaseUrl: database?.url });
});
afterAll(async () => {
  await stack?.stop();
  await database?.close();
  rmSync(dir, { recursive: true, force: true });
});

const ALLOWED = ["echo", "get-sum"];
const FORBIDDEN = ["get-env", "get-tiny-image", "toggle-simulated-logging", "simulate-research-query", "no-such-tool"];

function capability(holder: Key, grants: GrantInit[]): string {
  const { operator: key, aud } = stack.state;
  return issueCapability({ key, holder, aud, grants, ttl_seconds: 600, depth: 1 });
}

/** The official client, with nothing of ours but the `fetch`. */
async function connect(fetcher: typeof fetch): Promise<McpClient> {
  const client = new McpClient({ name: "test", version: "1.0.0" });
  const url = new URL(`${stack.state.aud}/mcp/everything`);
  await client.connect(new StreamableHTTPClientTransport(url, { fetch: fetcher }));
  return client;
}

describe("the official MCP client with our fetch", () => {
  const grants: GrantInit[] = ALLOWED.map((name) => ({ tool: `everything/${name}`, classes: ["read"] }));

  it.each([
    ["one link", false],
    ["a narrowed chain", true],
  ])("lists and calls tools through the gateway under %s", async (_name, narrowed) => {
    const agent = Key.generate();
    const holder = narrowed ? Key.generate() : agent;
    const root = capability(agent, grants);
    const chain = narrowed ? narrowCapability({ key: agent, chain: root, holder }) : root;
    const client = await connect(createFetch({ chain, key: holder }));
    try {
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name).sort()).toEqual(ALLOWED);
      expect(tools.map(({ _meta }) => _meta?.["talos/class"])).toEqual(["read", "read"]);
      const echo = await client.callTool({ name: "echo", arguments: { message: "hello" } });
      expect(echo.content).toEqual([{ type: "text", text: "Echo: hello" }]);
      const sum = await client.callTool({ name: "get-sum", arguments: { a: 19, b: 23 } });
      expect(JSON.stringify(sum.content)).toContain("42");
    } finally {
      await client.close();
    }
  });

  it("sees no forbidden tool, and is refused each when it calls it", async () => {
    const key = Key.generate();
    const client = await connect(createFetch({ chain: capability(key, grants), key }));
    try {
      const names = (await client.listTools()).tools.map(({ name }) => name);
      for (const name of FORBIDDEN) {
        expect(names).not.toContain(name);
        const code = ["simulate-research-query", "no-such-tool"].includes(name) ? "UNKNOWN_TOOL" : "SCOPE_MISMATCH";
        await expect(client.callTool({ name, arguments: {} }), name).rejects.toThrow(new RegExp(`"code":"${code}"`));
      }
      // The session goes on: a refusal is an answer, not an end.
      expect((await client.callTool({ name: "echo", arguments: { message: "still here" } })).isError).not.toBe(true);
    } finally {
      await client.close();
    }
  });

  it("hides and refuses what a rule forbids, even when a capability names it", async () => {
    const key = Key.generate();
    const chain = capability(key, [...grants, { tool: "everything/get-env", classes: ["read"] }]);
    const client = await connect(createFetch({ chain, key }));
    try {
      expect((await client.listTools()).tools.map(({ name }) => name)).not.toContain("get-env");
      await expect(client.callTool({ name: "get-env", arguments: {} })).rejects.toThrow(/"code":"FORBIDDEN"/);
    } finally {
      await client.close();
    }
  });

  it("works without a session too, and ends its MCP session", async () => {
    const key = Key.generate();
    const fetcher = createFetch({ chain: capability(key, grants), key, session: false });
    const client = new McpClient({ name: "test", version: "1.0.0" });
    const transport = new StreamableHTTPClientTransport(new URL(`${stack.state.aud}/mcp/everything`), {
      fetch: fetcher,
    });
    await client.connect(transport);
    expect((await client.callTool({ name: "echo", arguments: { message: "signed" } })).isError).not.toBe(true);
    await transport.terminateSession();
    expect(transport.sessionId).toBeUndefined();
    await client.close();
  });

  it("gets nowhere without our fetch", async () => {
    await expect(connect(fetch)).rejects.toThrow(/NO_CAPABILITY/);
  });
});

/** The talos command as a program, with the state folder of this stack. */
async function talos(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const bin = join(import.meta.dirname, "..", "..", "sdk", "bin", "talos.js");
  const child = spawn(process.execPath, [bin, ...args, "--state", dir], { stdio: ["ignore", "pipe", "pipe"] });
  const out: string[] = [];
  const err: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text) => void out.push(text));
  child.stderr.setEncoding("utf8").on("data", (text) => void err.push(text));
  const [code] = await once(child, "close");
  return { code: code as number, out: out.join(""), err: err.join("") };
}

describe("the talos command against the stack", () => {
  it("works with the defaults that npm start leaves behind", async () => {
    expect(await talos("session")).toMatchObject({ code: 0, out: expect.stringContaining("statement verified") });
    const tools = await talos("tools", "everything", "--json");
    expect(tools.code).toBe(0);
    const names = JSON.parse(tools.out).tools.map(({ name }: { name: string }) => name);
    expect(names).toContain("echo");
    expect(names).not.toContain("get-env");
    const call = await talos("call", "everything/echo", '{"message":"hello"}', "--json");
    expect(call.code, call.err).toBe(0);
    const { content, intent } = JSON.parse(call.out);
    expect(content[0].text).toContain("hello");
    const shown = await talos("audit", "show", intent, "--json");
    expect(shown.code, shown.err).toBe(0);
    expect(JSON.parse(shown.out).verified.event_id).toBe(intent);
  });

  it("says what was refused, why, and with which exit code", async () => {
    const refused = await talos("call", "everything/get-env", "--json");
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(JSON.parse(refused.err).error).toMatchObject({ code: "SCOPE_MISMATCH", decision: { field: "tool" } });
    const text = await talos("call", "everything/get-env");
    expect(text.err).toMatch(/SCOPE_MISMATCH.*at tool/);
    expect((await talos("tools", "nowhere")).code).toBe(1);
  });

  it("takes a sub-agent from its key to its end", { timeout: 60_000 }, async () => {
    const [key, cap] = [join(dir, "sub.json"), join(dir, "sub.cap")];
    const { did } = JSON.parse((await talos("key", "new", key, "--json")).out);
    const narrowed = await talos(
      "cap",
      "narrow",
      "--to",
      did,
      "-g",
      "everything/echo:read:call:*",
      "--ttl",
      "5m",
      "-o",
      cap,
    );
    expect(narrowed.code, narrowed.err).toBe(0);
    const sub = ["--key", key, "--cap", cap];
    const tools = JSON.parse((await talos("tools", "everything", "--json", ...sub)).out).tools;
    expect(tools.map(({ name }: { name: string }) => name)).toEqual(["echo"]);
    const say = () => talos("call", "everything/echo", '{"message":"hi"}', ...sub, "--json");
    expect((await say()).code).toBe(0);

    const stranger = await talos("revoke", "link", "--cap", cap, "--key", key, "--json");
    expect(stranger.code).toBe(1);
    expect(JSON.parse(stranger.err).error.code).toBe("revocation.not_authorized");
    expect((await say()).code).toBe(0);

    const revoked = await talos("revoke", "link", "--cap", cap, "--json"); // as the agent that issued it
    expect(revoked.code, revoked.err).toBe(0);
    expect(JSON.parse(revoked.out).entries[0]).toMatch(/^link:/);
    await expect.poll(async () => (await say()).err, { timeout: 40_000, interval: 500 }).toContain('"code":"REVOKED"');
    const denials = await talos("audit", "tail", "--agent", did, "--decision", "deny", "--json");
    expect(denials.code).toBe(0);
  });

  it("prints no secret of the state folder", async () => {
    const all = await Promise.all([
      talos("session", "--json"),
      talos("cap", "inspect"),
      talos("key", "show"),
      talos("audit", "tail", "--json"),
      talos("keys", "show", "--file", join(dir, "keysets.json")),
    ]);
    const text = all.map(({ out, err }) => out + err).join("");
    for (const { code } of all) expect(code).toBe(0);
    const seeds = ["operator", "publisher", "agent"].map(
      (name) => JSON.parse(readFileSync(join(dir, `${name}.json`), "utf8")).d,
    );
    const { purposes } = JSON.parse(readFileSync(join(dir, "keysets.json"), "utf8"));
    const keys = (Object.values(purposes).flat() as { key: string }[]).map(({ key }) => key);
    for (const secret of [...seeds, ...keys]) expect(text).not.toContain(secret);
  });
});

it("plays the whole scenario", { timeout: 120_000 }, async () => {
  const lines: string[] = [];
  const result = await playScenario({ state: stage(stack), say: (line) => void lines.push(line) });
  expect(lines.at(-1), lines.join("\n")).toBe("scenario: 14 of 14 steps as expected");
  expect(result).toEqual({ passed: 14, of: 14 });

  // What it left behind is all that the command needs, the stack included; with one byte changed it says which step fails.
  const [bundle, policy] = [join(dir, FILES.bundle), join(dir, FILES.policy)];
  expect(await talos("audit", "verify", bundle, "--policy", policy)).toMatchObject({ code: 0 });
  writeFileSync(bundle, readFileSync(bundle, "utf8").replace('"allow', '"bllow'));
  expect(await talos("audit", "verify", bundle, "--policy", policy)).toMatchObject({ code: 1 });
});
