/**
 * Values are planted: recognisable ones, and ones that anybody could guess. While they are kept they can be opened, by the
 * surface and past it; then their subject is erased, and everything that Talos ever wrote is searched for them and for
 * whatever would lead to them. The record stands, and what was proved of it before is proved still.
 * Source: contracts/spec/erasure.md.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditValues, Erasure, PrivacySubject } from "@talos/contracts";
import * as tree from "@talos/core/log";
import { Key } from "@talos/sdk";
import { saveKey } from "@talos/sdk/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../sdk/cli/main.ts";
import { connect } from "../../workers/db/client.ts";
import {
  developmentKeysets,
  grant,
  maced,
  type Person,
  person,
  root,
  rpc,
  send,
  type Session,
  signed,
} from "../fixtures.ts";
import { Canaries } from "../support/canaries.ts";
import { commitmentTo, type Leaf, projected, readLedger } from "../support/ledger.ts";
import { verifierKeyOf } from "../support/heads.ts";
import { startRawServer, type Upstream } from "../support/mcp-server.ts";
import { type Scene, startScene } from "../support/scene.ts";
import { openValue, readVault, subjectHash, type VaultRows } from "../support/vaults.ts";
import { MCP_HEADERS } from "../support/world.ts";

const canaries = new Canaries();
const utf8 = (text: string) => new TextEncoder().encode(text);
const argument = canaries.plant("argument");
const result = canaries.plant("result");
const streamed = canaries.plant("streamed");
const later = "plain-after-the-erasure";

let scene: Scene;
let upstream: Upstream;
let auditor: Person;
let auditorChain: string;
let other: Person;
let otherChain: string;
let session: Session;
let hash: string;
let vault: VaultRows;
/** Sealed objects of the subject, as they lay in the bucket. */
let objects: Map<string, Buffer>;
/** What was proved of one event before the erasure: its leaf, where it is, the hashes and the signed head. */
let before: { leaf: Leaf; head: tree.Head; hashes: Uint8Array; note: Uint8Array; proof: string };
/** Intents and outcomes of the subject by what they carry. */
const events = new Map<string, { intent: Leaf; outcome: Leaf }>();

/** Answers with what it was told to, in the way it was told to. */
const startKeeper = (): Promise<Upstream> =>
  startRawServer(({ body, method }, response) => {
    if (method !== "POST") return void response.writeHead(405).end();
    const { id, params } = JSON.parse(body) as { id: string; params?: { arguments?: Record<string, unknown> } };
    const { answer, mode, size } = params?.arguments ?? {};
    const text = typeof size === "number" ? "x".repeat(size) : String(answer);
    const message = JSON.stringify({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text }] } });
    const sse = mode === "sse";
    response.writeHead(200, { "content-type": sse ? "text/event-stream" : "application/json" });
    response.end(sse ? `event: message\ndata: ${message}\n\n` : message);
  });

let calls = 0;
async function call(tool: string, args: object, as: "agent" | "other" | "mac" = "agent"): Promise<string> {
  calls += 1;
  const body = rpc("tools/call", { name: tool, arguments: args }, calls);
  const request = { aud: scene.aud, path: "/mcp/keeper", headers: MCP_HEADERS, body };
  const proven =
    as === "mac"
      ? maced(session, request)
      : signed(as === "agent" ? scene.agent : other, as === "agent" ? scene.chain : otherChain, request);
  const response = await send(proven);
  expect(response.status, await response.clone().text()).toBe(200);
  await response.text();
  return response.headers.get("talos-intent") ?? "";
}

