import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as log from "./log.ts";

// biome-ignore lint/suspicious/noExplicitAny: vectors have a shape per file, and the tests are what checks it
type Case = { name: string; expect: string } & Record<string, any>;
const cases = (name: string): Case[] =>
  JSON.parse(readFileSync(new URL(`../contracts/vectors/log/${name}.json`, import.meta.url), "utf8")).cases;

const utf8 = (text: string) => new TextEncoder().encode(text);
const base64 = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const ORIGIN = "talos.example/t/default/audit";

async function code(run: () => unknown): Promise<string> {
  try {
    await run();
    return "OK";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function signer(name: string, cosigns = false) {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
  const key: log.NoteKey = { name, publicKey: raw, cosigns };
  const line = (text: string) => {
    const time = cosigns ? 1_767_225_600 : undefined;
    const message = time === undefined ? text : log.cosignedText(text, time);
    return log.signatureLine(key, new Uint8Array(sign(null, utf8(message), privateKey)), time);
  };
  return { vkey: log.verifierKey(key), line };
}

/** A log of `size` entries in a map of tiles, grown in uneven steps. */
function grow(size: number) {
  const tiles = new Map<string, Uint8Array>();
  const entries = Array.from({ length: size }, (_, index) => utf8(`entry ${index}`));
  let head: log.Head = { size: 0, root: log.edgeRoot(0, new Uint8Array(0)) };
  const heads: log.Head[] = [];
  for (let step = 1; head.size < size; step = (step * 7) % 300) {
    const fresh = entries.slice(head.size, head.size + step);
    const edge = Buffer.concat(log.edgeTiles(head.size).map((path) => tiles.get(path) as Uint8Array));
    const leaves = Buffer.concat(fresh.map(log.leafHash));
    const grown = log.append({ size: head.size, edge, leaves });
    for (const { path, hashes } of grown.tiles) tiles.set(path, hashes);
    head = { size: head.size + fresh.length, root: grown.root };
    heads.push(head);
  }
  const read: log.TileReader = async (path) => tiles.get(path) as Uint8Array;
  return { tiles, entries, head, heads, read };
}

describe("the vectors of the log", () => {
  it.each(cases("verdicts"))("verdicts: $name", async (vector) => {
    const { file, leaf, policy } = vector;
    const verify = () => log.verifyProof({ file: utf8(file), leaf: base64(leaf), policy: utf8(policy) });
    expect(await code(verify)).toBe(vector.expect);
  });
  it.each(cases("tiles"))("tiles: $name", async ({ path, expect: expected }) => {
    expect(await code(() => log.parseTile(path))).toBe(expected);
    if (expected !== "OK") return;
    const { level, index, width } = log.parseTile(path);
    const scale = level === "entries" ? 1 : 256 ** level;
    expect(log.tileAt(level, index, (index * 256 + width) * scale)).toBe(path);
  });
  it.each(cases("bundles"))("bundles: $name", async (vector) => {
    const read = () => log.bundle(log.bundleEntries(base64(vector.bundle)));
    expect(await code(read)).toBe(vector.expect);
    if (vector.expect === "OK") expect(read()).toEqual(base64(vector.bundle));
  });
});

describe("a log", () => {
  const { entries, head, heads, read, tiles } = grow(1_000);

  it("proves every entry under its last head, and every head from each before it", async () => {
    for (const [index, entry] of entries.entries()) {
      const hashes = await log.inclusionProof(index, head.size, read);
      log.checkInclusion({ index, leaf: log.leafHash(entry), hashes, head });
      expect(await code(() => log.checkInclusion({ index, leaf: log.leafHash(utf8("x")), hashes, head }))).toBe(
        "log.inclusion_invalid",
      );
    }
    for (const old of heads) {
      const hashes = await log.consistencyProof(old.size, head.size, read);
      log.checkConsistency({ old, head, hashes });
      const forged = { ...old, root: log.leafHash(old.root) };
      expect(await code(() => log.checkConsistency({ old: forged, head, hashes }))).toBe("log.consistency_invalid");
      expect(await log.treeRoot(old.size, read)).toEqual(old.root);
    }
  });

  it("has bundles whose leaves are the tiles of level 0, and a frontier that ends at its root", () => {
    let frontier = log.emptyFrontier();
    for (let index = 0; log.tileAt("entries", index, head.size) !== undefined; index += 1) {
      const bundle = log.bundle(entries.slice(index * 256, (index + 1) * 256));
      const leaves = log.bundleLeaves(bundle);
      expect(leaves).toEqual(tiles.get(log.tileAt(0, index, head.size) as string));
      frontier = log.extend(frontier, leaves);
    }
    expect(frontier).toMatchObject(head);
    const full = tiles.get("tile/0/000") as Uint8Array;
    expect(log.fullTileRoot(full)).toEqual(tiles.get("tile/1/000.p/1") ?? tiles.get("tile/1/000.p/3")?.subarray(0, 32));
  });

  it("hashes as RFC 6962 does", () => {
    const leaf = createHash("sha256").update("\0entry 0").digest();
    expect(log.leafHash(utf8("entry 0"))).toEqual(new Uint8Array(leaf));
    expect(Buffer.from(log.emptyFrontier().root).toString("hex")).toMatch(/^e3b0c44298fc1c14/);
  });

  it("is verified from a file, and no bit of the file can be another", async () => {
    const own = signer(ORIGIN);
    const witness = signer("witness.example", true);
    const text = log.checkpointText(ORIGIN, head);
    const checkpoint = log.note(text, [own.line(text), witness.line(text)]);
    const policy = utf8(`log ${own.vkey}\nwitness w ${witness.vkey}\nquorum w\n`);
    const index = 517;
    const leaf = log.leafHash(entries[index] as Uint8Array);
    const file = utf8(log.proofFile({ index, hashes: await log.inclusionProof(index, head.size, read), checkpoint }));
    expect(log.readProofFile(file)).toEqual({ index, checkpoint });

    const verdict = { origin: ORIGIN, ...head, witnesses: [{ name: "witness.example", time_seconds: 1_767_225_600 }] };
    expect(await log.verifyProof({ file, leaf, policy })).toEqual(verdict);
    expect(await log.verifyCheckpoint({ note: utf8(checkpoint), policy })).toEqual(verdict);
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      const flipped = file.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const said = await code(() => log.verifyProof({ file: flipped, leaf, policy }));
      expect(said, `bit ${bit}`).toMatch(/^log\.[a-z_]+$/);
    }
  }, 30_000);

  it("refuses a key that is no point, a cosignature without a time, a size that is no number", async () => {
    const policy = utf8(
      `log ${log.verifierKey({ name: ORIGIN, publicKey: new Uint8Array(32).fill(0xff) })}\nquorum none\n`,
    );
    const text = log.checkpointText(ORIGIN, head);
    const key: log.NoteKey = { name: ORIGIN, publicKey: new Uint8Array(32).fill(0xff) };
    const note = utf8(log.note(text, [log.signatureLine(key, new Uint8Array(64))]));
    expect(await code(() => log.verifyCheckpoint({ note, policy }))).toBe("log.signature_invalid");
    expect(await code(() => log.signatureLine({ ...key, cosigns: true }, new Uint8Array(64)))).toBe("internal");
    expect(await code(() => log.inclusionProof(0, 2 ** 60, read))).toBe("log.inclusion_invalid");
    expect(() => log.edgeTiles(1.5)).toThrow(RangeError);
  });
});
