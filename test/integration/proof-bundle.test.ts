/**
 * One event of a running system, proved to a stranger: a gateway, two witnesses, a chain, calendars. Its bundle holds at every step;
 * then every single bit of it is turned over, every line of the policy changed, and the file cut, doubled and emptied.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditLogFacts, ProofBundle } from "@talos/contracts";
import { jcs } from "@talos/core";
import { fromBase64, readOts } from "@talos/core/anchor";
import { type Proved, type Trust, verifyBundle } from "@talos/core/verify";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { metaKeys, metaOrigin } from "../../durable-objects/meta-key.ts";
import { anvilBinary } from "../../scripts/dev/anvil.ts";
import { freePort } from "../../scripts/dev/ports.ts";
import { main } from "../../sdk/cli/main.ts";
import { saveKey } from "../../sdk/key-file.ts";
import { Key } from "../../sdk/keys.ts";
import { developmentKeysets } from "../fixtures.ts";
import { type AnchorGround, CHAIN_ID, EASY, HEIGHT, header, startAnchorGround } from "../support/anchored.ts";
import { startWitness, type TestWitness } from "../support/witness.ts";
import { startWorld, type World } from "../support/world.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const scratch = mkdtempSync(join(tmpdir(), "talos-bundle-"));
const at = (name: string) => join(scratch, name);
const missing = anvilBinary() === undefined ? "no anvil for this platform" : undefined;
let world: World;
let witnesses: TestWitness[] = [];
let ground: AnchorGround;
let file: Uint8Array;
let policy: string;
let trust: Trust;

beforeAll(async () => {
  if (missing) return;
  const keysets = developmentKeysets();
  const port = await freePort();
  const known = await metaKeys(keysets, metaOrigin(`127.0.0.1:${port}`));
  const witness = (name: string) => startWitness({ name, logs: known, state: at(name) });
  witnesses = [await witness("w1.example"), await witness("w2.example")];
  ground = await startAnchorGround(scratch);
  world = await startWorld({
    keysets,
    port,
    env: {
      ...ground.env,
      TALOS_LOOPBACK_RECEIVERS: "allow",
      TALOS_WITNESSES: `${witnesses.map(({ line }) => line).join("")}group both all w1.example w2.example\nquorum both\n`,
    },
  });
  // The rest of the tree: a proof of one leaf alone would be short.
  for (let i = 0; i < 20; i += 1) await world.ask("/v1/head", undefined, { method: "GET" });
  const answer = await world.call("read_file", { path: "/desk/a.txt" });
  expect(answer.status).toBe(200);
  const [intent] = await world.events((event) => event.kind === "intent");
  const id = intent!.event_id;
  await world.talos.log().flush();

  // Nothing is asked of the log from here on, so that both kinds come to anchor its last head.
  const sizes = async (kind: string) =>
    ((await world.talos.sql("Anchors", kind, "SELECT size FROM anchored ORDER BY size")) as { size: number }[]).at(-1)
      ?.size;
  await vi.waitFor(
    async () => {
      const status = (await (await fetch(`${world.talos.origin}/meta/status`)).json()) as { heads: number };
      const [evm, ots] = [await sizes("evm"), await sizes("ots")];
      if (evm !== ots || evm !== status.heads) throw new Error(`anchored ${evm} and ${ots} of ${status.heads}`);
    },
    { timeout: 60_000, interval: 300 },
  );
  const got = await world.ask(`/audit/events/${id}/proof?level=anchored`, undefined, { method: "GET" });
  const text = await got.text();
  expect(got.status, text).toBe(200);
  const bundle = JSON.parse(text) as ProofBundle;
  expect(jcs(text)).toBe(text);

  const facts = (await (await world.ask("/audit/log", undefined, { method: "GET" })).json()) as AuditLogFacts & {
    policy: string;
  };
  // Everything that was published when the asking ended stands under what both kinds anchored by then.
  expect(facts.anchored).toBeGreaterThan(20);
  expect(facts.witnessed).toBeGreaterThanOrEqual(facts.anchored!);
  expect(facts.published).toBeGreaterThanOrEqual(facts.witnessed!);
  const logs = facts.policy
    .split("\n")
    .filter((line) => line.startsWith("log ") && !known.some((key) => line.includes(key)));
  policy = [
    ...logs,
    ...known.map((key) => `log ${key}`),
    ...witnesses.map(({ line }) => line.trim()),
    "group both all w1.example w2.example",
    "quorum both",
    "",
  ].join("\n");
  file = utf8(text);
  expect(bundle.anchors.map(({ kind }) => kind)).toEqual(["evm", "ots"]);
  const stamp = bundle.anchors.find((anchor) => anchor.kind === "ots")!;
  const attested = readOts(fromBase64(stamp.file)).attestations.filter((made) => made.kind === "bitcoin");
  expect(attested.map(({ height }) => height)).toEqual([HEIGHT]); // the earlier of two: each calendar named a block
  const first = await verify();
  const evm = (first as Proved).anchors.find(({ kind }) => kind === "evm") as {
    block_number: number;
    block_hash: string;
  };
  trust = {
    blocks: [{ chain_id: CHAIN_ID, number: evm.block_number, hash: evm.block_hash }],
    headers: attested.map(({ height, merkle_root }) => ({ height, header: header(merkle_root) })),
    require: ["evm", "ots"],
    easiest: EASY,
  };
}, 180_000);

afterAll(async () => {
  await world?.stop();
  for (const witness of witnesses) await witness.stop();
  await ground?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const verify = (over: { file?: Uint8Array; policy?: string; trust?: Trust } = {}) =>
  verifyBundle({ file: over.file ?? file, policy: utf8(over.policy ?? policy), trust: over.trust ?? trust ?? {} });

const codeOf = async (over: Parameters<typeof verify>[0]) => {
  const said = await verify(over);
  return said.ok ? "OK" : said.code;
};

it("holds at every step, and says what each showed", async (context) => {
  if (missing) context.skip(missing);
  const said = await verify();
  expect(said).toMatchObject({
    ok: true,
    log: { origin: expect.stringContaining("/log/"), witnesses: [] },
    meta: { origin: world.talos.origin.replace("http://", "").concat("/meta") },
    anchors: [
      { kind: "evm", status: "verified", chain_id: CHAIN_ID },
      { kind: "ots", status: "verified", height: HEIGHT },
    ],
  });
  expect((said as Proved).meta!.witnesses.map(({ name }) => name)).toEqual(["w1.example", "w2.example"]);
  expect(await verify({ trust: {} })).toMatchObject({
    ok: true,
    anchors: [
      { kind: "evm", status: "unchecked" },
      { kind: "ots", status: "unchecked" },
    ],
  });
});

it("the command says the same, online, offline and with a node of one's own", async (context) => {
  if (missing) context.skip(missing);
  writeFileSync(at("bundle.json"), file);
  writeFileSync(at("policy.txt"), policy);
  const talos = async (...args: string[]) => {
    const out: string[] = [];
    const io = {
      env: {},
      cwd: scratch,
      out: (text: string) => void out.push(text),
      err: (text: string) => void out.push(text),
    };
    return { code: await main(["audit", "verify", at("bundle.json"), ...args], io), out: out.join("") };
  };
  const given = ["--policy", at("policy.txt")];
  const offline = await talos(...given);
  expect(offline.code).toBe(0);
  expect(offline.out).toMatch(/^VERIFIED: event .*\n.*leaf.*\n(.*\n)*.*evm UNCHECKED/);
  expect(await talos(...given, "--require", "evm")).toMatchObject({
    code: 1,
    out: expect.stringContaining("anchor_missing"),
  });
  const online = await talos(...given, "--require", "evm", "--evm-rpc", ground.rpc);
  expect(online).toMatchObject({ code: 0, out: expect.stringMatching(/anchor {3}evm, block \d+ 0x/) });
  const wrong = `${CHAIN_ID}:${trust.blocks![0]!.number}=0x${"ab".repeat(32)}`;
  expect(await talos(...given, "--evm-block", wrong)).toMatchObject({
    code: 1,
    out: expect.stringContaining("anchor_invalid"),
  });
  writeFileSync(at("bundle.json"), new TextDecoder().decode(file).replace("attempted", "confirmed"));
  const changed = await talos(...given);
  expect(changed).toEqual({
    code: 1,
    out: expect.stringMatching(/^NOT VERIFIED at step event: bundle\.event_invalid: .*\n$/),
  });
});

it("a monitor follows both logs of the running system, and finds nothing", async (context) => {
  if (missing) context.skip(missing);
  writeFileSync(at("policy.txt"), policy);
  saveKey(at("agent.json"), new Key(world.agent.seed));
  writeFileSync(at("agent.cap"), world.chain);
  const out: string[] = [];
  const write = (text: string) => void out.push(text);
  const files = [
    "--key",
    at("agent.json"),
    "--cap",
    at("agent.cap"),
    "--policy",
    at("policy.txt"),
    "-m",
    at("memory.json"),
  ];
  const look = () => main(["audit", "monitor", ...files, "--once"], { env: {}, cwd: scratch, out: write, err: write });
  expect(await look(), out.join("")).toBe(0);
  await world.talos.log().flush();
  expect(await look(), out.join("")).toBe(0);
  expect(out.join("")).toMatch(/^(\S+ ok tenant \d+ meta \d+\n){2}$/);
  const memory = JSON.parse(readFileSync(at("memory.json"), "utf8"));
  expect(memory.vouched.size).toBeGreaterThan(0);
  // Its memory says otherwise: whoever restores older storage is told of.
  memory.tenant.head.size += 1_000_000;
  writeFileSync(at("memory.json"), JSON.stringify(memory));
  out.length = 0;
  expect(await look()).toBe(1);
  expect(out.join("")).toContain("ALARM rollback");
});

/** Which step may refuse a bit of this member; canonical form refuses many before. */
const STEPS: Record<string, string[]> = {
  anchors: ["bundle.anchor_invalid", "bundle.anchor_missing"],
  event: ["bundle.event_invalid"],
  log_proof: ["bundle.log_invalid"],
  meta_proof: ["bundle.meta_invalid"],
  schema_id: [],
  schema_version: [],
};

