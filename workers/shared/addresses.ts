/**
 * Which addresses are public, by the IANA special-purpose registries (RFC 6890 and its updates). Whoever chooses a URL
 * that the Worker calls could otherwise reach what only the Worker's network can. IPv6 is an allow-list: global unicast
 * (2000::/3) without the blocks in it that are special, so that forms which hide an IPv4 address (mapped, compatible,
 * NAT64, 6to4, Teredo) are out without being known one by one. Pure.
 * Source: contracts/spec/webhooks.md#receivers.
 */

/** `[first address, prefix length]` of IPv4 blocks that are not public. */
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // shared address space of carriers (CGNAT)
  ["127.0.0.0", 8], // loopback
  ["169.254.0.0", 16], // link-local, cloud metadata
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 16], // protocol assignments, documentation; nothing of the rest is a service
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, broadcast
];

/** Blocks inside 2000::/3 that are not public. */
const SPECIAL_V6: readonly (readonly [string, number])[] = [
  ["2001::", 23], // protocol assignments: Teredo, benchmarks, ORCHID
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4: holds an IPv4 address
  ["3fff::", 20], // documentation
];

const DOTTED = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** The 4 or 16 bytes of an address in its usual text form; nothing when it is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (DOTTED.test(text)) return Uint8Array.from(text.split("."), Number);
  // The URL parser knows every way to write an IPv6 address, and gives back one.
  const host =
    /^[0-9a-fA-F:.]{2,45}$/.test(text) && text.includes(":") ? URL.parse(`http://[${text}]/`)?.hostname : undefined;
  if (host === undefined) return undefined;
  const [left = "", right] = host.slice(1, -1).split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [head, tail] = [groups(left), groups(right ?? "")];
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]));
}

function within(bytes: Uint8Array, block: Uint8Array, prefix: number): boolean {
  for (let bit = 0; bit < prefix; bit += 8) {
    const mask = prefix - bit >= 8 ? 255 : (255 << (8 - (prefix - bit))) & 255;
    if (((bytes[bit / 8]! ^ block[bit / 8]!) & mask) !== 0) return false;
  }
  return true;
}

const blocks = (list: typeof SPECIAL_V4) => list.map(([text, prefix]) => [addressBytes(text)!, prefix] as const);
const [SPECIAL_4, SPECIAL_6, GLOBAL_6] = [blocks(SPECIAL_V4), blocks(SPECIAL_V6), blocks([["2000::", 3]])];

/** Whether an address is public unicast; false for what is no address. */
export function isPublicAddress(text: string): boolean {
  const bytes = addressBytes(text);
  if (bytes === undefined) return false;
  const inAny = (list: typeof SPECIAL_4): boolean => list.some(([block, prefix]) => within(bytes, block, prefix));
  return bytes.length === 4 ? !inAny(SPECIAL_4) : inAny(GLOBAL_6) && !inAny(SPECIAL_6);
}

/** Names that mean this machine or this network, whoever answers for them. */
const LOCAL_NAME = /(^|\.)(localhost|local|internal|intranet|home\.arpa|lan|corp|home|private|test|invalid|onion)$/;

/** At least two labels, none of them empty: `.intranet` and `db..` are bare names too. */
const LABELS = /^[^.]+(\.[^.]+)+$/;

/** Whether a host name (ASCII, as the URL parser gives it) can be one of the public DNS. */
export function isPublicName(host: string): boolean {
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  return LABELS.test(name) && !LOCAL_NAME.test(name) && addressBytes(name) === undefined && !name.startsWith("[");
}
