import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkReceiver, guardedPost, guardRules } from "./guarded-fetch.ts";
import { judgeReceiver } from "./receiver-url.ts";
import { dohResolver } from "./resolver.ts";

const production = { own: "https://talos.example.com", loopback: false };
const development = { own: "http://127.0.0.1:8787", loopback: true };
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`;
}

describe("a receiver's URL", () => {
  it.each([
    ["http://siem.example.org/", "scheme"],
    ["ftp://siem.example.org/", "scheme"],
    ["file:///etc/passwd", "scheme"],
    ["data:text/plain,x", "scheme"],
    ["https://user@siem.example.org/", "userinfo"],
    ["https://user:pw@siem.example.org/", "userinfo"],
    ["https://siem.example.org/#x", "fragment"],
    ["https://siem.example.org/#", "fragment"],
    ["https://siem.example.org:80/", "port"],
    ["https://siem.example.org:8080/", "port"],
    ["https://siem.example.org:22/", "port"],
    ["https://localhost/", "host"],
    ["https://LOCALHOST./", "host"],
    ["https://a.localhost/", "host"],
    ["https://intranet/", "host"],
    ["https://db.internal/", "host"],
    ["https://127.0.0.1/", "host"],
    ["https://127.0.0.1./", "host"],
    ["https://127.1/", "host"],
    ["https://0x7f.1/", "host"],
    ["https://0x7f000001/", "host"],
    ["https://2130706433/", "host"],
    ["https://0177.0.0.1/", "host"],
    ["https://017700000001/", "host"],
    ["https://%31%32%37.0.0.1/", "host"],
    ["https://１２７.0.0.1/", "host"],
    ["https://①②⑦.⓪.⓪.①/", "host"],
    ["https://0/", "host"],
    ["https://8.8.8.8/", "host"],
    ["https://169.254.169.254/latest/meta-data", "host"],
    ["https://[::1]/", "host"],
    ["https://[::]/", "host"],
    ["https://[::ffff:127.0.0.1]/", "host"],
    ["https://[64:ff9b::7f00:1]/", "host"],
    ["https://[2606:4700::1111]/", "host"],
    ["https://talos.example.com/t/default", "our own zone"],
    ["https://TALOS.example.com./", "our own zone"],
    ["https://talos.example.com:8443/", "our own zone"],
    ["https://a.talos.example.com/", "our own zone"],
    ["https://ｔalos.example.com/", "our own zone"],
    ["not a url", "not a URL"],
    [`https://siem.example.org/${"x".repeat(2_048)}`, "not a URL"],
  ])("is refused: %s", (url, why) => {
    expect(judgeReceiver(url, production)).toEqual({ ok: false, why });
  });

  it.each([
    "https://siem.example.org/in?x=1",
    "https://siem.example.org:443/",
    "https://siem.example.org:8443/in",
    "https://münchen.example.org/",
    "https://nottalos.example.com/",
  ])("is taken, to be resolved: %s", (url) => {
    expect(judgeReceiver(url, production)).toMatchObject({ ok: true, resolve: true });
  });

  it("may be loopback over http in development with the flag, but never ourselves", () => {
    for (const url of [
      "http://127.0.0.1:9000/in",
      "http://localhost:9000/",
      "http://[::1]:9000/",
      "https://127.9.9.9/",
    ]) {
      expect(judgeReceiver(url, development), url).toMatchObject({ ok: true, resolve: false });
      expect(judgeReceiver(url, { ...development, loopback: false }), url).toMatchObject({ ok: false });
    }
    expect(judgeReceiver("http://127.0.0.1:8787/t/default/v1/head", development)).toMatchObject({
      why: "our own zone",
    });
    for (const url of [
      "http://10.0.0.1/",
      "http://[::ffff:127.0.0.1]/",
      "http://siem.example.org/",
      "http://128.0.0.1/",
    ])
      expect(judgeReceiver(url, development), url).toMatchObject({ ok: false });
  });

  it("is loopback in no other mode, whatever the flag says", () => {
    const env = { TALOS_ORIGIN: production.own, TALOS_LOOPBACK_RECEIVERS: "allow" };
    expect(guardRules({ ...env, TALOS_MODE: "production" }).loopback).toBe(false);
    expect(guardRules(env).loopback).toBe(false);
    expect(guardRules({ ...env, TALOS_MODE: "development", TALOS_LOOPBACK_RECEIVERS: "yes" }).loopback).toBe(false);
    expect(guardRules({ ...env, TALOS_MODE: "development" }).loopback).toBe(true);
  });

  it("is refused when any address of its name is private, when there is none, and when nobody can say", async () => {
    const signal = new AbortController().signal;
    const check = (resolver?: () => Promise<string[]>) =>
      checkReceiver("https://siem.example.org/", { ...production, ...(resolver ? { resolver } : {}) }, signal);
    expect(await check(async () => ["93.184.216.34", "2606:4700::1111"])).toMatchObject({ ok: true });
    expect(await check(async () => ["93.184.216.34", "10.0.0.1"])).toMatchObject({ code: "refused_url" });
    expect(await check(async () => ["::ffff:10.0.0.1"])).toMatchObject({ code: "refused_url" });
    expect(await check(async () => ["nonsense"])).toMatchObject({ code: "refused_url" });
    expect(await check(async () => [])).toMatchObject({ code: "unresolved" });
    expect(await check(() => Promise.reject(new Error("down")))).toMatchObject({ code: "unresolved" });
    expect(await check()).toMatchObject({ code: "unresolved" });
  });

  it("is asked about again at delivery, and nothing is sent to a name that was rebound", async () => {
    const fetched = vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("nothing may be sent"));
    const resolver = async () => ["127.0.0.1"];
    const posted = await guardedPost(
      { url: "https://siem.example.org/", headers: {}, body: "" },
      { ...production, resolver },
    );
    expect(posted).toMatchObject({ ok: false, code: "refused_url" });
    expect(fetched).not.toHaveBeenCalled();
    fetched.mockRestore();
  });
});

