import { createHash, generateKeyPairSync } from "node:crypto";
import { policyKeys, verifierKey } from "@talos/core/log";
import { describe, expect, it } from "vitest";
import { metaPolicy, witnessPolicy } from "./witness-policy.ts";

function key(name: string, cosigns = true): string {
  const { publicKey } = generateKeyPairSync("ed25519");
  const raw = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
  return verifierKey({ name, publicKey: raw, cosigns });
}

describe("the witnesses' policy", () => {
  it("gives names, keys and addresses, whatever base64 the key has, and is a whole policy behind the log's keys", () => {
    for (let i = 0; i < 200; i += 1) {
      const [one, two] = [key("w1.example"), key("w2.example")];
      const text = `witness a ${one} https://w1.example/prefix\nwitness b ${two} http://127.0.0.1:1\ngroup g 2 a b\nquorum g\n`;
      const policy = witnessPolicy(text);
      expect(policy.witnesses).toEqual([
        { key: one, name: "w1.example", url: "https://w1.example/prefix" },
        { key: two, name: "w2.example", url: "http://127.0.0.1:1" },
      ]);
      const own = key("talos.example/meta", false);
      expect(policyKeys(new TextEncoder().encode(metaPolicy([own], policy))).logs).toEqual([own]);
    }
  });

  it("is nobody when it is not there", () => {
    for (const text of [undefined, ""]) expect(witnessPolicy(text)).toEqual({ witnesses: [], text: "quorum none\n" });
  });

  it.each([
    ["no policy", () => "witness"],
    ["no quorum", () => `witness a ${key("a")} https://a.example\n`],
    ["a last line without its end", () => "quorum none"],
    ["a log", () => `log ${key("l", false)}\nquorum none\n`],
    ["a witness without an address", () => `witness a ${key("a")}\nquorum a\n`],
    ["an address that is none", () => `witness a ${key("a")} w1.example\nquorum a\n`],
    ["an address of another scheme", () => `witness a ${key("a")} ftp://a.example\nquorum a\n`],
    ["an address with a query", () => `witness a ${key("a")} https://a.example/?a\nquorum a\n`],
    ["a log's key as a witness'", () => `witness a ${key("a", false)} https://a.example\nquorum a\n`],
    ["a key of a type that is not asked", () => `witness a ${postQuantum("a")} https://a.example\nquorum a\n`],
  ])("is refused by name with %s", (_, text) => {
    expect(() => witnessPolicy(text())).toThrow(expect.objectContaining({ code: "config.incomplete" }));
  });
});

/** Type 0x06: read by policies, and never asked. */
function postQuantum(name: string): string {
  const bytes = Buffer.concat([Buffer.from([6]), Buffer.alloc(1312, 7)]);
  const id = createHash("sha256").update(`${name}\n`).update(bytes).digest().subarray(0, 4).toString("hex");
  return `${name}+${id}+${bytes.toString("base64")}`;
}
