/**
 * The edge path (the core's byte checks, WebCrypto's equations, the core's decision) against the core alone, over chains of one
 * to eight links and their proofs, whole and damaged in every way that a chain or a proof can be.
 * `TALOS_DIFFERENTIAL=100000` decides as many requests, `TALOS_SEED` repeats a run.
 */
import { describe, expect, it } from "vitest";
import { b64, type Key, hash, jcs, jws, keyOf } from "../scripts/contracts/vectors/lib.ts";
import table from "../contracts/vectors/identity/ed25519.json" with { type: "json" };
import { seeded, seedOfRun } from "../test/support/random.ts";
import {
  authorize,
  authorizePure,
  b64uEncode,
  didKey,
  encodeRequest,
  type FilterHandle,
  type Finished,
  type PolicyHandle,
  type RequestParts,
  type RevocationAnswers,
  signRequest,
} from "./index.ts";
import { AUD, call, filter, fresh, grant, NOW, NOW_MS, policy, tickets } from "./testing.ts";

const seed = seedOfRun();
const random = seeded(seed);
const below = (bound: number): number => Math.floor(random() * bound);
const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;

const HEADER = jcs({ alg: "EdDSA", typ: "talos-cap+jwt" });
const people: Key[] = Array.from({ length: 10 }, (_, index) => keyOf(`differential ${index}`));
const [operator, stranger] = [people[0]!, keyOf("differential stranger")];
/** Keys that verifiers disagree about, and what is signed under them without a secret. */
const oddKeys = table.cases.filter((one) => one.key_hex.length === 64 && !one.valid).map((one) => one.key_hex);
const oddSignatures = table.cases.filter((one) => one.signature_hex.length === 128).map((one) => one.signature_hex);

type Claims = Record<string, unknown>;
interface Link {
  claims: Claims;
  header: string;
  signer: Key;
  /** in place of the signature that the signer makes */
  signature?: string;
}

const GRANTS = [
  grant("files/read", { resource: { prefix: "data" } }),
  grant("files/write", { classes: ["read", "write"] }),
];

/** A lawful chain of `length` links from the operator to person `length`. */
function lawful(length: number): Link[] {
  return Array.from({ length }, (_, index) => {
    const [from, to] = [people[index]!, people[index + 1]!];
    const claims: Claims = {
      iss: from.did_key,
      sub: to.did_key,
      aud: [AUD],
      iat: NOW - 10,
      nbf: NOW - 10 + index,
      exp: NOW + 3_600 - index,
      jti: "01945533-3158-7c85-992d-9865f1715694",
      cnf: { jwk: to.jwk },
      ep: 0,
      depth: 7 - index,
      grants: index > 1 ? [grant("files/read", { resource: { prefix: "data/in" } })] : GRANTS,
    };
    return { claims, header: HEADER, signer: from };
  });
}

/** The chain as it travels; each link names the one before as it was printed, unless it says otherwise. */
function print(links: Link[]): string {
  const texts: string[] = [];
  for (const { claims, header, signer, signature } of links) {
    const parent = texts.at(-1);
    const own = parent === undefined || "par" in claims ? claims : { ...claims, par: hash(parent) };
    const text = jws(signer, header, jcs(own));
    texts.push(signature === undefined ? text : `${text.slice(0, text.lastIndexOf("."))}.${signature}`);
  }
  return texts.join("~");
}

