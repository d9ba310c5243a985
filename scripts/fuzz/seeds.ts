/**
 * What fuzzing begins with: the contract's vectors in the form that each target reads, and patches that touch every member.
 * The forms are said in crypto-wasm/fuzz/targets. A fuzzer that starts from nothing spends its first hours on punctuation.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../bootstrap.js";

interface VectorCase {
  [member: string]: unknown;
}

const cases = (name: string): VectorCase[] =>
  (JSON.parse(readFileSync(join(root, `contracts/vectors/${name}.json`), "utf8")) as { cases: VectorCase[] }).cases;
const texts = (name: string, member: string): string[] =>
  cases(name).flatMap((one) => (typeof one[member] === "string" ? [one[member]] : []));
const json = (value: unknown): string => JSON.stringify(value);

/** Objects of one member each, for every value that another place of the contract could put there. */
const patches = (members: Record<string, unknown[]>): string[] =>
  Object.entries(members).flatMap(([name, values]) => values.map((value) => json({ [name]: value })));

const ODD = [null, 0, -1, 1.5, 9007199254740991, "", "x", true, [], {}, [{}], "did:web:holder.example"];

function links(): string[] {
  const narrow = {
    grants: [
      {
        tool: "files/read",
        classes: ["read"],
        actions: ["call"],
        resource: { prefix: "data/in" },
        args: {},
        closed: false,
      },
    ],
  };
  const whole = [1, 2, 3, 8, 9].map((length) => Array(length).fill("{}").join("\n"));
  const claims = patches({
    iss: [...ODD, "did:web:anchor.example"],
    sub: ODD,
    aud: [[], ["https://talos.example/t/default", "https://talos.example/t/other"], ["x"]],
    iat: ODD,
    nbf: [999, 1_001, 1_500, 1_501],
    exp: [1_500, 1_501, 2_000, 2_001],
    jti: ODD,
    cnf: ODD,
    ep: [1, 2 ** 31 - 1, 2 ** 31],
    depth: [0, 5, 6, 7, 8],
    par: [null, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    grants: [[], narrow.grants, [{ ...narrow.grants[0], resource: "any" }]],
    more: [1],
  });
  return [
    ...whole,
    `${json(narrow)}\n${json(narrow)}`,
    `{}\n${json(narrow)}\n{}`,
    ...claims.map((patch) => `{}\n${patch}`),
  ];
}

function statements(): string[] {
  const entries = [
    "link:$0",
    "link:$2",
    "key:#2",
    "key:#4:under:$0",
    "key:#3:anchor:did:web:anchor.example",
    "epoch:#1:1",
    "epoch:#2:7",
  ];
  const said = [
    {},
    { kind: "key", link: null, jkt: "#4" },
    { kind: "key", link: null, jkt: "#2", under: "$2" },
    { kind: "key", link: null, jkt: "#3", anchor: "did:web:anchor.example" },
    { kind: "epoch", link: null, jkt: "#4", epoch: 3 },
    { link: "$0" },
    { iat: 1_801 },
    { jti: "x" },
    { aud: "https://talos.example/t/other" },
  ];
  return said.flatMap((patch, index) =>
    ["", "1", "2", "4", "5"].map((signer) => [`${signer}${json(patch)}`, ...entries.slice(0, index)].join("\n")),
  );
}

const messages = (): string[] => {
  const request = (method: string, params?: unknown, more = {}) =>
    json({ jsonrpc: "2.0", id: 1, method, params, ...more });
  return [
    request("tools/call", { name: "read", arguments: { path: "data/a", limit: 5 } }),
    request("tools/call", { name: "read", task: {} }),
    request("prompts/get", { name: "hello", arguments: {} }),
    request("resources/read", { uri: "file:///data/a" }),
    request("resources/subscribe", { uri: "https://h/a?b" }),
    request("completion/complete", { ref: { type: "ref/prompt", name: "hello" } }),
    request("completion/complete", { ref: { type: "ref/resource", uri: "file:///data/a" } }),
    request("initialize", {}),
    request("tools/list", { _meta: { progressToken: "t" } }),
    request("notifications/initialized", undefined, { id: undefined }),
    json({ jsonrpc: "2.0", id: "a", result: {} }),
    json({ jsonrpc: "2.0", id: 3, error: {} }),
    json([{}]),
  ];
};

function frames(): string[] {
  const [call] = messages() as [string];
  const write = call.replace('"read"', '"write"');
  const asks: [object, string, string][] = [
    [{}, "{}", call],
    [{ links: [{}, {}, {}] }, "{}", call],
    [{ form: "ticket" }, "{}", write],
    [{ form: "mac" }, "{}", call],
    [{ form: "mac" }, "{}", write],
    [{ form: "none" }, "{}", call],
    [{ surface: "mcp.get", method: "GET" }, "{}", ""],
    [
      { surface: "authorize", uri: "https://talos.example/t/default/v1/authorize", server: null },
      "{}",
      json({ tool: "files/read", resource: "data/a", args: {} }),
    ],
    [
      { surface: "authorize.batch", uri: "https://talos.example/t/default/v1/authorize/batch", server: null },
      "{}",
      json({ items: [{ tool: "files/read" }, { tool: "files/nothing" }] }),
    ],
    [
      { surface: "sessions.open", uri: "https://talos.example/t/default/v1/sessions", server: null },
      "{}",
      json({ share: "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", writes: true }),
    ],
    [{ surface: "head.get", method: "GET", server: null }, "{}", ""],
    [{ surface: "audit.events.list", method: "GET", server: null }, "{}", ""],
    [{ surface: "authzen.evaluation", server: null }, "{}", "{}"],
    [{}, json({ now_ms: 1_560_000 }), call],
    [{}, json({ head_as_of_ms: 1 }), call],
    [{}, json({ uri: "https://talos.example/t/default/mcp/other" }), call],
    [{ "mcp-method": "tools/call", "mcp-name": "read", "mcp-session-id": "s" }, json({ "mcp-session-id": " s" }), call],
    [{ links: [{ exp: 1_500 }] }, "{}", call],
    [{ links: [{ grants: [] }, {}] }, "{}", call],
  ];
  return [...asks.map(([ask, change, body]) => `${json(ask)}\n${change}\n${body}`), "~"];
}

/** Reads of a session under its MAC. */
function reads(): string[] {
  const ask = (more: object, change: object, body: string) =>
    `${json({ form: "mac", ...more })}\n${json(change)}\n${body}`;
  const authorize = { surface: "authorize", uri: "https://talos.example/t/default/v1/authorize", server: null };
  return [
    ...messages().map((body) => ask({}, {}, body)),
    ask({ surface: "mcp.get", method: "GET" }, {}, ""),
    ask(authorize, {}, json({ tool: "files/read", resource: "data/a", args: {}, receipt: true })),
    ask(authorize, {}, json({ tool: "files/limited", args: { limit: 11 } })),
    ask(authorize, {}, json({ tool: "files/nothing" })),
    ask({ links: [{}, {}] }, { now_ms: 1_560_000 }, messages()[0]!),
    ask({}, { head_as_of_ms: false }, messages()[0]!),
  ];
}

const policies = (): string[] =>
  patches({
    anchors: [[], ODD],
    bindings: [[], [{ id: "one", role: "everything", principal: "*", scope: { type: "tool", tool: "files/read" } }]],
    dids: [[], ODD],
    forbids: [[], [{ id: "f", principal: "*", tool: "files/read", classes: ["read"], reason: "r" }]],
    peps: [[]],
    rate_classes: [[]],
    revoked_keys: [[], ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]],
    roles: [[], [{ id: "everything", grants: [] }]],
    servers: [[], [{ name: "files", url: "https://h/mcp" }]],
    tools: [[], [{ tool: "files/read", class: "pay", actions: ["call"], rate_class: "read" }]],
    unregistered: ["destructive", "x"],
    version: ODD,
    v: [2],
    more: [1],
  });

