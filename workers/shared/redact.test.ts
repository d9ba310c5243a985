import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { logger } from "./log.ts";
import { redactor } from "./redact.ts";

const CANARY = "canary-7f3a9c-do-not-leak";
const JWS = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJkaWQ6a2V5In0.c2lnbmF0dXJlLWJ5dGVzLWhlcmU";

describe("redactor", () => {
  const redact = redactor([CANARY]);

  it("takes time in proportion to a caller's text, also to one long run that begins like a token or a URL", () => {
    const started = performance.now();
    redact({ origin: "a".repeat(30_000) });
    expect(performance.now() - started).toBeLessThan(500); // quadratic patterns took seconds
    expect(redact("1postgres://u:hunter22@h/d")).toBe("1postgres://[redacted]@h/d");
  });

  it("cuts a registered secret out of any value, however deep, and out of member names", () => {
    fc.assert(
      fc.property(
        fc.object({
          maxDepth: 4,
          values: [fc.string().map((s) => `${s}${CANARY}${s}`), fc.integer()],
          key: fc.string().map((k) => `${k}${CANARY}`),
        }),
        (value) => {
          expect(JSON.stringify(redact(value)) ?? "").not.toContain(CANARY);
        },
      ),
    );
  });

  it.each([
    "authorization",
    "Talos-Capability",
    "talos-ticket",
    "cookie",
    "args",
    "arguments",
    "body",
    "seed",
    "mac_key",
    "chain",
    "statement",
    "client_secret",
    "api_token",
    "params",
    "result",
  ])("never shows a member called %s", (name) => {
    expect(JSON.stringify(redact({ deep: { [name]: "short" } }))).not.toContain("short");
  });

  it.each([
    ["a compact JWS", `failed for ${JWS} at step 3`, JWS],
    ["a chain", `${JWS}~${JWS}`, "eyJpc3MiOiJkaWQ6a2V5In0"],
    ["a password in a URL", "connect postgres://user:hunter2secret@db/talos", "hunter2secret"],
    ["a bearer token", "Authorization: Bearer abc123def", "abc123def"],
    ["a long token", `x ${"A1b2".repeat(40)} y`, "A1b2A1b2"],
  ])("cuts %s out of running text though nobody registered it", (_name, text, secret) => {
    expect(JSON.stringify(redact({ message: text }))).not.toContain(secret);
    expect(JSON.stringify(redact(new Error(text)))).not.toContain(secret);
    expect(JSON.stringify(redact(new Error("outer", { cause: new Error(text) })))).not.toContain(secret);
  });

  it("keeps ids, hashes and thumbprints readable", () => {
    const kept = {
      request_id: "0193b2a0-7b1c-7000-8000-000000000001",
      jkt: "A".repeat(43),
      event_hash: "0".repeat(64),
    };
    expect(redact(kept)).toEqual(kept);
  });

  it("shows an error by name, message and frames, without its own members", () => {
    const error = Object.assign(new TypeError("went wrong"), {
      request: { headers: { cookie: "c" } },
      detail: "free text",
    });
    const shown = redact({ error }) as { error: Record<string, unknown> };
    expect(Object.keys(shown.error).sort()).toEqual(["frames", "message", "name"]);
  });

  it("bounds depth, width and length, and survives cycles", () => {
    const cycle: Record<string, unknown> = { text: "y ".repeat(10_000) };
    cycle["self"] = cycle;
    const text = JSON.stringify(
      redact({ cycle, many: Array.from({ length: 1_000 }, (_, i) => i), bytes: new Uint8Array(8) }),
    );
    expect(text.length).toBeLessThan(20_000);
  });
});

describe("redactor, on anything", () => {
  const redact = redactor([CANARY]);
  const word = fc.string({ unit: fc.constantFrom(..."abcXYZ019-_"), minLength: 8, maxLength: 60 });
  const jws = fc.tuple(word, word, word).map((parts) => parts.join("."));
  const url = fc.tuple(fc.constantFrom("postgres", "https", "a+b"), word).map(([scheme, pass]) => ({ scheme, pass }));
  const around = fc.string({ unit: fc.constantFrom(..." ,;:'\"(){}[]\n\té"), maxLength: 6 });

  it("shows no token, chain, bearer or password, wherever it stands, and always ends", () => {
    fc.assert(
      fc.property(
        jws,
        url,
        word,
        around,
        around,
        fc.anything({ maxDepth: 3 }),
        (token, { scheme, pass }, name, a, b, any) => {
          const texts = [
            `${a}${token}${b}`,
            `${a}${token}~${token}${b}`,
            `${a} Bearer ${token}${b}`,
            `${a}${scheme}://user:${pass}secret@host/${b}`,
          ];
          const shown = JSON.stringify(
            redact({ texts, nested: [{ [name]: texts }], any, error: new Error(texts.join(a)) }),
          );
          expect(shown).not.toContain(token);
          expect(shown).not.toContain(`${pass}secret`);
          expect(JSON.stringify(redact(JSON.parse(shown)))).not.toContain(token);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("is bounded, whatever it is given", () => {
    fc.assert(
      fc.property(
        fc.anything({ maxDepth: 8, withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
        (value) => {
          const text = JSON.stringify(redact(value)) ?? "";
          expect(text.length).toBeLessThan(1_000_000);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe("logger", () => {
  it("writes one JSON line through the redactor, with its base fields", () => {
    const line = vi.spyOn(console, "log").mockImplementation(() => undefined);
    logger(redactor([CANARY]), { request_id: "r1" })("info", "test.event", { note: `has ${CANARY}` });
    const text = line.mock.calls[0]?.[0] as string;
    line.mockRestore();
    expect(JSON.parse(text)).toMatchObject({ level: "info", event: "test.event", request_id: "r1" });
    expect(text).not.toContain(CANARY);
  });
});
