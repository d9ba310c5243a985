import { join } from "node:path";
import { root } from "../bootstrap.js";
import { Child } from "./children.ts";

const START_MS = 30_000;

/**
 * The official "everything" MCP server on a free loopback port. It gets an environment of its own: one of its tools
 * answers with all of it, and ours may hold secrets.
 */
export async function startEverything(dir: string): Promise<{ child: Child; url: string }> {
  const entry = join(root, "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js");
  const child = new Child({
    name: "the everything server",
    command: [process.execPath, "--import", join(import.meta.dirname, "loopback.js"), entry, "streamableHttp"],
    env: { PATH: process.env.PATH, PORT: "0", NODE_NO_WARNINGS: "1" },
    cwd: root,
    logFile: join(dir, "logs", "everything.log"),
  });
  const [, port] = await child.line(/^listening on loopback port (\d+)$/, START_MS);
  return { child, url: `http://127.0.0.1:${port}/mcp` };
}
