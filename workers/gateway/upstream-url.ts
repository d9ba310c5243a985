/**
 * Which upstreams a policy may name. Whoever publishes a policy chooses URLs that the Worker then calls, so in
 * production they are public https addresses: no loopback, no private or link-local address, no bare names
 * (server-side request forgery). Names that resolve to private addresses are refused by the platform's own fetch.
 */
import { type PolicySnapshot, TalosError } from "@talos/contracts";

const LOCAL_NAME = /(^|\.)(localhost|local|internal|intranet|home\.arpa|lan)\.?$/;

/** At least two labels, none of them empty: `.intranet` and `db..` are bare names too. */
const DOTTED = /^[^.]+(\.[^.]+)+$/;

/** Whether a dotted IPv4 address is outside the public unicast space (RFC 6890). */
function isSpecialV4(host: string): boolean {
  const [a = 0, b = 0, c = 0] = host.split(".").map(Number);
  return (
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && (b === 168 || b === 0 || (b === 88 && c === 99))) ||
    (a === 198 && (b === 18 || b === 19 || (b === 51 && c === 100))) ||
    (a === 203 && b === 0 && c === 113)
  );
}

/**
 * Whether a URL may be called. The WHATWG parser has normalised decimal, octal and short forms of IPv4 already.
 * Literal IPv6 is refused in production altogether: mapped and translated forms hide IPv4.
 */
export function isAllowedUpstream(text: string, mode: "development" | "production"): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "" || url.hash !== "") return false;
  if (mode === "development") return url.protocol === "https:" || url.protocol === "http:";
  const host = url.hostname.replace(/\.$/, ""); // the root's own dot makes no bare name a public one
  if (url.protocol !== "https:" || host.startsWith("[") || LOCAL_NAME.test(host) || !DOTTED.test(host)) return false;
  return !(/^\d+(\.\d+){3}$/.test(host) && isSpecialV4(host));
}

/**
 * What production refuses of a policy that is well formed otherwise.
 * @throws `policy.invalid`
 */
export function checkForMode(snapshot: PolicySnapshot, mode: "development" | "production"): void {
  const bad = snapshot.servers.find((server) => !isAllowedUpstream(server.url, mode));
  if (bad !== undefined) throw new TalosError("policy.invalid", { why: "upstream not allowed", server: bad.name });
  if (mode === "production" && snapshot.unregistered !== "deny") {
    throw new TalosError("policy.invalid", { why: "unregistered tools are denied in production" });
  }
}
