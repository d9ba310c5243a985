/**
 * Evidence of anchors, byte for byte: tries, files and headers are built here naively, with keccak-256 and RLP of viem.
 * Source: contracts/spec/anchors.md.
 */
import { createHash } from "node:crypto";
import { hexToBytes, keccak256, toRlp } from "viem";
import { REGISTRY_CODE_HASH } from "../../../contracts/evm/registry.ts";
import { hex, seedOf, sha256, type VectorFile } from "./lib.ts";

type Case = VectorFile["cases"][number];
type Hex = `0x${string}`;
type Rlp = Hex | Rlp[];

const x = (bytes: Uint8Array): Hex => `0x${hex(bytes)}`;
const bytesOf = (text: Hex) => Buffer.from(hexToBytes(text));
const keccak = (...parts: Uint8Array[]) => Buffer.from(keccak256(Buffer.concat(parts), "bytes"));
const rlp = (value: Rlp) => bytesOf(toRlp(value));
const std = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

// Tries.

export type Entry = [digits: number[], value: Buffer];

export const digitsOf = (key: Uint8Array) => [...key].flatMap((byte) => [byte >> 4, byte & 15]);

function compact(digits: number[], leaf: boolean): Hex {
  const flag = (leaf ? 2 : 0) + (digits.length % 2);
  const all = digits.length % 2 === 1 ? [flag, ...digits] : [flag, 0, ...digits];
  return x(Uint8Array.from({ length: all.length / 2 }, (_, i) => all[2 * i]! * 16 + all[2 * i + 1]!));
}

/** A node of these entries; `proof` gets every node on the way to `path` that stands on its own. */
function node(entries: Entry[], path: number[], proof: Buffer[]): Rlp {
  const own: Buffer[] = [];
  const made = build(entries, path, own);
  const bytes = rlp(made);
  if (bytes.length < 32) return made;
  proof.push(bytes, ...own);
  return x(keccak(bytes));
}

function build(entries: Entry[], path: number[], proof: Buffer[]): Rlp {
  const [first] = entries as [Entry];
  if (entries.length === 1) return [compact(first[0], true), x(first[1])];
  let shared = 0;
  while (entries.every(([digits]) => digits.length > shared && digits[shared] === first[0][shared])) shared += 1;
  const on = path.slice(0, shared).every((digit, i) => digit === first[0][i]);
  const rest = (from: number) => (on ? path.slice(from) : []);
  if (shared > 0) {
    const below = entries.map(([digits, value]): Entry => [digits.slice(shared), value]);
    return [compact(first[0].slice(0, shared), false), node(below, rest(shared), on ? proof : [])];
  }
  const children = Array.from({ length: 16 }, (_, digit): Rlp => {
    const below = entries
      .filter(([digits]) => digits[0] === digit)
      .map(([digits, value]): Entry => [digits.slice(1), value]);
    return below.length === 0 ? "0x" : node(below, path.slice(1), digit === path[0] ? proof : []);
  });
  return [...children, "0x"];
}

export function trie(entries: Entry[], path: number[]): { root: Buffer; proof: Buffer[] } {
  const proof: Buffer[] = [];
  const bytes = rlp(build(entries, path, proof));
  return { root: keccak(bytes), proof: [bytes, ...proof] };
}

// A block with the registry among its accounts.

const contract = seedOf("registry").subarray(0, 20);
const publisher = seedOf("publisher").subarray(0, 20);
const log_id = sha256("talos.example/meta");
const digest = sha256("talos.example/meta\n3\nroot\n");
const small = Buffer.concat([Buffer.alloc(3), digest.subarray(3)]);

const slotOf = (who: Uint8Array, log: Uint8Array) => keccak(log, keccak(Buffer.alloc(12), who, Buffer.alloc(32)));
const trimmed = (word: Uint8Array) => Buffer.from(word.subarray(word.findIndex((byte) => byte !== 0)));

interface Parts {
  held?: Buffer;
  others?: number;
  accounts?: number;
  code?: Buffer;
  account?: (fields: Rlp[]) => Rlp[];
  header?: (fields: Rlp[]) => Rlp[];
  who?: Buffer;
}