const proofs = (): string[] => {
  const changes = [
    "{}",
    ...patches({
      uri: ["https://talos.example/t/default/mcp/files?a=1", "x#"],
      method: ["GET", "post"],
      body: ["{} "],
      "mcp-session-id": ["s", " s ", "s\t"],
      signature: ["talos=:AAAA:"],
      now_ms: [1_439_000, 1_560_000, 0],
      elsewhere: ["yes"],
      digest: [null, "sha-256=:AAAA:"],
    }),
  ];
  const proved = [{}, { "mcp-session-id": "s", "idempotency-key": "k" }, { capability: null, ticket: "AA", mac: 1 }];
  return proved.flatMap((request) => changes.map((change) => `${json(request)}\n${change}`));
};

const withAtom = (atom: unknown): string =>
  json([{ tool: "a/x", classes: ["read"], actions: ["call"], resource: "any", args: { n: [atom] }, closed: false }]);

/** Binary inputs, a character a byte. */
export const BINARY: ReadonlySet<string> = new Set(["anchor_evm", "anchor_ots", "bundle"]);

const latin1 = (hex: string): string => Buffer.from(hex, "hex").toString("latin1");

/** Behind magic, version and hash. */
const files = (): string[] =>
  [...texts("anchors/ots", "file"), ...texts("anchors/calendars", "file")].map((hex) => latin1(hex.slice(66)));

