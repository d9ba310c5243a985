/** The core inside workerd: what `bench authorize` measures of Talos, and of the bare platform beside it. */
import type { Grant } from "@talos/contracts";
import {
  attenuate,
  begin,
  type Check,
  type ChildClaims,
  decideKept,
  decideLeaf,
  decideRead,
  encodeRequest,
  filterLoad,
  finish,
  type FilterHandle,
  type KeyringHandle,
  keyringLoad,
  leafLoad,
  macRequest,
  type Need,
  needLoad,
  type PolicyHandle,
  policyLoad,
  type RequestParts,
  ReadFacts,
  type SealingKey,
  sealRead,
  verifyChecks,
} from "@talos/core";
import type { Jwk } from "@talos/contracts";
import { type Cases, must, serve } from "./serve.ts";

/** What the host makes with the test fixtures; byte arrays travel as plain arrays. */
export interface Given {
  tenant: string;
  policy: string;
  publisher: Jwk;
  filter: { body: string; rev_hash: string };
  tickets: SealingKey[];
  /** requests under chains of so many links */
  chains: Record<string, Wire>;
  /** a read in a session, without its proof */
  mac: { parts: Wire; session_id: string; mac_key: number[]; created: number };
  /** the same, signed: says how long the bytes are that a MAC covers */
  session_signed: Wire;
  grants: Grant[];
  needs: { need: Need; allow: boolean }[];
  narrowing: { seed: number[]; chain: string; claims: ChildClaims };
}

export type Wire = Omit<RequestParts, "body"> & { body: number[] };

interface Site {
  policy: PolicyHandle;
  filter: FilterHandle;
  tickets: KeyringHandle;
}

const bytes = (numbers: number[]): Uint8Array<ArrayBuffer> => Uint8Array.from(numbers);
const parts = (wire: Wire): RequestParts => ({ ...wire, body: bytes(wire.body) });

function chainCases(given: Given, { policy, filter, tickets }: Site): Cases {
  const cases: Cases = {};
  for (const [links, wire] of Object.entries(given.chains)) {
    const request = parts(wire);
    const began = begin(encodeRequest(request), policy, tickets);
    if (began.status === "refused") throw new Error(`refused: ${JSON.stringify(began.decision)}`);
    must(began.checks.length === Number(links) + 1, "one signature a link and the proof");
    cases[`chain.${links}`] = {
      async run(n) {
        for (let i = 0; i < n; i += 1) {
          const frame = encodeRequest(request);
          const { status, ...rest } = begin(frame, policy, tickets);
          if (status !== "checks" || !("checks" in rest)) throw new Error("refused");
          const finished = finish(frame, policy, filter, tickets, await verifyChecks(rest.checks));
          must(finished.status === "decided" && finished.decision.allow, JSON.stringify(finished));
        }
      },
    };
    // The same keys, signatures and messages, and nothing but the platform.
    const checks = began.checks.map(copied);
    cases[`bare.signatures.${Number(links) + 1}`] = {
      async run(n) {
        for (let i = 0; i < n; i += 1) must((await Promise.all(checks.map(verified))).every(Boolean), "signatures");
      },
    };
    if (links !== "1") continue;
    const proof = checks.at(-1)!;
    cases["bare.ed25519_import_verify"] = {
      async run(n) {
        for (let i = 0; i < n; i += 1) must(await verified(proof), "a signature");
      },
    };
    cases["part.begin.chain.1"] = {
      run(n) {
        for (let i = 0; i < n; i += 1)
          must(begin(encodeRequest(request), policy, tickets).status === "checks", "begun");
      },
    };
  }
  return cases;
}

/** Checks point into one buffer of the core's answer; ours stay. */
const copied = ({ key, signature, message, record }: Check): Check => ({
  key: key.slice(),
  signature: signature.slice(),
  message: message.slice(),
  record,
});

async function verified({ key, signature, message }: Check): Promise<boolean> {
  const imported = await crypto.subtle.importKey("raw", key as BufferSource, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, signature as BufferSource, message as BufferSource);
}

/** What an event has beside the facts. */
const EVENT = {
  ...{ surface_id: "authorize", tenant: "default", event_id: "01945533-3158-7c85-992d-9865f1715694" },
  ...{ ts: "2027-01-15T08:00:00.000Z", request_id: "01945533-3158-7c85-992d-9865f1715695", status_code: 200 },
  ...{ policy_hash: "A".repeat(43), policy_version: 1, rev_seq: 1, rev_as_of_ms: 1_800_000_000_000 },
  meta: { receipt: false },
};