function evidence(parts: Parts = {}) {
  const { held = digest, others = 20, accounts = 40, code = bytesOf(REGISTRY_CODE_HASH), who = publisher } = parts;
  const path = digitsOf(keccak(slotOf(who, log_id)));
  const slots = Array.from(
    { length: others },
    (_, i): Entry => [digitsOf(seedOf(`slot ${i}`)), rlp(x(seedOf(`word ${i}`)))],
  );
  const storage = trie([...slots, [path, rlp(x(trimmed(held)))]], path);
  const fields: Rlp[] = ["0x01", "0x", x(storage.root), x(code)];
  const account = rlp(parts.account?.(fields) ?? fields);
  const place = digitsOf(keccak(contract));
  const rest = Array.from({ length: accounts }, (_, i): Entry => [digitsOf(seedOf(`account ${i}`)), account]);
  const state = trie([...rest, [place, account]], place);
  const hash = (name: string): Hex => x(seedOf(name));
  const header: Rlp[] = [
    ...[hash("parent"), hash("uncles"), x(seedOf("author").subarray(0, 20)), x(state.root)],
    ...[hash("transactions"), hash("receipts"), x(Buffer.alloc(256)), "0x" as Hex],
    ...(["0x0112a880", "0x01c9c380", "0xa410", "0x69284e00", "0x74616c6f73"] as Hex[]),
    ...[hash("mix"), "0x0000000000000000" as Hex, "0x07" as Hex],
  ];
  const block = rlp(parts.header?.(header) ?? header);
  return { header: block, account_proof: state.proof, storage_proof: storage.proof };
}

type Evidence = ReturnType<typeof evidence>;

function evmCase(name: string, expect: string, shown: Evidence, ask: Record<string, Uint8Array> = {}): Case {
  const { header, account_proof, storage_proof } = shown;
  const anchor = {
    ...{ kind: "evm", chain_id: 1, contract: x(ask.contract ?? contract), publisher: x(ask.publisher ?? publisher) },
    ...{ header: std(header), account_proof: account_proof.map(std), storage_proof: storage_proof.map(std) },
  };
  const asked = { log_id: hex(ask.log_id ?? log_id), digest: hex(ask.digest ?? digest) };
  const verdict =
    expect === "OK" ? { block_hash: x(keccak(header)), block_number: 18_000_000, time_seconds: 1_764_249_088 } : {};
  return { name, expect, anchor, ...asked, ...verdict };
}