/** A path of digits and nodes; 32 times `ee` is the hash of the next one. */
function tries(): string[] {
  const list = (...items: string[]): string => {
    const body = items.join("");
    const bytes = body.length / 2;
    const head = bytes <= 55 ? 0xc0 + bytes : bytes < 256 ? 0xf800 + bytes : 0xf9_0000 + bytes;
    return head.toString(16) + body;
  };
  const input = (path: number[], ...nodes: string[]): string =>
    latin1(
      [path.length, ...path].map((digit) => digit.toString(16).padStart(2, "0")).join("") +
        nodes.map((node) => (node.length / 2).toString(16).padStart(4, "0") + node).join(""),
    );
  const next = `a0${"ee".repeat(32)}`;
  const value = `a0${"07".repeat(32)}`;
  const branch = (digit: number, child: string) =>
    list(...Array.from({ length: 17 }, (_, i) => (i === digit ? child : "80")));
  const leaf = list("821234", value).replace("821234", "822012");
  return [
    input([1, 2], leaf),
    input([2], list("32", value)),
    input([], list("20", value)),
    input([3, 2], branch(3, next), list("32", value)),
    input([3, 15], branch(3, next), branch(15, next), list("20", value)),
    input([1, 2, 3], list("8200ff".replace("8200ff", "820012"), next), list("33", value)),
    input([1, 2], list("11", next), list("32", value)),
    input([1, 2], list("11", list("32", "07"))),
    input([1, 2], branch(1, list("32", "820708"))),
    input(
      [1, 2, 3, 4, 5, 6],
      branch(1, next),
      list("12", next),
      branch(3, next),
      list("820045", next),
      list("36", value),
    ),
    input([5], branch(5, next), branch(0, next)),
    input([5], list("15", next), list("20", value)),
    input([5], branch(6, next), list("20", value)),
    input([1], "c0"),
    input([1], "f800", "b8", "81"),
  ];
}

/** Whole ones, what others are made of, and single values. */
function bundles(): string[] {
  const event = json({
    kind: "decision",
    n: [0, -1, { t: true }],
    schema_id: "talos.audit_event",
    schema_version: "v2",
  });
  const file = texts("anchors/ots", "file").map((hex) => `o${hex.slice(130)}`);
  const block = (...bytes: number[]) => `e${String.fromCharCode(...bytes)}`;
  const made: [sizes: number[], ...lines: string[]][] = [
    [[3, 1, 0, 0], event],
    [[1, 0, 1, 0], event],
    [[7, 6, 5, 4], event.replace("v2", "v1")],
    [[3, 1, 3, 1], event, file[0]!],
    [[3, 1, 3, 1], event, file[1]!, file[2]!, file[5]!],
    [[31, 30, 2, 1], event, block(1, 2, 0, 9, 8), file[7]!],
    [[2, 0, 9, 3], event, block(1, 2, 0, 0, 200), block(3, 2, 1, 255, 0), block(1, 2, 0, 0, 200)],
    [[2, 0, 9, 3], event.replace("v2", "v3")],
    [[2, 0, 9, 3], '{"schema_id":"talos.audit_event","schema_version":"v1","zz":"\u20ac"}'],
  ];
  const utf8 = (text: string) => Buffer.from(text, "utf8").toString("latin1");
  return [
    ...made.map(([sizes, ...lines]) => `~${String.fromCharCode(...sizes)}\n${lines.map(utf8).join("\n")}`),
    ...texts("log/proof-bundles", "file").map(utf8),
    ...texts("encoding/json", "input").map(utf8),
  ];
}

