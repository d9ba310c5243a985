/**
 * Tools of others read the log of a running Worker through its surfaces, as a stranger with a capability does: Tessera's
 * fsck re-derives all of it from the bundles, Go's sumdb agrees with 10,000 random proofs. Before and after the Worker was
 * killed; and both notice each kind of damage on the way. The hand that signs the requests adds nothing else.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { send, signed } from "../fixtures.ts";
import { makeEvent } from "../support/appender.ts";
import { verifierKeyOf } from "../support/heads.ts";
import { buildFsck, buildInterop, fsck, interop, type Said, served } from "../support/interop.ts";
import { type Scene, startScene } from "../support/scene.ts";

const PROOFS = 10_000;
const BATCH = 200;
const scratch = mkdtempSync(join(tmpdir(), "talos-readers-"));
const [sumdb, tessera, keyFile] = [join(scratch, "sumdb"), join(scratch, "fsck"), join(scratch, "key")];
const olds: string[] = [];
let scene: Scene;
let server: Server;
let missing: string | undefined;
let vkey = "";
/** what a file is turned into on the way */
let damage: ((path: string, bytes: Uint8Array) => void) | undefined;

async function read(path: string): Promise<Uint8Array | undefined> {
  const ask = { aud: scene.aud, path: `/audit/${path}`, method: "GET" };
  const answer = await send(signed(scene.agent, scene.chain, ask));
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  damage?.(path, bytes);
  return bytes;
}

/** @returns how many events the log has, all of them published */
async function grow(batches: number): Promise<number> {
  for (let i = 0; i < batches; i += 1) {
    const answer = await scene.talos.log().append({ events: Array.from({ length: BATCH }, makeEvent) });
    if (!answer.ok) throw new Error(answer.code);
  }
  for (;;) {
    await scene.talos.log().flush();
    const { next_seq, published_size } = await scene.talos.log().status();
    if (published_size === next_seq) return next_seq;
  }
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const checked = ({ error }: Said) => Number(/Successfully fsck'd log with size (\d+)/.exec(error)?.[1]);

beforeAll(async () => {
  missing = buildInterop(sumdb) ?? buildFsck(tessera);
  if (missing) return;
  scene = await startScene();
  server = await served(read);
}, 300_000);

afterAll(async () => {
  server?.close();
  await scene?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

it("Tessera's fsck and Go's sumdb agree with all of it, before and after a kill", {
  timeout: 300_000,
}, async (context) => {
  if (missing) context.skip(missing);
  for (const batches of [3, 17, 31]) {
    await grow(batches);
    const checkpoint = await read("checkpoint");
    const [origin, size] = text(checkpoint).split("\n") as [string, string];
    vkey = verifierKeyOf(scene.talos.keysets, origin);
    writeFileSync(keyFile, vkey);
    const said = await fsck(tessera, server, keyFile);
    expect(checked(said), said.error).toBeGreaterThanOrEqual(Number(size));
    const proven = await interop(sumdb, server, vkey, PROOFS, olds);
    expect(proven).toMatchObject({ code: 0, error: "" });
    console.log(`fsck: ${checked(said)} entries re-derived; sumdb: ${PROOFS} proofs agree, ${olds.length} older heads`);
    olds.push(join(scratch, `${size}.checkpoint`));
    writeFileSync(olds.at(-1)!, checkpoint!);
    await scene.talos.kill();
    await scene.restart();
  }
});

it.for([
  ["an event in its bundle", (path: string) => path === "tile/entries/001", 300, /not those of the head/],
  ["a leaf hash in its tile", (path: string) => path === "tile/0/002", 40, /inconsistent tile|not its entry's/],
  ["a node above it", (path: string) => path.startsWith("tile/1/000"), 40, /inconsistent tile/],
  ["the root in the checkpoint", (path: string) => path === "checkpoint", 60, /invalid signature|malformed note/],
] as const)("both notice one changed bit of %s", async ([, is, at, says], context) => {
  if (missing) context.skip(missing);
  damage = (path, bytes) => {
    if (is(path)) bytes[at]! ^= 1;
  };
  const [said, proven] = [await fsck(tessera, server, keyFile), await interop(sumdb, server, vkey, 2, [])];
  damage = undefined;
  expect(checked(said)).toBeNaN();
  expect(said.error).toMatch(/fsck failed/);
  expect(proven.code).toBe(1);
  expect(proven.error).toMatch(says);
});
