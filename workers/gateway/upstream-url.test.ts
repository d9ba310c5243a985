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
