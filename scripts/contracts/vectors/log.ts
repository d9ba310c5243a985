/** Texts of the log, byte for byte, and the step that refuses each broken one. Source: contracts/spec/log.md. */
import { ed25519, type Key, keyOf, sha256, type VectorFile } from "./lib.ts";

type Case = VectorFile["cases"][number];

export const std = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const origin = "talos.example/t/default/audit";
const TIME = 1767225600;

export interface NoteKey {
  name: string;
  type: number;
  key: Key;
}

const publicOf = ({ key }: NoteKey) => Buffer.from(key.x, "base64url");
const keyId = (k: NoteKey) =>
  sha256(Buffer.concat([Buffer.from(`${k.name}\n`), Buffer.from([k.type]), publicOf(k)])).subarray(0, 4);
export const vkey = (k: NoteKey) =>
  `${k.name}+${keyId(k).toString("hex")}+${std(Buffer.concat([Buffer.from([k.type]), publicOf(k)]))}`;
export const line = (k: NoteKey, signature: Uint8Array) => `— ${k.name} ${std(Buffer.concat([keyId(k), signature]))}\n`;

const log: NoteKey = { name: origin, type: 1, key: keyOf("log") };
const witnesses: NoteKey[] = ["w1", "w2", "w3"].map((name) => ({ name: `${name}.example`, type: 4, key: keyOf(name) }));
const [w1, w2, w3] = witnesses as [NoteKey, NoteKey, NoteKey];

export const leafOf = (entry: string) => sha256(Buffer.concat([Buffer.from([0]), Buffer.from(entry)]));
export const nodeOf = (left: Uint8Array, right: Uint8Array) => sha256(Buffer.concat([Buffer.from([1]), left, right]));

const leaves = ["a", "b", "c"].map(leafOf) as [Buffer, Buffer, Buffer];
const [a, b, c] = leaves;
const root = nodeOf(nodeOf(a, b), c);

const body = `${origin}\n3\n${std(root)}\n`;
export const signed = (text: string, by = log) => line(by, ed25519(by.key, text));
export function cosigned(text: string, by: NoteKey, time = BigInt(TIME)): string {
  const stamp = Buffer.alloc(8);
  stamp.writeBigUInt64BE(time);
  return line(by, Buffer.concat([stamp, ed25519(by.key, `cosignature/v1\ntime ${time}\n${text}`)]));
}
export const note = (text: string, ...lines: string[]) => `${text}\n${lines.join("")}`;
const good = note(body, signed(body), cosigned(body, w1), cosigned(body, w2));
const proof = (index: number, hashes: Uint8Array[], checkpoint: string) =>
  `c2sp.org/tlog-proof@v1\nindex ${index}\n${hashes.map((hash) => `${std(hash)}\n`).join("")}\n${checkpoint}`;
const policy = [
  `log ${vkey(log)}`,
  ...witnesses.map((w, i) => `witness w${i + 1} ${vkey(w)}`),
  "group two 2 w1 w2 w3",
  "quorum two",
  "",
].join("\n");

const file = (heading: string, description: string, cases: Case[]): VectorFile => ({
  spec: `contracts/spec/log.md#${heading}`,
  description,
  cases,
});
const judged = (
  member: string,
  code: string,
  valid: Record<string, string>,
  refused: Record<string, string>,
): Case[] => [
  ...Object.entries(valid).map(([name, text]) => ({ name, [member]: text, expect: "OK" })),
  ...Object.entries(refused).map(([name, text]) => ({ name, [member]: text, expect: code })),
];

const notes = () =>
  file(
    "Notes",
    "Signed notes: their shape. Nothing is verified.",
    judged(
      "note",
      "log.note_malformed",
      {
        "a checkpoint with three signatures": good,
        "a text with empty lines": note("one\n\ntwo\n", signed("one\n\ntwo\n")),
        "an empty text": note("\n", signed("\n")),
        "sixteen signatures": note(body, ...Array<string>(16).fill(signed(body))),
      },
      {
        empty: "",
        "no empty line": body + signed(body),
        "no signature": note(body),
        "a last line without its end": good.slice(0, -1),
        "a control character": good.replace("\n3\n", "\n3\t\n"),
        "a hyphen for the dash": good.replace("— w1", "- w1"),
        "a name with a plus": good.replace("— w1", "— w+1"),
        "a name with a space of Unicode": good.replace("— w1.example", "— w1\u00a0example"),
        "no name": good.replace("— w1.example ", "—  "),
        "base64 without padding": good.replace(/=+\n$/, "\n"),
        base64url: good.replace(/— w2.example .*\n$/, "— w2.example -_-_-_-_\n"),
        "a signature that is an id only": note(body, `— w1.example ${std(keyId(w1))}\n`),
        "65 signatures": note(body, ...Array<string>(65).fill(signed(body))),
      },
    ),
  );

