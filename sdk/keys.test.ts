import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadKey, saveKey } from "./key-file.ts";
import { Key } from "./keys.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "talos-keys-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("a key", () => {
  it("has the names of RFC 8037 appendix A", () => {
    const key = Key.fromJwk({
      kty: "OKP",
      crv: "Ed25519",
      d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
      x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    expect(key.jkt).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    expect(key.did).toMatch(/^did:key:z6Mk/);
  });

  it("shows its secret to no printer", () => {
    const key = Key.generate();
    const { d } = key.secretJwk();
    const printed = [
      inspect(key, { depth: 9, showHidden: true }),
      JSON.stringify(key),
      String(key),
      JSON.stringify({ key }),
    ];
    for (const text of printed) {
      expect(text).not.toContain(d);
      expect(text).not.toContain(Buffer.from(key.seed()).toString("hex"));
    }
  });

  it("is refused when its halves disagree, or it is no Ed25519 pair", () => {
    const key = Key.generate().secretJwk();
    for (const wrong of [
      { ...key, x: Key.generate().jwk.x },
      { ...key, crv: "X25519" },
      { ...key, d: undefined },
      { ...key, d: `${key.d}A` },
      null,
      [],
    ]) {
      expect(() => Key.fromJwk(wrong)).toThrow(expect.objectContaining({ code: "client.key_file" }));
    }
  });
});

describe("a key file", () => {
  it("is readable by its owner alone, and comes back as it was", () => {
    const key = Key.generate();
    const path = join(dir, "new", "agent.json");
    saveKey(path, key);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadKey(path).did).toBe(key.did);
  });

  it("is not overwritten", () => {
    const path = join(dir, "agent.json");
    saveKey(path, Key.generate());
    expect(() => saveKey(path, Key.generate())).toThrow(expect.objectContaining({ code: "client.key_file" }));
  });

  it("is refused when others can read it", () => {
    const path = join(dir, "agent.json");
    saveKey(path, Key.generate());
    for (const mode of [0o640, 0o604, 0o660, 0o644]) {
      chmodSync(path, mode);
      expect(() => loadKey(path)).toThrow(/chmod 600/);
    }
  });

  it("is never quoted in an error", () => {
    const path = join(dir, "agent.json");
    writeFileSync(path, "{secret-canary", { mode: 0o600 });
    expect(() => loadKey(path)).toThrow(expect.objectContaining({ message: expect.not.stringContaining("canary") }));
  });
});
