/**
 * A local chain: anvil, a real node, from npm's package for this platform. It is an optional dependency: where none fits,
 * `anvilBinary` says so, and whoever wanted a chain goes without one by name.
 */
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../bootstrap.js";
import { Child } from "./children.ts";
import { freePort } from "./ports.ts";

export const ANVIL_CHAIN_ID = 31_337;
/** The second account of anvil's public test phrase: worth nothing anywhere. The first deploys. */
export const ANVIL_KEYS = [
  "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
  "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
  "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
] as const;
const START_MS = 20_000;

/** Undefined where npm has none for this platform, or installed none. */
export function anvilBinary(): string | undefined {
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const path = join(root, `node_modules/@foundry-rs/anvil-${process.platform}-${arch}/bin/anvil`);
  if (!existsSync(path)) return undefined;
  chmodSync(path, 0o755);
  return path;
}

export interface Anvil {
  rpc: string;
  child: Child;
}

/** @param options.args more of anvil's own */
export async function startAnvil(options: { dir: string; port?: number; args?: string[] }): Promise<Anvil> {
  const binary = anvilBinary();
  if (binary === undefined) throw new Error("no anvil for this platform: npm install left the optional package out");
  const port = options.port ?? (await freePort());
  const command = [binary, "--host", "127.0.0.1", "--port", String(port), "--chain-id", String(ANVIL_CHAIN_ID)];
  const child = new Child({
    name: "anvil",
    command: [...command, ...(options.args ?? [])],
    env: { ...process.env, NO_COLOR: "1" },
    cwd: options.dir,
    logFile: join(options.dir, "logs", "anvil.log"),
  });
  await child.line(/Listening on/, START_MS);
  return { rpc: `http://127.0.0.1:${port}`, child };
}