function keys(): VectorFile {
  const valid = (name: string, key: string) => ({ name, key, valid: true });
  const invalid = (name: string, key: string) => ({ name, key, valid: false });
  const [name, id, bytes] = vkey(log).split("+") as [string, string, string];
  const short = Buffer.concat([Buffer.from([1]), publicOf(log).subarray(1)]);
  return file("Notes", "Keys as verifiers write them.", [
    valid("a log's", vkey(log)),
    valid("a witness'", vkey(w1)),
    invalid("empty", ""),
    invalid("no id", `${name}+${bytes}`),
    invalid("the id of another key", `${name}+${keyId(w1).toString("hex")}+${bytes}`),
    invalid("the id of another name", `x${vkey(log)}`),
    invalid("an id in upper case", `${name}+${id.toUpperCase()}+${bytes}`),
    invalid("an unknown type", vkey({ ...log, type: 7 })),
    invalid("31 bytes", `${name}+${id}+${std(short)}`),
    invalid("no name", vkey({ ...log, name: "" })),
    invalid("a name with a space", vkey({ ...log, name: "a b" })),
  ]);
}

const checkpoints = () =>
  file(
    "Checkpoints",
    "The text of a checkpoint.",
    judged(
      "text",
      "log.checkpoint_malformed",
      {
        "three leaves": body,
        "no leaf": `${origin}\n0\n${std(sha256(""))}\n`,
        "an extension line": `${body}extension\n`,
        "an origin with a space": body.replace(origin, "a log"),
      },
      {
        empty: "",
        "no origin": body.replace(origin, ""),
        "a size with a zero before it": body.replace("\n3\n", "\n03\n"),
        "a size with a sign": body.replace("\n3\n", "\n+3\n"),
        "no size": body.replace("\n3\n", "\n\n"),
        "a size beyond 2^53": body.replace("\n3\n", "\n9007199254740993\n"),
        "a root of 31 bytes": `${origin}\n3\n${std(root.subarray(1))}\n`,
        "a root in base64url": body.replace(std(root), root.toString("base64url")),
        "a root with unused bits": body.replace(/.=\n$/, (end) => `${end[0] === "/" ? "+" : "/"}=\n`),
        "no root": `${origin}\n3\n`,
        "no end of the last line": body.slice(0, -1),
        "an empty extension line": `${body}\n`,
      },
    ),
  );

const policies = () =>
  file(
    "Policies",
    "Policy files.",
    judged(
      "policy",
      "log.policy_malformed",
      {
        "two of three": policy,
        "no witness": `log ${vkey(log)}\nquorum none\n`,
        "no log": "quorum none\n",
        "comments, tabs, addresses": `# who\n\n\tlog  ${vkey(log)}\thttps://talos.example/ \n  # none\nquorum\tnone\n`,
        "groups of groups": policy.replace("quorum two", "group all all two\nquorum all"),
        "any of one": policy.replace("2 w1 w2 w3", "any w1"),
      },
      {
        empty: "",
        "no quorum": policy.replace("quorum two\n", ""),
        "two quorums": `${policy}quorum two\n`,
        "a quorum that nothing defines": policy.replace("quorum two", "quorum three"),
        "a quorum before its group": policy.replace(/(group .*\n)(quorum .*\n)/, "$2$1"),
        "a member that nothing defines": policy.replace("w2 w3", "w2 w4"),
        "a threshold of nothing": policy.replace("two 2", "two 0"),
        "a threshold beyond its group": policy.replace("two 2", "two 4"),
        "a threshold with a zero before it": policy.replace("two 2", "two 02"),
        "a group of nobody": policy.replace("2 w1 w2 w3", "all"),
        "a member twice": policy.replace("w1 w2 w3", "w1 w1 w3"),
        "a member of two groups": policy.replace("quorum two", "group other any w1\nquorum two"),
        "a name twice": policy.replace("witness w2", "witness w1"),
        "a group called as a witness": policy.replace("group two", "group w1"),
        "a witness called none": policy.replace("witness w1", "witness none").replace("2 w1", "2 none"),
        "a log twice": `log ${vkey(log)}\n${policy}`,
        "one key under two names": policy.replace(vkey(w2), vkey({ ...w1, name: "other.example" })),
        "a log with a witness' key": policy.replace(vkey(log), vkey({ ...log, type: 4 })),
        "a witness with a log's key": policy.replace(vkey(w1), vkey({ ...w1, type: 1 })),
        "a key with another id": policy.replace(keyId(w1).toString("hex"), "00000000"),
        "an unknown word": `${policy}trust everyone\n`,
        "a carriage return": policy.replaceAll("\n", "\r\n"),
        "no end of the last line": policy.slice(0, -1),
      },
    ),
  );