function evm(): VectorFile {
  const good = evidence();
  const [bad, invalid, unknown, missing] = ["malformed", "proof_invalid", "contract_unknown", "checkpoint_missing"].map(
    (code) => `anchor.${code}`,
  ) as [string, string, string, string];
  const flipped = (bytes: Buffer, at: number) => {
    const out = Buffer.from(bytes);
    out[at]! ^= 1;
    return out;
  };
  const changed = (list: Buffer[], at: number, to: Buffer | undefined) =>
    list.flatMap((one, i) => (i === at ? (to === undefined ? [] : [to]) : [one]));
  const field = (at: number, value: Rlp) => (fields: Rlp[]) => fields.map((own, i) => (i === at ? value : own));
  // Beside five bytes of extra data and their prefix of one there are as many as now; long ones have a prefix of three.
  const sized = (bytes: number) =>
    evidence({ header: field(12, x(Buffer.alloc(bytes - (good.header.length - 6) - 3))) });
  const last = good.storage_proof.length - 1;
  const cases = [
    evmCase("a state of forty accounts", "OK", good),
    evmCase("the registry alone", "OK", evidence({ others: 0, accounts: 0 })),
    evmCase("one other slot", "OK", evidence({ others: 1 })),
    evmCase("a digest with leading zeros", "OK", evidence({ held: small }), { digest: small }),
    evmCase("fields of later upgrades", "OK", evidence({ header: (all) => [...all, x(seedOf("later")), "0x", "0x"] })),
    evmCase("a header of fifteen fields", "OK", evidence({ header: (all) => all.slice(0, 15) })),
    evmCase("another digest", missing, good, { digest: sha256("other") }),
    evmCase("a digest of which the word is the end", missing, evidence({ held: small })),
    evmCase("another publisher", invalid, good, { publisher: seedOf("other").subarray(0, 20) }),
    evmCase("another log", invalid, good, { log_id: sha256("other") }),
    evmCase("another contract", invalid, good, { contract: seedOf("other").subarray(0, 20) }),
    evmCase("a contract of other code", unknown, evidence({ code: sha256("other") })),
    evmCase("a header with another state root", invalid, { ...good, header: evidence({ accounts: 39 }).header }),
    evmCase("a header that is cut", bad, { ...good, header: good.header.subarray(0, -1) }),
    evmCase("a byte behind the header", bad, { ...good, header: Buffer.concat([good.header, Buffer.alloc(1)]) }),
    evmCase("fourteen fields", bad, evidence({ header: (all) => all.slice(0, 14) })),
    evmCase("thirty-three fields", bad, evidence({ header: (all) => [...all, ...Array<Hex>(17).fill("0x")] })),
    evmCase("a number with a leading zero", bad, evidence({ header: field(8, "0x0012a880") })),
    evmCase("a number of nine bytes", bad, evidence({ header: field(8, "0x010000000000000000") })),
    evmCase("a number beyond 2^53", bad, evidence({ header: field(8, "0x20000000000000") })),
    evmCase("a list in place of the time", bad, evidence({ header: field(11, []) })),
    evmCase("a bloom of 255 bytes", bad, evidence({ header: field(6, x(Buffer.alloc(255))) })),
    evmCase("a header of 1,536 bytes", "OK", sized(1_536)),
    evmCase("a header of 1,537 bytes", bad, sized(1_537)),
    evmCase("an account of three fields", bad, evidence({ account: (all) => all.slice(0, 3) })),
    evmCase("an account of five fields", bad, evidence({ account: (all) => [...all, "0x"] })),
    ...good.account_proof.map((one, at) =>
      evmCase(`account node ${at} with a changed byte`, invalid, {
        ...good,
        account_proof: changed(good.account_proof, at, flipped(one, one.length - 1)),
      }),
    ),
    ...good.storage_proof.map((one, at) =>
      evmCase(`storage node ${at} with a changed byte`, invalid, {
        ...good,
        storage_proof: changed(good.storage_proof, at, flipped(one, one.length - 1)),
      }),
    ),
    evmCase("without the last node", invalid, { ...good, storage_proof: good.storage_proof.slice(0, last) }),
    evmCase("without the first node", invalid, { ...good, storage_proof: good.storage_proof.slice(1) }),
    evmCase("a node twice", invalid, { ...good, storage_proof: [...good.storage_proof, good.storage_proof[last]!] }),
    evmCase("nodes in another order", invalid, { ...good, account_proof: good.account_proof.toReversed() }),
    evmCase("the storage of another contract", invalid, {
      ...good,
      storage_proof: evidence({ others: 19 }).storage_proof,
    }),
  ];
  const description = "Evidence of the registry on an EVM chain: the anchor, what is asked, and what is answered.";
  return { spec: "contracts/spec/anchors.md#EVM", description, cases };
}

// OpenTimestamps.

const MAGIC = Buffer.from("004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e89294", "hex");
const op = (...bytes: number[]) => Buffer.from(bytes);
const counted = (tag: number, bytes: Uint8Array) => Buffer.concat([op(tag), size(bytes.length), bytes]);

/** Seven bits a byte, the lowest first. */
function size(value: number): Buffer {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return op(...bytes, value);
}

const attestation = (tag: string, payload: Uint8Array) =>
  Buffer.concat([op(0), Buffer.from(tag, "hex"), size(payload.length), payload]);
const bitcoin = (height: number) => attestation("0588960d73d71901", size(height));
const pending = (uri: string) =>
  attestation("83dfe30d2ef90c8e", Buffer.concat([size(uri.length), Buffer.from(uri, "latin1")]));