/** Inputs of a target that are worth starting from. */
export function seeds(target: string): string[] {
  switch (target) {
    case "json":
      return texts("encoding/json", "input");
    case "scope":
      return texts("capability/scopes", "scope");
    case "texts":
      return [
        ...texts("capability/uris", "uri"),
        ...texts("identity/dids", "did"),
        ...texts("encoding/base64url", "text"),
        ...texts("encoding/uuidv7", "text"),
        ...texts("audit/cursors", "cursor"),
        ...cases("in-force/revocation-bodies").flatMap((one) => (one.entries as string[]).slice(0, 8)),
      ];
    case "grants":
      return [
        ...cases("capability/containment-grants").map((one) => `${json(one.parent)}\n${json(one.child)}\n12`),
        ...cases("capability/containment-atoms").map((one) => `${withAtom(one.parent)}\n${withAtom(one.child)}\n12`),
        ..."abcdefghijklmnopqrstuvwxyz".split("").map((letter) => `#${letter.repeat(40)}`),
      ];
    case "chain":
      return links();
    case "head":
      return patches({
        as_of_ms: [0, 1_500_000, 1_560_000, ...ODD],
        policy_version: [0, 4],
        policy_hash: [""],
        rev_seq: [3, 5],
        rev_hash: ODD,
        tenant: ODD,
      }).map((patch) => `{}\n${patch}`);
    case "mcp":
      return messages().flatMap((body) => [`\n\n${body}`, `tools/call\nread\n${body}`]);
    case "policy":
      return ["{}", ...policies()];
    case "proof":
      return proofs();
    case "revocation":
      return statements();
    case "ticket":
      return [
        "{}",
        ...patches({
          sid: ODD,
          exp: [1_500, 1_501],
          tenant: ODD,
          links: [[], [{}]],
          grants: [[]],
          mac: ODD,
          core: ODD,
        }),
        ...patches({ upstream: ODD, exp: [1_500, ...ODD], server: ["mail"] }).map((patch) => `@${patch}`),
        "~AQN0LTEA",
      ];
    case "anchor_evm":
      return tries();
    case "anchor_ots":
      return files();
    case "bundle":
      return bundles();
    case "frame":
      return frames();
    case "read":
      return [...frames(), ...reads(), "!"];
    case "log_note":
      return [
        ...texts("log/notes", "note"),
        ...texts("log/keys", "key"),
        ...texts("log/checkpoints", "text").map((text) => `${text}\n— a AAAAAAE=\n`),
      ];
    case "log_policy":
      return texts("log/policies", "policy");
    case "log_proof":
      return [
        ...texts("log/proof-files", "file"),
        ...texts("log/verdicts", "file"),
        ...texts("log/submissions", "body"),
      ];
    case "log_tree":
      return [
        ...texts("log/tiles", "path").map((path) => `/${path}`),
        ...texts("log/bundles", "bundle").map((bytes) => `b${Buffer.from(bytes, "base64").toString("latin1")}`),
        ...[1, 2, 3, 7].map((step) => `\u0005${String.fromCharCode(step, step, 127, 127, 2, 1)}`),
      ];
    default:
      throw new Error(`no seeds for the target ${target}`);
  }
}

/** Words of the contract, as a dictionary of libFuzzer. */
export function dictionary(): string {
  const words = new Set<string>();
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk);
    else if (value !== null && typeof value === "object") {
      for (const [name, member] of Object.entries(value)) {
        words.add(`"${name}"`);
        walk(member);
      }
    } else if (typeof value === "string" && /^[a-z][a-z/:_.*-]{1,24}$/.test(value)) words.add(value);
  };
  for (const name of ["capability/decisions", "capability/containment-atoms", "capability/containment-grants"])
    cases(name).forEach(walk);
  for (const target of ["frame", "policy", "proof", "revocation", "mcp", "ticket", "chain"]) {
    for (const seed of seeds(target)) for (const [word] of seed.matchAll(/"[a-z][A-Za-z/_-]*"/g)) words.add(word);
  }
  return [...words].map((word) => json(word).replace(/\\\\/g, "\\\\")).join("\n");
}
