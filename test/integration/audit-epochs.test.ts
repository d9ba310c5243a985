/**
 * A log that was rotated, over a real Worker: each tree is read and verified under its own name and policy, places in the
 * log go on over all of them, and what was proven before stays so. Source: contracts/spec/audit.md#epochs, #surfaces.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditExportHead, type AuditLogFacts, type ProofBundle, validate } from "@talos/contracts";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../sdk/cli/main.ts";
import { verifyExport } from "../../sdk/export.ts";
import { saveKey } from "../../sdk/key-file.ts";
import { Key } from "../../sdk/keys.ts";
import { readEvents } from "../../sdk/sse.ts";
import { grant, newUuid, person, root } from "../fixtures.ts";
import { startWorld, type World } from "../support/world.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const service = person("service");
const ids: string[] = [];
let world: World;
let chain: string;

const get = (path: string) => world.ask(`/audit${path}`, undefined, { method: "GET", as: service, chain });
const named = (origin: string) => `origin=${encodeURIComponent(origin)}`;
async function facts(): Promise<AuditLogFacts> {
  const read = validate("audit/log", await (await get("/log")).json());
  if (!read.ok) throw new Error(read.errors.join("; "));
  return read.value;
}
/** A verifier's policy for one tree. */
async function policyOf(origin: string): Promise<string> {
  const { keys } = (await facts()).epochs!.find((epoch) => epoch.origin === origin)!;
  return `${keys.map((key) => `log ${key}\n`).join("")}quorum none\n`;
}
async function append(count: number): Promise<void> {
  const events = Array.from({ length: count }, () => ({
    ...{ event_id: newUuid(), ts: new Date().toISOString(), kind: "decision", audit_action: "note", meta: {} },
  }));
  const answer = await world.ask("/audit/events", JSON.stringify({ events }), { as: service, chain });
  expect(answer.status).toBe(200);
  ids.push(...events.map(({ event_id }) => event_id));
  await world.talos.log().flush();
}

beforeAll(async () => {
  world = await startWorld({ env: { TALOS_TEST_TREE_ENTRIES: "300" } });
  const grants = [grant("talos/audit.append", { classes: ["write"] }), grant("talos/audit.events")];
  chain = root(world.operator, service, { aud: [world.aud], grants });
  for (let i = 0; i < 8; i += 1) await append(100);
});
afterAll(() => world?.stop());