const unknown = attestation("0102030405060708", Buffer.from("anything"));
const fork = (...items: Buffer[]) =>
  Buffer.concat(items.flatMap((item, i) => (i < items.length - 1 ? [op(255), item] : [item])));
const chain = (...parts: Buffer[]) => Buffer.concat(parts);
const CALENDAR = "https://calendar.example/a";

const file = (...parts: Buffer[]) => Buffer.concat([MAGIC, op(1, 8), digest, ...parts]);
const said = (text: Buffer | undefined, height: number) => ({ kind: "bitcoin", height, merkle_root: hex(text!) });
const waits = (commitment: Buffer, uri = CALENDAR) => ({ kind: "pending", uri, commitment: hex(commitment) });

function ots(): VectorFile {
  const hashed = (name: string, bytes: Uint8Array) => createHash(name).update(bytes).digest();
  const good = (name: string, bytes: Buffer, attestations: object[]): Case => ({
    ...{ name, expect: "OK", file: hex(bytes), digest: hex(digest), attestations },
  });
  const bad = (name: string, bytes: Buffer): Case => ({ name, expect: "anchor.ots_malformed", file: hex(bytes) });
  const salt = seedOf("salt");
  const deep = (operations: number) => file(...Array<Buffer>(operations).fill(op(8)), pending(CALENDAR));
  const hashes = (times: number) => Array.from({ length: times }).reduce<Buffer>((sum) => sha256(sum), digest);
  const wide = (items: number) => file(fork(...Array<Buffer>(items).fill(pending(CALENDAR))));
  const grown = chain(counted(0xf0, Buffer.alloc(4_064, 7)));
  const cases: Case[] = [
    good("pending at once", file(pending(CALENDAR)), [waits(digest)]),
    good("a block at once", file(bitcoin(1)), [said(digest, 1)]),
    good("append, prepend, SHA-256", file(counted(0xf0, salt), op(8), counted(0xf1, salt), op(8), bitcoin(358_391)), [
      said(sha256(Buffer.concat([salt, sha256(Buffer.concat([digest, salt]))])), 358_391),
    ]),
    good("SHA-1, RIPEMD-160, keccak-256", file(op(2, 3, 0x67), bitcoin(2 ** 53 - 1)), [
      said(keccak(hashed("ripemd160", hashed("sha1", digest))), 2 ** 53 - 1),
    ]),
    good("reverse and hexlify", file(op(0xf2, 0xf3), pending(CALENDAR)), [
      waits(Buffer.from(hex(Buffer.from(digest).reverse()), "latin1")),
    ]),
    good("two items", file(fork(pending(CALENDAR), chain(op(8), bitcoin(9)))), [
      waits(digest),
      said(sha256(digest), 9),
    ]),
    good(
      "forks in forks",
      file(fork(chain(op(8), fork(pending("a"), bitcoin(7))), chain(op(0xf2), pending("b")), pending("c"))),
      [
        waits(sha256(digest), "a"),
        said(sha256(digest), 7),
        waits(Buffer.from(digest).reverse(), "b"),
        waits(digest, "c"),
      ],
    ),
    good("a kind that is not known", file(fork(unknown, bitcoin(5))), [
      { kind: "unknown", tag: "0102030405060708" },
      said(digest, 5),
    ]),
    good("256 operations in a row", deep(256), [waits(hashes(256))]),
    good("64 attestations", wide(64), Array<object>(64).fill(waits(digest))),
    good("a message of 4,096 bytes", file(grown, op(8), bitcoin(1)), [
      said(sha256(Buffer.concat([digest, Buffer.alloc(4_064, 7)])), 1),
    ]),
    bad("257 operations in a row", deep(257)),
    bad("65 attestations", wide(65)),
    bad("a message of 4,097 bytes", file(grown, counted(0xf0, op(1)), op(8), bitcoin(1))),
    bad("hexlify beyond the bound", file(counted(0xf0, Buffer.alloc(2_017)), op(0xf3, 8), bitcoin(1))),
    bad("no file", Buffer.alloc(0)),
    bad("another magic", Buffer.concat([op(1), file(bitcoin(1)).subarray(1)])),
    bad("version 2", Buffer.concat([MAGIC, op(2, 8), digest, bitcoin(1)])),
    bad("a digest by SHA-1", Buffer.concat([MAGIC, op(1, 2), digest.subarray(0, 20), bitcoin(1)])),
    bad("no tree", file()),
    bad("no attestation", file(op(8))),
    bad("an operation that is not known", file(op(0xf4), bitcoin(1))),
    bad("nothing to append", file(op(0xf0, 0), bitcoin(1))),
    bad("a byte behind", file(bitcoin(1), op(0))),
    bad("a mark without a second item", file(op(255), bitcoin(1))),
    bad("a mark before a mark", file(op(255, 255), bitcoin(1), bitcoin(1))),
    bad("a block whose root is no hash", file(op(2), bitcoin(1))),
    bad("a height with a needless byte", file(attestation("0588960d73d71901", op(0x81, 0)))),
    bad("a height of ten bytes", file(attestation("0588960d73d71901", op(...Array<number>(9).fill(0x80), 1)))),
    bad("a byte behind a height", file(attestation("0588960d73d71901", op(1, 1)))),
    bad("a height beyond 2^53", file(bitcoin(2 ** 53))),
    bad("an empty address", file(pending(""))),
    bad("an address with a space", file(pending("https://a.example/ b"))),
    bad("an address with a question", file(pending("https://a.example/?b"))),
    bad("an address of 1,001 bytes", file(pending("a".repeat(1_001)))),
    bad("a payload of 8,193 bytes", file(attestation("0102030405060708", Buffer.alloc(8_193)))),
    bad("a payload that is cut", file(attestation("0102030405060708", Buffer.alloc(9)).subarray(0, -1))),
    bad(
      "24,577 bytes",
      file(
        ...[4_000, 4_000, 4_000].map((n) => chain(counted(0xf1, Buffer.alloc(n)), op(8))),
        bitcoin(1),
        Buffer.alloc(12_600),
      ),
    ),
  ];
  const description = "Files of OpenTimestamps: the file, its digest and what is attested.";
  return { spec: "contracts/spec/anchors.md#OpenTimestamps", description, cases };
}

