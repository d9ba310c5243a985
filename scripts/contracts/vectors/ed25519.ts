/**
 * Signatures on which verifiers disagree, each with what the profile says. Made with the curve arithmetic of @noble/ed25519, by
 * the classes of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020), beside the twelve cases that its authors
 * published (github.com/novifinancial/ed25519-speccheck, Apache-2.0). Source: contracts/spec/identity.md#the-ed25519-profile.
 */
import { createHash } from "node:crypto";
import { Point } from "@noble/ed25519";
import { ed25519, hex, keyOf, type VectorFile } from "./lib.ts";

const { n: L, p: P } = Point.CURVE();
const ORDER_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";

const bytes = (text: string) => Buffer.from(text, "hex");
const sha512 = (...parts: Uint8Array[]) => createHash("sha512").update(Buffer.concat(parts)).digest();
const number = (little: Uint8Array) => BigInt(`0x${hex(Buffer.from(little).reverse())}`);
const little = (value: bigint) => bytes(value.toString(16).padStart(64, "0")).reverse();
const times = (point: Point, scalar: bigint) => (scalar % L === 0n ? Point.ZERO : point.multiply(scalar % L, false));
const plain = (point: Point) => Buffer.from(point.toBytes());

/** The point of an encoding, read as laxly as anyone does: y is reduced, and zero may be negative. */
function lax(encoding: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(encoding, true);
  } catch {
    return undefined;
  }
}

/** What a verifier without byte checks finds: k is over the bytes given. */
function equation(key: Uint8Array, message: Uint8Array, signature: Uint8Array) {
  const [a, r, s] = [lax(key), lax(signature.subarray(0, 32)), number(signature.subarray(32))];
  if (a === undefined || r === undefined) return "no point";
  const k = number(sha512(signature.subarray(0, 32), key, message)) % L;
  // k is reduced by L, as everywhere; times a point with a part of small order that is not the same as k itself.
  const difference = times(Point.BASE, s)
    .subtract(r)
    .subtract(a.multiply(k === 0n ? L : k, false));
  if (difference.is0()) return "holds";
  return difference.clearCofactor().is0() ? "cofactored only" : "fails";
}

type Case = VectorFile["cases"][number];

function one(name: string, key: Uint8Array, message: Uint8Array, signature: Uint8Array, valid = false): Case {
  const [key_hex, message_hex, signature_hex] = [key, message, signature].map(hex);
  const whole = key.length === 32 && signature.length === 64;
  const found = whole ? equation(key, message, signature) : "no point";
  if (valid && found !== "holds") throw new Error(`${name}: ${found}`);
  return { name, key_hex, message_hex, signature_hex, equation: found, valid };
}

/** The first message of one byte for which the signature that `make` gives is what is looked for. */
function search(
  name: string,
  wanted: "holds" | "cofactored only",
  key: Uint8Array,
  make: (message: Buffer) => Buffer,
  valid = false,
): [Case] {
  for (let byte = 0; byte < 256; byte += 1) {
    const message = Buffer.from([byte]);
    const signature = make(message);
    if (equation(key, message, signature) === wanted) return [one(name, key, message, signature, valid)];
  }
  throw new Error(`${name}: no message of one byte`);
}

/** The secret scalar of a seed, and a signature under it for a key that the caller says. */
function secret(seed: Uint8Array): bigint {
  const hash = sha512(seed).subarray(0, 32);
  hash[0]! &= 248;
  hash[31] = (hash[31]! & 63) | 64;
  return number(hash) % L;
}

function signedAs(scalar: bigint, key: Uint8Array, nonce: bigint, r: Uint8Array, message: Uint8Array): Buffer {
  const k = number(sha512(r, key, message)) % L;
  return Buffer.concat([r, little((nonce + k * scalar) % L)]);
}

/** Every encoding that lax readers take for a point of small order: 8 points, and 6 spellings that should not be. */
function smallOrder(): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  let point = Point.fromHex(ORDER_8);
  for (let multiple = 1; multiple <= 8; multiple += 1, point = point.add(Point.fromHex(ORDER_8))) {
    found.set(`${multiple} times a point of order 8`, plain(point));
  }
  for (const y of [P - 1n, P, P + 1n, 0n, 1n]) {
    for (const sign of [0, 0x80]) {
      const encoding = Buffer.from(little(y));
      encoding[31]! |= sign;
      if ([...found.values()].some((known) => known.equals(encoding))) continue;
      const name = y === P - 1n ? "p - 1" : y >= P ? `p + ${y - P}` : `${y}`;
      found.set(`y = ${name}, ${sign ? "negative" : "positive"}`, encoding);
    }
  }
  return found;
}

