/**
 * The commands and the client's methods for the record as a log, against a real Worker: what a person saves is verified
 * later with the file and a policy alone, and a stream of the client outlives the Worker.
 * Source: sdk/README.md, contracts/spec/audit.md#surfaces.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditRecord } from "@talos/contracts";
import { Client, Key } from "@talos/sdk";
import { saveKey } from "@talos/sdk/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../sdk/cli/main.ts";
import { grant, person, root } from "../fixtures.ts";
import { projected } from "../support/ledger.ts";
import { type Scene, startScene } from "../support/scene.ts";

let scene: Scene;
let cwd: string;
const service = person("service");
const key = new Key(service.seed);

async function talos(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const io = {
    env: { TALOS_KEY: join(cwd, "key.json"), TALOS_CAP: join(cwd, "cap") },
    cwd,
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
  };
  return { code: await main(args, io), out: out.join(""), err: err.join("") };
}
async function ok(...args: string[]): Promise<string> {
  const { code, out, err } = await talos(...args);
  expect(code, err).toBe(0);
  return out;
}
const jsonLines = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
const at = (name: string) => join(cwd, name);

beforeAll(async () => {
  scene = await startScene();
  cwd = mkdtempSync(join(tmpdir(), "talos-audit-cli-"));
  const grants = [grant("talos/audit.append", { classes: ["write"] }), grant("talos/audit.events")];
  saveKey(at("key.json"), key);
  writeFileSync(at("cap"), root(scene.operator, service, { aud: [scene.aud], grants }));
});
afterAll(async () => {
  await scene?.stop();
  rmSync(cwd, { recursive: true, force: true });
});

describe("talos audit", () => {
  it("append records entries and verifies their promises; the same file again gets the same receipts", async () => {
    writeFileSync(
      at("raw.ndjson"),
      Array.from({ length: 300 }, (_, i) =>
        JSON.stringify({ kind: "decision", audit_action: "order.placed", meta: { i } }),
      ).join("\n"),
    );
    const entries = await ok("audit", "append", at("raw.ndjson"), "--dry");
    writeFileSync(at("entries.ndjson"), entries);
    const first = await ok("audit", "append", at("entries.ndjson"), "--json");
    expect(jsonLines(first).length).toBe(300);
    expect(await ok("audit", "append", at("entries.ndjson"), "--json")).toBe(first);
    const changed = entries.replace('"i":7}', '"i":8}');
    writeFileSync(at("changed.ndjson"), changed);
    const refused = await talos("audit", "append", at("changed.ndjson"), "--json");
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.err)).toMatchObject({ error: { code: "audit.event_conflict" } });
    writeFileSync(at("none.json"), "[]");
    expect((await talos("audit", "append", at("none.json"))).code).toBe(2);
  });

  it("log and checkpoint say what the log is, and export is verified by verify-export with a policy alone", async () => {
    await scene.talos.log().flush();
    const facts = JSON.parse(await ok("audit", "log", "--json"));
    expect(facts).toMatchObject({ forked: false, policy: expect.stringContaining(facts.origin) });
    const shown = await ok("audit", "log");
    expect(shown).toContain(facts.origin);
    // This deployment has neither witnesses nor anchors: what nobody can say is not guessed.
    expect([facts.witnessed, facts.anchored]).toEqual([undefined, undefined]);
    expect(shown).toMatch(/\nappended {3}\d+\nsealed {5}\d+\npublished {2}\d+\nwitnessed {2}-\nanchored {3}-\n/);
    writeFileSync(at("policy.txt"), await ok("audit", "log", "--policy"));
    const note = await ok("audit", "checkpoint");
    expect(note.split("\n")[0]).toBe(facts.origin);
    expect(JSON.parse(await ok("audit", "checkpoint", "--json"))).toMatchObject({ origin: facts.origin, note });

    const [{ event }] = jsonLines(await ok("audit", "stream", "--from", "0", "--count", "1", "--json"));
    const early = await talos("audit", "proof", event.event_id, "--level", "anchored");
    expect(early).toMatchObject({ code: 3, err: expect.stringMatching(/audit\.not_anchored.*\nTry again in \d+ s\n/) });

    const file = at("record.ndjson");
    const saved = JSON.parse(await ok("audit", "export", file, "--json"));
    expect(saved.to).toBeGreaterThan(300);
    const verified = JSON.parse(await ok("audit", "verify-export", file, "--policy", at("policy.txt"), "--json"));
    expect(verified).toMatchObject({ origin: facts.origin, from: 0, to: saved.to });
    expect((await talos("audit", "export", file)).code).toBe(2); // it is there
    await ok("audit", "export", at("part.ndjson"), "--from", "17", "--to", "291");
    expect(await ok("audit", "verify-export", at("part.ndjson"), "--policy", at("policy.txt"))).toContain(
      "events 17 to 290",
    );
    const text = readFileSync(at("part.ndjson"), "utf8");
    const damage = [
      text.replace("order.placed", "order.stolen"),
      text.slice(0, -1),
      text.split("\n").toSpliced(5, 1).join("\n"),
    ];
    for (const damaged of damage) {
      writeFileSync(at("damaged.ndjson"), damaged);
      const { code, err } = await talos(
        "audit",
        "verify-export",
        at("damaged.ndjson"),
        "--policy",
        at("policy.txt"),
        "--json",
      );
      expect(code).toBe(1);
      expect(JSON.parse(err).error.code).toMatch(/^log\./);
    }
  });

  it("list filters and goes either way", async () => {
    await projected(scene.talos);
    const newest = jsonLines(
      await ok("audit", "list", "--agent", service.did, "--kind", "decision", "-n", "1000", "--json"),
    );
    const until = String(Date.parse((newest[0] as AuditRecord).event.ts) + 1);
    const same = ["--agent", service.did, "--kind", "decision", "--until", until, "-n", "1000", "--json"];
    const down = jsonLines(await ok("audit", "list", ...same)).map(({ event }) => event.event_id);
    const up = jsonLines(await ok("audit", "list", ...same, "--oldest")).map(({ event }) => event.event_id);
    expect(down.length).toBeGreaterThan(300);
    expect(up).toEqual(down.toReversed());
    const policies = jsonLines(await ok("audit", "list", "--kind", "policy", "--json"));
    expect(policies.every(({ event }) => event.kind === "policy")).toBe(true);
    expect(await ok("audit", "list", "--code", "REVOKED")).toBe("");
    expect((await talos("audit", "list", "--kind", "all")).code).toBe(2);
    expect((await talos("audit", "list", "--since", "yesterday")).code).toBe(2);
  });

  it("stream follows from a place on", async () => {
    const got = jsonLines(await ok("audit", "stream", "--from", "3", "--count", "20", "--json"));
    expect(got.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => 3 + i));
    expect((await talos("audit", "stream", "--kinds", "all")).code).toBe(2);
  });
});

describe("the client", () => {
  it("goes on with a stream after the Worker died, as if nothing had been", async () => {
    const client = new Client({ key, chain: readFileSync(at("cap"), "utf8").trim() });
    const entry = (i: number) => ({
      event_id: "",
      ts: new Date().toISOString(),
      kind: "decision" as const,
      audit_action: "n",
      meta: { i },
    });
    const { uuidv7 } = await import("@talos/core");
    const append = (count: number) =>
      client.audit.append(
        Array.from({ length: count }, (_, i) => ({
          ...entry(i),
          event_id: uuidv7(Date.now(), crypto.getRandomValues(new Uint8Array(10))),
        })),
      );
    const from = (await scene.talos.log().status()).next_seq;
    const seqs: number[] = [];
    const reading = (async () => {
      for await (const { seq } of client.audit.stream({ from })) {
        seqs.push(seq);
        if (seqs.length === 150) return;
      }
    })();
    await append(50);
    await expect.poll(() => seqs.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(50);
    await scene.talos.kill();
    await scene.restart();
    await append(60);
    await append(60);
    await reading;
    expect(seqs).toEqual(Array.from({ length: 150 }, (_, i) => from + i));
  });

  it("says why when the right to a stream has ended", async () => {
    const blind = new Client({
      key,
      chain: root(scene.operator, service, { aud: [scene.aud], grants: [grant("tools/look")] }),
    });
    await expect(blind.audit.stream().next()).rejects.toMatchObject({ code: "SCOPE_MISMATCH" });
  });

  it("gets checkpoint, tiles, consistency and proof bundles", async () => {
    await scene.talos.log().flush();
    const client = new Client({ key, chain: readFileSync(at("cap"), "utf8").trim() });
    const { published } = await client.audit.log();
    expect((await client.audit.checkpoint()).split("\n")[1]).toMatch(/^\d+$/);
    expect((await client.audit.tile("tile/0/000")).length).toBe(8_192);
    expect(await client.audit.consistency(5, published)).toMatchObject({ old: 5, size: published });
    const first = (await client.audit.stream({ from: 0 }).next()).value!;
    const bundle = JSON.parse(await client.audit.proof(first.event.event_id));
    expect(JSON.parse(bundle.event)).toEqual(first.event);
  });
});
