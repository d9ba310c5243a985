import { TalosError } from "@talos/contracts";
import { ClientError, GatewayError } from "../errors.ts";
import { McpError } from "../mcp.ts";
import { auditCommands } from "./audit.ts";
import { auditLogCommands } from "./audit-log.ts";
import { callCommand } from "./call.ts";
import { capCommands } from "./cap.ts";
import { type Command, EXIT, help, parse, UsageError } from "./command.ts";
import { Context, type Io } from "./context.ts";
import { keyCommands } from "./key.ts";
import { keysCommands } from "./keys.ts";
import { rewrap } from "./keys-rewrap.ts";
import { privacyCommands, valuesCommand } from "./privacy.ts";
import { revokeCommands } from "./revoke.ts";
import { sinkCommands } from "./sink.ts";
import { sessionCommand } from "./session.ts";
import { toolsCommand } from "./tools.ts";

const COMMANDS: Command[] = [
  ...keyCommands,
  ...capCommands,
  sessionCommand,
  toolsCommand,
  callCommand,
  ...revokeCommands,
  ...auditCommands,
  ...auditLogCommands,
  valuesCommand,
  ...privacyCommands,
  ...sinkCommands,
  ...keysCommands,
  rewrap,
];

const processIo: Io = {
  env: process.env,
  cwd: process.cwd(),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** Run one command line. @param more commands that only some installations have @returns the exit code */
export async function main(args: string[], io: Io = processIo, more: readonly Command[] = []): Promise<number> {
  const wanted = args.filter((arg) => !arg.startsWith("-"));
  const commands = [...COMMANDS, ...more];
  const command = commands.find(({ name }) => name === wanted.slice(0, name.split(" ").length).join(" "));
  if (!command) return overview(commands, args, wanted, io);
  try {
    const { values, positionals } = parse(command, without(args, command.name.split(" ")));
    if (values.help === true) {
      io.out(help(command));
      return EXIT.ok;
    }
    return (await command.run(new Context(io, values), values, positionals)) ?? EXIT.ok;
  } catch (error) {
    return report(error, command, args.includes("--json"), io);
  }
}

/** The command's words may stand between options: each is taken away once, in order. */
function without(args: string[], words: string[]): string[] {
  const rest = [...args];
  for (const word of words) rest.splice(rest.indexOf(word), 1);
  return rest;
}

function overview(commands: readonly Command[], args: string[], wanted: string[], io: Io): number {
  const group = commands.filter(({ name }) => name.startsWith(`${wanted[0]} `));
  const asked = args.includes("--help") || args.includes("-h") || args.length === 0 || wanted[0] === "help";
  const known = wanted.length === 0 || wanted[0] === "help" || (group.length > 0 && wanted.length === 1);
  const shown = group.length > 0 ? group : commands;
  const width = Math.max(...shown.map(({ name }) => name.length));
  const lines = [
    "talos: keys, capabilities and calls of agents",
    "",
    ...shown.map(({ name, summary }) => `  talos ${name.padEnd(width)}  ${summary}`),
    "",
    "Every command takes --help and --json. Defaults come from TALOS_KEY, TALOS_CAP, TALOS_AUD, TALOS_STATE, and from the",
    "folder .talos that `npm start` leaves behind.",
    "",
    "Exit codes: 0 done; 1 refused, invalid, or the tool reported an error; 2 wrong usage; 3 unreachable, unavailable or",
    "over a limit for now: try again later.",
  ];
  const text = `${lines.join("\n")}\n`;
  if (asked && known) {
    io.out(text);
    return EXIT.ok;
  }
  if (!known) io.err(`talos: no such command: ${wanted.slice(0, 2).join(" ")}\n\n`);
  io.err(text);
  return EXIT.usage;
}

function report(error: unknown, command: Command, json: boolean, io: Io): number {
  const { code, exit, more } = classify(error);
  const message = error instanceof Error ? error.message : String(error);
  if (json) io.err(`${JSON.stringify({ error: { code, message, ...more } })}\n`);
  else io.err(`talos ${command.name}: ${message}${hint(exit, command, more)}\n`);
  return exit;
}

function hint(exit: number, command: Command, more: Record<string, unknown>): string {
  if (exit === EXIT.usage) return `\nSee: talos ${command.name} --help`;
  const again =
    typeof more.retry_after_ms === "number" ? `\nTry again in ${Math.ceil(more.retry_after_ms / 1_000)} s` : "";
  return `${again}${typeof more.request_id === "string" ? `\nRequest ${more.request_id}` : ""}`;
}

function classify(error: unknown): { code: string; exit: number; more: Record<string, unknown> } {
  if (error instanceof UsageError) return { code: "usage", exit: EXIT.usage, more: {} };
  if (error instanceof GatewayError) {
    const { code, status, request_id, decision, retry_after_ms, retryable } = error.problem;
    const later = retryable || status === 429 || status === 503;
    const more = { status, request_id, decision, retry_after_ms, retryable };
    return { code, exit: later ? EXIT.unavailable : EXIT.refused, more };
  }
  if (error instanceof ClientError) {
    const exit = CLIENT_EXITS[error.code] ?? EXIT.refused;
    return { code: error.code, exit, more: {} };
  }
  if (error instanceof McpError) return { code: "tool.error", exit: EXIT.refused, more: { rpc_code: error.code } };
  // The core refuses with the contract's codes: a capability that is malformed, a child that is wider than its parent.
  if (error instanceof TalosError) return { code: error.code, exit: EXIT.refused, more: { detail: error.detail } };
  if (error instanceof TypeError && error.message === "fetch failed") {
    return { code: "client.unreachable", exit: EXIT.unavailable, more: {} };
  }
  return { code: "internal", exit: EXIT.refused, more: {} };
}

const CLIENT_EXITS: Partial<Record<ClientError["code"], number>> = {
  "client.usage": EXIT.usage,
  "client.foreign_url": EXIT.usage,
  "client.unreachable": EXIT.unavailable,
  "client.timeout": EXIT.unavailable,
};
