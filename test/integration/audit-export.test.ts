/**
 * Exports over a real Worker, verified with the file and a policy alone; whatever is done to one is seen.
 * Source: contracts/spec/audit.md#export.
 */
import { type AuditEventV2, type AuditExportHead, LIMITS, validate } from "@talos/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyExport } from "../../sdk/export.ts";
import { grant, newUuid, person, root, send, signed } from "../fixtures.ts";
import { type Scene, startScene } from "../support/scene.ts";

let scene: Scene;
let policy: string;
const service = person("service");
const WRITE = grant("talos/audit.append", { classes: ["write"] });
const utf8 = (text: string) => new TextEncoder().encode(text);

const get = (query: string) =>
  send(signed(scene.agent, scene.chain, { aud: scene.aud, path: `/audit/export${query}`, method: "GET" }));
async function exported(query: string): Promise<{ head: AuditExportHead; leaves: string[]; text: string }> {
  const answer = await get(query);
  const text = await answer.text();
  expect(answer.status, text.slice(0, 300)).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  const [first = "", ...leaves] = text.split("\n").slice(0, -1);
  const head = validate("audit/export-head", JSON.parse(first));
  if (!head.ok) throw new Error(head.errors.join("; "));
  return { head: head.value, leaves, text };
}
async function code(text: string, under = policy): Promise<string> {
  try {
    await verifyExport([utf8(text)], under);
    return "OK";
  } catch (error) {
    return (error as { code: string }).code;
  }
}
async function append(count: number): Promise<void> {
  const chain = root(scene.operator, service, { aud: [scene.aud], grants: [WRITE] });
  for (let left = count; left > 0; left -= 256) {
    const events = Array.from({ length: Math.min(left, 256) }, (_, i) => ({
      ...{ event_id: newUuid(), ts: new Date().toISOString(), kind: "decision", audit_action: "note", meta: { i } },
    }));
    const body = JSON.stringify({ events });
    const answer = await send(signed(service, chain, { aud: scene.aud, path: "/audit/events", body }));
    expect(answer.status).toBe(200);
  }
  await scene.talos.log().flush();
}

beforeAll(async () => {
  scene = await startScene();
  await append(1_000);
  const facts = await send(signed(scene.agent, scene.chain, { aud: scene.aud, path: "/audit/log", method: "GET" }));
  ({ policy } = (await facts.json()) as { policy: string });
});
afterAll(() => scene?.stop());

describe("an export", () => {
  it("of any stretch is verified by itself", async () => {
    const stretches = [
      [0, 1],
      [0, 256],
      [1, 2],
      [255, 257],
      [256, 512],
      [300, 700],
      [511, 1_000],
      [999, 1_000],
      [0, 1_000],
    ];
    for (const [from, to] of stretches) {
      const { head, leaves, text } = await exported(`?from=${from}&to=${to}`);
      expect(head).toMatchObject({ from, to });
      expect(leaves.length).toBe(to! - from!);
      const seen: number[] = [];
      const verified = await verifyExport([utf8(text)], policy, (_, seq) => seen.push(seq));
      expect(verified).toMatchObject({ count: to! - from!, head: { from, to } });
      expect(seen).toEqual(Array.from({ length: to! - from! }, (_, i) => from! + i));
      for (const leaf of leaves) expect((JSON.parse(leaf) as AuditEventV2).tenant).toBe("default");
    }
  });

  it("that is not what the log holds is refused, whatever was done to it", async () => {
    const { head, leaves, text } = await exported("?from=100&to=300");
    const file = (over: Partial<AuditExportHead>, lines = leaves) =>
      `${[JSON.stringify({ ...head, ...over }), ...lines].join("\n")}\n`;
    expect(await code(file({}))).toBe("OK");
    const changed = leaves.with(7, leaves[7]!.replace('"note"', '"nope"'));
    const swapped = leaves.with(3, leaves[4]!).with(4, leaves[3]!);
    expect(await code(file({}, changed))).toBe("log.consistency_invalid");
    expect(await code(file({}, swapped))).toBe("log.consistency_invalid");
    expect(await code(file({}, leaves.slice(1)))).toBe("log.proof_malformed");
    expect(await code(file({}, leaves.slice(0, -1)))).toBe("log.proof_malformed");
    expect(await code(file({}, [...leaves, leaves[0]!]))).toBe("log.proof_malformed");
    expect(await code(file({ to: 299 }, leaves.slice(0, -1)))).toBe("log.consistency_invalid");
    expect(await code(file({ from: 101, to: 301 }))).toMatch(/^log\.(tile_malformed|consistency_invalid)$/);
    expect(await code(file({ from: 132, to: 332 }))).toMatch(/^log\.(tile_malformed|consistency_invalid)$/);
    expect(await code(file({ subtrees: head.subtrees.slice(1) }))).toBe("log.tile_malformed");
    expect(await code(file({ subtrees: head.subtrees.toReversed() }))).toBe("log.consistency_invalid");
    expect(await code(file({ consistency: head.consistency.slice(1) }))).toBe("log.consistency_invalid");
    expect(await code(file({ checkpoint: head.checkpoint.replace("\n— ", "\n- ") }))).toBe("log.note_malformed");
    expect(await code(file({ origin: "talos.example/log/other" }))).toBe("log.proof_malformed");
    expect(await code(text.slice(0, -1))).toBe("log.proof_malformed");
    expect(await code(text.slice(0, -40))).toBe("log.proof_malformed");
    expect(await code("")).toBe("log.proof_malformed");
    expect(await code(text.slice(1))).toBe("log.proof_malformed");
    const [log = ""] = policy.split("\n");
    expect(await code(text, `${log.replace(/\+[^+]+$/, "+AAAA")}\nquorum none\n`)).toBe("log.policy_malformed");
    expect(await code(text, policy.split("\n").slice(1).join("\n"))).toBe("log.origin_unknown");
  });

  it("is bounded, and goes on where it says; together they are the whole record", async () => {
    await append(LIMITS.audit_export_events);
    const { published_size } = await scene.talos.log().status();
    let from: number | undefined = 0;
    const seqs: number[] = [];
    while (from !== undefined) {
      const { head, text } = await exported(`?from=${from}`);
      expect(head.to - head.from).toBeLessThanOrEqual(LIMITS.audit_export_events);
      await verifyExport([utf8(text)], policy, (_, seq) => seqs.push(seq));
      from = head.next;
    }
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, i) => i));
    expect(seqs.length).toBeGreaterThanOrEqual(published_size);
  });

  it("of what no head covers yet, or of nothing, says so", async () => {
    for (const query of ["", "?to=5", "?from=5&to=5", "?from=6&to=5", "?from=x", "?from=1&from=2", "?from=1&x=2"]) {
      const answer = await get(query);
      expect(answer.status, query).toBe(400);
      expect(await answer.json()).toMatchObject({ code: "contract.invalid" });
    }
    const late = await get("?from=9007199254740000");
    expect(late.status).toBe(409);
    expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await late.json()).toMatchObject({ code: "audit.not_published", retryable: true });
  });

  it("needs the grant, and no Postgres", async () => {
    const chain = root(scene.operator, service, { aud: [scene.aud], grants: [WRITE] });
    const answer = await send(signed(service, chain, { aud: scene.aud, path: "/audit/export?from=0", method: "GET" }));
    expect(answer.status).toBe(403);
    await scene.cable.cut();
    expect(await code((await exported("?from=10&to=20")).text)).toBe("OK");
    await scene.cable.mend();
  });
});
