/**
 * The witness, as C2SP's protocol tells what it must do: the script of its answers, races, a kill, and two histories of one log.
 * It runs in real workerd; what it is sent is made by a log of the test, and what it answers is verified as anybody would.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NoteLog } from "../support/note-log.ts";
import { startWitness, type TestWitness } from "../support/witness.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const NAMES = ["script", "race", "kill", "fork"] as const;
const logs = Object.fromEntries(NAMES.map((name) => [name, new NoteLog(`${name}.example/log`)]));
/** One that the witness does not know. */
const stranger = new NoteLog("stranger.example/log");

const state = mkdtempSync(join(tmpdir(), "talos-witness-"));
let witness: TestWitness;

const start = (more: object = {}) =>
  startWitness({ name: "w1.example", logs: Object.values(logs).map(({ vkey }) => vkey), state, ...more });

beforeAll(async () => {
  witness = await start();
}, 60_000);

afterAll(async () => {
  await witness?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** Verify a cosignature under a policy of that log and this witness. */
async function cosigned(of: NoteLog, size: number, lines: string): Promise<number> {
  const policy = utf8(`log ${of.vkey}\nwitness w ${witness.vkey}\nquorum w\n`);
  const verdict = await log.verifyCheckpoint({ note: utf8(of.note(size) + lines), policy });
  expect(verdict).toMatchObject({ origin: of.origin, size, root: of.head(size).root });
  return verdict.witnesses[0]!.time_seconds;
}

const conflict = (size: number) => ({ status: 409, type: "text/x.tlog.size", text: `${size}\n` });

it("answers as the protocol says, step by step", async () => {
  const tree = logs.script!;
  // 1. It says who it is.
  expect(await (await fetch(`${witness.url}/vkey`)).text()).toBe(`${witness.vkey}\n`);
  // From nothing there is nothing to prove; and nothing has one root.
  const proven = log.submission({ old: 0, hashes: new Uint8Array(32), note: tree.note(5) });
  const empty = tree.signed(log.checkpointText(tree.origin, { size: 0, root: new Uint8Array(32) }));
  const rootless = log.submission({ old: 0, hashes: new Uint8Array(0), note: empty });
  for (const body of [proven, rootless]) expect((await witness.add(body)).status).toBe(422);
  // 2. The first checkpoint, from nothing; and it says so at the time that it has.
  const first = await witness.add(await tree.submission(0, 5));
  expect(first.status).toBe(200);
  const time = await cosigned(tree, 5, first.text);
  expect(Math.abs(time - Date.now() / 1_000)).toBeLessThan(60);
  // 3. The same again, now from itself.
  const again = await witness.add(await tree.submission(5, 5));
  expect(again.status).toBe(200);
  expect(await cosigned(tree, 5, again.text)).toBeGreaterThanOrEqual(time);
  // 4. From nothing again: it says from where.
  expect(await witness.add(await tree.submission(0, 5))).toEqual(conflict(5));
  expect(await witness.add(await tree.submission(0, 8))).toEqual(conflict(5));
  // 5. From another size than it knows, with a proof that holds.
  expect(await witness.add(await tree.submission(4, 8))).toEqual(conflict(5));
  expect(await witness.add(await tree.submission(6, 8))).toEqual(conflict(5));
  // 6. From where it stands.
  const grown = await witness.add(await tree.submission(5, 8));
  expect(grown.status).toBe(200);
  await cosigned(tree, 8, grown.text);
  // 7. Without the proof, with half of it, with one hash changed, with one too many.
  const proof = await tree.proof(8, 300);
  const changed = proof.slice();
  changed[40]! ^= 1;
  for (const hashes of [
    new Uint8Array(0),
    proof.subarray(32),
    changed,
    new Uint8Array([...proof, ...new Uint8Array(32)]),
  ]) {
    const body = log.submission({ old: 8, hashes, note: tree.note(300) });
    expect((await witness.add(body)).status).toBe(422);
  }
  // 8. A proof where there is nothing to prove.
  const same = log.submission({ old: 8, hashes: new Uint8Array(32), note: tree.note(8) });
  expect((await witness.add(same)).status).toBe(422);
  // 9. A log that it does not know.
  expect((await witness.add(await stranger.submission(0, 3))).status).toBe(404);
  // 10. One that it knows, signed by somebody else; and not signed by it at all.
  const impostor = new NoteLog(tree.origin);
  expect((await witness.add(await impostor.submission(8, 9))).status).toBe(403);
  const lines = impostor.note(9).split("\n\n")[1]!;
  const unsigned = log.submission({ old: 8, hashes: await tree.proof(8, 9), note: `${tree.text(9)}\n${lines}` });
  expect((await witness.add(unsigned)).status).toBe(403);
  // 11. A signature of its key that does not hold, and one of nobody beside a good one.
  const text = tree.note(9);
  const broken = text.replace(/(.{10})(.)(.{8})\n$/, (_, a, b, c) => `${a}${b === "A" ? "B" : "A"}${c}\n`);
  const body = async (note: string) => log.submission({ old: 8, hashes: await tree.proof(8, 9), note });
  expect((await witness.add(await body(broken))).status).toBe(403);
  const beside = await witness.add(await body(text + lines));
  expect(beside.status).toBe(200);
  // 12. A checkpoint that is smaller than what it is said to extend.
  expect((await witness.add(await tree.submission(9, 9))).status).toBe(200);
  const back = log.submission({ old: 9, hashes: new Uint8Array(0), note: tree.note(8) });
  expect((await witness.add(back)).status).toBe(400);
  // 13. What is no submission.
  const good = await tree.submission(9, 12);
  const sixtyFour = `old 9\n${`${btoa("x".repeat(32))}\n`.repeat(64)}\n${tree.note(12)}`;
  const checkpoint = "old 9\n\nno checkpoint\n\n— a AAAAAAAA\n";
  for (const malformed of ["", "old 9\n", good.replace("old 9", "old 09"), good.slice(6), sixtyFour, checkpoint]) {
    expect((await witness.add(malformed)).status, JSON.stringify(malformed.slice(0, 20))).toBe(400);
  }
  expect((await witness.add(Uint8Array.of(0xff, 0xfe))).status).toBe(400);
  // 14. More than it reads; another method; another path.
  expect((await witness.add(`${good}${"x".repeat(80_000)}`)).status).toBe(413);
  expect((await fetch(`${witness.url}/add-checkpoint`)).status).toBe(405);
  expect((await fetch(`${witness.url}/other`)).status).toBe(404);
  // Nothing of this moved it.
  expect(await witness.add(await tree.submission(0, 12))).toEqual(conflict(9));
});

it("cosigns one of many that race, again and again, and never two that do not extend one another", async () => {
  const tree = logs.race!;
  let known = 0;
  for (let round = 0; round < 15; round += 1) {
    const sizes = Array.from({ length: 12 }, (_, i) => known + 1 + ((i * 7) % 12));
    const bodies = await Promise.all(sizes.map((size) => tree.submission(known, size)));
    const answers = await Promise.all(bodies.map((body) => witness.add(body)));
    const won = sizes.filter((_, i) => answers[i]!.status === 200);
    expect(won).toHaveLength(1);
    for (const answer of answers) if (answer.status !== 200) expect(answer).toEqual(conflict(won[0]!));
    known = won[0]!;
  }
});

it("knows after a kill what it signed before, and goes on from there", async () => {
  const tree = logs.kill!;
  let known = 0;
  for (let round = 0; round < 3; round += 1) {
    // The last submissions are under way when it dies: what was answered must stand, what was not may.
    const steps = await Promise.all([4, 9, 11].map((more) => tree.submission(known, known + more)));
    const dying = Promise.all(steps.map((body) => witness.add(body).catch(() => undefined)));
    if (round > 0) await dying;
    await witness.kill();
    const answers = await dying;
    const { key, port } = witness;
    witness = await start({ key, port });
    const { text } = await witness
      .add(await tree.submission(0, 1))
      .then((said) => (said.status === 200 ? { text: "1\n" } : said));
    const now = Number(text);
    const answered = answers.flatMap((answer, i) => (answer?.status === 200 ? [known + [4, 9, 11][i]!] : []));
    for (const size of answered) expect(now).toBe(size);
    expect(now).toBeGreaterThanOrEqual(known);
    known = now;
    const grown = await witness.add(await tree.submission(known, known + 3));
    expect(grown.status).toBe(200);
    await cosigned(tree, known + 3, grown.text);
    known += 3;
  }
});

describe("a log with two histories", () => {
  it("is refused the second one, and the witness shows both", async () => {
    const one = logs.fork!;
    expect((await witness.add(await one.submission(0, 4))).status).toBe(200);
    expect((await witness.add(await one.submission(4, 10))).status).toBe(200);
    const seen = async () =>
      (await (await fetch(`${witness.url}/log?origin=${encodeURIComponent(one.origin)}`)).json()) as {
        latest: { size: number; note: string; contradictions: { note: string }[] };
      };
    expect(await seen()).toMatchObject({ latest: { size: 10, note: one.note(10), contradictions: [] } });
    // The same key signs another tree from the third leaf on: as large, larger with any proof, and smaller.
    const two = one.twin("other");
    const bodies = [
      [log.submission({ old: 10, hashes: new Uint8Array(0), note: two.note(10) }), 409],
      [await two.submission(10, 14), 422],
      [log.submission({ old: 10, hashes: await one.proof(10, 14), note: two.note(14) }), 422],
      [await two.submission(4, 10), 409],
      [await two.submission(4, 9), 409],
    ] as const;
    for (const [body, status] of bodies) expect((await witness.add(body)).status).toBe(status);
    const { latest } = await seen();
    expect(latest).toMatchObject({ size: 10, note: one.note(10) });
    expect(latest.contradictions.map(({ note }) => note)).toEqual([two.note(10), two.note(14)]);
    // The first history goes on.
    expect((await witness.add(await one.submission(10, 14))).status).toBe(200);
  });

  it("leaves no more behind than the witness keeps", async () => {
    const one = logs.fork!;
    for (let i = 0; i < 20; i += 1) {
      const two = one.twin(`other-${i}`);
      const body = log.submission({ old: 14, hashes: new Uint8Array(0), note: two.note(14) });
      expect((await witness.add(body)).status).toBe(409);
    }
    const seen = await (await fetch(`${witness.url}/log?origin=${encodeURIComponent(one.origin)}`)).json();
    expect((seen as { latest: { contradictions: unknown[] } }).latest.contradictions).toHaveLength(16);
  });
});

it("answers nothing while its name, its key or the logs that it knows are missing or wrong", async () => {
  const known = logs.script!;
  const logKey = known.vkey;
  const cases: Record<string, string>[] = [
    { WITNESS_NAME: "" },
    { WITNESS_NAME: "two words" },
    { WITNESS_KEY: "" },
    { WITNESS_KEY: "AAAA" },
    { WITNESS_KNOWN_LOGS: "" },
    { WITNESS_KNOWN_LOGS: "quorum none\n" },
    { WITNESS_KNOWN_LOGS: `log ${logKey}\n` },
    { WITNESS_KNOWN_LOGS: `log ${logKey}\nwitness w ${witness.vkey}\nquorum w\n` },
  ];
  for (const env of cases) {
    const broken = await startWitness({ name: "w2.example", logs: [logKey], env });
    try {
      for (const path of ["/vkey", "/log?origin=x"]) {
        const answer = await fetch(`${broken.url}${path}`);
        expect([answer.status, await answer.text()]).toEqual([503, "config.incomplete\n"]);
      }
      expect((await broken.add(await known.submission(0, 1))).status).toBe(503);
    } finally {
      await broken.stop();
    }
  }
}, 120_000);
