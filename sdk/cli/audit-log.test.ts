/** What `talos audit verify-export` takes for one record: stretches that each verify, and that follow each other. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { b64uDecode } from "@talos/core";
import * as log from "@talos/core/log";
import { afterAll, expect, it } from "vitest";
import { NoteLog } from "../../test/support/note-log.ts";
import { verifyExport } from "../export.ts";
import { Key } from "../keys.ts";
import { main } from "./main.ts";

const dir = mkdtempSync(join(tmpdir(), "talos-verify-export-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const utf8 = (text: string) => new TextEncoder().encode(text);

/** One tree, whole or without its first leaf, as an export of it; signed as it should be. */
function tree(of: NoteLog, first_seq: number, leaves: string[], skip: 0 | 1 = 0): string {
  const none = { size: 0, subtrees: new Uint8Array(0) };
  const { root } = log.extend(none, log.concat(leaves.map((leaf) => log.leafHash(utf8(leaf)))));
  const head = {
    ...{ schema_id: "talos.audit_export", schema_version: "v1", origin: of.origin },
    ...(first_seq === 0 ? {} : { first_seq }),
    ...{ from: first_seq + skip, to: first_seq + leaves.length, consistency: [] },
    subtrees: leaves.slice(0, skip).map((leaf) => Buffer.from(log.leafHash(utf8(leaf))).toString("base64")),
    checkpoint: of.signed(log.checkpointText(of.origin, { size: leaves.length, root })),
  };
  return `${[JSON.stringify(head), ...leaves.slice(skip)].join("\n")}\n`;
}

async function verify(
  file: string,
  logs: Pick<NoteLog, "vkey">[],
  witnesses = "quorum none\n",
): Promise<{ code: number; out: string; err: string }> {
  writeFileSync(join(dir, "record.ndjson"), file);
  const policies = logs.flatMap(({ vkey }, i) => {
    writeFileSync(join(dir, `${i}.txt`), `log ${vkey}\n${witnesses}`);
    return ["--policy", join(dir, `${i}.txt`)];
  });
  const [out, err]: [string[], string[]] = [[], []];
  const io = {
    env: {},
    cwd: dir,
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
  };
  const code = await main(["audit", "verify-export", join(dir, "record.ndjson"), ...policies, "--json"], io);
  return { code, out: out.join(""), err: err.join("") };
}

it("a tree is followed by another only after the event that ends it, and at its number", async () => {
  const [one, two] = [new NoteLog("a.example/log/one"), new NoteLog("a.example/log/two")];
  const frozen = (meta: object) => JSON.stringify({ kind: "frozen", meta });
  const over = frozen({ first_seq: 0, origin: one.origin });
  const code = async (ends: string, at: number, skip: 0 | 1 = 0) =>
    (await verify(tree(one, 0, ["{}", "{}", ends]) + tree(two, at, ["{}", "{}"], skip), [one, two])).code;
  expect(await code(over, 3)).toBe(0);
  expect(await code(over, 4)).toBe(1);
  expect(await code(over, 2, 1)).toBe(1);
  expect(await code("{}", 3)).toBe(1);
  expect(await code(over.replace("frozen", "decision"), 3)).toBe(1);
  expect(await code(frozen({ first_seq: 0, origin: two.origin }), 3)).toBe(1);
  expect(await code(frozen({ first_seq: 1, origin: one.origin }), 3)).toBe(1);
  // The same tree once more, under later numbers.
  expect((await verify(tree(one, 0, ["{}", over]) + tree(one, 2, ["{}", over]), [one])).code).toBe(1);
});

it("a policy that asks for witnesses is one to verify with: they sign the meta-log's heads, and the log its own", async () => {
  const one = new NoteLog("a.example/log/one");
  const file = tree(one, 0, ["{}"]);
  expect((await verify(file, [one])).code).toBe(0);
  const stranger = new NoteLog(one.origin);
  expect(await verify(file, [stranger])).toMatchObject({
    code: 1,
    err: expect.stringContaining("log.signature_invalid"),
  });
  const publicKey = b64uDecode(Key.generate().jwk.x);
  const witness = log.verifierKey({ name: "w.example", publicKey, cosigns: true });
  expect((await verify(file, [one], `witness w ${witness}\nquorum w\n`)).code).toBe(0);
});

it("a stretch is what its head says, of the log that signed it, leaf by leaf", async () => {
  const [one, two] = [new NoteLog("a.example/log/one"), new NoteLog("a.example/log/two")];
  const file = tree(one, 0, ["{}", '{"a":1}', "{}"]);
  const said = async (changed: string) => {
    const both = { vkey: `${one.vkey}\nlog ${two.vkey}` };
    const { code, err } = await verify(changed, [both]);
    return code === 0 ? "verified" : JSON.parse(err).error.code;
  };
  expect(await said(file)).toBe("verified");
  await expect(verifyExport([utf8(file)], [])).rejects.toMatchObject({ code: "log.policy_malformed" });
  expect(await said(file.replace('{"a":1}', '{"a":2}'))).toBe("log.consistency_invalid");
  expect(await said(file.replace('{"a":1}\n', ""))).toBe("log.proof_malformed");
  expect(await said(file.replace('"to":3', '"to":2'))).not.toBe("verified");
  expect(await said(file.slice(0, -1))).toBe("log.proof_malformed");
  // Both logs are believed; what one signed is not the other's.
  expect(await said(file.replace(`"origin":"${one.origin}"`, `"origin":"${two.origin}"`))).toBe("log.proof_malformed");
});
