/**
 * A log that was rotated, over a real Worker: each tree is read and verified under its own name and policy, places in the
 * log go on over all of them, and what was proven before stays so. Source: contracts/spec/audit.md#epochs, #surfaces.
 */
import { type AuditExportHead, type AuditLogFacts, type ProofBundle, validate } from "@talos/contracts";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyExport } from "../../sdk/export.ts";
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

  it("is streamed as one", async () => {
    const seqs: number[] = [];
    const response = await get("/stream?from=0");
    for await (const { id } of readEvents(response.body!, 1_048_576)) if (seqs.push(Number(id)) === 800) break;
    expect(seqs).toEqual(Array.from({ length: 800 }, (_, i) => i));
  });
});