it("every single bit matters, and the step that refuses is that of its member", async (context) => {
  if (missing) context.skip(missing);
  const members = Object.keys(STEPS).map((name) => ({ name, start: Buffer.from(file).indexOf(`"${name}":`) }));
  const counted: Record<string, Record<string, number>> = {};
  for (let byte = 0; byte < file.length; byte += 1) {
    const member = members.findLast(({ start }) => start <= byte)?.name ?? "anchors";
    for (let bit = 0; bit < 8; bit += 1) {
      const changed = file.slice();
      changed[byte]! ^= 1 << bit;
      const code = await codeOf({ file: changed });
      const known = code === "bundle.malformed" || STEPS[member]!.includes(code);
      if (!known) expect.unreachable(`${member}, byte ${byte} bit ${bit}: ${code}`);
      counted[member] ??= {};
      counted[member][code] = (counted[member][code] ?? 0) + 1;
    }
  }
  console.log(`bits: ${file.length * 8} turned over, each refused: ${JSON.stringify(counted)}`);
  for (const [member, codes] of Object.entries(STEPS)) {
    for (const code of codes) expect(counted[member]?.[code] ?? 0, `${member} ${code}`).toBeGreaterThan(0);
  }
}, 300_000);

it("cut, doubled, empty, and with another's parts", async (context) => {
  if (missing) context.skip(missing);
  for (let end = 0; end < file.length; end += 7) {
    expect(await codeOf({ file: file.subarray(0, end) }), `cut at ${end}`).toBe("bundle.malformed");
  }
  expect(await codeOf({ file: new Uint8Array([...file, ...file]) })).toBe("bundle.malformed");
  const bundle = JSON.parse(new TextDecoder().decode(file)) as ProofBundle;
  const written = (change: object) => ({ file: utf8(jcs(JSON.stringify({ ...bundle, ...change }))) });
  expect(await codeOf(written({}))).toBe("OK");
  expect(await codeOf(written({ anchors: [] }))).toBe("bundle.anchor_missing");
  expect(await codeOf(written({ anchors: [bundle.anchors[0]] }))).toBe("bundle.anchor_missing");
  expect(await codeOf(written({ log_proof: bundle.meta_proof }))).toBe("bundle.log_invalid");
  expect(await codeOf(written({ meta_proof: bundle.log_proof }))).toBe("bundle.meta_invalid");
  const { meta_proof: _, ...without } = { ...bundle, anchors: [] };
  expect(await codeOf({ file: utf8(jcs(JSON.stringify(without))), trust: {} })).toBe("bundle.log_invalid"); // the quorum
});

