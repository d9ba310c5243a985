/**
 * The projection made again out of the published log: after it was emptied, from the middle of a run that was stopped,
 * beside the Worker's own projector, through all trees of a log that was rotated, and never from a log that does not prove
 * what it serves.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Key } from "@talos/sdk";
import { saveKey } from "@talos/sdk/node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { rebuild } from "../../scripts/rebuild.ts";
import { treePolicies } from "../../sdk/log-policy.ts";
import { connect } from "../../workers/db/client.ts";
import { grant, person, root } from "../fixtures.ts";
import { makeEvent } from "../support/appender.ts";
import { asProjected, projected, readLedger, readProjection } from "../support/ledger.ts";
import { type Scene, startScene } from "../support/scene.ts";

let scene: Scene;
let client: Client;
let readerChain: string;
const reader = person("reader");

const database = () =>
  connect({
    TALOS_MODE: "development",
    DATABASE_URL: scene.database.url,
    TALOS_DATABASE_ENDPOINT: scene.database.endpoint,
  });
const run = (more: Partial<Parameters<typeof rebuild>[0]> = {}) =>
  rebuild({ client, databaseUrl: scene.database.url, endpoint: scene.database.endpoint, ...more });
const exact = async () =>
  expect(await readProjection(scene.database)).toEqual(asProjected(await readLedger(scene.talos)));

beforeAll(async () => {
  scene = await startScene({ faults: true, env: { TALOS_TEST_TREE_ENTRIES: "300" } });
  readerChain = root(scene.operator, reader, { aud: [scene.aud], grants: [grant("talos/audit.events")] });
  client = new Client({ chain: readerChain, key: new Key(reader.seed) });
  for (let i = 0; i < 7; i += 1) {
    await scene.talos.log().append({ events: Array.from({ length: 97 }, makeEvent) });
    await scene.talos.log().flush();
  }
  await projected(scene.talos, 30_000);
  await scene.talos.log().flush();
}, 120_000);
afterAll(() => scene?.stop());

it("writes everything again after a reset, says how far it is, and then nothing more", async () => {
  const seen: number[] = [];
  expect((await client.audit.log()).epochs?.length).toBeGreaterThan(1);
  const { written, size } = await run({ reset: true, onProgress: (done, of) => void seen.push(done, of) });
  expect(written).toBeGreaterThanOrEqual(679);
  expect(size).toBeGreaterThanOrEqual(written);
  expect(seen.slice(0, 2)).toEqual([0, expect.any(Number)]);
  expect(seen.length).toBeGreaterThan(4);
  await scene.talos.log().flush();
  await run(); // what the first one's own reading was recorded as
  const { sql } = database();
  const [{ n, next_seq }] = (await sql`SELECT (SELECT count(*)::int FROM audit_event) AS n,
    (SELECT next_seq::int FROM audit_cursor) AS next_seq`) as [{ n: number; next_seq: number }];
  expect(n).toBe(next_seq);
});

it("goes on where it was stopped, and two at once beside the Worker write every event once", async () => {
  let asked = 0;
  const stopped: Pick<Client, "aud" | "audit"> = {
    aud: client.aud,
    audit: Object.assign(Object.create(client.audit), {
      log: () => client.audit.log(),
      export: (from: number, to?: number) => {
        asked += 1;
        if (asked > 1) throw new Error("stopped");
        return client.audit.export(from, to);
      },
    }),
  };
  await expect(run({ reset: true, client: stopped })).rejects.toThrow("stopped");
  const { sql } = database();
  const [{ next_seq }] = (await sql`SELECT next_seq::int FROM audit_cursor`) as [{ next_seq: number }];
  expect(next_seq).toBe(256);
  await scene.talos.log().append({ events: [makeEvent()] });
  await Promise.all([run(), run()]);
  await projected(scene.talos, 30_000);
  await exact();
});

it("is a command of the checkout, which says how far it is", async () => {
  const dir = mkdtempSync(join(tmpdir(), "talos-rebuild-"));
  const talos = (env: Record<string, string>) =>
    new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
      const bin = [join(import.meta.dirname, "../../sdk/bin/talos.js"), "audit", "rebuild", "--reset", "--json"];
      const done = execFile(process.execPath, bin, { cwd: dir, env }, (_error, out, err) =>
        resolve({ code: done.exitCode, out, err }),
      );
    });
  try {
    saveKey(join(dir, "key.json"), new Key(reader.seed));
    writeFileSync(join(dir, "cap"), readerChain);
    const identity = { TALOS_KEY: join(dir, "key.json"), TALOS_CAP: join(dir, "cap") };
    expect(await talos(identity)).toMatchObject({ code: 2, out: "", err: expect.stringContaining("no database") });
    const { url, endpoint } = scene.database;
    const done = await talos({ ...identity, DATABASE_URL: url, TALOS_DATABASE_ENDPOINT: endpoint });
    expect(done).toMatchObject({ code: 0, err: expect.stringMatching(/^0 of \d+ events, 0 %\n/) });
    const { written, size } = JSON.parse(done.out) as { written: number; size: number };
    expect(written).toBeGreaterThanOrEqual(679);
    expect(size).toBeGreaterThanOrEqual(written);
    await projected(scene.talos, 30_000);
    await exact();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

it("writes nothing that the log does not prove", async () => {
  const forged = (change: (text: string) => string): Pick<Client, "aud" | "audit"> => ({
    aud: client.aud,
    audit: Object.assign(Object.create(client.audit), {
      log: () => client.audit.log(),
      export: async (from: number, to?: number) =>
        new Response(change(await new Response(await client.audit.export(from, to)).text())).body!,
    }),
  });
  const { epochs = [] } = await client.audit.log();
  const [{ origin } = { origin: "" }, { first_seq } = { first_seq: 0 }] = epochs;
  const second = await new Response(await client.audit.export(first_seq, first_seq + 10)).text();
  await scene.cable.cut(); // the Worker's own projector is away
  try {
    const codeOf = async (change: (text: string) => string) =>
      (await run({ reset: true, client: forged(change) }).catch((error: unknown) => error)) as { code: string };
    const changed = (text: string) => text.replace('"tenant":"default"', '"tenant":"defaulT"');
    expect(await codeOf(changed)).toMatchObject({ code: "log.consistency_invalid" });
    expect(await codeOf((text) => text.slice(0, -40))).toMatchObject({ code: "log.proof_malformed" });
    // A stretch of another tree verifies by itself; it is not what was asked for.
    expect(await codeOf(() => second)).toMatchObject({ code: "log.proof_malformed" });
    const kept = treePolicies(await client.audit.log()).filter((tree) => tree.origin !== origin);
    const policies = kept.map(({ policy }) => policy);
    await expect(run({ reset: true, policies })).rejects.toMatchObject({ code: "log.origin_unknown" });
    const { sql } = database();
    const [{ n }] = (await sql`SELECT count(*)::int AS n FROM audit_event`) as [{ n: number }];
    expect(n).toBe(0);
  } finally {
    await scene.cable.mend();
  }
});
