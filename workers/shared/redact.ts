/**
 * What may stand in a log line. Two nets, because either alone has holes: values that this deployment knows to be
 * secret are cut out wherever they turn up, and whatever looks like a credential (compact JWS, chains, long tokens,
 * passwords in URLs) is cut out though nobody registered it. Names that carry payload or credentials never pass.
 */

const CUT = "[redacted]";
const DEPTH = 6;
const ITEMS = 64;
const TEXT = 2_048;

/** Members whose value is payload or a credential, whatever it looks like. */
const NEVER =
  /^(authorization|proxy-authorization|cookie|set-cookie|talos-capability|talos-ticket|signature|signature-input|mcp-session-id|idempotency-key|last-event-id|body|args|arguments|result|params|content|chain|capability|ticket|statement|share|seed|secret|password|mac|mac_key|key|keys|keysets|credential|credentials|token|value|values|headers|database_url|.*_secret|.*_token|.*_password)$/i;

// Each pattern starts only where a run of its characters starts: without that, a caller's header of 30 kB costs seconds.
const JWS = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:~[A-Za-z0-9_.~-]*)?/g;
const URL_PASSWORD = /((?<![a-z0-9+.-])[a-z0-9+.-]+:\/\/)[^/\s:@]*:[^/\s@]*@/gi;
const BEARER = /\b(bearer|basic|dpop)\s+[^\s,;]+/gi;
/** Longer than any hash that we print (43 base64url, 64 hex) or id; shorter ones are caught when registered. */
const LONG_TOKEN = /[A-Za-z0-9+/_-]{65,}={0,2}/g;

/** A function that returns a copy of a value that may be logged. */
export type Redact = (value: unknown) => unknown;

/**
 * A redactor that knows the secrets of this deployment.
 * @param secrets texts that must never appear; those shorter than 6 characters are ignored, they would cut words
 */
export function redactor(secrets: readonly string[]): Redact {
  const known = [...new Set(secrets)].filter((text) => text.length >= 6).sort((a, b) => b.length - a.length);
  const clean = (text: string): string => {
    let out = text;
    for (const secret of known) out = out.replaceAll(secret, CUT);
    out = out
      .replace(URL_PASSWORD, `$1${CUT}@`)
      .replace(BEARER, `$1 ${CUT}`)
      .replace(JWS, CUT)
      .replace(LONG_TOKEN, CUT);
    return out.length > TEXT ? `${out.slice(0, TEXT)}…` : out;
  };
  const walk = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return clean(value);
    if (typeof value === "bigint") return value.toString();
    if (value === null || typeof value === "number" || typeof value === "boolean" || value === undefined) return value;
    if (depth >= DEPTH || typeof value !== "object" || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
      return CUT;
    if (Array.isArray(value)) return value.slice(0, ITEMS).map((item) => walk(item, depth + 1));
    if (value instanceof Error) return describeError(value, clean, depth);
    const out: Record<string, unknown> = {};
    for (const [name, member] of Object.entries(value).slice(0, ITEMS)) {
      out[clean(name)] = NEVER.test(name) && member !== undefined ? CUT : walk(member, depth + 1);
    }
    return out;
  };
  return (value) => walk(value, 0);
}

/** Name, cleaned message and the frames of an error; its own members (which may hold anything) are left out. */
function describeError(error: Error, clean: (text: string) => string, depth: number): unknown {
  const frames = (error.stack ?? "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 8)
    .map((line) => clean(line.trim()));
  const cause = error.cause instanceof Error && depth < 3 ? describeError(error.cause, clean, depth + 1) : undefined;
  return { name: error.name, message: clean(error.message), frames, ...(cause === undefined ? {} : { cause }) };
}