const ODD: unknown[] = [null, 0, -1, 1.5, 2 ** 53, "", "x", true, [], {}, "did:web:nobody.example", [AUD, AUD], "€"];
const flip = (text: string, at: number): string =>
  `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;
const fromHex = (text: string) => Buffer.from(text, "hex");

/** What can be wrong with a chain before it is printed. */
const CLAIMS: Record<string, (links: Link[], at: number) => void> = {
  nothing: () => undefined,
  "a claim of another value": (links, at) => {
    const { claims } = links[at]!;
    claims[pick(Object.keys(claims))] = pick(ODD);
  },
  "a claim missing": (links, at) => {
    const { claims } = links[at]!;
    delete claims[pick(Object.keys(claims))];
  },
  "a claim more": (links, at) => {
    links[at]!.claims[pick(["more", "par", "scope", "crit"])] = pick(ODD);
  },
  "times moved": (links, at) => {
    links[at]!.claims[pick(["nbf", "exp", "iat"])] = NOW + below(9) - 4;
  },
  "all times moved": (links) => {
    const by = pick([-3_700, 100]);
    for (const { claims } of links) Object.assign(claims, { nbf: NOW - 10 + by, exp: NOW + 3_600 + by });
  },
  "wider grants": (links, at) => {
    links[at]!.claims.grants = [grant(pick(["files/read", "files/write", "files/delete"]), { resource: "any" })];
  },
  "narrower grants": (links, at) => {
    links[at]!.claims.grants = [grant("files/read", { resource: { prefix: `data/in/${below(3)}` }, closed: true })];
  },
  "another depth, epoch or audience": (links, at) => {
    Object.assign(links[at]!.claims, pick<Claims>([{ depth: below(9) }, { ep: below(3) }, { aud: [`${AUD}x`] }]));
  },
  "another signer": (links, at) => {
    links[at]!.signer = pick([...people, stranger]);
  },
  "another holder": (links, at) => {
    const to = pick([...people, stranger]);
    Object.assign(links[at]!.claims, { sub: to.did_key, cnf: { jwk: to.jwk } });
  },
  "a key that verifiers disagree about": (links, at) => {
    const x = b64uEncode(fromHex(pick(oddKeys)));
    Object.assign(links[at]!.claims, { sub: didKey(x), cnf: { jwk: { crv: "Ed25519", kty: "OKP", x } } });
  },
  "a signature that verifiers disagree about": (links, at) => {
    links[at]!.signature = b64(fromHex(pick(oddSignatures)));
  },
  "another header": (links, at) => {
    links[at]!.header = pick([jcs({ alg: "EdDSA" }), jcs({ alg: "none", typ: "talos-cap+jwt" }), `${HEADER} `]);
  },
  "links swapped": (links, at) => {
    const other = below(links.length);
    [links[at], links[other]] = [links[other]!, links[at]!];
  },
  "a link twice": (links, at) => {
    links.splice(at, 0, { ...links[at]! });
  },
  "a link left out": (links, at) => {
    if (links.length > 1) links.splice(at, 1);
  },
};

/** What can be wrong with the text of a chain. */
const TEXT: Record<string, (chain: string) => string> = {
  nothing: (chain) => chain,
  "a character": (chain) => flip(chain, below(chain.length)),
  "a character of a signature": (chain) => flip(chain, chain.length - 1 - below(86)),
  "a character more": (chain) => {
    const at = below(chain.length);
    return chain.slice(0, at) + pick(["A", "~", ".", "=", " ", "-"]) + chain.slice(at);
  },
  "a character less": (chain) => {
    const at = below(chain.length);
    return chain.slice(0, at) + chain.slice(at + 1);
  },
  "links exchanged": (chain) => {
    const links = chain.split("~");
    const [one, other] = [below(links.length), below(links.length)];
    [links[one], links[other]] = [links[other]!, links[one]!];
    return links.join("~");
  },
};

/** What can be wrong with the proof, or with the request since it was made. */
const PROOF: Record<string, (request: RequestParts) => void> = {
  nothing: () => undefined,
  signature: ({ headers }) => {
    headers.signature = flip(headers.signature!, 7 + below(86));
  },
  "a signature that verifiers disagree about": ({ headers }) => {
    headers.signature = `talos=:${fromHex(pick(oddSignatures)).toString("base64")}:`;
  },
  "a parameter": ({ headers }) => {
    headers["signature-input"] = flip(headers["signature-input"]!, below(headers["signature-input"]!.length));
  },
  digest: ({ headers }) => {
    headers["content-digest"] = flip(headers["content-digest"]!, 10 + below(40));
  },
  body: (request) => {
    request.body = Uint8Array.from(request.body);
    request.body[below(request.body.length)]! ^= 1 << below(7);
  },
  "a header": ({ headers }) => {
    headers[pick(["mcp-method", "mcp-session-id", "last-event-id"] as const)] = pick(["tools/call", "x", ""]);
  },
  "a header less": ({ headers }) => {
    delete headers[pick(["signature", "signature-input", "content-digest", "talos-capability"] as const)];
  },
  target: (request) => {
    request.target_uri += pick(["?a=1", "/", "x"]);
  },
  clock: (request) => {
    request.now_ms = NOW_MS + (below(3) - 1) * 60_000 + below(3) - 1;
  },
  head: (request) => {
    request.head_as_of_ms = pick([undefined, NOW_MS - 30_001, NOW_MS - 120_001]);
  },
};

interface InForce {
  policy: PolicyHandle;
  filter: FilterHandle;
  answers: RevocationAnswers;
}

/** Policies and revocations of which some concern these people. */
function worlds(): InForce[] {
  const anchors = [{ did: operator.did_key, jwk: operator.jwk }];
  const dead = `key:${people[2]!.jkt}`;
  const plain = { policy: policy({ anchors }), filter: filter(), answers: { rev_seq: 1, items: {} } };
  return [
    plain,
    { ...plain, filter: filter([dead], 2), answers: { rev_seq: 2, items: { [dead]: [dead] } } },
    // An object that answers for an older moment than the filter's.
    { ...plain, filter: filter([dead], 3), answers: { rev_seq: 2, items: { [dead]: [] } } },
    { ...plain, policy: policy({ anchors, revoked_keys: [people[3]!.jkt] }) },
    { ...plain, policy: policy({ anchors, bindings: [] }) },
    { ...plain, policy: policy({ anchors: [{ did: stranger.did_key, jwk: stranger.jwk }] }) },
  ];
}

function request(chain: string, holder: Key): RequestParts {
  const asked = call(pick(["read", "read", "read", "write", "delete", "nothing"]), {
    path: pick(["data/in/x", "data", "/"]),
  });
  asked.headers["talos-capability"] = chain;
  const nonce = b64uEncode(fresh(16));
  const signer = Buffer.from(holder.seed, "base64url");
  const proof = signRequest({ parts: asked, seed: signer, created: NOW, expires: NOW + 60, nonce });
  return { ...asked, headers: { ...asked.headers, ...proof } };
}

/** What a path answers: the decision with every member, the facts, or what it threw. */
async function outcome(run: () => Promise<Finished> | Finished): Promise<unknown> {
  try {
    const finished = await run();
    if (finished.status !== "decided") return finished;
    return { decision: finished.decision, facts: finished.request, inner: finished.inner };
  } catch (error) {
    const { code, detail } = error as { code: string; detail: { field?: string } };
    return { thrown: code, field: detail?.field };
  }
}

/** The pure core with the same look-ups that the edge path makes, and as many. */
function pure(frame: Uint8Array, { policy: p, filter: f, answers }: InForce): Finished {
  const first = authorizePure(frame, p, f, tickets);
  if (first.status === "decided") return first;
  const second = authorizePure(frame, p, f, tickets, answers);
  if (second.status === "decided") return second;
  return { status: "decided", decision: { allow: false, code: "REVOCATION_STALE" } };
}

describe("the edge path and the core alone", () => {
  const rounds = Number(process.env.TALOS_DIFFERENTIAL ?? 2_000);

  it(
    `decide alike on ${rounds} chains and proofs, whole and damaged (seed ${seed})`,
    async () => {
      const all = worlds();
      const codes = new Map<string, number>();
      const kinds = new Set<string>();
      const lengths = new Set<number>();
      for (let round = 0; round < rounds; round += 1) {
        const length = 1 + below(8);
        const links = lawful(length);
        // Two of three requests are damaged in one place, some in two or three: what comes first must come first on both paths.
        const damage = (table_: object) => (below(3) === 0 ? pick(Object.keys(table_)) : "nothing");
        const [claims, text, proof] = [damage(CLAIMS), damage(TEXT), damage(PROOF)];
        CLAIMS[claims]!(links, below(links.length));
        const asked = request(
          TEXT[text]!(print(links)),
          pick([people[length]!, people[length]!, people[length]!, stranger]),
        );
        PROOF[proof]!(asked);
        const inForce = below(2) === 0 ? all[0]! : pick(all);
        const frame = encodeRequest(asked);
        const lookup = async () => inForce.answers;
        const edge = await outcome(() => authorize(frame, inForce.policy, inForce.filter, tickets, lookup));
        expect(edge, `seed ${seed}, round ${round}: ${claims}; ${text}; ${proof}`).toEqual(
          await outcome(() => pure(frame, inForce)),
        );
        const named = edge as { thrown?: string; decision?: { code: string } };
        const code = named.thrown ?? named.decision!.code;
        codes.set(code, (codes.get(code) ?? 0) + 1);
        for (const kind of [`claims: ${claims}`, `text: ${text}`, `proof: ${proof}`]) kinds.add(kind);
        if (code === "OK") lengths.add(length);
      }
      process.stdout.write(`differential: ${rounds} requests, seed ${seed}\n`);
      // Every kind of damage, allowed chains of every length, and refusals from every step before admission.
      expect(kinds.size).toBe([CLAIMS, TEXT, PROOF].reduce((sum, kindsOf) => sum + Object.keys(kindsOf).length, 0));
      expect([...lengths].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      for (const code of [
        ...[
          "MALFORMED",
          "PROOF_INVALID",
          "DELEGATION_INVALID",
          "SIGNATURE_INVALID",
          "UNTRUSTED_ISSUER",
          "EXPIRED",
          "NOT_YET_VALID",
        ],
        ...["REVOKED", "REVOCATION_STALE", "UNKNOWN_TOOL", "SCOPE_MISMATCH", "ROLE_DENIED"],
      ]) {
        expect(codes.get(code) ?? 0, code).toBeGreaterThan(0);
      }
    },
    600_000 + rounds * 60,
  );
});
