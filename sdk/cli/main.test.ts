import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadKey, saveKey } from "../key-file.ts";
import { Key } from "../keys.ts";
import { main } from "./main.ts";

/** Port 9 (discard) of loopback: nothing listens there. */
const NOWHERE = "http://127.0.0.1:9/t/default";
const COMMANDS = [
  ...[
    "key new",
    "key show",
    "cap issue",
    "cap narrow",
    "cap inspect",
    "cap verify",
    "cap scope",
    "session",
    "tools",
    "call",
  ],
  ...["revoke link", "revoke key", "revoke epoch", "audit tail", "audit show", "audit values", "erase", "hold"],
  ...["audit proof", "audit verify", "audit monitor"],
  ...[
    "audit log",
    "audit checkpoint",
    "audit list",
    "audit append",
    "audit stream",
    "audit export",
    "audit verify-export",
  ],
  ...["sink create", "sink list", "sink show", "sink update", "sink delete", "sink pause", "sink resume", "sink test"],
  ...["sink replay", "sink rotate", "sink deliveries", "sink dead-letters"],
  ...["keys generate", "keys show", "keys stage", "keys promote", "keys prune", "keys rewrap"],
];

let cwd: string;
let printed: string[];
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "talos-cli-"));
  printed = [];
});
afterEach(() => rmSync(cwd, { recursive: true }));

/** Run a command line in the temporary folder. */
async function talos(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const io = { env: {}, cwd, out: (text: string) => void out.push(text), err: (text: string) => void err.push(text) };
  const code = await main(args, io);
  printed.push(...out, ...err);
  return { code, out: out.join(""), err: err.join("") };
}

/** A state folder as `npm start` leaves it. */
function giveState(): { operator: Key; agent: Key } {
  const keys = { operator: Key.generate(), agent: Key.generate() };
  mkdirSync(join(cwd, ".talos"));
  writeFileSync(
    join(cwd, ".talos", "state.json"),
    JSON.stringify({ v: 1, port: 9, aud: NOWHERE, operator: keys.operator.did }),
  );
  saveKey(join(cwd, ".talos", "operator.json"), keys.operator);
  saveKey(join(cwd, ".talos", "agent.json"), keys.agent);
  return keys;
}

async function giveCapability(holder: Key): Promise<void> {
  const scope = "everything/echo:read+write:call:*";
  const { code } = await talos(
    "cap",
    "issue",
    "--to",
    holder.did,
    "-g",
    scope,
    "--depth",
    "2",
    "-o",
    ".talos/agent.cap",
  );
  expect(code).toBe(0);
}

describe("help", () => {
  it("is there for every command, with an example, and exit code 0", async () => {
    for (const command of COMMANDS) {
      const { code, out } = await talos(...command.split(" "), "--help");
      expect(code, command).toBe(0);
      expect(out).toContain(`talos ${command}`);
      expect(out).toContain("Examples:");
    }
    const { code, out } = await talos("--help");
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(out).toContain(`talos ${command}`);
  });

  it("answers what is no command with exit code 2", async () => {
    for (const args of [
      ["no"],
      ["cap", "steal"],
      ["key"],
      ["cap", "inspect", "--no"],
      ["tools"],
      ["call", "a", "b", "c"],
      ["sink", "create", "https://siem.example.com/", "--algorithm", "v1"],
      ["sink", "create", "https://siem.example.com/", "--kind", "gossip"],
      ["erase", "did:key:no"],
      ["erase", "--id", "no"],
      ["hold", "nobody"],
      ["audit", "verify-export", "none.ndjson", "--policy", "none.txt"],
      ["sink", "replay", "q83vEjRWeJCrze8SNFZ4kA", "--from", "5", "--to", "5"],
    ]) {
      const { code, out, err } = await talos(...args);
      expect(code, args.join(" ")).toBe(2);
      expect(out).toBe("");
      expect(err).not.toBe("");
    }
  });
});

describe("capabilities, offline", () => {
  it("are issued, narrowed, verified and inspected", async () => {
    const { agent } = giveState();
    await giveCapability(agent);
    expect((await talos("key", "new", "sub.json")).code).toBe(0);
    const sub = loadKey(join(cwd, "sub.json"));
    const narrowed = await talos(
      "cap",
      "narrow",
      "--to",
      sub.did,
      "-g",
      "everything/echo:read:call:*",
      "--ttl",
      "5m",
      "-o",
      "sub.cap",
    );
    expect(narrowed.code).toBe(0);
    expect(await talos("cap", "verify", "sub.cap")).toMatchObject({ code: 0, out: `Valid for ${NOWHERE}.\n` });
    const { links } = JSON.parse((await talos("cap", "inspect", "sub.cap", "--json")).out);
    expect(links.map((link: { claims: { sub: string } }) => link.claims.sub)).toEqual([agent.did, sub.did]);
    expect((await talos("cap", "inspect", "sub.cap")).out).toContain("everything/echo:read:call:*");
    expect(statSync(join(cwd, "sub.cap")).mode & 0o777).toBe(0o600);
  });

  it("are refused with exit code 1 when wider than their parent, or rooted in a stranger", async () => {
    const { agent } = giveState();
    await giveCapability(agent);
    const wide = await talos("cap", "narrow", "--to", agent.did, "-g", "everything/get-env:read:call:*", "--json");
    expect(wide.code).toBe(1);
    expect(JSON.parse(wide.err).error.code).toBe("DELEGATION_INVALID");
    const stranger = await talos("cap", "verify", "--anchor", Key.generate().did, "--json");
    expect(stranger.code).toBe(1);
    expect(JSON.parse(stranger.out)).toMatchObject({ valid: false, decision: { code: "UNTRUSTED_ISSUER" } });
  });

  it("have scope strings, there and back", async () => {
    const scope = "everything/echo:read+write:call:^notes/a%20b:closed";
    const { grant } = JSON.parse((await talos("cap", "scope", scope, "--json")).out);
    expect(grant).toMatchObject({
      tool: "everything/echo",
      classes: ["read", "write"],
      resource: { prefix: "notes/a b" },
      closed: true,
    });
    expect((await talos("cap", "scope", JSON.stringify(grant))).out).toBe(`${scope}\n`);
    expect((await talos("cap", "scope", "everything/echo:write+read:call:*")).code).toBe(1);
    expect((await talos("cap", "scope", "{")).code).toBe(2);
  });

  it("carry rules on arguments from a file", async () => {
    const { agent } = giveState();
    const grants = [
      { tool: "everything/echo", classes: ["read"], args: { message: [{ op: "maxlen", type: "string", bytes: 8 }] } },
    ];
    writeFileSync(join(cwd, "grants.json"), JSON.stringify(grants));
    const { code, out } = await talos("cap", "issue", "--to", agent.did, "--grants", "grants.json", "--json");
    expect(code).toBe(0);
    writeFileSync(join(cwd, "a.cap"), JSON.parse(out).capability);
    expect((await talos("cap", "inspect", "a.cap")).out).toContain("message maxlen");
    writeFileSync(join(cwd, "grants.json"), '[{"tool":"everything/echo","classes":["fly"]}]');
    expect((await talos("cap", "issue", "--to", agent.did, "--grants", "grants.json")).code).toBe(2);
  });
});