const tiles = () =>
  file(
    "Tiles",
    "Names of tiles and bundles.",
    judged(
      "path",
      "log.tile_malformed",
      Object.fromEntries(
        [
          "tile/0/000",
          "tile/0/999",
          "tile/0/x001/000",
          "tile/0/x001/x234/067",
          "tile/0/000.p/1",
          "tile/0/x001/234.p/255",
          "tile/6/000.p/32",
          "tile/entries/000",
          "tile/entries/x123/x456/789.p/17",
        ].map((path) => [path, path]),
      ),
      Object.fromEntries(
        [
          "tile/0",
          "tile/0/",
          "tile/0/0",
          "tile/0/0000",
          "tile/0/001/000",
          "tile/0/x000/000",
          "tile/0/x001/x000",
          "tile/00/000",
          "tile/-1/000",
          "tile/7/000",
          "tile/64/000",
          "tile/6/001",
          "tile/data/000",
          "tile/0/000.p/0",
          "tile/0/000.p/256",
          "tile/0/000.p/01",
          "tile/0/000.p",
          "tile/0/000.p/1/",
          "tile/0/../000",
          "tile/0/%30%30%30",
          "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
          "/tile/0/000",
          "checkpoint",
        ].map((path) => [path, path]),
      ),
    ),
  );

const bundles = () =>
  file(
    "Tiles",
    "Bundles of entries, in base64.",
    judged(
      "bundle",
      "log.tile_malformed",
      {
        "one entry": std(Buffer.from([0, 1, 97])),
        "an empty entry": std(Buffer.from([0, 0])),
        "256 entries": std(Buffer.alloc(512)),
      },
      {
        empty: "",
        "half a length": std(Buffer.from([0])),
        "an entry that is cut": std(Buffer.from([0, 2, 97])),
        "257 entries": std(Buffer.alloc(514)),
      },
    ),
  );

const file1 = proof(1, [a, c], good);
const proofFiles = () =>
  file(
    "Proof files",
    "Proof files: their shape. Nothing is verified.",
    judged(
      "file",
      "log.proof_malformed",
      {
        "two hashes": file1,
        "no hash": proof(0, [], good),
        "extra data": file1.replace("index", "extra AAAA\nindex"),
        "64 hashes": proof(0, Array<Buffer>(64).fill(a), good),
      },
      {
        empty: "",
        "another version": file1.replace("@v1", "@v2"),
        "no index": file1.replace("index 1\n", ""),
        "an index with a zero before it": file1.replace("index 1", "index 01"),
        "an index with a sign": file1.replace("index 1", "index -1"),
        "extra data that is no base64": file1.replace("index", "extra A\nindex"),
        "extra data after the index": file1.replace("index 1", "index 1\nextra AAAA"),
        "a hash of 31 bytes": proof(1, [a.subarray(1), c], good),
        "65 hashes": proof(0, Array<Buffer>(65).fill(a), good),
        "no checkpoint": file1.slice(0, file1.indexOf("\n\n") + 1),
      },
    ),
  );

const submitted = (old: string, hashes: Uint8Array[], checkpoint: string) =>
  `old ${old}\n${hashes.map((hash) => `${std(hash)}\n`).join("")}\n${checkpoint}`;
