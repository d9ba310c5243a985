import { join } from "node:path";
import { writeSecretFile } from "@talos/sdk/node";
import { root } from "../bootstrap.js";
import { Child } from "./children.ts";

export interface WranglerOptions {
  /** as people call it */
  title: string;
  /** of its files in the state folder */
  name: string;
  dir: string;
  /** configuration, below the root */
  config: string;
  port: number;
  /** variables and secrets */
  vars: Record<string, string>;
}

/** A script under `wrangler dev` on loopback, with its rows in the state folder. */
export function startWrangler({ title, name, dir, config, port, vars }: WranglerOptions): Child {
  // A file of mode 0600, not arguments: every user of the machine can read those.
  const envFile = join(dir, `${name}.env`);
  const lines = Object.entries(vars).map(([variable, value]) => `${variable}=${quote(value)}\n`);
  writeSecretFile(envFile, lines.join(""), { overwrite: true });
  const command = [process.execPath, join(root, "node_modules", "wrangler", "bin", "wrangler.js"), "dev"];
  command.push("--config", join(root, config), "--env-file", envFile, "--ip", "127.0.0.1");
  command.push("--port", String(port), "--inspector-port", "0", "--persist-to", join(dir, name));
  command.push("--show-interactive-dev-session", "false", "--log-level", "info");
  return new Child({
    name: title,
    command,
    env: {
      ...process.env,
      CI: "1", // no questions, no terminal games
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_LOG_PATH: join(dir, "logs", "wrangler"),
      WRANGLER_HIDE_BANNER: "true",
      // Wrangler would fetch an example of `Request.cf` from the network and complain where there is none.
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      NO_COLOR: "1",
      FORCE_COLOR: "0",
    },
    cwd: root,
    logFile: join(dir, "logs", `${name}.log`),
  });
}

/** A value for a dotenv file: single quotes take everything literally but themselves, line breaks too. */
function quote(value: string): string {
  if (!/['\r]/.test(value)) return `'${value}'`;
  if (!/[`\n\r]/.test(value)) return `\`${value}\``;
  throw new Error("a value with both kinds of quotes cannot be passed to a script");
}
