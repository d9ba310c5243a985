import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAllowedUpstream } from "./upstream-url.ts";

describe("upstreams in production", () => {
  it.each([
    "http://example.com/mcp",
    "https://localhost/mcp",
    "https://a.localhost/mcp",
    "https://127.0.0.1/mcp",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://10.0.0.1/",
    "https://172.16.3.4/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://intranet/",
    "https://intranet./",
    "https://db./",
    "https://.db/",
    "https://db../",
    "https://192.88.99.1/",
    "https://198.51.100.7/",
    "https://203.0.113.9/",
    "https://db.internal/",
    "https://printer.local/",
    "https://user:pw@example.com/",
    "ftp://example.com/",
    "not a url",
  ])("refuses %s", (url) => {
    expect(isAllowedUpstream(url, "production")).toBe(false);
  });

  it("takes a public https address", () => {
    expect(isAllowedUpstream("https://mcp.example.com/mcp?x=1", "production")).toBe(true);
    expect(isAllowedUpstream("https://93.184.216.34/mcp", "production")).toBe(true);
  });

  it("takes loopback in development", () => {
    expect(isAllowedUpstream("http://127.0.0.1:3001/mcp", "development")).toBe(true);
    expect(isAllowedUpstream("file:///etc/passwd", "development")).toBe(false);
  });
});

/** RFC 6890 and its successors: what is no public unicast address. */
const SPECIAL: [string, number][] = (
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.88.99.0/24 192.168.0.0/16 " +
  "198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 " +
  "192.0.0.0/16"
) // two of its /24 are special; nobody serves MCP from the others
  .split(" ")
  .map((block) => block.split("/"))
  .map(([base, bits]) => [base!, Number(bits)]);
const numberOf = (dotted: string) => dotted.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const special = (address: number) =>
  SPECIAL.some(([base, bits]) => Math.floor(address / 2 ** (32 - bits)) === numberOf(base) / 2 ** (32 - bits));

describe("addresses in any spelling", () => {
  const edge = fc
    .constantFrom(...SPECIAL)
    .chain(([base, bits]) =>
      fc.constantFrom(-1, 0, 1, 2 ** (32 - bits) - 1, 2 ** (32 - bits)).map((by) => (numberOf(base) + by) >>> 0),
    );
  const address = fc.oneof(edge, fc.nat({ max: 0xffff_ffff }));
  const octets = (n: number) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
  const spelled = fc.constantFrom<(n: number) => string>(
    (n) => octets(n).join("."),
    (n) => `${octets(n).join(".")}.`,
    (n) => String(n),
    (n) => `0x${n.toString(16)}`,
    (n) => `0${n.toString(8)}`,
    (n) =>
      octets(n)
        .map((part) => `0x${part.toString(16)}`)
        .join("."),
    (n) =>
      octets(n)
        .map((part) => `0${part.toString(8)}`)
        .join("."),
    (n) => `${n >>> 24}.${n & 0xff_ffff}`,
    (n) => `${octets(n).join("%2e")}`,
    (n) => octets(n).join("\u3002"),
  );

  it("are refused exactly when they are special, and IPv6 always", () => {
    fc.assert(
      fc.property(address, spelled, (n, spell) => {
        expect(isAllowedUpstream(`https://${spell(n)}/mcp`, "production"), spell(n)).toBe(!special(n));
        expect(isAllowedUpstream(`https://[::ffff:${octets(n).join(".")}]/`, "production")).toBe(false);
      }),
      { numRuns: 5_000 },
    );
  });

  it("and any other text never throw, and what is taken is https with a dotted host and no user", () => {
    const part = fc.constantFrom(
      "https://",
      "http://",
      "a",
      ".",
      "@",
      ":",
      "/",
      "localhost",
      "local",
      "[",
      "]",
      "#",
      "?",
      "%",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.webUrl(),
          fc.string(),
          fc.array(part, { maxLength: 9 }).map((p) => p.join("")),
        ),
        (text) => {
          if (!isAllowedUpstream(text, "production")) return;
          const url = new URL(text);
          expect([url.protocol, url.username, url.password, url.hash]).toEqual(["https:", "", "", ""]);
          expect(url.hostname).toMatch(/^[^.]+(\.[^.]+)+\.?$/);
          expect(url.hostname).not.toMatch(/(^|\.)(localhost|local|internal)\.?$/);
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
