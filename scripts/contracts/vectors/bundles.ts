/** Proof bundles, byte for byte, and the step that refuses each broken one. Source: contracts/spec/log.md#proof-bundle. */
import { hex, jcs, keyOf, sha256, type VectorFile } from "./lib.ts";
import { cosigned, leafOf, line, type NoteKey, nodeOf, note, signed, std, vkey } from "./log.ts";

type Case = VectorFile["cases"][number];

const key = (name: string, seed: string, type = 1): NoteKey => ({ name, type, key: keyOf(seed) });
const tenant = key("talos.example/log/AAECAwQFBgcICQoLDA0ODw", "log");
const meta = key("talos.example/meta", "meta");
const other = key("other.example/meta", "other");
const w1 = key("w1.example", "w1", 4);
const w2 = key("w2.example", "w2", 4);

const policy = [
  ...[tenant, meta].map((log) => `log ${vkey(log)}`),
  ...[w1, w2].map((witness, i) => `witness w${i + 1} ${vkey(witness)}`),
  "group both all w1 w2",
  "quorum both",
  "",
].join("\n");
const nobody = policy.replace("quorum both", "quorum none");

function sealed(event: Record<string, unknown>): string {
  return jcs({ ...event, event_hash: hex(sha256(jcs(event))) });
}
const members = {
  schema_id: "talos.audit_event",
  schema_version: "v2",
  event_id: "019b76da-a800-7000-8000-000000000001",
  ts: "2026-01-01T00:00:00.000Z",
  kind: "decision",
  note: 'a "quoted" line\nand \u20ac, \u{1f600}, \u0001',
  n: { list: [0, -1, 9007199254740991, true], empty: {} },
};
const event = sealed(members);

/** A tree of three leaves with this one in the middle, its head and its proof. */
function tree(leaf: string) {
  const [a, b, c] = [leafOf("a"), leafOf(leaf), leafOf("c")];
  return { root: nodeOf(nodeOf(a, b), c), hashes: [a, c] };
}
function proof(leaf: string, log: NoteKey, by: NoteKey[], change = (text: string) => text) {
  const { root, hashes } = tree(leaf);
  const text = `${log.name}\n3\n${std(root)}\n`;
  const lines = by.map((one) => (one.type === 4 ? cosigned(text, one) : signed(text, one)));
  const head = `c2sp.org/tlog-proof@v1\nindex 1\n${hashes.map((hash) => `${std(hash)}\n`).join("")}\n`;
  return { text, file: change(`${head}${note(text, ...lines)}`) };
}

const logProof = proof(event, tenant, [tenant]);
const metaProof = proof(logProof.text, meta, [meta, w1, w2]);
const good = {
  schema_id: "talos.audit_proof",
  schema_version: "v1",
  event,
  log_proof: logProof.file,
  meta_proof: metaProof.file,
  anchors: [],
};
type Parts = Record<keyof typeof good, unknown>;
const file = (parts: Partial<Parts> = {}) => jcs({ ...good, ...parts });
/** The same proofs, of another leaf. */
function around(leaf: string, log = tenant) {
  const logged = proof(leaf, log, [log]);
  return { event: leaf, log_proof: logged.file, meta_proof: proof(logged.text, meta, [meta, w1, w2]).file };
}

const valid = (name: string, parts: Partial<Parts> = {}, under = policy): Case => ({
  name,
  file: file(parts),
  policy: under,
  expect: "OK",
});
function refused(name: string, expect: string, text: string | Partial<Parts>, more: object = {}): Case {
  return { name, file: typeof text === "string" ? text : file(text), policy, expect, ...more };
}
const malformed = (name: string, text: string | Partial<Parts>) => refused(name, "bundle.malformed", text);
const inLog = (name: string, reason: string, parts: Partial<Parts>, more: object = {}) =>
  refused(name, "bundle.log_invalid", parts, { reason: `log.${reason}`, ...more });
const inMeta = (name: string, reason: string | undefined, parts: Partial<Parts>, more: object = {}) =>
  refused(name, "bundle.meta_invalid", parts, { ...(reason && { reason: `log.${reason}` }), ...more });

const ots = { kind: "ots", file: "AE9wZW4=" };

