/** Go's golang.org/x/mod/sumdb as a reader of our logs (test/interop/go). */
import { spawn, spawnSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const SOURCES = join(import.meta.dirname, "../interop/go");

/** @returns why it cannot be had here, or nothing once `binary` is built */
export function buildInterop(binary: string): string | undefined {
  if (spawnSync("go", ["version"]).status !== 0) return "no Go on this machine";
  if (spawnSync("go", ["mod", "download"], { cwd: SOURCES }).status !== 0) return "golang.org/x/mod cannot be had";
  const built = spawnSync("go", ["build", "-o", binary, "."], { cwd: SOURCES, encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
  return undefined;
}

export interface Said {
  code: number | null;
  out: string;
  error: string;
}

/** @param olds files of earlier signed heads */
export function interop(binary: string, server: Server, key: string, proofs: number, olds: string[]): Promise<Said> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const args = ["-url", url, "-key", key, "-proofs", String(proofs), ...olds.flatMap((path) => ["-old", path])];
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args);
    const said = { out: "", error: "" };
    child.stdout.on("data", (chunk) => (said.out += chunk));
    child.stderr.on("data", (chunk) => (said.error += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...said }));
  });
}

/** Serves what `read` gives by name on a free loopback port. */
export async function served(read: (path: string) => Promise<Uint8Array | undefined>): Promise<Server> {
  const server = createServer((request, answer) => {
    read((request.url ?? "").slice(1)).then(
      (file) => answer.writeHead(file === undefined ? 404 : 200).end(file),
      () => answer.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
