/**
 * What a name resolves to, by DNS over HTTPS in its JSON form (`application/dns-json`). A Worker has no resolver of its
 * own. Asked before a webhook is delivered: the answer cannot be pinned to the connection that follows, so this is
 * the second wall; the first is the platform's fetch, which connects to public addresses only.
 * Source: docs/decisions/008-guarded-fetch.md.
 */
import { readBounded } from "./request.ts";

/** The addresses of a name. @throws Error when that cannot be known */
export type Resolver = (name: string, signal: AbortSignal) => Promise<string[]>;

const TYPES = { A: 1, AAAA: 28 } as const;
/** An answer of DNS fits in 64 KiB, its JSON form in a few of these. */
const ANSWER_BYTES = 65_536;

interface Answer {
  Status?: unknown;
  Answer?: { type?: unknown; data?: unknown }[];
}

/** @param endpoint e.g. `https://cloudflare-dns.com/dns-query` */
export function dohResolver(endpoint: string): Resolver {
  const ask = async (name: string, type: keyof typeof TYPES, signal: AbortSignal): Promise<string[]> => {
    const url = new URL(endpoint);
    url.searchParams.set("name", name);
    url.searchParams.set("type", type);
    const response = await fetch(url, { headers: { accept: "application/dns-json" }, redirect: "manual", signal });
    const bytes = await readBounded(response.body, ANSWER_BYTES);
    if (response.status !== 200 || bytes === null) throw new Error(`the resolver answered ${response.status}`);
    const { Status, Answer: records = [] } = JSON.parse(new TextDecoder().decode(bytes)) as Answer;
    // 0 NOERROR, 3 NXDOMAIN: both are answers; anything else says nothing about the name.
    if (Status !== 0 && Status !== 3) throw new Error("the resolver could not resolve");
    if (!Array.isArray(records)) throw new Error("the resolver's answer has no shape");
    return records.filter((record) => record.type === TYPES[type]).map((record) => String(record.data));
  };
  return async (name, signal) => {
    const found = await Promise.all([ask(name, "A", signal), ask(name, "AAAA", signal)]);
    return found.flat();
  };
}