/** Submission and upgrade. */
function calendars(): VectorFile {
  const nonce = seedOf("nonce").subarray(0, 16);
  const commitment = sha256(Buffer.concat([digest, nonce]));
  const begin = (tree: Buffer) => file(counted(0xf0, nonce), op(8), tree);
  const one = chain(op(8), pending(CALENDAR));
  const two = fork(chain(op(0xf2), pending("b")), pending("c"));
  const inOne = sha256(commitment);
  const submitted = (name: string, answers: Buffer[], expect: string, made?: Buffer): Case => ({
    ...{ name, expect, digest: hex(digest), nonce: hex(nonce), commitment: hex(commitment), answers: answers.map(hex) },
    ...(made === undefined ? {} : { file: hex(made) }),
  });
  const upgraded = (
    name: string,
    from: Buffer,
    uri: string,
    at: Buffer,
    answer: Buffer,
    expect: string,
    made?: Buffer,
  ): Case => ({
    ...{ name, expect, from: hex(from), uri, commitment: hex(at), answer: hex(answer) },
    ...(made === undefined ? {} : { file: hex(made) }),
  });
  const mined = chain(op(8, 8), bitcoin(840_000));
  const twice = fork(chain(op(8), bitcoin(5)), chain(op(0xf2), pending("later")));
  const [malformed, incomplete] = ["anchor.ots_malformed", "anchor.ots_incomplete"];
  const both = begin(fork(one, chain(op(0xf2), pending("b")), pending("c")));
  const cases = [
    submitted("one answer", [one], "OK", begin(one)),
    submitted(
      "two answers, one of two items",
      [two, one],
      "OK",
      begin(fork(chain(op(0xf2), pending("b")), pending("c"), one)),
    ),
    submitted("no answer", [], malformed),
    submitted("nine answers", Array<Buffer>(9).fill(one), malformed),
    submitted("an answer that is cut", [one.subarray(0, -1), one], malformed),
    submitted("an answer with a byte behind", [one, chain(one, op(0))], malformed),
    upgraded("the last item", begin(one), CALENDAR, inOne, mined, "OK", begin(chain(op(8), mined))),
    upgraded("the last item by two", begin(one), CALENDAR, inOne, twice, "OK", begin(chain(op(8), twice))),
    upgraded(
      "an item before others",
      both,
      "b",
      Buffer.from(commitment).reverse(),
      mined,
      "OK",
      begin(fork(one, chain(op(0xf2), mined), pending("c"))),
    ),
    upgraded(
      "an item that is marked itself",
      begin(fork(pending("b"), one)),
      "b",
      commitment,
      twice,
      "OK",
      begin(fork(chain(op(8), bitcoin(5)), chain(op(0xf2), pending("later")), one)),
    ),
    upgraded("an answer without a block", begin(one), CALENDAR, inOne, pending("later"), incomplete),
    upgraded("another address", begin(one), "elsewhere", inOne, mined, incomplete),
    upgraded("another message", begin(one), CALENDAR, commitment, mined, incomplete),
    upgraded("an answer that is none", begin(one), CALENDAR, inOne, Buffer.from("<html>"), malformed),
    upgraded("a file that is none", one, CALENDAR, inOne, mined, malformed),
  ];
  const description =
    "Files made of calendars' answers (`answers`), and files with an answer in place of what was pending (`from`).";
  return { spec: "contracts/spec/anchors.md#OpenTimestamps", description, cases };
}

