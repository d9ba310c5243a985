import { LIMITS } from "@talos/contracts";
import { beforeEach, describe, expect, it } from "vitest";
import { CoreGateway } from "../test/sdk/core-gateway.ts";
import { issueCapability } from "./capability.ts";
import { createFetch, type FetchOptions, timeOfId } from "./fetch.ts";
import { fetchGatewayIdentity } from "./gateway-keys.ts";
import { Key } from "./keys.ts";

let gateway: CoreGateway;
let key: Key;
let chain: string;

beforeEach(() => {
  gateway = new CoreGateway({ "demo/look": "read", "demo/change": "write" });
  key = Key.generate();
  const grants = [
    { tool: "demo/look", classes: ["read" as const, "write" as const] },
    { tool: "demo/change", classes: ["write" as const] },
  ];
  chain = issueCapability({ key: gateway.operator, holder: key, aud: gateway.aud, grants, ttl_seconds: 3_600 });
});

const open = (more: Partial<FetchOptions> = {}) => createFetch({ chain, key, fetch: gateway.fetch, ...more });

function call(fetcher: typeof fetch, tool: string, args: object = {}): Promise<Response> {
  const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool, arguments: args } };
  return fetcher(`${gateway.aud}/mcp/demo`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(message),
  });
}
const forms = () => gateway.seen.filter(({ path }) => !path.endsWith("/sessions")).map(({ form }) => form);
const sessions = () => gateway.seen.filter(({ path }) => path.endsWith("/sessions")).length;

describe("which proof a request carries", () => {
  it("signs what it does not know, and proves by MAC what the gateway called a read", async () => {
    const fetcher = open();
    expect((await call(fetcher, "look")).status).toBe(200);
    expect((await call(fetcher, "look")).status).toBe(200);
    expect(forms()).toEqual(["session_signed", "session_mac"]);
    expect(sessions()).toBe(1);
  });

  it("signs writes every time", async () => {
    const fetcher = open();
    for (let i = 0; i < 3; i++) expect((await call(fetcher, "change")).status).toBe(200);
    expect(forms()).toEqual(["session_signed", "session_signed", "session_signed"]);
  });

  it("signs with the whole chain when no session is wanted", async () => {
    const fetcher = open({ session: false });
    await call(fetcher, "look");
    await call(fetcher, "look");
    expect(forms()).toEqual(["signed", "signed"]);
    expect(sessions()).toBe(0);
  });

  it("signs again when a read has become a write, and repeats only what was refused before admission", async () => {
    const fetcher = open();
    await call(fetcher, "look");
    await call(fetcher, "look");
    gateway.setTools({ "demo/look": "write", "demo/change": "write" });
    expect((await call(fetcher, "look")).status).toBe(200);
    expect(gateway.seen.map(({ decision }) => decision.code).slice(-2)).toEqual(["PROOF_INVALID", "OK"]);
    expect(forms().at(-1)).toBe("session_signed");
  });

  it("never uses a sequence number twice, whatever runs at the same time", async () => {
    const fetcher = open();
    await call(fetcher, "look");
    const answers = await Promise.all(Array.from({ length: 200 }, () => call(fetcher, "look")));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const inputs = gateway.seen
      .filter(({ form }) => form === "session_mac")
      .map(({ headers }) => headers.get("signature-input")!);
    const numbers = inputs.map((input) => /nonce="(\d+)"/.exec(input)![1]);
    expect(new Set(numbers).size).toBe(200);
  });

  it("names the message and the tool in headers that the proof covers", async () => {
    await call(open(), "look");
    const { headers } = gateway.seen.at(-1)!;
    expect([headers.get("mcp-method"), headers.get("mcp-name")]).toEqual(["tools/call", "look"]);
    expect(headers.get("signature-input")).toContain('"mcp-method" "mcp-name"');
  });
});

describe("sessions", () => {
  it("opens one for any number of requests that wait at the same time", async () => {
    const fetcher = open();
    await Promise.all(Array.from({ length: 20 }, () => call(fetcher, "look")));
    expect(sessions()).toBe(1);
  });

  it("renews before the end", async () => {
    let now = Date.now();
    gateway.now = () => now;
    const fetcher = open({ now: () => now });
    await call(fetcher, "look");
    now += (LIMITS.session_life_seconds - 10) * 1000;
    expect((await call(fetcher, "look")).status).toBe(200);
    expect(sessions()).toBe(2);
  });

  it("opens a new one, once, when no key of the gateway opens the ticket", async () => {
    const fetcher = open();
    await call(fetcher, "look");
    gateway.forgetTickets();
    expect((await call(fetcher, "look")).status).toBe(200);
    expect(sessions()).toBe(2);
  });

  it("goes on with its ticket while keys are rotated", async () => {
    const fetcher = open();
    await call(fetcher, "look");
    gateway.rotateTickets();
    expect((await call(fetcher, "look")).status).toBe(200);
    expect(sessions()).toBe(1);
  });

  it("refuses a gateway whose statement another key signed", async () => {
    const { did, keys } = await fetchGatewayIdentity(gateway.origin, gateway.fetch);
    const stranger = { did, keys: keys.map(({ kid }) => ({ kid, x: Key.generate().jwk.x })) };
    await expect(call(open({ gateway: stranger }), "look")).rejects.toMatchObject({ code: "client.statement_invalid" });
    expect(forms()).toEqual([]);
  });

  it("gives the gateway's refusal when no session can be had", async () => {
    const stranger = Key.generate();
    const grants = [{ tool: "demo/look", classes: ["read" as const] }];
    const foreign = issueCapability({ key: stranger, holder: key, aud: gateway.aud, grants, ttl_seconds: 60 });
    await expect(call(open({ chain: foreign }), "look")).rejects.toMatchObject({
      code: "UNTRUSTED_ISSUER",
      status: 401,
    });
  });

  it("says that the clock is wrong when that is why the proof was refused", async () => {
    gateway.skew_ms = -300_000;
    const refused = call(open(), "look");
    await expect(refused).rejects.toMatchObject({ code: "client.clock_skew" });
    await expect(refused).rejects.toThrow(/300 s ahead/);
  });
});

