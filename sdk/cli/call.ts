import { resolve } from "node:path";
import { isRecord } from "../errors.ts";
import { McpClient, type McpToolResult } from "../mcp.ts";
import { type Command, EXIT, IDENTITY, UsageError } from "./command.ts";
import { type Context, parseJson, readInput } from "./context.ts";
import { printable } from "../printable.ts";

export const callCommand: Command = {
  name: "call",
  usage: "SERVER/TOOL [JSON|@FILE|-]",
  summary: "Call a tool through the gateway",
  about: `The arguments are a JSON object; @FILE reads them from a file, - from standard input.
Exit code 1 when the gateway refuses the call or the tool reports an error, 3 when a bucket is empty: try again later.`,
  positionals: [1, 2],
  options: IDENTITY,
  examples: [
    `talos call everything/echo '{"message":"hello"}'`,
    `talos call everything/get-sum '{"a":2,"b":3}' --json`,
    "talos call everything/echo @arguments.json",
  ],
  async run(context, _values, [target, given]) {
    const [, server, tool] = /^([a-z0-9][a-z0-9-]{0,62})\/([A-Za-z0-9_.-]{1,128})$/.exec(target!) ?? [];
    if (!server || !tool) throw new UsageError("name the tool as SERVER/TOOL");
    const args = readArguments(context, given);
    let intent: string | null = null;
    const client = context.client(({ headers }) => {
      intent = headers.get("talos-intent") ?? intent;
    });
    const mcp = await McpClient.connect(client.mcpUrl(server), client.fetch);
    try {
      intent = null; // that of the call, not of what went before
      const result = await mcp.callTool(tool, args);
      context.print({ ...result, ...(intent ? { intent } : {}) }, resultLines(result, intent));
      return result.isError ? EXIT.refused : EXIT.ok;
    } finally {
      await mcp.close();
    }
  },
};

function readArguments(context: Context, given: string | undefined): Record<string, unknown> {
  if (given === undefined) return {};
  const input =
    given === "-" ? readInput("-") : given.startsWith("@") ? readInput(resolve(context.io.cwd, given.slice(1))) : given;
  const value = parseJson(input, "the arguments");
  if (!isRecord(value)) throw new UsageError("the arguments are a JSON object");
  return value;
}

function resultLines(result: McpToolResult, intent: string | null): string[] {
  const lines = result.content.map((part) => {
    if (!isRecord(part)) return "";
    if (part.type === "text" && typeof part.text === "string") return printable(part.text, "\n\t");
    return `[${printable(String(part.type))}${typeof part.mimeType === "string" ? ` ${printable(part.mimeType)}` : ""}]`;
  });
  if (result.isError) lines.unshift("The tool reports an error:");
  if (intent) lines.push(`(recorded as ${printable(intent)})`);
  return lines;
}
