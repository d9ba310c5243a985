/** Who asks for what in the benchmarks: a leaf of eight grants, chains of 1, 2, 4 and 8 links, one session. */
import { randomBytes } from "node:crypto";
import type { Grant, PolicySnapshot, ToolEntry } from "@talos/contracts";
import {
  begin,
  encodeRequest,
  filterBuild,
  filterLoad,
  keyringLoad,
  type Need,
  openSession,
  policyLoad,
  policySign,
  publicKey,
  b64uEncode,
  type RequestParts,
  sessionFinish,
  sessionShare,
  verifyChecks,
} from "@talos/core";
import {
  grant,
  narrow,
  newUuid,
  nowSeconds,
  person,
  type Proven,
  root,
  sessionSigned,
  signed,
  snapshot,
} from "../test/fixtures.ts";
import type { Given, Wire } from "./worker/authorize.ts";

/** Where nobody listens: nothing is sent in `bench authorize`. */
const ORIGIN = "http://127.0.0.1:9";
const AUD = `${ORIGIN}/t/default`;

export const TOOLS: ToolEntry[] = [
  ...["a", "b", "c", "d", "e", "f"].map((name) => tool(`files/${name}`)),
  tool("files/read_file", { resource_arg: "path" }),
  tool("files/write_file", { class: "write", rate_class: "write", resource_arg: "path" }),
];

function tool(name: string, over: Partial<ToolEntry> = {}): ToolEntry {
  return { tool: name, class: "read", actions: ["call"], rate_class: "read", ...over };
}

/** Eight grants; the one that decides has a resource prefix and three argument atoms. */
export const GRANTS: Grant[] = [
  ...["a", "b", "c", "d", "e", "f"].map((name) => grant(`files/${name}`)),
  grant("files/read_file", {
    resource: { prefix: "/desk" },
    args: {
      encoding: [{ op: "in", type: "string", values: ["latin1", "utf8"] }],
      limit: [{ op: "range", type: "integer", min: 1, max: 1_000 }],
      path: [{ op: "maxlen", type: "string", bytes: 200 }],
    },
  } as Partial<Grant>),
  grant("files/write_file", { classes: ["write"], resource: { prefix: "/desk" } }),
];

const read = (path: string, limit: number): Need => ({
  tool: "files/read_file",
  class: "read",
  action: "call",
  resource: path,
  args: { encoding: "utf8", limit, path },
});

/** Half of them allowed; what is denied fails late, at the resource or at an argument. */
export const NEEDS: Given["needs"] = [
  { need: read("/desk/notes/today.txt", 100), allow: true },
  { need: read("/etc/passwd", 100), allow: false },
  { need: read("/desk/src/main.rs", 1_000), allow: true },
  { need: read("/desk/src/main.rs", 1_001), allow: false },
];

export const CALL = JSON.stringify({
  tool: "files/read_file",
  args: { encoding: "utf8", limit: 100, path: "/desk/notes/today.txt" },
});

/** Rate classes so large that no benchmark meets their limits. */
const WIDE = { capacity: 1_000_000, refill_per_second: 1_000_000, link_share_percent: 100, concurrency: 1_000 };

export const operator = person("bench operator");
export const publisher = person("bench publisher");
export const agent = person("bench agent");

export function policy(url = `${ORIGIN}/mcp`): PolicySnapshot {
  const rates = { control: WIDE, read: WIDE, session: WIDE, write: WIDE };
  return snapshot({ anchors: [operator], tools: TOOLS, servers: [{ name: "files", url, timeout_ms: 5_000 }], rates });
}

/** A chain of `links` links that ends at `agent` with the eight grants. */
export function chain(aud: string, links: number): string {
  const holders = Array.from({ length: links }, (_, i) => (i === links - 1 ? agent : person(`bench holder ${i}`)));
  let made = root(operator, holders[0]!, { aud: [aud], grants: GRANTS });
  for (let i = 1; i < links; i += 1) made = narrow(made, holders[i - 1]!, holders[i]!, GRANTS);
  return made;
}