describe("what it never does", () => {
  it("shows the capability to nobody but its audience", async () => {
    const fetcher = open();
    const elsewhere = [
      "https://elsewhere.test/t/default/v1/head",
      `${gateway.origin}/t/other/v1/head`,
      `${gateway.origin}/t/default/../other/v1/head`,
      `${gateway.origin}/.well-known/did.json`,
    ];
    for (const url of elsewhere) {
      await expect(fetcher(url)).rejects.toMatchObject({ code: "client.foreign_url" });
    }
    expect(gateway.seen).toEqual([]);
  });

  it("learns the gateway's identity over plain text from loopback only", () => {
    const grants = [{ tool: "demo/look", classes: ["read" as const] }];
    const at = (aud: string) =>
      createFetch({
        key,
        chain: issueCapability({ key: gateway.operator, holder: key, aud, grants, ttl_seconds: 60 }),
      });
    expect(() => at("http://gateway.test/t/default")).toThrow(/neither https nor loopback/);
    expect(() => at("http://127.0.0.1:8787/t/default")).not.toThrow();
  });

  it("follows no redirect", async () => {
    gateway.answer = () => new Response(null, { status: 307, headers: { location: "https://elsewhere.test/" } });
    const response = await call(open(), "look");
    expect(response.status).toBe(307);
    expect(gateway.seen.every(({ path }) => path.startsWith("/t/default/"))).toBe(true);
  });

  it("repeats nothing that may have had an effect", async () => {
    for (const status of [409, 429, 500, 502, 503, 504]) {
      gateway.seen.length = 0;
      gateway.answer = () => Response.json({ code: "internal" }, { status });
      const response = await call(open(), "change");
      expect(response.status).toBe(status);
      expect(forms()).toHaveLength(1);
    }
  });

  it("does not repeat when the network fails on the way", async () => {
    let sent = 0;
    const failing: typeof fetch = (input, init) => {
      if (!String(input).includes("/mcp/")) return gateway.fetch(input, init);
      sent += 1;
      return Promise.reject(new TypeError("fetch failed"));
    };
    await expect(call(open({ fetch: failing }), "change")).rejects.toThrow("fetch failed");
    expect(sent).toBe(1);
  });

  it("takes no proof headers from its caller", async () => {
    const headers = { "talos-capability": "x", signature: "x", "signature-input": "x", "content-digest": "x" };
    const response = await open()(`${gateway.aud}/v1/head`, { headers });
    expect(response.status).toBe(200);
  });

  it("reads no endless body", async () => {
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
    const sent = open()(`${gateway.aud}/v1/authorize`, { method: "POST", body: endless });
    await expect(sent).rejects.toMatchObject({ code: "client.body_too_large" });
    expect(gateway.seen).toEqual([]);
  });
});

describe("as a fetch", () => {
  it("takes a stream, a Request and a URL, and honours a signal", async () => {
    const fetcher = open();
    const body = JSON.stringify({ tool: "demo/look" });
    const headers = { "content-type": "application/json" };
    const stream = new Response(body).body!;
    expect(
      (await fetcher(new URL(`${gateway.aud}/v1/authorize`), { method: "POST", headers, body: stream })).status,
    ).toBe(200);
    expect((await fetcher(new Request(`${gateway.aud}/v1/authorize`, { method: "POST", headers, body }))).status).toBe(
      200,
    );
    const aborted = fetcher(`${gateway.aud}/v1/head`, { signal: AbortSignal.abort(new Error("enough")) });
    await expect(aborted).rejects.toThrow("enough");
  });

  it("proves the URL as the platform serialises it, query and odd characters included", async () => {
    const response = await open()(`${gateway.aud}/v1/head?x='a b&y=ü#fragment`);
    expect(response.status).toBe(200);
  });

  it("hands a refusal back whole", async () => {
    const response = await call(open(), "other");
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: "UNKNOWN_TOOL" });
  });
});

it("reads the time of a UUIDv7, and of nothing else", () => {
  expect(timeOfId("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")).toBe(0x017f22e279b0);
  expect(timeOfId("017f22e2-79b0-4cc3-98c4-dc0c0c07398f")).toBeNull();
  expect(timeOfId(null)).toBeNull();
});