describe("a log that was rotated", () => {
  it("shows its trees, and each by its origin with a policy of its own; the newest without", async () => {
    const { epochs = [], origin, policy } = await facts();
    expect(epochs.length).toBeGreaterThanOrEqual(3);
    expect(epochs.slice(0, -1).every(({ frozen, size, published: out }) => frozen && size === out)).toBe(true);
    expect(epochs.at(-1)!.origin).toBe(origin);
    const newest = new Uint8Array(await (await get("/checkpoint")).arrayBuffer());
    await log.verifyCheckpoint({ note: newest, policy: utf8(policy!) });
    for (const tree of epochs) {
      const own = { policy: await policyOf(tree.origin) };
      const note = new Uint8Array(await (await get(`/checkpoint?${named(tree.origin)}`)).arrayBuffer());
      const head = await log.verifyCheckpoint({ note, policy: utf8(own.policy!) });
      const file = async (path: string) => {
        const answer = await get(`/${path}?${named(tree.origin)}`);
        expect(answer.status, path).toBe(200);
        return new Uint8Array(await answer.arrayBuffer());
      };
      expect(await log.treeRoot(head.size, file)).toEqual(head.root);
      const proof = await get(`/consistency?old=7&size=${head.size}&${named(tree.origin)}`);
      const { hashes } = (await proof.json()) as { hashes: string[] };
      const old = { size: 7, root: await log.treeRoot(7, file) };
      log.checkConsistency({ old, head, hashes: Buffer.concat(hashes.map((hash) => Buffer.from(hash, "base64"))) });
    }
    expect(await (await get("/checkpoint")).text()).toMatch(new RegExp(`^${origin}\n`));
    const unknown = await get(`/tile/0/000?${named("127.0.0.1/log/none")}`);
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ code: "audit.tile_unknown" });
    expect((await get(`/tile/0/000?origin=`)).status).toBe(400);
    expect((await get(`/tile/0/000?${named("a")}&${named("b")}`)).status).toBe(400);
  });

  it("proves events of every tree", async () => {
    for (const id of [ids[0]!, ids[350]!, ids.at(-1)!]) {
      const bundle = (await (await get(`/events/${id}/proof`)).json()) as ProofBundle;
      const { checkpoint } = log.readProofFile(utf8(bundle.log_proof));
      const policy = await policyOf(checkpoint.split("\n")[0]!);
      const leaf = log.leafHash(utf8(bundle.event));
      await log.verifyProof({ file: utf8(bundle.log_proof), leaf, policy: utf8(policy) });
    }
  });

  it("is exported tree by tree, which together are the whole record", async () => {
    const seqs: number[] = [];
    const origins = new Set<string>();
    let from: number | undefined = 0;
    while (from !== undefined) {
      const text = await (await get(`/export?from=${from}`)).text();
      const head = JSON.parse(text.split("\n", 1)[0]!) as AuditExportHead;
      await verifyExport([utf8(text)], await policyOf(head.origin), (_, seq) => seqs.push(seq));
      origins.add(head.origin);
      from = head.next;
    }
    expect(origins.size).toBeGreaterThanOrEqual(3);
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, i) => i));
    expect(seqs.length).toBeGreaterThan(800);
    const { origin, first_seq } = (await facts()).epochs![1]!;
    const text = await (await get(`/export?from=${first_seq + 17}&to=${first_seq + 40}`)).text();
    expect(await verifyExport([utf8(text)], await policyOf(origin))).toMatchObject({ count: 23 });
  });

  it("is saved, verified and followed by the command, with a policy for each tree", async () => {
    const dir = mkdtempSync(join(tmpdir(), "talos-epochs-"));
    const at = (name: string) => join(dir, name);
    const talos = async (...args: string[]) => {
      const [out, err]: [string[], string[]] = [[], []];
      const env = { TALOS_KEY: at("key.json"), TALOS_CAP: at("cap") };
      const io = {
        env,
        cwd: dir,
        out: (text: string) => void out.push(text),
        err: (text: string) => void err.push(text),
      };
      return { code: await main(args, io), out: out.join(""), err: err.join("") };
    };
    saveKey(at("key.json"), new Key(service.seed));
    writeFileSync(at("cap"), chain);
    const { epochs = [], origin } = await facts();
    const shown = (await talos("audit", "log")).out;
    for (const tree of epochs)
      expect(shown).toContain(`tree       ${tree.origin}, ${tree.size} events from ${tree.first_seq}`);
    const policies = await Promise.all(
      epochs.map(async (tree, i) => {
        writeFileSync(at(`${i}.txt`), (await talos("audit", "log", "--policy", "--origin", tree.origin)).out);
        return ["--policy", at(`${i}.txt`)];
      }),
    );
    expect((await talos("audit", "log", "--policy")).out).toBe(readFileSync(at(`${epochs.length - 1}.txt`), "utf8"));
    expect(await talos("audit", "log", "--policy", "--origin", "nobody")).toMatchObject({ code: 2 });

    const file = at("record.ndjson");
    expect(await talos("audit", "export", file)).toMatchObject({ code: 0 });
    const verify = (path: string, ...more: string[]) => talos("audit", "verify-export", path, ...more, "--json");
    const said = await verify(file, ...policies.flat());
    expect(said).toMatchObject({ code: 0 });
    expect(JSON.parse(said.out)).toMatchObject({
      origin,
      from: 0,
      trees: epochs.map((tree) => ({ origin: tree.origin })),
    });
    const without = await verify(file, ...policies.slice(1).flat());
    expect(without).toMatchObject({ code: 1, err: expect.stringContaining("log.origin_unknown") });
    // Trees that do not follow each other: one is left out.
    const lines = readFileSync(file, "utf8").split("\n");
    const heads = lines.flatMap((line, i) => (line.startsWith('{"schema_id":"talos.audit_export"') ? [i] : []));
    expect(heads).toHaveLength(epochs.length);
    writeFileSync(at("gap.ndjson"), [...lines.slice(0, heads[1]), ...lines.slice(heads[2])].join("\n"));
    expect(await verify(at("gap.ndjson"), ...policies.flat())).toMatchObject({
      code: 1,
      err: expect.stringContaining("follow"),
    });
    const followed = await talos(
      "audit",
      "monitor",
      ...policies.flat(),
      "--memory",
      at("memory.json"),
      "--once",
      "--json",
    );
    expect(followed, followed.out + followed.err).toMatchObject({ code: 0 });
    expect(JSON.parse(readFileSync(at("memory.json"), "utf8"))).toMatchObject({
      tenant: { origin },
      past: epochs.slice(0, -1).map((tree) => ({ origin: tree.origin })),
    });
    rmSync(dir, { recursive: true, force: true });
  });

  it("is streamed as one", async () => {
    const seqs: number[] = [];
    const response = await get("/stream?from=0");
    for await (const { id } of readEvents(response.body!, 1_048_576)) if (seqs.push(Number(id)) === 800) break;
    expect(seqs).toEqual(Array.from({ length: 800 }, (_, i) => i));
  });
});