function byClass(): Case[] {
  const agent = keyOf("agent");
  const [seed, key] = [Buffer.from(agent.seed, "base64url"), Buffer.from(agent.x, "base64url")];
  const scalar = secret(seed);
  const message = Buffer.from("message");
  const good = ed25519(agent, message);
  const [r, s] = [good.subarray(0, 32), good.subarray(32)];
  const flipped = (of: Buffer, at: number) => {
    const copy = Buffer.from(of);
    copy[at]! ^= 1;
    return copy;
  };
  const zero = Buffer.alloc(32);
  const cases: Case[] = [
    one("signed", key, message, good, true),
    one("signed, the empty message", key, Buffer.alloc(0), ed25519(agent, Buffer.alloc(0)), true),
    one("another message", key, Buffer.from("messagf"), good),
    one("another key", Buffer.from(keyOf("stranger").x, "base64url"), message, good),
    one("a bit of R", key, message, flipped(good, 3)),
    one("a bit of S", key, message, flipped(good, 40)),
    one("a signature of 63 bytes", key, message, good.subarray(0, 63)),
    one("a signature of 65 bytes", key, message, Buffer.concat([good, Buffer.from([0])])),
    one("no signature", key, message, Buffer.alloc(0)),
    one("a key of 31 bytes", key.subarray(0, 31), message, good),
    one("a key of 33 bytes", Buffer.concat([key, Buffer.from([0])]), message, good),
    one("S = L", key, message, Buffer.concat([r, little(L)])),
    one("S = L - 1", key, message, Buffer.concat([r, little(L - 1n)])),
    one("all zero", zero, message, Buffer.alloc(64)),
  ];
  for (let more = 1n; more <= 14n; more += 1n) {
    const grown = number(s) + more * L;
    if (grown < 1n << 256n) cases.push(one(`S + ${more} L`, key, message, Buffer.concat([r, little(grown)])));
  }
  const identity = plain(Point.ZERO);
  for (const [name, encoding] of smallOrder()) {
    cases.push(...search(`A is ${name}, S = 0`, "holds", encoding, () => Buffer.concat([identity, zero])));
    const signature = (text: Buffer) => signedAs(scalar, key, 0n, encoding, text);
    const wanted = lax(encoding)?.is0() ? "holds" : "cofactored only";
    cases.push(...search(`R is ${name}`, wanted, key, signature));
  }
  const free = little(42n);
  cases.push(
    one("anything under the identity", identity, message, Buffer.concat([plain(times(Point.BASE, 42n)), free])),
  );
  let torsion = Point.fromHex(ORDER_8);
  for (let multiple = 1; multiple < 8; multiple += 1, torsion = torsion.add(Point.fromHex(ORDER_8))) {
    const mixed = plain(times(Point.BASE, scalar).add(torsion));
    const nonce = 1_000n + BigInt(multiple);
    const clean = plain(times(Point.BASE, nonce));
    const tainted = plain(times(Point.BASE, nonce).add(torsion));
    const by = (name: string, wanted: "holds" | "cofactored only", a: Buffer, own: Buffer) => {
      const make = (text: Buffer) => signedAs(scalar, a, nonce, own, text);
      cases.push(...search(`${name} (${multiple})`, wanted, a, make, wanted === "holds"));
    };
    by("A with a part of small order that cancels", "holds", mixed, clean);
    by("A with a part of small order that stays", "cofactored only", mixed, clean);
    by("R with a part of small order that stays", "cofactored only", key, tainted);
    by("A and R with parts of small order that cancel", "holds", mixed, tainted);
    by("A and R with parts of small order that stay", "cofactored only", mixed, tainted);
  }
  for (let low = 0xed; low <= 0xff; low += 3) {
    for (const sign of [0x7f, 0xff]) {
      const encoding = Buffer.alloc(32, 0xff);
      encoding[0] = low;
      encoding[31] = sign;
      const name = `y = p + ${low - 0xed}, ${sign === 0xff ? "negative" : "positive"}`;
      cases.push(one(`A, ${name}`, encoding, message, good));
      cases.push(one(`R, ${name}`, key, message, Buffer.concat([encoding, s])));
    }
  }
  const off = little(2n);
  cases.push(one("A is no point", off, message, good), one("R is no point", key, message, Buffer.concat([off, s])));
  return cases;
}

/** Message, key, signature; only the fourth is one that its maker alone could make and that every verifier may take. */
const PUBLISHED: [string, string, string][] = [
  [
    "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
  ],
  [
    "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  ],
  [
    "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
    "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
  ],
  [
    "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
  ],
  [
    "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
  ],
  [
    "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
  ],
  [
    "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
    "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
    "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
  ],
  [
    "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
    "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
    "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
  ],
  [
    "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
    "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
  ],
  [
    "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
    "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
  ],
  [
    "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  ],
  [
    "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  ],
];

export function signatures(): VectorFile {
  const published = PUBLISHED.map(([message, key, signature], index) =>
    one(`published case ${index}`, bytes(key), bytes(message), bytes(signature), index === 3),
  );
  return {
    spec: "contracts/spec/identity.md#The Ed25519 profile",
    description:
      "Signatures on which verifiers disagree. `equation` is what is found without the byte checks; `valid` is what the profile says, which is the same in native code, in wasm and where WebCrypto verifies.",
    published: "github.com/novifinancial/ed25519-speccheck, Apache-2.0",
    cases: [...published, ...byClass()],
  };
}