function wire(proven: Proven, surface: string, nowMs: number): Wire {
  return {
    ...{ surface, method: proven.method, target_uri: proven.url, tenant: "default", aud: AUD },
    headers: Object.fromEntries(Object.entries(proven.headers).filter(([name]) => name !== "content-type")),
    body: [...(proven.body ?? [])],
    now_ms: nowMs,
    head_as_of_ms: nowMs,
  };
}

const parts = (from: Wire): RequestParts => ({ ...from, body: Uint8Array.from(from.body) });

/** Everything the Worker needs, made by the same functions that clients and the gateway use. */
export async function given(): Promise<Given> {
  const now = nowSeconds();
  const nowMs = now * 1_000;
  const { jws } = policySign({ seed: publisher.seed, snapshot: policy() });
  const filter = filterBuild({ tenant: "default", rev_seq: 1, entries: [] });
  const tickets = [{ kid: "bench-1", status: "primary" as const, key: b64uEncode(randomBytes(32)) }];
  const chains = Object.fromEntries(
    [1, 2, 4, 8].map((links) => {
      const ask = { aud: AUD, path: "/v1/authorize", body: CALL };
      return [links, wire(signed(agent, chain(AUD, links), ask), "authorize", nowMs)];
    }),
  );

  // A session, opened the way the gateway opens it.
  const own = chain(AUD, 1);
  const site = {
    policy: policyLoad({ jws, tenant: "default", publishers: [publisher.jwk] }),
    filter: filterLoad({ body: filter.body, tenant: "default", expected_hash: filter.rev_hash }),
    tickets: keyringLoad(tickets, "ticket"),
  };
  const secret = new Uint8Array(randomBytes(32));
  const body = JSON.stringify({ share: sessionShare(secret), writes: true });
  const frame = encodeRequest(
    parts(wire(signed(agent, own, { aud: AUD, path: "/v1/sessions", body }), "sessions.open", nowMs)),
  );
  const began = begin(frame, site.policy, site.tickets);
  if (began.status === "refused") throw new Error(`refused: ${JSON.stringify(began.decision)}`);
  const seed = new Uint8Array(randomBytes(32));
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const { response } = openSession({
    ...{ frame, ...site, verdicts: await verifyChecks(began.checks), gateway_did: "did:web:127.0.0.1%3A9" },
    ...{ receipt: { kid: "bench-receipt", seed }, session_id: random(16), server_secret: random(32), salt: random(32) },
  });
  const opened = sessionFinish({
    ...{ secret, response, chain: own, gateway_did: "did:web:127.0.0.1%3A9", aud: AUD, now_ms: nowMs },
    gateway_keys: [{ kid: "bench-receipt", x: b64uEncode(publicKey(seed)) }],
  });
  const session = {
    ...{ holder: agent, id: opened.session_id, ticket: response.ticket, mac_key: opened.mac_key },
    ...{ expires_at: opened.expires_at, next: () => 0n },
  };
  const ask = { aud: AUD, path: "/v1/authorize", body: CALL };
  const sessionRequest = wire(sessionSigned(session, ask), "authorize", nowMs);
  const { "signature-input": _input, signature: _signature, ...unproven } = sessionRequest.headers;
  const claims = {
    ...{ sub: person("bench child").did, holder_x: person("bench child").x, iat: now, exp: now + 600, jti: newUuid() },
    grants: GRANTS,
  };
  return {
    ...{
      tenant: "default",
      policy: jws,
      publisher: publisher.jwk,
      filter,
      tickets,
      chains,
      grants: GRANTS,
      needs: NEEDS,
    },
    mac: {
      ...{ parts: { ...sessionRequest, headers: unproven }, session_id: session.id, created: now },
      mac_key: [...session.mac_key],
    },
    session_signed: sessionRequest,
    narrowing: { seed: [...agent.seed], chain: own, claims },
  };
}