const ask = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  send(
    signed(auditor, auditorChain, {
      aud: scene.aud,
      path,
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
async function asked<T>(method: string, path: string, status = 200, body?: object, headers?: Record<string, string>) {
  const response = await ask(method, path, body, headers);
  const text = await response.text();
  expect(response.status, text).toBe(status);
  return JSON.parse(text) as T;
}
const valuesOf = (id: string, status = 200) =>
  asked<AuditValues & { code: string }>("GET", `/audit/events/${id}/values`, status);
const standing = (did = scene.agent.did) =>
  asked<PrivacySubject>("GET", `/privacy/subjects/${encodeURIComponent(did)}`);

async function until<T>(look: () => Promise<T>, good: (seen: T) => boolean, what: string): Promise<T> {
  for (let i = 0; i < 300; i += 1) {
    const seen = await look();
    if (good(seen)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not in time: ${what}`);
}

/** Every file that the stack ever wrote, as bytes. */
async function disk(): Promise<{ name: string; content: Buffer }[]> {
  const files = await readdir(scene.state, { recursive: true, withFileTypes: true });
  return Promise.all(
    files
      .filter((one) => one.isFile())
      .map(async (one) => ({ name: one.name, content: await readFile(join(one.parentPath, one.name)) })),
  );
}

/** Names of files that hold these bytes, or a spelling of them. */
function holders(files: { name: string; content: Buffer }[], bytes: Uint8Array): string[] {
  const raw = Buffer.from(bytes);
  const spellings = [
    raw,
    Buffer.from(raw.toString("base64url")),
    Buffer.from(raw.toString("base64")),
    Buffer.from(raw.toString("hex")),
  ];
  return files.filter(({ content }) => spellings.some((one) => content.includes(one))).map(({ name }) => name);
}

async function postgres(): Promise<string> {
  const { sql } = connect({
    TALOS_MODE: "development",
    DATABASE_URL: scene.database.url,
    TALOS_DATABASE_ENDPOINT: scene.database.endpoint,
  });
  const tables = await sql`SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`;
  const rows: string[] = [];
  for (const { name } of tables) {
    for (const row of await sql.query(`SELECT t::text AS text FROM "${name}" AS t`)) rows.push(row.text as string);
  }
  expect(rows.length).toBeGreaterThan(20);
  return rows.join("\n");
}

const published = async (path: string): Promise<Uint8Array> => {
  const found = await scene.talos.published("default", path);
  if (found === undefined) throw new Error(`${path} is not published`);
  return found;
};
async function head(): Promise<{ head: tree.Head; note: Uint8Array; policy: Uint8Array }> {
  const note = await published("checkpoint");
  const origin = new TextDecoder().decode(note).split("\n")[0]!;
  const policy = utf8(`log ${verifierKeyOf(scene.talos.keysets, origin)}\nquorum none\n`);
  return { head: await tree.verifyCheckpoint({ note, policy }), note, policy };
}

beforeAll(async () => {
  upstream = await startKeeper();
  const entry = { actions: ["call"], rate_class: "read" };
  [auditor, other] = [person("auditor"), person("other")];
  scene = await startScene({
    more: {
      servers: { keeper: upstream.url },
      tools: [
        { ...entry, tool: "keeper/act", class: "write", rate_class: "write", keep: "both" },
        { ...entry, tool: "keeper/look", class: "read", keep: "both" },
        { ...entry, tool: "keeper/pass", class: "read" },
        { ...entry, tool: "keeper/tell", class: "read", keep: "result" },
      ],
      grants: ["act", "look", "pass", "tell"].map((name) => grant(`keeper/${name}`, { classes: ["read", "write"] })),
    },
  });
  const may = (tool: string, classes: ("read" | "write" | "destructive")[] = ["read"]) => grant(tool, { classes });
  const rights = [
    may("talos/audit.events"),
    may("talos/audit.values"),
    may("talos/privacy.erasures", ["read", "destructive"]),
    may("talos/privacy.holds", ["write"]),
    may("talos/privacy.subjects"),
  ];
  auditorChain = root(scene.operator, auditor, { aud: [scene.aud], grants: rights });
  otherChain = root(scene.operator, other, { aud: [scene.aud], grants: [grant("keeper/act", { classes: ["write"] })] });
  session = await scene.session();
  hash = subjectHash("default", scene.agent.did);

  const planted: [string, string, object, "agent" | "mac"][] = [
    ["canary", "act", { memo: argument, answer: result }, "agent"],
    ["stream", "act", { answer: streamed, mode: "sse" }, "agent"],
    ["read", "look", { memo: argument, answer: result }, "mac"],
    ["guess", "act", { answer: "yes" }, "agent"],
    ["passing", "pass", { memo: argument, answer: result }, "mac"],
    ["telling", "tell", { memo: argument, answer: "42" }, "agent"],
    ["large", "look", { size: 1_100_000 }, "agent"],
  ];
  const intents = new Map<string, string>();
  for (const [name, tool, args, as] of planted) intents.set(name, await call(tool, args, as));
  intents.set("foreign", await call("act", { memo: "other's", answer: "other's answer" }, "other"));
  await projected(scene.talos);
  const kept = await until(
    standing,
    ({ values, commitments, too_large }) => values === 10 && commitments === 14 && too_large === 1,
    "everything is kept",
  );
  expect(kept).toMatchObject({ subject: scene.agent.did, held: false, unsealed: 0 });

  const ledger = await readLedger(scene.talos);
  for (const [name, id] of intents) {
    const of = ledger.leaves.filter(({ event }) => event.correlation === id);
    events.set(name, {
      intent: of.find(({ event }) => event.kind === "intent")!,
      outcome: of.find(({ event }) => event.kind === "outcome")!,
    });
  }
}, 120_000);

afterAll(async () => {
  await scene?.stop();
  await upstream?.close();
});

describe("while they are kept", () => {
  it("values are opened by the surface, each with the salt that shows it is what was committed to", async () => {
    const { intent, outcome } = events.get("canary")!;
    const args = await valuesOf(intent.event_id);
    expect(args).toMatchObject({ event_id: intent.event_id, seq: intent.seq, subject: scene.agent.did });
    const [only] = args.values;
    const text = Buffer.from(only!.value!, "base64url").toString();
    expect(JSON.parse(text)).toEqual({ memo: argument, answer: result });
    expect(commitmentTo(only!.salt!, text)).toBe(intent.event.commitments!.args);
    expect(only!.commitment).toBe(intent.event.commitments!.args);
    const [answer] = (await valuesOf(outcome.event_id)).values;
    expect(answer).toMatchObject({ name: "result", state: "kept", commitment: outcome.event.commitments!.result });
    expect(Buffer.from(answer!.value!, "base64url").toString()).toContain(result);
    const [stream] = (await valuesOf(events.get("stream")!.outcome.event_id)).values;
    expect(Buffer.from(stream!.value!, "base64url").toString()).toContain(streamed);
    expect((await valuesOf(events.get("read")!.intent.event_id)).values[0]).toMatchObject({ state: "kept" });
  });

  it("what the policy does not keep is not there, and what is too large says so; the salts are", async () => {
    const { intent, outcome } = events.get("passing")!;
    for (const { event_id } of [intent, outcome]) {
      const [only] = (await valuesOf(event_id)).values;
      expect(only).toMatchObject({ state: "not_kept", salt: expect.any(String) });
      expect(only).not.toHaveProperty("value");
    }
    expect((await valuesOf(events.get("telling")!.intent.event_id)).values[0]).toMatchObject({ state: "not_kept" });
    expect((await valuesOf(events.get("telling")!.outcome.event_id)).values[0]).toMatchObject({ state: "kept" });
    expect((await valuesOf(events.get("large")!.outcome.event_id)).values[0]).toMatchObject({ state: "too_large" });
  });

  it("who looked is in the record before anything is shown, and nobody looks without that right", async () => {
    const { intent } = events.get("canary")!;
    const { leaves } = await readLedger(scene.talos);
    const looks = leaves.filter(({ event }) => event.surface_id === "audit.events.values");
    expect(looks.some(({ event }) => event.meta.id === intent.event_id && event.principal.did === auditor.did)).toBe(
      true,
    );
    const path = `/audit/events/${intent.event_id}/values`;
    const refused = await send(signed(scene.agent, scene.chain, { aud: scene.aud, path, method: "GET" }));
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([403, "SCOPE_MISMATCH"]);
    const decision = leaves.find(({ event }) => event.kind === "decision")!;
    expect((await valuesOf(decision.event_id, 404)).code).toBe("value.none");
    expect((await valuesOf("0193b2a0-7b1c-7000-8000-000000000001", 404)).code).toBe("audit.event_unknown");
  });

  it("whoever has the disk and the keysets opens them past our code: the way that an erasure must end", async () => {
    vault = await readVault(scene.talos, hash);
    expect(vault.salts.size).toBe(14);
    objects = new Map((await scene.talos.bucket("SEALED_VALUES")).filter(([name]) => name.includes(hash)));
    expect(objects.size).toBe(10);
    const { outcome } = events.get("canary")!;
    const name = `default/${hash}/0/${outcome.event_id}.result`;
    const opened = openValue(vault, hash, outcome.event_id, "result", objects.get(name)!).toString();
    expect(opened).toContain(result);
    expect(commitmentTo(vault.salts.get(outcome.event_id)!.result!, opened)).toBe(outcome.event.commitments!.result);
    // The guess: with its salt, three tries are enough.
    const guess = events.get("guess")!.outcome;
    const tries = ["no", "maybe", "yes"].map((text) => JSON.stringify({ content: [{ text, type: "text" }] }));
    const hits = tries.filter(
      (text) => commitmentTo(vault.salts.get(guess.event_id)!.result!, text) === guess.event.commitments!.result,
    );
    expect(hits.length).toBe(1);
    // The search below finds what is there: the wrapped key, sealed salts, sealed values; and no value, salt or key as it is.
    const files = await disk();
    expect(holders(files, vault.wrapped!)).not.toEqual([]);
    for (const sealed of [...vault.sealed.values()].slice(0, 3)) expect(holders(files, sealed)).not.toEqual([]);
    for (const sealed of objects.values()) expect(holders(files, sealed)).not.toEqual([]);
    expect(holders(files, vault.dek!)).toEqual([]);
    for (const [, salts] of vault.salts)
      for (const salt of Object.values(salts)) expect(holders(files, Buffer.from(salt, "base64url"))).toEqual([]);
    for (const { name, content } of files) expect(canaries.in(content.toString("latin1")), name).toEqual([]);
  });

  it("an event is proved: its leaf is in a signed head", async () => {
    await scene.talos.log().flush();
    const { leaf } = { leaf: events.get("canary")!.outcome };
    const now = await head();
    const hashes = await tree.inclusionProof(leaf.seq, now.head.size, published);
    const own = createHash("sha256").update("\0").update(leaf.body).digest();
    tree.checkInclusion({ index: leaf.seq, leaf: own, hashes, head: now.head });
    const proof = tree.proofFile({ index: leaf.seq, hashes, checkpoint: new TextDecoder().decode(now.note) });
    before = { leaf, head: now.head, note: now.note, hashes, proof };
  });

  it("a hold refuses the erasure by name", async () => {
    const path = `/privacy/holds/${encodeURIComponent(scene.agent.did)}`;
    expect(await asked<PrivacySubject>("PUT", path)).toMatchObject({ held: true, values: 10 });
    const refused = await asked<{ code: string }>("POST", "/privacy/erasures", 409, { subject: scene.agent.did });
    expect(refused.code).toBe("privacy.held");
    expect((await valuesOf(events.get("canary")!.outcome.event_id)).values[0]).toMatchObject({ state: "kept" });
    expect(await asked<PrivacySubject>("DELETE", path)).toMatchObject({ held: false });
  });

  it("only who may erase erases, and only whom a DID names", async () => {
    const body = JSON.stringify({ subject: scene.agent.did });
    const refused = await send(signed(scene.agent, scene.chain, { aud: scene.aud, path: "/privacy/erasures", body }));
    expect(refused.status).toBe(403);
    const wrong = await asked<{ code: string }>("POST", "/privacy/erasures", 400, { subject: "the agent" });
    expect(wrong.code).toBe("contract.invalid");
    expect(await standing()).toMatchObject({ values: 10 });
  });
});

/** The command, as the auditor runs it. */
async function talos(...args: string[]): Promise<{ code: number; said: string }> {
  const cwd = await mkdtemp(join(tmpdir(), "talos-erase-"));
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  try {
    saveKey(join(cwd, "auditor.json"), new Key(auditor.seed));
    await writeFile(join(cwd, "auditor.cap"), auditorChain, { mode: 0o600 });
    const me = ["--key", "auditor.json", "--cap", "auditor.cap"];
    return { code: await main([...args, ...me], { env: {}, cwd, out: say, err: say }), said: said.join("") };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

describe("erased", () => {
  let erasure: Erasure;

  it("from the answer on: nothing opens, and the rest ends by itself", async () => {
    const key = { "idempotency-key": "request 17" };
    const body = { subject: scene.agent.did, reason: "asked for in writing" };
    const first = await asked<Erasure>("POST", "/privacy/erasures", 202, body, key);
    expect(first).toMatchObject({ commitments: 14, values: 10, reason: "asked for in writing" });
    expect((await valuesOf(events.get("canary")!.outcome.event_id, 410)).code).toBe("value.erased");
    const again = await asked<Erasure>("POST", "/privacy/erasures", 202, body, key);
    expect(again.id).toBe(first.id);
    const look = () => asked<Erasure>("GET", `/privacy/erasures/${first.id}`);
    erasure = await until(look, ({ state }) => state === "done", "the erasure is done");
    expect(erasure).toMatchObject({ deleted: 10, failures: 0 });
    for (const { intent, outcome } of [...events].filter(([name]) => name !== "foreign").map(([, one]) => one)) {
      for (const { event_id } of [intent, outcome]) expect((await valuesOf(event_id, 410)).code).toBe("value.erased");
    }
    const nobody = await asked<{ code: string }>("GET", `/privacy/erasures/${"A".repeat(64)}`, 404);
    expect(nobody.code).toBe("privacy.unknown");
  });

  it("is in the record, without a name that anybody could try", async () => {
    await projected(scene.talos);
    const { leaves } = await readLedger(scene.talos);
    const own = leaves.filter(({ event }) => event.kind === "erasure");
    expect(own.map(({ event_id }) => event_id)).toEqual([erasure.event_id]);
    const [{ event, body }] = own as [Leaf];
    expect(event).toMatchObject({
      principal: { did: auditor.did },
      erasure: { scope: erasure.scope, before_ms: erasure.requested_ms, commitments: 14, values: 10 },
    });
    for (const name of [scene.agent.did, hash, erasure.id, "asked for"]) expect(body).not.toContain(name);
    const plain = createHash("sha256").update(scene.agent.did).digest("base64url");
    expect(body).not.toContain(plain);
    expect(commitmentTo(erasure.scope_salt, scene.agent.did)).toBe(event.erasure!.scope);
  });

  it("leaves another's values, and whatever comes after, as they are", async () => {
    expect((await valuesOf(events.get("foreign")!.intent.event_id)).values[0]).toMatchObject({ state: "kept" });
    const id = await call("act", { memo: later, answer: later });
    await until(standing, ({ values, commitments }) => values === 2 && commitments === 2, "the new call is kept");
    const [only] = (await valuesOf(id)).values;
    expect(Buffer.from(only!.value!, "base64url").toString()).toContain(later);
  });

  it("leaves every proof as it was: the same leaf, in the same place, under the old head and the new one", async () => {
    await scene.talos.log().flush();
    const { leaf, hashes, note, proof } = before;
    const { leaves } = await readLedger(scene.talos);
    expect(leaves[leaf.seq]).toEqual(leaf);
    const own = createHash("sha256").update("\0").update(leaves[leaf.seq]!.body).digest();
    const now = await head();
    const old = await tree.verifyCheckpoint({ note, policy: now.policy });
    tree.checkInclusion({ index: leaf.seq, leaf: own, hashes, head: old });
    await tree.verifyProof({ file: utf8(proof), leaf: own, policy: now.policy });
    expect(now.head.size).toBeGreaterThan(old.size);
    tree.checkConsistency({
      old,
      head: now.head,
      hashes: await tree.consistencyProof(old.size, now.head.size, published),
    });
    const newer = await tree.inclusionProof(leaf.seq, now.head.size, published);
    tree.checkInclusion({ index: leaf.seq, leaf: own, hashes: newer, head: now.head });
    expect(await tree.treeRoot(now.head.size, published)).toEqual(now.head.root);
  });

  it("leaves no way to a value: not in an object, KV, R2, Postgres, a log line or any file on the disk", async () => {
    const rows = await postgres();
    expect(canaries.in(rows)).toEqual([]);
    for (const line of scene.talos.logs) expect(canaries.in(line), line).toEqual([]);
    const after = await readVault(scene.talos, hash);
    expect(after.generation).toBe(1);
    for (const id of vault.salts.keys()) expect(after.salts.has(id)).toBe(false);
    const left = (await scene.talos.bucket("SEALED_VALUES"))
      .map(([name]) => name)
      .filter((name) => name.startsWith(`default/${hash}/`));
    expect(left.every((name) => name.startsWith(`default/${hash}/1/`))).toBe(true);

    // The files last, when nobody holds them open any more.
    await scene.talos.stop();
    const files = await disk();
    expect(files.reduce((sum, { content }) => sum + content.length, 0)).toBeGreaterThan(100_000);
    for (const { name, content } of files) expect(canaries.in(content.toString("latin1")), name).toEqual([]);
    expect(holders(files, vault.dek!)).toEqual([]);
    expect(holders(files, vault.wrapped!)).toEqual([]);
    for (const [id, salts] of vault.salts) {
      for (const salt of Object.values(salts)) expect(holders(files, Buffer.from(salt, "base64url")), id).toEqual([]);
    }
    for (const [name, sealed] of objects) expect(holders(files, sealed), name).toEqual([]);
    await scene.restart();
    expect((await valuesOf(events.get("canary")!.outcome.event_id, 410)).code).toBe("value.erased");
  }, 60_000);
});

describe("the command", () => {
  it("opens a value, shows and holds a subject, and erases one, to the end", async () => {
    const { intent } = events.get("foreign")!;
    const opened = await talos("audit", "values", intent.event_id);
    expect(opened.said).toContain("other's answer");
    expect(opened.code).toBe(0);
    expect((await talos("hold", other.did, "--show")).said).toMatch(
      /hold +no\nkept +2 values, \d+ bytes; salts of 2 events/,
    );
    expect((await talos("hold", other.did)).said).toMatch(/hold +yes/);
    const refused = await talos("erase", other.did);
    expect([refused.code, refused.said]).toEqual([1, expect.stringContaining("legal hold")]);
    expect((await talos("hold", other.did, "--release")).said).toMatch(/hold +no/);
    const erased = await talos("erase", other.did, "--reason", "a test", "--wait", "--json");
    expect(erased.code, erased.said).toBe(0);
    const erasure = JSON.parse(erased.said) as Erasure;
    expect(erasure).toMatchObject({ state: "done", values: 2, deleted: 2, reason: "a test" });
    expect((await talos("erase", "--id", erasure.id)).said).toMatch(/state +done/);
    const gone = await talos("audit", "values", intent.event_id, "--json");
    expect([gone.code, gone.said]).toEqual([1, expect.stringContaining("value.erased")]);
    expect((await talos("erase")).code).toBe(2);
    expect((await talos("erase", other.did, "--id", erasure.id)).code).toBe(2);
  });
});

describe("a rotation of the keys", () => {
  it("is over when the command says so: then the old key opens nothing that is needed, and may be destroyed", async () => {
    const id = await call("act", { memo: "kept over a rotation", answer: "y" });
    await call("act", { answer: "z" }, "other");
    await until(standing, ({ values }) => values >= 2, "it is kept");
    const { keysets } = scene.talos;
    const [old] = keysets.purposes.values!;
    const next = developmentKeysets("2").purposes.values![0]!;
    const rewrap = (...more: string[]) => talos("keys", "rewrap", "--kid", next.kid, "--json", ...more);
    const early = await rewrap();
    expect(early.code, early.said).toBe(3);
    expect(early.said).toContain(JSON.stringify({ subject: scene.agent.did, key_id: old!.kid }));

    const retired = { ...old!, status: "accept" as const, not_after: 4_000_000_000 };
    const restart = async (values: NonNullable<typeof keysets.purposes.values>) => {
      await scene.talos.stop();
      await scene.restart({ keysets: { ...keysets, purposes: { ...keysets.purposes, values } } });
    };
    await restart([retired, next]);
    const said = await rewrap();
    expect(said.code, said.said).toBe(0);
    const last = JSON.parse(said.said.trim().split("\n").at(-1)!);
    expect(last).toMatchObject({ to: last.of, wrapped: 2, not_yet: 0 });
    expect(last.of).toBeGreaterThan(30);
    // Interrupted, it goes on where it was; nothing is kept of events from there on.
    expect(JSON.parse((await rewrap("--from", String(last.of - 1))).said.trim().split("\n")[0]!).to).toBeGreaterThan(0);
    expect((await talos("hold", scene.agent.did, "--show")).said).toContain(`wrapped under ${next.kid}`);
    expect((await talos("keys", "rewrap")).code).toBe(2);
    expect((await rewrap("--from", "1000000")).code).toBe(2);

    await restart([next]);
    expect((await valuesOf(id)).values[0]).toMatchObject({ state: "kept" });
    await restart([old!]);
    expect(await standing()).toMatchObject({ key_id: next.kid });
    expect((await valuesOf(id, 503)).code).toBe("config.incomplete");
    await restart([next]);
  }, 60_000);
});

describe("without a key to keep anything under", () => {
  it("a tool whose policy keeps is refused by name before anything is sent; others go on, and keep no salt", async () => {
    await scene.talos.stop();
    const { values: _, ...purposes } = scene.talos.keysets.purposes;
    await scene.restart({ keysets: { ...scene.talos.keysets, purposes } });
    const received = upstream.received.length;
    const body = rpc("tools/call", { name: "act", arguments: { answer: "x" } }, 1);
    const request = { aud: scene.aud, path: "/mcp/keeper", headers: MCP_HEADERS, body };
    const refused = await send(signed(scene.agent, scene.chain, request));
    expect(await refused.text()).toContain("config.incomplete");
    expect(refused.status).toBe(503);
    expect(upstream.received.length).toBe(received);
    const id = await call("pass", { answer: "x" });
    expect(upstream.received.length).toBe(received + 1);
    expect((await valuesOf(id)).values[0]).toMatchObject({ state: "pending" });
    expect(await scene.talos.sql("AuditLog", "default", "SELECT * FROM salt_outbox")).toEqual([]);
  });
});
