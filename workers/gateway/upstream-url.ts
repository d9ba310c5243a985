/**
 * Which upstreams a policy may name. Whoever publishes a policy chooses URLs that the Worker then calls, so in
 * production they are public https addresses: no loopback, no private or link-local address, no bare names
 * (server-side request forgery). Names that resolve to private addresses are refused by the platform's own fetch.
 */
import { type PolicySnapshot, TalosError } from "@talos/contracts";
import { addressBytes, isPublicAddress, isPublicName } from "../shared/addresses.ts";

/**
 * Whether a URL may be called. The WHATWG parser has normalised decimal, octal and short forms of IPv4 already.
 * Literal IPv6 is refused in production altogether: mapped and translated forms hide IPv4.
 */
export function isAllowedUpstream(text: string, mode: "development" | "production"): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "" || url.hash !== "") return false;
  if (mode === "development") return url.protocol === "https:" || url.protocol === "http:";
  const host = url.hostname;
  if (url.protocol !== "https:") return false;
  return addressBytes(host) === undefined ? isPublicName(host) : isPublicAddress(host);
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