export function proofBundles(): VectorFile {
  const whole = file();
  return {
    spec: "contracts/spec/log.md#Proof bundle",
    description: "Proof bundles under a policy: what holds, and which step refuses.",
    cases: [
      valid("an event in a log in the meta-log, two witnesses"),
      valid("the log alone, where no witness is demanded", { meta_proof: undefined }, nobody),
      valid("an event of version 1", around(sealed({ ...members, schema_version: "v1" }))),
      valid("a head that an unknown key signed besides", {
        meta_proof: metaProof.file + signed(metaProof.text, { ...meta, key: keyOf("nobody") }),
      }),

      refused("a policy without a quorum", "log.policy_malformed", {}, { policy: `log ${vkey(meta)}\n` }),
      refused("no policy, and no bundle either", "log.policy_malformed", "", { policy: "" }),

      malformed("empty", ""),
      malformed("cut", whole.slice(0, -1)),
      malformed("twice", whole + whole),
      malformed("a line feed at the end", `${whole}\n`),
      malformed("a space", whole.replace(",", ", ")),
      malformed("members in another order", JSON.stringify(good)),
      malformed("an escape that is not needed", whole.replace("talos.audit_proof", "talos\\u002eaudit_proof")),
      malformed("a line feed spelled otherwise", whole.replace("@v1\\n", "@v1\\u000a")),
      malformed("a member twice", whole.replace('"anchors":[],', '"anchors":[],"anchors":[],')),
      malformed("a member more", whole.replace('"anchors":[],', '"anchor":1,"anchors":[],')),
      malformed("a float", whole.replace('"anchors":[]', '"anchors":1.0')),
      malformed("another schema", { schema_id: "talos.audit_event" }),
      malformed("another version", { schema_version: "v2" }),
      malformed("no event", { event: undefined }),
      malformed("an event that is no text", { event: members }),
      malformed("no proof", { log_proof: undefined }),
      malformed("an empty proof of the meta-log", { meta_proof: "" }),
      malformed("no list of anchors", { anchors: undefined }),
      malformed("an anchor without the meta-log", { meta_proof: undefined, anchors: [ots] }),
      malformed("an anchor of an unknown kind", { anchors: [{ ...ots, kind: "tsa" }] }),
      malformed("an anchor with a member more", { anchors: [{ ...ots, time: 1 }] }),
      malformed("an anchor whose base64 has unused bits", { anchors: [{ ...ots, file: "AE9wZW5=" }] }),
      malformed("nine anchors", { anchors: Array(9).fill(ots) }),

      refused("an event that was changed", "bundle.event_invalid", {
        event: event.replace("decision", "intention"),
      }),
      refused("an event with another hash", "bundle.event_invalid", {
        event: event.replace(/"event_hash":"[0-9a-f]{64}"/, `"event_hash":"${"0".repeat(64)}"`),
      }),
      refused("an event without its hash", "bundle.event_invalid", around(jcs(members))),
      refused("an event in another spelling", "bundle.event_invalid", around(event.replace(",", ", "))),
      refused("an event with a float", "bundle.event_invalid", around(sealed({ ...members, n: 1.5 }))),
      refused("an event with a null", "bundle.event_invalid", around(sealed({ ...members, n: null }))),
      refused("a leaf of another kind", "bundle.event_invalid", around(sealed({ ...members, schema_id: "x" }))),
      refused(
        "an event of an unknown version",
        "bundle.event_invalid",
        around(sealed({ ...members, schema_version: "v3" })),
      ),
      refused("a text that is no JSON", "bundle.event_invalid", around("event")),

      inLog("another event", "inclusion_invalid", { event: sealed({ ...members, kind: "intent" }) }),
      inLog("no proof file", "proof_malformed", { log_proof: logProof.text }),
      inLog("bytes that no signature covers", "proof_malformed", {
        log_proof: logProof.file.replace("index", "extra AAAA\nindex"),
      }),
      inLog("a proof without a note", "note_malformed", { log_proof: logProof.file.split("\u2014")[0] }),
      inLog("another index", "inclusion_invalid", { log_proof: logProof.file.replace("index 1", "index 0") }),
      inLog("a head of another size", "inclusion_invalid", { log_proof: logProof.file.replace("\n3\n", "\n5\n") }),
      inLog("a log that the policy does not list", "origin_unknown", around(event, other)),
      inLog("a head that its log did not sign", "signature_invalid", {
        log_proof: proof(event, tenant, [{ ...tenant, key: keyOf("nobody") }]).file,
      }),
      inLog("a signature over another head", "signature_invalid", {
        log_proof: logProof.file.replace(/\u2014 .*\n/, signed("another\n", tenant)),
      }),
      inLog("without the meta-log's part, where witnesses are demanded", "quorum_missed", { meta_proof: undefined }),

      inMeta("the proof of another head", "inclusion_invalid", {
        meta_proof: proof("another", meta, [meta, w1, w2]).file,
      }),
      inMeta("another index in the meta-log", "inclusion_invalid", {
        meta_proof: metaProof.file.replace("index 1", "index 2"),
      }),
      inMeta("a meta-log that the policy does not list", "origin_unknown", {
        meta_proof: proof(logProof.text, other, [other, w1, w2]).file,
      }),
      inMeta("a log that vouches for itself", undefined, {
        meta_proof: proof(logProof.text, tenant, [tenant, w1, w2]).file,
      }),
      inMeta("a head that the meta-log did not sign", "signature_invalid", {
        meta_proof: proof(logProof.text, meta, [w1, w2]).file,
      }),
      inMeta("one witness of two", "quorum_missed", { meta_proof: proof(logProof.text, meta, [meta, w1]).file }),
      inMeta("a cosignature of another witness' key", "cosignature_invalid", {
        meta_proof: metaProof.file + cosigned("another\n", w2),
      }),
      inMeta("a cosignature that is too short", "cosignature_invalid", {
        meta_proof: metaProof.file + line(w2, Buffer.alloc(8)),
      }),
      inLog("both proofs broken: the first is told", "signature_invalid", {
        log_proof: proof(event, tenant, [{ ...tenant, key: keyOf("nobody") }]).file,
        meta_proof: metaProof.file.replace("index 1", "index 2"),
      }),
    ],
  };
}
