/**
 * Code that is not ours reads our log: Go's golang.org/x/mod/sumdb opens the checkpoint, re-derives every leaf, walks the
 * tiles over HTTP and agrees with 10,000 proofs. Then each kind of damage, which it must notice.
 */
import { spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, expect, it } from "vitest";

const SOURCES = join(import.meta.dirname, "../interop/go");
const ORIGIN = "talos.example/t/default/audit";
const LEAVES = 10_007;
const STEP = 613;
const PROOFS = 10_000;

const scratch = mkdtempSync(join(tmpdir(), "talos-interop-"));
const binary = join(scratch, "interop");
const files = new Map<string, Uint8Array>();
const olds: string[] = [];
const utf8 = (text: string) => new TextEncoder().encode(text);
let server: Server;
let vkey: string;
let missing: string | undefined;

/** Go with its one module, or why not. */
function buildInterop(): string | undefined {
  if (spawnSync("go", ["version"]).status !== 0) return "no Go on this machine";
  if (spawnSync("go", ["mod", "download"], { cwd: SOURCES }).status !== 0) return "golang.org/x/mod cannot be had";
  const built = spawnSync("go", ["build", "-o", binary, "."], { cwd: SOURCES, encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
  return undefined;
}

/** A log of `LEAVES` entries, published as a folder of files, with a signed head after each step. */
function publish(): void {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const key = {
    name: ORIGIN,
    publicKey: new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32)),
  };
  vkey = log.verifierKey(key);
  const entries = Array.from({ length: LEAVES }, (_, index) => utf8(`{"entry":${index}}`));
  for (let size = 0; size < LEAVES; ) {
    const fresh = entries.slice(size, size + STEP);
    const edge = Buffer.concat(log.edgeTiles(size).map((path) => files.get(path) as Uint8Array));
    const { root, tiles } = log.append({ size, edge, leaves: Buffer.concat(fresh.map(log.leafHash)) });
    for (const { path, hashes } of tiles) files.set(path, hashes);
    size += fresh.length;
    const text = log.checkpointText(ORIGIN, { size, root });
    const line = log.signatureLine(key, new Uint8Array(sign(null, utf8(text), privateKey)));
    const checkpoint = utf8(log.note(text, [line]));
    files.set("checkpoint", checkpoint);
    olds.push(join(scratch, `${size}.checkpoint`));
    writeFileSync(olds.at(-1) as string, checkpoint);
  }
  for (let index = 0; index * log.TILE_WIDTH < LEAVES; index += 1) {
    const path = log.tileAt("entries", index, LEAVES) as string;
    files.set(path, log.bundle(entries.slice(index * log.TILE_WIDTH, (index + 1) * log.TILE_WIDTH)));
  }
}

function interop(proofs: number): Promise<{ code: number | null; out: string; error: string }> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const args = ["-url", url, "-key", vkey, "-proofs", String(proofs), ...olds.flatMap((path) => ["-old", path])];
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args);
    const said = { out: "", error: "" };
    child.stdout.on("data", (chunk) => (said.out += chunk));
    child.stderr.on("data", (chunk) => (said.error += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...said }));
  });
}

/** What it says while one file has one bit turned over. */
async function damaged(path: string, at: number): Promise<string> {
  const whole = files.get(path) as Uint8Array;
  const changed = whole.slice();
  changed[at] = (changed[at] as number) ^ 1;
  files.set(path, changed);
  const { code, error } = await interop(2);
  files.set(path, whole);
  expect(code).toBe(1);
  return error;
}

beforeAll(async () => {
  missing = buildInterop();
  publish();
  server = createServer((request, answer) => {
    const file = files.get((request.url ?? "").slice(1));
    answer.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
}, 300_000);

afterAll(() => {
  server?.close();
  rmSync(scratch, { recursive: true, force: true });
});

it("Go agrees with the head, every leaf and 10,000 random proofs, and with every earlier head", async (context) => {
  if (missing) context.skip(missing);
  const { code, out, error } = await interop(PROOFS);
  expect({ code, error }).toEqual({ code: 0, error: "" });
  expect(out).toContain(`ok: ${LEAVES} leaves, ${PROOFS} proofs,`);
  expect(out).toContain(`${Math.ceil(LEAVES / STEP)} older heads`);
});

it("Go notices a changed entry, tile, checkpoint and earlier head", async (context) => {
  if (missing) context.skip(missing);
  expect(await damaged("tile/entries/003", 4)).toMatch(/not those of the head/);
  expect(await damaged("tile/0/007", 100)).toMatch(/inconsistent tile|not its entry's/);
  expect(await damaged("tile/1/000.p/39", 100)).toMatch(/inconsistent tile/);
  expect(await damaged("tile/entries/003", 1)).toMatch(/ends within an entry|holds more than|not those of the head/);
  const checkpoint = files.get("checkpoint") as Uint8Array;
  expect(await damaged("checkpoint", checkpoint.length - 20)).toMatch(/invalid signature/);
  expect(await damaged("checkpoint", 1)).toMatch(/invalid signature/);
  const [first = ""] = olds;
  writeFileSync(first, new TextDecoder().decode(checkpoint).replace(String(LEAVES), String(STEP)));
  const { code, error } = await interop(2);
  expect({ code, error: error.includes("invalid signature") }).toEqual({ code: 1, error: true });
});
