/**
 * Code that is not ours reads our log: Go's golang.org/x/mod/sumdb opens the checkpoint, re-derives every leaf, walks the
 * tiles over HTTP and agrees with 10,000 proofs. Then each kind of damage, which it must notice.
 */
import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, expect, it } from "vitest";
import { publicKey } from "@talos/core";
import { startTalos } from "../harness.ts";
import { makeEvent } from "../support/appender.ts";
import { buildInterop, interop, served } from "../support/interop.ts";

const ORIGIN = "talos.example/log/AAAAAAAAAAAAAAAAAAAAAA";
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

const ask = (proofs: number) => interop(binary, server, vkey, proofs, olds);

/** What it says while one file has one bit turned over. */
async function damaged(path: string, at: number): Promise<string> {
  const whole = files.get(path) as Uint8Array;
  const changed = whole.slice();
  changed[at] = (changed[at] as number) ^ 1;
  files.set(path, changed);
  const { code, error } = await ask(2);
  files.set(path, whole);
  expect(code).toBe(1);
  return error;
}

beforeAll(async () => {
  missing = buildInterop(binary);
  publish();
  server = await served(async (path) => files.get(path));
}, 300_000);

afterAll(() => {
  server?.close();
  rmSync(scratch, { recursive: true, force: true });
});

it("Go agrees with the head, every leaf and 10,000 random proofs, and with every earlier head", async (context) => {
  if (missing) context.skip(missing);
  const { code, out, error } = await ask(PROOFS);
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
  // In the signature, at a digit that becomes another one (base64 that is none is refused before) and not its last one.
  const digit = checkpoint.slice(0, -10).findLastIndex((byte) => byte >= 0x42 && byte <= 0x59);
  expect(await damaged("checkpoint", digit)).toMatch(/invalid signature/);
  expect(await damaged("checkpoint", 1)).toMatch(/invalid signature/);
  const [first = ""] = olds;
  writeFileSync(first, new TextDecoder().decode(checkpoint).replace(String(LEAVES), String(STEP)));
  const { code, error } = await ask(2);
  expect({ code, error: error.includes("invalid signature") }).toEqual({ code: 1, error: true });
});

it("Go agrees with what a running Worker published, before and after it was killed", async (context) => {
  if (missing) context.skip(missing);
  const state = mkdtempSync(join(scratch, "state-"));
  const first = await startTalos({ state });
  const { key } = first.keysets.purposes.head.find(({ status }) => status === "primary")!;
  const signer = publicKey(new Uint8Array(Buffer.from(key, "base64url")));
  const names = new Set<string>();
  const heads: string[] = [];
  let talos = first;
  let size = 0;
  const worker = await served((path) => talos.published("default", path));
  const grow = async (batches: number) => {
    for (let i = 0; i < batches; i += 1) {
      const answer = await talos.log().append({ events: Array.from({ length: 97 }, makeEvent) });
      if (!answer.ok) throw new Error(answer.code);
      expect(answer.seqs[0]).toBe(size);
      size += answer.seqs.length;
    }
    await talos.log().flush();
    const checkpoint = (await talos.published("default", "checkpoint"))!;
    const [name = ""] = new TextDecoder().decode(checkpoint).split("\n");
    expect(name).toMatch(/^[^/]+\/log\/[A-Za-z0-9_-]{22}$/); // drawn, so that it tells nobody whose log it is
    names.add(name);
    const said = await interop(binary, worker, log.verifierKey({ name, publicKey: signer }), 2_000, heads);
    expect(said).toMatchObject({ code: 0, error: "" });
    expect(said.out).toContain(`ok: ${size} leaves, 2000 proofs,`);
    heads.push(join(scratch, `worker-${size}.checkpoint`));
    writeFileSync(heads.at(-1) as string, checkpoint);
  };
  try {
    await grow(1);
    await grow(5);
    await talos.kill();
    talos = await startTalos({ state, keysets: first.keysets, port: first.port });
    await grow(7);
    expect(names.size).toBe(1);
  } finally {
    worker.close();
    await talos.stop();
  }
}, 120_000);
