import { McpClient } from "../mcp.ts";
import { type Command, IDENTITY } from "./command.ts";
import { printable } from "../printable.ts";

export const toolsCommand: Command = {
  name: "tools",
  usage: "SERVER",
  summary: "List the tools of a server that this capability may call",
  about: "The list is the server's own, filtered by the gateway: what may not be called is not shown.",
  positionals: [1, 1],
  options: IDENTITY,
  examples: ["talos tools everything", "talos tools everything --json | jq '.tools[].name'"],
  async run(context, _values, [server]) {
    const client = context.client();
    const mcp = await McpClient.connect(client.mcpUrl(server!), client.fetch);
    try {
      const tools = await mcp.listTools();
      const width = Math.max(0, ...tools.map(({ name }) => name.length));
      const lines = tools.map(({ name, description, _meta }) => {
        const first = (description ?? "").split("\n")[0]!;
        return printable(`${name.padEnd(width)}  ${String(_meta?.["talos/class"] ?? "").padEnd(11)}  ${first}`);
      });
      context.print({ server, tools }, tools.length > 0 ? lines : "No tool of this server may be called.");
    } finally {
      await mcp.close();
    }
    return undefined;
  },
};
