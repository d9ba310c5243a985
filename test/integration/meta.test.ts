/**
 * The meta-log of a running Worker, with two witnesses beside it, each a script and a key of its own: what anybody reads of it
 * over HTTP, what Go's code says of that, and what becomes of a deployment whose storage was put back.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MetaFacts } from "@talos/contracts";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, expect, it } from "vitest";
import { metaKeys, metaOrigin } from "../../durable-objects/meta-key.ts";
import { freePort } from "../../scripts/dev/ports.ts";
import { developmentKeysets } from "../fixtures.ts";
import { startTalos, type Talos } from "../harness.ts";
import { makeEvent } from "../support/appender.ts";
import { buildInterop, interopAt } from "../support/interop.ts";
import { startWitness, type TestWitness } from "../support/witness.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const scratch = mkdtempSync(join(tmpdir(), "talos-meta-"));
const keysets = developmentKeysets();
const WAIT = { timeout: 30_000, interval: 100 };

let talos: Talos;
let witnesses: TestWitness[];
let port: number;
let knownLogs: string[];

const state = (name: string) => join(scratch, name);
const start = (where: string) =>
  startTalos({
    state: state(where),
    keysets,
    port,
    env: {
      TALOS_LOOPBACK_RECEIVERS: "allow",
      TALOS_WITNESSES: `${witnesses.map(({ line }) => line).join("")}group both all w1.example w2.example\nquorum both\n`,
    },
  });
const startW = (name: string, more: object = {}) =>
  startWitness({ name, logs: knownLogs, state: state(name), ...more });

const get = (path: string) => fetch(`${talos.origin}/meta/${path}`);
const status = async () => (await (await get("status")).json()) as MetaFacts;

/** The head that anybody is shown, verified under the policy that the deployment gives. */
async function shown(): Promise<log.Verdict | undefined> {
  const answer = await get("checkpoint");
  if (answer.status !== 200) return undefined;
  const policy = new Uint8Array(await (await get("policy")).arrayBuffer());
  return log.verifyCheckpoint({ note: utf8(await answer.text()), policy }).catch(() => undefined);
}

/** Append to the tenant's log, until the meta-log's witnesses have seen it. @returns the size of the meta-log's head */
async function grow(): Promise<number> {
  const before = (await shown())?.size ?? 0;
  const answer = await talos.log().append({ events: [makeEvent()] });
  expect(answer.ok).toBe(true);
  await talos.log().flush();
  await expect.poll(async () => (await shown())?.size ?? 0, WAIT).toBeGreaterThan(before);
  return (await shown())!.size;
}

beforeAll(async () => {
  port = await freePort();
  knownLogs = await metaKeys(keysets, metaOrigin(`127.0.0.1:${port}`));
  witnesses = [await startW("w1.example"), await startW("w2.example")];
  talos = await start("one");
}, 120_000);

afterAll(async () => {
  await talos?.stop();
  for (const witness of witnesses ?? []) await witness.stop();
  rmSync(scratch, { recursive: true, force: true });
});

it("shows anybody a head with both cosignatures, its tiles, the policy, and how it stands", async () => {
  expect((await get("checkpoint")).status).toBe(409);
  await grow();
  await grow();
  const head = (await shown())!;
  expect(head).toMatchObject({ origin: `127.0.0.1:${port}/meta` });
  expect(head.witnesses.map(({ name }) => name)).toEqual(["w1.example", "w2.example"]);
  const checkpoint = await get("checkpoint");
  expect(checkpoint.headers.get("cache-control")).toBe("no-cache");
  const tile = await get(log.tileAt(0, 0, head.size)!);
  expect([tile.status, tile.headers.get("cache-control")]).toEqual([200, "public, max-age=31536000, immutable"]);
  expect((await tile.arrayBuffer()).byteLength).toBe(32 * head.size);
  for (const path of [
    "tile/0/999",
    "tile/7/000",
    "tile/0/000.p/0",
    "tile/0/%30%30%30",
    "tile/0/x000/000",
    "tile/../x",
  ]) {
    expect((await get(path)).status, path).toBe(404);
  }
  await expect
    .poll(status, WAIT)
    .toMatchObject({ published: head.size, witnessed: head.size, forked: false, publish_failures: 0 });
  const facts = await status();
  expect(facts.witnessed_age_ms).toBeLessThan(60_000);
  expect(facts.witnesses).toMatchObject([
    { name: "w1.example", cosigned: head.size, failures: 0 },
    { name: "w2.example", cosigned: head.size, failures: 0 },
  ]);
  expect(await (await get("anchors")).json()).toEqual({ anchors: [] });
});

