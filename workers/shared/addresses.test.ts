import { describe, expect, it } from "vitest";
import { addressBytes, isPublicAddress, isPublicName } from "./addresses.ts";

/** The first and the last address of every block that is not public, and its neighbours that are. */
const SPECIAL: Record<string, string[]> = {
  "this network": ["0.0.0.0", "0.255.255.255"],
  "private, 10": ["10.0.0.0", "10.255.255.255"],
  CGNAT: ["100.64.0.0", "100.127.255.255"],
  loopback: ["127.0.0.0", "127.0.0.1", "127.255.255.255"],
  "link-local, metadata": ["169.254.0.0", "169.254.169.254", "169.254.255.255"],
  "private, 172.16": ["172.16.0.0", "172.31.255.255"],
  "protocol assignments": ["192.0.0.0", "192.0.0.170", "192.0.2.1", "192.0.255.255"],
  "6to4 relays": ["192.88.99.0", "192.88.99.255"],
  "private, 192.168": ["192.168.0.0", "192.168.255.255"],
  benchmarks: ["198.18.0.0", "198.19.255.255"],
  documentation: ["198.51.100.7", "203.0.113.7"],
  multicast: ["224.0.0.0", "239.255.255.255"],
  "reserved, broadcast": ["240.0.0.0", "255.255.255.255"],
  "IPv6 unspecified, loopback": ["::", "::1"],
  "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:0", "0:0:0:0:0:ffff:a00:1"],
  "IPv4-compatible": ["::127.0.0.1", "::8.8.8.8"],
  "IPv4-translated": ["::ffff:0:127.0.0.1"],
  NAT64: ["64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1"],
  discard: ["100::1"],
  Teredo: ["2001::1", "2001:0:53aa:64c::1"],
  "protocol assignments, IPv6": ["2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1"],
  "documentation, IPv6": ["2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::1", "3fff:fff:ffff::1"],
  "6to4": ["2002:7f00:1::", "2002:808:808::1"],
  "segment routing": ["5f00::1"],
  "unique local": ["fc00::1", "fdff:ffff::1"],
  "link-local, site-local": ["fe80::1", "febf::1", "fec0::1"],
  "multicast, IPv6": ["ff02::1", "ff0e::1"],
};

describe("addresses that are not public", () => {
  for (const [what, addresses] of Object.entries(SPECIAL)) {
    it.each(addresses)(`${what}: %s`, (address) => {
      expect(isPublicAddress(address)).toBe(false);
    });
  }
  it.each([
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "0x7f.1",
    "2130706433",
    "g::1",
    "1::2::3",
    "fe80::1%eth0",
    "example.com",
    "[::1]",
  ])("what is no address: %j", (text) => {
    expect(addressBytes(text)).toBeUndefined();
    expect(isPublicAddress(text)).toBe(false);
  });
});

it.each([
  ...["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"],
  ...["169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.1.0.0", "192.167.255.255", "192.169.0.0"],
  ...[
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001:800::200e",
    "2001:4860::8888",
  ],
])("%s is public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

it("names of this machine or this network are no public names, whatever their case and dots", () => {
  for (const name of [
    "localhost",
    "a.localhost",
    "db.internal",
    "printer.local",
    "x.home.arpa",
    "intranet",
    "intranet.",
    ".intranet",
    "db..",
    "a.b.test.",
  ])
    expect(isPublicName(name), name).toBe(false);
  expect(isPublicName("siem.example.com")).toBe(true);
  expect(isPublicName("localhost.example.com")).toBe(true);
});