const submissions = () =>
  file(
    "Witness",
    "What a witness is sent: its shape. Nothing is verified.",
    judged(
      "body",
      "log.submission_malformed",
      {
        "a first checkpoint": submitted("0", [], good),
        "two hashes": submitted("2", [a, c], good),
        "63 hashes": submitted("2", Array<Buffer>(63).fill(a), good),
        "an old size beyond the checkpoint's": submitted("4", [], good),
      },
      {
        empty: "",
        "no old size": good,
        "an old size with a zero before it": submitted("02", [], good),
        "an old size with a sign": submitted("+2", [], good),
        "an old size beyond 2^53": submitted("9007199254740993", [], good),
        "two spaces": submitted(" 2", [], good),
        "a hash of 31 bytes": submitted("2", [a.subarray(1)], good),
        "a hash in base64url": submitted("2", [], good).replace(
          "\n",
          `\n${Buffer.alloc(32, 255).toString("base64url")}\n`,
        ),
        "64 hashes": submitted("2", Array<Buffer>(64).fill(a), good),
        "no empty line": submitted("2", [a], "").slice(0, -1),
        "lines that end with a carriage return": submitted("2", [a], good).replaceAll("\n", "\r\n"),
      },
    ),
  );

function verdicts(): VectorFile {
  const valid = (name: string, more: object = {}) => ({
    name,
    file: file1,
    leaf: std(b),
    policy,
    expect: "OK",
    ...more,
  });
  const refused = (name: string, code: string, more: object) => valid(name, { expect: `log.${code}`, ...more });
  const under = (checkpoint: string) => ({ file: proof(1, [a, c], checkpoint) });
  const other = body.replace(origin, "other.example");
  const larger = body.replace("\n3\n", "\n4\n");
  const forged = note(body, signed(other), cosigned(body, w1), cosigned(body, w2));
  const doubled = note(body, signed(body), cosigned(body, w1), cosigned(body, w1, BigInt(TIME) + 1n));
  return file("Verification", "Proof, leaf and policy: what holds, and which step refuses.", [
    valid("two of three witnesses"),
    valid("the last leaf", { file: proof(2, [nodeOf(a, b)], good), leaf: std(c) }),
    valid("an unknown key's signature is ignored", under(good + signed(body, { ...log, key: keyOf("nobody") }))),
    valid("a third witness", under(good + cosigned(body, w3))),
    refused("a policy without a quorum", "policy_malformed", { policy: `log ${vkey(log)}\n` }),
    refused("no proof", "proof_malformed", { file: good }),
    refused("a proof without a note", "note_malformed", under(body)),
    refused("a note that is no checkpoint", "checkpoint_malformed", under(note("hello\n", signed("hello\n")))),
    refused("a log that the policy does not list", "origin_unknown", under(note(other, signed(other)))),
    refused("another leaf", "inclusion_invalid", { leaf: std(a) }),
    refused("an inner node as a leaf", "inclusion_invalid", { file: proof(0, [c], good), leaf: std(nodeOf(a, b)) }),
    refused("another index", "inclusion_invalid", { file: file1.replace("index 1", "index 0") }),
    refused("an index outside of the tree", "inclusion_invalid", { file: file1.replace("index 1", "index 3") }),
    refused("a hash too few", "inclusion_invalid", { file: proof(1, [a], good) }),
    refused("a hash too many", "inclusion_invalid", { file: proof(1, [a, c, c], good) }),
    refused("another size", "inclusion_invalid", {
      file: proof(1, [a, c], note(larger, signed(larger))).replace("index 1", "index 3"),
    }),
    refused("no signature of the log", "signature_invalid", under(note(body, cosigned(body, w1), cosigned(body, w2)))),
    refused("a signature over another text", "signature_invalid", under(forged)),
    refused("a good and a wrong signature of the log", "signature_invalid", under(good + signed(other))),
    refused("a log's signature that is too short", "signature_invalid", under(note(body, line(log, Buffer.alloc(63))))),
    refused("a cosignature over another text", "cosignature_invalid", under(good + cosigned(other, w3))),
    refused("a cosignature without a time", "cosignature_invalid", under(good + line(w3, Buffer.alloc(64)))),
    refused("a time beyond 2^63", "cosignature_invalid", under(good + cosigned(body, w3, 1n << 63n))),
    refused("one witness", "quorum_missed", under(note(body, signed(body), cosigned(body, w1)))),
    refused("one witness twice", "quorum_missed", under(doubled)),
  ]);
}

export function logTexts(): [string, VectorFile][] {
  return [
    ["log/notes", notes()],
    ["log/keys", keys()],
    ["log/checkpoints", checkpoints()],
    ["log/policies", policies()],
    ["log/tiles", tiles()],
    ["log/bundles", bundles()],
    ["log/proof-files", proofFiles()],
    ["log/submissions", submissions()],
    ["log/verdicts", verdicts()],
  ];
}
