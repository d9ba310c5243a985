/**
 * Which URLs a receiver of webhooks may have, as far as the text tells; what a name resolves to is the guarded fetch's
 * to ask. The WHATWG parser has normalised every spelling of an IPv4 address, trailing dots and international names
 * before anything is judged. Pure. Source: contracts/spec/webhooks.md#receivers.
 */
import { LIMITS } from "@talos/contracts";
import { addressBytes, isPublicName } from "./addresses.ts";

export interface ReceiverRules {
  /** our own origin: a delivery to ourselves would be recorded, and delivered again */
  own: string;
  /** development only: receivers on loopback, over http, on any port */
  loopback: boolean;
}

export type Judged = { ok: true; url: URL; resolve: boolean } | { ok: false; why: string };

const PORTS = new Set(["", "8443"]); // the parser drops 443
const no = (why: string): Judged => ({ ok: false, why });

/** Loopback by address or by the one name that means it (RFC 6761 §6.3). */
function isLoopback(host: string): boolean {
  const bytes = addressBytes(host.replace(/^\[|\]$/g, ""));
  if (bytes === undefined) return host === "localhost";
  return bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

/** @returns the URL, and whether its name has to be resolved; or the rule that it breaks */
export function judgeReceiver(text: string, rules: ReceiverRules): Judged {
  const url = text.length <= LIMITS.url_bytes ? URL.parse(text) : null;
  if (url === null) return no("not a URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") return no("scheme");
  if (url.username !== "" || url.password !== "") return no("userinfo");
  if (url.hash !== "" || text.includes("#")) return no("fragment");
  if (isOwn(url, rules.own)) return no("our own zone");
  if (rules.loopback && isLoopback(url.hostname)) return { ok: true, url, resolve: false };
  if (url.protocol !== "https:") return no("scheme");
  if (!PORTS.has(url.port)) return no("port");
  // An address has no name that a certificate could speak for, and hides behind more spellings than a name.
  if (!isPublicName(url.hostname)) return no("host");
  return { ok: true, url, resolve: true };
}

function isOwn(url: URL, origin: string): boolean {
  const own = URL.parse(origin);
  if (own === null) return true;
  if (url.host === own.host) return true;
  if (addressBytes(own.hostname.replace(/^\[|\]$/g, "")) !== undefined) return false; // another port is another server
  const [host, zone] = [url.hostname.replace(/\.$/, ""), own.hostname.replace(/\.$/, "")];
  return host === zone || host.endsWith(`.${zone}`);
}