describe("exit codes", () => {
  it("tell a gateway that cannot be reached from one that refuses", async () => {
    const { agent } = giveState();
    await giveCapability(agent);
    for (const args of [
      ["session"],
      ["tools", "everything"],
      ["call", "everything/echo", "{}"],
      ["audit", "tail"],
      ["revoke", "link"],
      ["sink", "create", "https://siem.example.com/"],
      ["sink", "resume", "q83vEjRWeJCrze8SNFZ4kA"],
    ]) {
      const { code, out, err } = await talos(...args, "--json");
      expect(code, args.join(" ")).toBe(3);
      expect(out).toBe("");
      expect(JSON.parse(err).error.code).toBe("client.unreachable");
    }
  });

  it("say that key or capability are missing, and which option names them", async () => {
    expect(await talos("session")).toMatchObject({ code: 2, err: expect.stringContaining("--cap FILE") });
    giveState();
    expect(await talos("session")).toMatchObject({ code: 2, err: expect.stringContaining("--cap FILE") });
    expect(await talos("session", "--key", "no.json", "--cap", "no.cap")).toMatchObject({ code: 1 });
  });
});

describe("keysets", () => {
  it("are made, rotated and shown", async () => {
    expect((await talos("keys", "generate", "--out", "keysets.json")).code).toBe(0);
    expect(statSync(join(cwd, "keysets.json")).mode & 0o777).toBe(0o600);
    expect((await talos("keys", "generate", "--out", "keysets.json")).code).toBe(1);
    expect((await talos("keys", "promote", "--file", "keysets.json")).code).toBe(2);
    expect((await talos("keys", "stage", "--file", "keysets.json", "--purpose", "ticket")).code).toBe(0);
    expect((await talos("keys", "promote", "--file", "keysets.json", "--purpose", "ticket")).code).toBe(0);
    const shown = JSON.parse((await talos("keys", "show", "--file", "keysets.json", "--json")).out);
    const ticket = shown.keys.filter(({ purpose }: { purpose: string }) => purpose === "ticket");
    expect(ticket.map(({ status }: { status: string }) => status)).toEqual(["accept", "primary"]);
    expect((await talos("keys", "prune", "--file", "keysets.json")).code).toBe(0);
    const { purposes } = JSON.parse(readFileSync(join(cwd, "keysets.json"), "utf8"));
    for (const { key } of Object.values(purposes).flat() as { key: string }[])
      expect(printed.join("")).not.toContain(key);
  });

  it("go to standard output only when asked for", async () => {
    expect((await talos("keys", "generate")).code).toBe(2);
    const { code, out } = await talos("keys", "generate", "--out", "-");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ v: 1, environment: "production" });
  });
});

it("never prints a private key, whatever the command", async () => {
  const { operator, agent } = giveState();
  await giveCapability(agent);
  for (const command of COMMANDS) {
    const more =
      {
        "key new": ["x.json"],
        tools: ["everything"],
        call: ["everything/echo"],
        "cap scope": ["x"],
        "revoke epoch": ["1"],
      }[command] ?? [];
    await talos(...command.split(" "), ...more);
    await talos(...command.split(" "), ...more, "--json");
  }
  await talos("key", "show", ".talos/operator.json");
  await talos("session", "--key", ".talos/agent.cap");
  const all = printed.join("");
  expect(all.length).toBeGreaterThan(1_000);
  for (const key of [operator, agent, loadKey(join(cwd, "x.json"))]) {
    expect(all).not.toContain(key.secretJwk().d);
    expect(all).not.toContain(Buffer.from(key.seed()).toString("hex"));
  }
});

it("runs as a program", () => {
  const bin = join(import.meta.dirname, "..", "bin", "talos.js");
  const help = spawnSync(process.execPath, [bin, "--help"], { encoding: "utf8" });
  expect(help).toMatchObject({ status: 0, stderr: "" });
  expect(spawnSync(process.execPath, [bin, "no"], { encoding: "utf8" }).status).toBe(2);
});