async function macCases(given: Given, { policy, filter, tickets }: Site): Promise<Cases> {
  const { session_id, created } = given.mac;
  const mac_key = bytes(given.mac.mac_key);
  const unproven = parts(given.mac.parts);
  const signedFrame = encodeRequest(parts(given.session_signed));
  const began = begin(signedFrame, policy, tickets);
  if (began.status === "refused") throw new Error(`refused: ${JSON.stringify(began.decision)}`);
  const message = began.checks[0]!.message.slice();
  const usages = ["sign", "verify"] as const;
  const key = await crypto.subtle.importKey("raw", mac_key, { name: "HMAC", hash: "SHA-256" }, false, [...usages]);
  const tag = await crypto.subtle.sign("HMAC", key, message);

  // A sequence number is good once: every request is made anew, before the clock runs.
  let sequence = 0n;
  let requests: RequestParts[] = [];
  const prepare = (n: number): void => {
    requests = Array.from({ length: n }, () => {
      sequence += 1n;
      const proof = macRequest({ parts: unproven, session_id, mac_key, created, expires: created + 30, sequence });
      return { ...unproven, headers: { ...unproven.headers, ...proof } };
    });
  };
  const leaf = leafLoad(given.grants);
  const { need } = given.needs.find(({ allow }) => allow)!;
  return {
    // The signature base at hand and the key imported: a MAC by the platform, the decision by the core.
    mac_decision: {
      async run(n) {
        for (let i = 0; i < n; i += 1) {
          must(await crypto.subtle.verify("HMAC", key, tag, message), "a MAC");
          must(decideLeaf(leaf, need) === 0, "an allowed read");
        }
      },
    },
    // The whole path of the core, from the parts of a fresh request: frame, ticket, digest, base, MAC, window, all steps.
    "part.mac_read": {
      prepare,
      run(n) {
        must(requests.length === n, "prepared requests");
        for (const request of requests) {
          const decided = decideRead(request, policy, filter, tickets, false);
          must(decided.status === "decided" && decided.decision.allow, "an allowed read");
        }
      },
    },
    // The same with what the record needs of it, and the event that is recorded.
    "part.mac_read_recorded": {
      prepare,
      run(n) {
        must(requests.length === n, "prepared requests");
        for (const request of requests) {
          const decided = decideRead(request, policy, filter, tickets);
          must(decided.status === "decided" && decided.request instanceof ReadFacts, "an allowed read");
        }
      },
    },
    "part.seal_read": {
      run(n) {
        prepare(1);
        const decided = decideRead(requests[0]!, policy, filter, tickets);
        const facts = decided.status === "decided" ? decided.request : undefined;
        if (!(facts instanceof ReadFacts)) throw new Error("no facts of a read");
        for (let i = 0; i < n; i += 1) must(sealRead(EVENT, facts).body.length > 800, "an event");
      },
    },
    "part.encode_request": {
      run(n) {
        for (let i = 0; i < n; i += 1) must(encodeRequest(unproven).byteLength > 0, "a frame");
      },
    },
    "bare.hmac_verify": {
      async run(n) {
        for (let i = 0; i < n; i += 1) must(await crypto.subtle.verify("HMAC", key, tag, message), "a MAC");
      },
    },
  };
}

function decisionCases({ grants, needs, narrowing }: Given): Cases {
  const seed = bytes(narrowing.seed);
  const leaf = leafLoad(grants);
  const kept = needs.map(({ need, allow }) => ({ need: needLoad(need), allow }));
  return {
    // Each need was written into the core's memory once; a call says which one.
    "decision.memory": {
      run(n) {
        for (let i = 0; i < n; i += 1) {
          const { need, allow } = kept[i & 3]!;
          must((decideKept(leaf, need) === 0) === allow, "another decision");
        }
      },
    },
    "decision.js": {
      run(n) {
        for (let i = 0; i < n; i += 1) {
          const { need, allow } = needs[i & 3]!;
          must((decideLeaf(leaf, need) === 0) === allow, "another decision");
        }
      },
    },
    attenuate: {
      run(n) {
        const { chain, claims } = narrowing;
        for (let i = 0; i < n; i += 1) must(attenuate({ seed, chain, claims }).length > chain.length, "a longer chain");
      },
    },
  };
}

export default serve(async (posted) => {
  const given = posted as Given;
  const { tenant } = given;
  const site: Site = {
    policy: policyLoad({ jws: given.policy, tenant, publishers: [given.publisher] }),
    filter: filterLoad({ body: given.filter.body, tenant, expected_hash: given.filter.rev_hash }),
    tickets: keyringLoad(given.tickets, "ticket"),
  };
  return { ...chainCases(given, site), ...(await macCases(given, site)), ...decisionCases(given) };
});