it("another policy is another verdict: every line taken out, every key another's", async (context) => {
  if (missing) context.skip(missing);
  const lines = policy.trim().split("\n");
  const other = await startWitness({ name: "w1.example", logs: [] });
  const found: Record<string, string> = {};
  try {
    for (const [index, line] of lines.entries()) {
      const word = line
        .split(" ")
        .slice(0, 2)
        .join(" ")
        .replace(/\+.*/, "")
        .replace(/127[^/]*/, "host");
      const left = lines.filter((_, at) => at !== index).join("\n");
      found[`without ${word}`] = await codeOf({ policy: `${left}\n` });
    }
    expect(Object.values(found).filter((code) => code === "OK")).toEqual([]);
    const swapped = policy.replace(witnesses[0]!.vkey, other.vkey);
    expect(await verify({ policy: swapped })).toMatchObject({
      code: "bundle.meta_invalid",
      reason: "log.quorum_missed",
    });
    expect(await codeOf({ policy: "" })).toBe("log.policy_malformed");
    expect(await codeOf({ policy: "quorum none\n" })).toBe("bundle.log_invalid");
    const one = policy.replace("both all w1.example w2.example", "both any w1.example w2.example");
    expect(await codeOf({ policy: one })).toBe("OK"); // less is demanded than was given
  } finally {
    await other.stop();
  }
});

it("takes so long, and is so large", async (context) => {
  if (missing) context.skip(missing);
  const times: number[] = [];
  for (let i = 0; i < 300; i += 1) {
    const begin = performance.now();
    await verify();
    times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  const ms = (share: number) => times[Math.floor(times.length * share)]!.toFixed(2);
  console.log(`verification: ${file.length} bytes, p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms`);
  expect(readFileSync(at("policy.txt"), "utf8")).toBe(policy);
});