it("Go agrees with it tile by tile over HTTP, and finds the tenant's head in it", async (context) => {
  const binary = join(scratch, "interop");
  const missing = buildInterop(binary);
  if (missing) context.skip(missing);
  for (let i = 0; i < 3; i += 1) await grow();
  const old = join(scratch, "old.checkpoint");
  writeFileSync(old, await (await get("checkpoint")).text());
  const size = await grow();
  const note = new TextDecoder().decode(await talos.published("default", "checkpoint"));
  const entry = join(scratch, "head");
  writeFileSync(entry, `${note.split("\n\n")[0]!}\n`);
  const [key = ""] = knownLogs;
  const said = await interopAt(binary, `${talos.origin}/meta/`, key, 500, { olds: [old], entries: [entry] });
  expect(said).toMatchObject({ code: 0, error: "" });
  expect(said.out).toContain(`ok: ${size} leaves, 500 proofs,`);
  expect(said.out).toContain(`entry ${size - 1}: ${entry}`);
  writeFileSync(entry, note.split("\n\n")[0]!);
  const other = await interopAt(binary, `${talos.origin}/meta/`, key, 2, { entries: [entry] });
  expect(other).toMatchObject({ code: 1, error: expect.stringContaining("not in the log") });
}, 90_000);

it("goes on without a witness and says so, and catches up when that is back", async () => {
  const [one, two] = witnesses as [TestWitness, TestWitness];
  const size = await grow();
  await two.kill();
  await talos.log().append({ events: [makeEvent()] });
  await talos.log().flush();
  await expect.poll(async () => (await status()).published, WAIT).toBeGreaterThan(size);
  await expect.poll(async () => (await status()).witnesses[1]!.failures, WAIT).toBeGreaterThan(0);
  const facts = await status();
  expect(facts.witnessed).toBe(size);
  expect(facts.witnesses[1]).toMatchObject({ name: "w2.example", code: "witness.unreachable" });
  // What is shown still meets the quorum: the last head that both signed.
  expect((await shown())!.size).toBe(size);
  witnesses = [one, await startW("w2.example", { key: two.key, port: two.port })];
  await expect.poll(async () => (await shown())!.size, WAIT).toBeGreaterThan(size);
}, 90_000);

it("whose storage is put back, rows and bucket alike, is refused by both witnesses, which show what it tried", async () => {
  const before = await grow();
  await talos.stop();
  cpSync(state("one"), state("two"), { recursive: true });
  talos = await start("one");
  const after = [await grow(), await grow()].at(-1)!;
  await talos.stop();
  // The old storage again; nothing in it contradicts itself.
  talos = await start("two");
  expect((await shown())!.size).toBe(before);
  const refused = async () => (await status()).witnesses.map(({ code }) => code);
  const codes = new Set<string | undefined>();
  for (let i = 0; i < 4; i += 1) {
    await talos.log().append({ events: [makeEvent()] });
    await talos.log().flush();
    await expect.poll(async () => (await status()).published, WAIT).toBeGreaterThan(before + i);
    await expect.poll(refused, WAIT).toEqual([expect.any(String), expect.any(String)]);
    for (const code of await refused()) codes.add(code);
  }
  await expect.poll(refused, WAIT).toEqual(["witness.refused", "witness.refused"]);
  expect([...codes].every((code) => code === "witness.ahead" || code === "witness.refused")).toBe(true);
  const facts = await status();
  expect(facts).toMatchObject({ witnessed: before });
  expect(facts.published).toBeGreaterThan(after - 1);
  // Nothing of the second history is ever called witnessed, and both witnesses hold what was tried.
  expect((await shown())!.size).toBe(before);
  const origin = encodeURIComponent(`127.0.0.1:${port}/meta`);
  for (const { url } of witnesses) {
    const { latest } = (await (await fetch(`${url}/log?origin=${origin}`)).json()) as {
      latest: { size: number; contradictions: { note: string }[] };
    };
    expect(latest.size).toBe(after);
    expect(latest.contradictions.length).toBeGreaterThan(0);
  }
}, 180_000);
