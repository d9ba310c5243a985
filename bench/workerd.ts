/** workerd with scripts of ours, each reached on a socket of its own, without miniflare's router in between. */
import { convertV4MiniflareOptions, Miniflare, type WorkerOptions } from "miniflare";
import { freePort } from "../scripts/dev/ports.ts";
import type { Module } from "./bundle.ts";

export interface Running {
  /** where each script listens, by its name */
  origins: Record<string, string>;
  stop(): Promise<void>;
}

export type Script = Partial<WorkerOptions> & { name: string; modules: Module[]; compatibilityFlags?: string[] };

/**
 * @param options.ports fixed ports by name; others are free ones
 * @param options.unlogged what Workers log as expected, and is not shown
 */
export async function startScripts(
  scripts: Script[],
  options: { state?: string; ports?: Record<string, number>; inspectorPort?: number; unlogged?: RegExp } = {},
): Promise<Running> {
  const origins: Record<string, string> = {};
  const workers = [];
  for (const script of scripts) {
    const port = options.ports?.[script.name] ?? (await freePort());
    origins[script.name] = `http://127.0.0.1:${port}`;
    workers.push({
      ...{ compatibilityDate: "2026-11-01", modulesRoot: "/", ...script },
      unsafeDirectSockets: [{ host: "127.0.0.1", port }],
    });
  }
  const state = options.state === undefined ? {} : { resourcePersistencePath: options.state };
  const inspected = options.inspectorPort === undefined ? {} : { inspectorPort: options.inspectorPort };
  // What Workers log is not what we print.
  const handleStructuredLogs = ({ message }: { message: string }): void => {
    if (options.unlogged?.test(message) !== true) process.stderr.write(`${message}\n`);
  };
  const converted = convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    handleStructuredLogs,
    ...state,
    ...inspected,
    workers,
  } as never);
  const miniflare = new Miniflare(converted);
  await miniflare.ready;
  return { origins, stop: () => miniflare.dispose() };
}
