/** Readers of our logs that are not ours: Go's golang.org/x/mod/sumdb (test/interop/go), Tessera's fsck (test/interop/fsck). */
import { spawn, spawnSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const SOURCES = join(import.meta.dirname, "../interop");
const FSCK = "github.com/transparency-dev/tessera/cmd/fsck";

/** @returns why it cannot be had here, or nothing once `binary` is built */
function build(binary: string, folder: string, target: string, from: string): string | undefined {
  const cwd = join(SOURCES, folder);
  if (spawnSync("go", ["version"]).status !== 0) return "no Go on this machine";
  if (spawnSync("go", ["mod", "download"], { cwd }).status !== 0) return `${from} cannot be had`;
  const built = spawnSync("go", ["build", "-mod=readonly", "-o", binary, target], { cwd, encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
  return undefined;
}

export const buildInterop = (binary: string) => build(binary, "go", ".", "golang.org/x/mod");

/** The version is pinned in test/interop/fsck/go.mod, its bytes in go.sum. */
export const buildFsck = (binary: string) => build(binary, "fsck", FSCK, "Tessera");

export interface Said {
  code: number | null;
  out: string;
  error: string;
}

/** @param olds files of earlier signed heads */
export function interop(binary: string, server: Server, key: string, proofs: number, olds: string[]): Promise<Said> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return interopAt(binary, url, key, proofs, { olds });
}

/** @param more.entries files of entries that must be in the log */
export function interopAt(
  binary: string,
  url: string,
  key: string,
  proofs: number,
  more: { olds?: string[]; entries?: string[] } = {},
): Promise<Said> {
  const args = ["-url", url, "-key", key, "-proofs", String(proofs)];
  for (const path of more.olds ?? []) args.push("-old", path);
  for (const path of more.entries ?? []) args.push("-entry", path);
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args);
    const said = { out: "", error: "" };
    child.stdout.on("data", (chunk) => (said.out += chunk));
    child.stderr.on("data", (chunk) => (said.error += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...said }));
  });
}

/** Re-derives the whole log from its bundles. It ends with 0 whatever it finds, so what counts is what it says. */
export function fsck(binary: string, server: Server, keyFile: string): Promise<Said> {
  return say(binary, ["-storage_url", urlOf(server), "-public_key", keyFile, "-ui=false", "-N", "2"]);
}

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

function say(binary: string, args: string[]): Promise<Said> {
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