describe("the resolver", () => {
  const answer = (body: unknown, status = 200): Promise<string> =>
    listen((_, response) =>
      response.writeHead(status, { "content-type": "application/dns-json" }).end(JSON.stringify(body)),
    );
  const ask = (endpoint: string) => dohResolver(endpoint)("siem.example.org", AbortSignal.timeout(5_000));

  it("asks for both families and takes addresses only", async () => {
    const asked: string[] = [];
    const endpoint = await listen((request, response) => {
      const { searchParams } = new URL(request.url!, "http://resolver");
      asked.push(`${searchParams.get("name")} ${searchParams.get("type")} ${request.headers.accept}`);
      const data =
        searchParams.get("type") === "A" ? { type: 1, data: "93.184.216.34" } : { type: 28, data: "2606:4700::1111" };
      response.end(JSON.stringify({ Status: 0, Answer: [{ type: 5, data: "edge.example.net." }, data] }));
    });
    expect(await ask(endpoint)).toEqual(["93.184.216.34", "2606:4700::1111"]);
    expect(asked.sort()).toEqual([
      "siem.example.org A application/dns-json",
      "siem.example.org AAAA application/dns-json",
    ]);
  });

  it("says that a name has no address, and fails for everything that is no answer", async () => {
    expect(await ask(await answer({ Status: 3 }))).toEqual([]);
    await expect(ask(await answer({ Status: 2 }))).rejects.toThrow("could not resolve");
    await expect(ask(await answer({}, 500))).rejects.toThrow("500");
    await expect(ask(await answer({ Status: 0, Answer: "x".repeat(70_000) }))).rejects.toThrow();
    await expect(
      ask(await listen((_, response) => response.writeHead(302, { location: "/" }).end())),
    ).rejects.toThrow();
  });
});

describe("a guarded post", () => {
  const post = (url: string, ms?: number) =>
    guardedPost({ url, headers: { "webhook-id": "1", "content-type": "text/plain" }, body: "{}" }, development, ms);

  it("brings back status, wait and the beginning of the answer; sends the given headers and no others of ours", async () => {
    let heard: Record<string, unknown> = {};
    const url = await listen((request, response) => {
      heard = request.headers;
      response.writeHead(503, { "retry-after": "7" }).end("busy");
    });
    expect(await post(url)).toMatchObject({ ok: true, status: 503, retry_after_s: 7, text: "busy" });
    expect(heard).toMatchObject({ "webhook-id": "1", "content-type": "text/plain" });
    for (const name of ["authorization", "cookie", "talos-capability"]) expect(heard).not.toHaveProperty(name);
  });

  it("reads a date in Retry-After, and nothing else", async () => {
    const at = (value: string) => listen((_, response) => response.writeHead(429, { "retry-after": value }).end());
    const wait = await post(await at(new Date(Date.now() + 90_000).toUTCString()));
    expect(wait).toMatchObject({ ok: true, retry_after_s: expect.toSatisfy((s: number) => s > 80 && s <= 91) });
    expect(await post(await at("soon"))).not.toHaveProperty("retry_after_s");
    expect(await post(await at("9".repeat(12)))).not.toHaveProperty("retry_after_s");
  });

  it("does not follow a redirect", async () => {
    let reached = false;
    const inside = await listen((_, response) => {
      reached = true;
      response.end();
    });
    for (const status of [301, 302, 303, 307, 308]) {
      const url = await listen((_, response) => response.writeHead(status, { location: inside }).end());
      expect(await post(url)).toMatchObject({ ok: false, code: "redirect", status });
    }
    expect(reached).toBe(false);
  });

  it("ends a receiver that stalls: before its headers, and in its body", async () => {
    expect(await post(await listen(() => undefined), 300)).toMatchObject({ ok: false, code: "timeout" });
    const slow = await listen((_, response) => {
      response.writeHead(200);
      response.write("a");
    });
    expect(await post(slow, 300)).toMatchObject({ ok: false, code: "timeout" });
  });

  it("stops reading a receiver that floods", async () => {
    let sent = 0;
    const url = await listen((_, response) => {
      response.writeHead(200);
      const pour = (): void => {
        if (response.destroyed || sent > 100_000_000) return;
        sent += 65_536;
        response.write(Buffer.alloc(65_536), () => setImmediate(pour));
      };
      pour();
    });
    expect(await post(url)).toMatchObject({ ok: false, code: "too_large", status: 200 });
    expect(sent).toBeLessThan(100_000_000);
  });

  it("says that nobody is there, without a word of the URL", async () => {
    const url = "http://127.0.0.1:9/secret-path";
    const posted = await post(url);
    expect(posted).toMatchObject({ ok: false, code: "unreachable" });
    expect(JSON.stringify(posted)).not.toContain("secret-path");
  });
});
