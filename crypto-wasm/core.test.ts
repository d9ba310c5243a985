import { readdirSync, readFileSync } from "node:fs";
import { CONTRACT_HASH, type Grant } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import * as core from "./index.ts";
import { start } from "./pkg/talos_core.js";
import { agent, filter, policy, tickets } from "./testing.ts";

const VECTORS = new URL("../contracts/vectors/", import.meta.url);
// biome-ignore lint/suspicious/noExplicitAny: vectors have a shape per file, and the tests are what checks it
type Loose = Record<string, any>;
type Case = Loose & { name: string };

function vectors(name: string): Loose & { cases: Case[] } {
  return JSON.parse(readFileSync(new URL(`${name}.json`, VECTORS), "utf8"));
}

/** Every case of a file as one test; `run` gives what is compared with what the case says. */
function each(name: string, run: (vector: Case, file: Loose) => void): void {
  const file = vectors(name);
  describe(name, () => {
    for (const vector of file.cases) it(vector.name, () => run(vector, file));
  });
}

/** The code that a refusal has, or nothing. */
function refusal(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const hex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

each("encoding/json", (v) => {
  const bytes = v.input === undefined ? hex(v.input_hex) : new TextEncoder().encode(v.input);
  if (v.valid) expect(core.jcs(bytes)).toBe(v.canonical);
  else expect(refusal(() => core.jcs(bytes))).toBe(v.code);
});
each("encoding/base64url", (v) => {
  if (v.valid) expect(core.b64uDecode(v.text)).toEqual(hex(v.bytes_hex));
  else expect(refusal(() => core.b64uDecode(v.text))).toBe("MALFORMED");
});
each("identity/keys", (v) => {
  const x = core.b64uEncode(core.publicKey(core.b64uDecode(v.seed)));
  expect([x, core.thumbprint(x), core.didKey(x), core.didJwk(x)]).toEqual([v.x, v.jkt, v.did_key, v.did_jwk]);
});
each("identity/dids", (v) => {
  if (v.url !== undefined) expect(core.didWebToUrl(v.did)).toBe(v.url);
  else if (v.valid) expect(core.didKeyToX(v.did)).toBe(v.x);
  else expect(refusal(() => core.didKeyToX(v.did))).toBeDefined();
});
each("capability/atoms", (v) => {
  const grants: Grant[] = [
    { tool: "a/b", classes: ["read"], actions: ["call"], resource: "any", args: { x: [v.atom] }, closed: false },
  ];
  const args = v.value_json === undefined ? "{}" : `{"x":${v.value_json}}`;
  const need = { tool: "a/b", class: "read" as const, action: "call", args: JSON.parse(args) };
  // A float that is whole has no other form in JavaScript; the core's own tests hold those to the vectors.
  if (v.value_json !== undefined && JSON.stringify(need.args) !== args.replaceAll(" ", "")) return;
  expect(core.explain(grants, need).allow).toBe(v.expect);
});
each("capability/containment-grants", (v) => {
  expect(core.contains(v.parent, v.child).ok).toBe(v.expect);
});
each("capability/decisions", (v) => {
  expect(core.explain(v.grants, v.need)).toMatchObject(v.expect);
});
each("capability/scopes", (v) => {
  if (!v.valid) expect(refusal(() => core.grantFromScope(v.scope))).toBeDefined();
  else if (v.grant !== undefined) {
    expect(core.scopeFromGrant(v.grant)).toBe(v.scope);
    expect(core.grantFromScope(v.scope)).toEqual(v.grant);
  }
});
each("capability/chains", (v, { aud, now, anchors, dids }) => {
  const now_ms = (v.now ?? now) * 1_000;
  const answer = core.verifyChain({ chain: v.chain, aud: v.aud ?? aud, now_ms, anchors, dids });
  expect(answer.ok ? { allow: true, code: "OK" } : answer.decision).toMatchObject(v.expect);
});
each("in-force/heads", (v, { tenant, keys }) => {
  expect(refusal(() => core.headVerify({ jws: v.head, keys, tenant }))).toBe(v.valid ? undefined : v.code);
});
each("in-force/policies", (v, { tenant, publishers }) => {
  const load = () => {
    const loaded = core.policyLoad({ jws: v.jws, tenant, publishers });
    core.free(loaded);
    return loaded;
  };
  if (v.valid) expect(load().hash).toBe(v.policy_hash);
  else expect(refusal(load)).toBe(v.code);
});
each("in-force/revocation-bodies", (v, { tenant }) => {
  const { rev_seq, entries } = v as Case & { rev_seq: number; entries: string[] };
  expect(core.filterBuild({ tenant, rev_seq, entries })).toEqual({ body: v.body, rev_hash: v.rev_hash });
});
each("audit/events", (v) => {
  const sealed = core.sealEvent({ surface: v.surface, event: v.event });
  expect([sealed.body, sealed.event_hash, sealed.leaf_hash]).toEqual([v.body, v.event_hash, v.leaf_hash]);
});
each("audit/commitments", (v) => {
  expect(core.commitment(hex(v.salt_hex), new TextEncoder().encode(v.value))).toBe(v.commitment);
});
each("session/opening", (v) => {
  const finish = () =>
    core.sessionFinish({
      secret: hex(v.client_secret_hex),
      response: v.response,
      chain: v.chain,
      gateway_keys: [v.gateway_key],
      gateway_did: v.gateway,
      aud: v.aud,
      now_ms: v.now * 1_000,
    });
  if (v.expect === "OK") expect(finish().mac_key).toEqual(hex(v.mac_key_hex));
  else expect(refusal(finish)).toBe(v.expect);
});

describe("the module", () => {
  it("was built from these contracts, and no path of its builder is in it", () => {
    expect(start(core.CORE_HASH)).toBe(CONTRACT_HASH);
    const text = readFileSync(new URL("./pkg/talos_core_bg.wasm", import.meta.url)).toString("latin1");
    expect(text).not.toMatch(/\/(?:root|home|tmp|work|Users|runner|builds?)\/|[A-Z]:\\/);
    expect(readdirSync(new URL("./pkg/", import.meta.url))).toContain("build.json");
  });

  it("answers nothing under a handle that was given back or is of another kind", () => {
    const held = policy();
    core.free(held);
    core.free(held);
    expect(refusal(() => core.begin(new Uint8Array(), held, tickets))).toBe("internal");
    expect(refusal(() => core.begin(new Uint8Array(), filter() as never, tickets))).toBe("internal");
  });

  it("opens no sealed text as something else, whoever chose it", () => {
    const key = core.b64uEncode(new Uint8Array(32).fill(3));
    const ring = core.keyringLoad([{ kid: "m-1", status: "primary", key }], "mcp");
    const owner = { tenant: "default", principal: agent.did, jkt: agent.jkt, server: "files" };
    const exp = 1_800_000_000;
    const session = { v: 1 as const, ...owner, upstream: "up", exp };
    const sealed = core.sealMcp(ring, new Uint8Array(32).fill(1), session);
    const now = { ...owner, now_ms: exp * 1_000 - 1 };
    expect(core.openMcp(ring, sealed, now)).toEqual({ upstream: "up" });
    for (const other of [
      { server: "other" },
      { tenant: "x" },
      { principal: "did:key:z" },
      { jkt: "x" },
      { now_ms: exp * 1_000 },
    ]) {
      expect(refusal(() => core.openMcp(ring, sealed, { ...now, ...other }))).toBe("mcp.session_unknown");
    }
    const text = core.sealText(ring, new Uint8Array(32).fill(2), JSON.stringify(session));
    expect(core.openText(ring, text, 0)).toBe(JSON.stringify(session));
    expect(refusal(() => core.openMcp(ring, text, now))).toBe("mcp.session_unknown");
    expect(refusal(() => core.openText(ring, sealed, 0))).toBe("MALFORMED");
  });
});
