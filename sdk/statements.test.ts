import type { AuditRecord } from "@talos/contracts";
import { jwsSign, sealEvent } from "@talos/core";
import { beforeEach, describe, expect, it } from "vitest";
import { CoreGateway } from "../test/sdk/core-gateway.ts";
import { inspectCapability, issueCapability, narrowCapability, newId } from "./capability.ts";
import { revoke } from "./client.ts";
import { Key } from "./keys.ts";
import { checkRecord, verifyPromise } from "./record.ts";
import { chainUpTo, type Revocation, revocationStatement } from "./revocation.ts";

describe("revocation statements, judged by the core", () => {
  let gateway: CoreGateway;
  const agent = Key.generate();
  const sub = Key.generate();
  let root: string;
  let chain: string;

  beforeEach(() => {
    gateway = new CoreGateway({ "demo/look": "read" });
    const grants = [{ tool: "demo/look", classes: ["read" as const] }];
    const issue = { key: gateway.operator, holder: agent, aud: gateway.aud, grants, ttl_seconds: 600, depth: 1 };
    root = issueCapability(issue);
    chain = narrowCapability({ key: agent, chain: root, holder: sub });
  });

  const judged = (key: Key, what: Revocation, shown = chain) =>
    gateway.revocation(revocationStatement({ key, aud: gateway.aud, chain: shown, what, now_ms: Date.now() }), shown);
  const refused = expect.objectContaining({ code: "revocation.not_authorized" });

  it("end a link by its issuer or one above it, and by nobody else", () => {
    const id = inspectCapability(chain)[1]!.id;
    expect(judged(agent, { kind: "link" })).toEqual([`link:${id}`]);
    expect(judged(gateway.operator, { kind: "link" })).toEqual([`link:${id}`]);
    expect(() => judged(sub, { kind: "link" })).toThrow(refused);
    expect(() => judged(Key.generate(), { kind: "link" })).toThrow(refused);
    expect(() => judged(agent, { kind: "link" }, chainUpTo(chain, 0))).toThrow(refused);
  });

  it("end a key by itself, below a link by its holder, below an anchor by the anchor", () => {
    expect(judged(sub, { kind: "key" })).toEqual([`key:${sub.jkt}`]);
    const [first] = inspectCapability(chain);
    const under: Revocation = { kind: "key", jkt: sub.jkt, below: "link" };
    expect(judged(agent, under, root)).toEqual([`key:${sub.jkt}:under:${first!.id}`]);
    expect(() => judged(gateway.operator, under, root)).toThrow(refused);
    const anchored: Revocation = { kind: "key", jkt: sub.jkt, below: "anchor" };
    expect(judged(gateway.operator, anchored)).toEqual([`key:${sub.jkt}:anchor:${gateway.operator.did}`]);
    expect(() => judged(agent, anchored)).toThrow(refused);
  });

  it("raise an epoch", () => {
    expect(judged(agent, { kind: "epoch", epoch: 3 })).toEqual([`epoch:${agent.jkt}:3`]);
  });

  it("are sent once, without any other credential, and the refusal is thrown", async () => {
    const sent: { url: string; init: RequestInit }[] = [];
    const answer = { code: "revocation.not_authorized", title: "no", status: 403, retryable: false };
    const fetcher: typeof fetch = async (input, init) => {
      sent.push({ url: String(input), init: init! });
      return Response.json(answer, { status: 403 });
    };
    const asked = revoke({ key: sub, chain, what: { kind: "link" }, fetch: fetcher });
    await expect(asked).rejects.toMatchObject({ code: "revocation.not_authorized", status: 403 });
    expect(sent).toHaveLength(1);
    expect(sent[0]!.url).toBe(`${gateway.aud}/v1/revocations`);
    expect(Object.keys(sent[0]!.init.headers!)).toEqual(["content-type", "accept"]);
  });
});

describe("promises of the log", () => {
  const log = Key.generate();
  const keys = [{ kid: "promise-1", x: log.jwk.x }];

  function record(): AuditRecord {
    const id = newId(Date.now());
    const sealed = sealEvent({
      surface: "head.get",
      event: {
        schema_id: "talos.audit_event",
        schema_version: "v2",
        event_id: id,
        kind: "decision",
        ts: "2026-11-23T10:00:00.000Z",
        tenant: "default",
        request_id: id,
        surface_id: "head.get",
        audit_action: "head.read",
        principal: { auth_mode: "signed", did: log.did, jkt: log.jkt },
        meta: {},
      },
    });
    return { seq: 7, leaf_hash: sealed.leaf_hash, event: JSON.parse(sealed.body) };
  }

  const payloadOf = ({ event, leaf_hash, seq }: AuditRecord) => ({
    event_id: event.event_id,
    leaf: leaf_hash,
    log: "default",
    max_delay_seconds: 60,
    seq,
    time_ms: Date.now(),
  });
  const sign = (payload: object, { key = log, kid = "promise-1", typ = "talos-promise+jwt" } = {}) =>
    jwsSign({ seed: key.seed(), typ, kid, payload });
  const invalid = expect.objectContaining({ code: "client.statement_invalid" });

  it("verify, and speak of this record", () => {
    const one = record();
    expect(verifyPromise(sign(payloadOf(one)), keys, one)).toMatchObject({ event_id: one.event.event_id, seq: 7 });
  });

  it("are refused from another key, of another type, or with another shape", () => {
    const one = record();
    const payload = payloadOf(one);
    for (const wrong of [
      sign(payload, { key: Key.generate() }),
      sign(payload, { kid: "promise-2" }),
      sign(payload, { typ: "talos-receipt+jwt" }),
      sign({ ...payload, more: 1 }),
      "a.b.c",
      "",
    ]) {
      expect(() => verifyPromise(wrong, keys, one)).toThrow(invalid);
    }
  });

  it("are refused when they are about another event, leaf or number", () => {
    const one = record();
    const payload = payloadOf(one);
    const other = record();
    for (const wrong of [{ seq: 8 }, { leaf: other.leaf_hash }, { event_id: other.event.event_id }]) {
      expect(() => verifyPromise(sign({ ...payload, ...wrong }), keys, one)).toThrow(invalid);
    }
  });

  it("do not help a record that was changed", () => {
    const one = record();
    const answer = expect.objectContaining({ code: "client.answer_invalid" });
    checkRecord(one);
    expect(() => checkRecord({ ...one, leaf_hash: record().leaf_hash })).toThrow(answer);
    expect(() => checkRecord({ ...one, event: { ...one.event, tenant: "other" } } as AuditRecord)).toThrow(answer);
  });
});
