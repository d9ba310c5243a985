/**
 * Proof bundles over a real Worker: each verifies with the library and a policy, at the level that was asked for or says
 * which one it has not reached; with Postgres gone, and nothing of another tenant.
 * Source: contracts/spec/audit.md#surfaces, contracts/spec/log.md#proof-bundle.
 */
import { type AuditLogFacts, type ProofBundle, validate } from "@talos/contracts";
import { jcs } from "@talos/core";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grant, newUuid, person, publish, root, send, signed } from "../fixtures.ts";
import { type Scene, startScene } from "../support/scene.ts";

let scene: Scene;
let policy: string;
const rivalOperator = person("rival operator");
const service = person("service");
const utf8 = (text: string) => new TextEncoder().encode(text);
const READ = grant("talos/audit.events");
const WRITE = grant("talos/audit.append", { classes: ["write"] });

const get = (path: string) =>
  send(signed(scene.agent, scene.chain, { aud: scene.aud, path: `/audit${path}`, method: "GET" }));
async function append(): Promise<string> {
  const event_id = newUuid();
  const entry = { event_id, ts: new Date().toISOString(), kind: "decision", audit_action: "note", meta: {} };
  const chain = root(scene.operator, service, { aud: [scene.aud], grants: [WRITE] });
  const answer = await send(
    signed(service, chain, { aud: scene.aud, path: "/audit/events", body: JSON.stringify({ events: [entry] }) }),
  );
  expect(answer.status).toBe(200);
  return event_id;
}
async function refused(path: string, status: number, code: string): Promise<Response> {
  const answer = await get(path);
  const text = await answer.text();
  expect(answer.status, text).toBe(status);
  expect(JSON.parse(text)).toMatchObject({ code });
  return answer;
}
async function proof(id: string, query = ""): Promise<ProofBundle> {
  const answer = await get(`/events/${id}/proof${query}`);
  const text = await answer.text();
  expect(answer.status, text.slice(0, 300)).toBe(200);
  expect(jcs(text)).toBe(text); // the file's bytes are its canonical form
  const read = validate("audit/proof-bundle", JSON.parse(text));
  if (!read.ok) throw new Error(read.errors.join("; "));
  return read.value;
}
async function verified(bundle: ProofBundle, id: string) {
  expect(JSON.parse(bundle.event)).toMatchObject({ event_id: id, tenant: "default" });
  const leaf = log.leafHash(utf8(bundle.event));
  return log.verifyProof({ file: utf8(bundle.log_proof), leaf, policy: utf8(policy) });
}

beforeAll(async () => {
  const publisher = person("publisher");
  scene = await startScene({
    tenants: ["default", "rival"],
    publishers: { default: [publisher.jwk], rival: [publisher.jwk] },
  });
  const anchors = [{ did: rivalOperator.did, jwk: rivalOperator.jwk }];
  await publish(scene.talos.aud("rival"), publisher, { ...scene.policy, tenant: "rival", version: 1, anchors });
  await append();
  await scene.talos.log().flush();
  policy = ((await (await get("/log")).json()) as AuditLogFacts).policy!;
});
afterAll(() => scene?.stop());

describe("the proof of an event", () => {
  it("says when to come back while no head covers it, then verifies under the log's head", async () => {
    const id = await append();
    const early = await get(`/events/${id}/proof`);
    if (early.status !== 200) {
      expect(early.status).toBe(409);
      expect(Number(early.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await early.json()).toMatchObject({ code: "audit.not_published", retryable: true });
    }
    await scene.talos.log().flush();
    const head = await verified(await proof(id), id);
    expect(policy).toContain(head.origin);
  });

  it("goes on to the meta-log: its leaf is the text of the very head that the first proof ends in", async () => {
    const id = await append();
    await scene.talos.log().flush();
    await expect.poll(async () => (await proof(id)).meta_proof, { timeout: 30_000, interval: 500 }).toBeDefined();
    const bundle = await proof(id);
    await verified(bundle, id);
    const { checkpoint } = log.readProofFile(utf8(bundle.log_proof));
    const leaf = log.leafHash(utf8(`${checkpoint.split("\n").slice(0, 3).join("\n")}\n`));
    const meta = await log.verifyProof({ file: utf8(bundle.meta_proof!), leaf, policy: utf8(policy) });
    expect(meta.origin).toMatch(/\/meta$/);
  });

  it("of a level that no head has reached is refused by that level's name, with a time to come back", async () => {
    const id = await append();
    await scene.talos.log().flush();
    for (const [level, code] of [
      ["witnessed", "audit.not_witnessed"],
      ["anchored", "audit.not_anchored"],
    ] as const) {
      const late = await refused(`/events/${id}/proof?level=${level}`, 409, code);
      expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
    }
  });

  it("of no event, or asked for in another way, is refused", async () => {
    await refused(`/events/${newUuid()}/proof`, 404, "audit.event_unknown");
    await refused("/events/not-an-id/proof", 400, "contract.invalid");
    const id = await append();
    for (const query of ["level=", "level=all", "x=1", "level=published&level=published", "level=published&x=1"])
      await refused(`/events/${id}/proof?${query}`, 400, "contract.invalid");
  });

  it("is not given to another tenant, nor without the grant", async () => {
    const id = await append();
    await scene.talos.log().flush();
    const reader = person("rival reader");
    const aud = scene.talos.aud("rival");
    const theirs = root(rivalOperator, reader, { aud: [aud], grants: [READ] });
    const foreign = await send(signed(reader, theirs, { aud, path: `/audit/events/${id}/proof`, method: "GET" }));
    expect(foreign.status).toBe(404);
    const blind = root(scene.operator, service, { aud: [scene.aud], grants: [WRITE] });
    const without = await send(
      signed(service, blind, { aud: scene.aud, path: `/audit/events/${id}/proof`, method: "GET" }),
    );
    expect(without.status).toBe(403);
    expect((await fetch(`${scene.aud}/audit/events/${id}/proof`)).status).toBe(401);
  });

  it("needs no Postgres, and neither do the log's facts, checkpoint, tiles and consistency", async () => {
    await scene.cable.cut();
    const id = await append();
    await scene.talos.log().flush();
    await verified(await proof(id), id);
    for (const path of ["/log", "/checkpoint", "/tile/0/000.p/1", "/consistency?old=1&size=2"])
      expect((await get(path)).status, path).toBe(200);
    await scene.cable.mend();
  });
});