// Bitcoin.

function headers(): VectorFile {
  const genesis = Buffer.from(
    `01000000${"00".repeat(32)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c`,
    "hex",
  );
  const made = (name: string, header: Buffer, easiest: number, expect: string): Case => {
    const verdict = {
      hash: hex(Buffer.from(sha256(sha256(header))).reverse()),
      ...{ merkle_root: hex(header.subarray(36, 68)), time_seconds: header.readUInt32LE(68) },
    };
    return { name, expect, header: hex(header), easiest, ...(expect === "OK" ? verdict : {}) };
  };
  const at = (bits: number) => {
    const header = Buffer.from(genesis);
    header.writeUInt32LE(bits, 72);
    for (let nonce = 0; ; nonce += 1) {
      header.writeUInt32LE(nonce, 76);
      if (sha256(sha256(header))[31]! < 0x7f) return header;
    }
  };
  const [easy, bad] = [0x207f_ffff, "anchor.header_invalid"];
  const cases = [
    made("the first block", genesis, 0x1d00_ffff, "OK"),
    made("a header with hardly any work, where that is asked for", at(easy), easy, "OK"),
    made("hardly any work", at(easy), 0x1820_0000, bad),
    made("less than is asked for by one digit", genesis, 0x1d00_fffe, bad),
    made(
      "work that is not done",
      Buffer.from(genesis.map((byte, i) => (i === 76 ? byte ^ 1 : byte))),
      0x1d00_ffff,
      bad,
    ),
    made("79 bytes", genesis.subarray(0, 79), 0x1d00_ffff, bad),
    made("81 bytes", Buffer.concat([genesis, Buffer.alloc(1)]), 0x1d00_ffff, bad),
    made("a target of zero", at(0x2000_0000), easy, bad),
    made("a negative target", at(0x2080_0001), easy, bad),
    made("a target beyond 32 bytes", at(0x2200_ffff), easy, bad),
    made("digits that all fall away", at(0x0000_ffff), easy, bad),
  ];
  const description = "Headers of Bitcoin blocks, and the easiest target that is taken.";
  return { spec: "contracts/spec/anchors.md#Bitcoin", description, cases };
}

export function anchorVectors(): [string, VectorFile][] {
  return [
    ["anchors/evm", evm()],
    ["anchors/ots", ots()],
    ["anchors/calendars", calendars()],
    ["anchors/headers", headers()],
  ];
}
