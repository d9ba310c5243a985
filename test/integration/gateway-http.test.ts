/** What bad input gets before anybody asks who sent it. */
import { connect } from "node:net";
import { ERRORS, LIMITS, SURFACES, validate } from "@talos/contracts";
import { jwsSign } from "@talos/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { person, policySnapshotWithout, publish, send, signed } from "../fixtures.ts";
import { startWorld, tampered, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ faults: false });
});
afterAll(() => world.stop());

const post = (path: string, body: BodyInit, headers: Record<string, string> = {}) =>
  fetch(world.talos.origin + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
    duplex: "half",
  } as RequestInit);

async function code(response: Response): Promise<string> {
  const body = (await response.json()) as { code: string };
  expect(validate("gateway/problem", body)).toMatchObject({ ok: true });
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.status).toBe(ERRORS[body.code as keyof typeof ERRORS].status);
  return body.code;
}

describe("bad requests", () => {
  it("name their own failure as a problem with the request's id", async () => {
    expect(await code(await post("/t/nobody/v1/authorize", "{}"))).toBe("tenant.unknown");
    expect(await code(await post("/t/Default/v1/authorize", "{}"))).toBe("tenant.unknown");
    expect(await code(await post("/t/%64efaul%74x/v1/authorize", "{}"))).toBe("tenant.unknown");
    expect(await code(await post("/nothing", "{}"))).toBe("route.unknown");
    expect(await code(await post("/t/default/v1/authorize/", "{}"))).toBe("route.unknown");
    const method = await fetch(`${world.aud}/v1/policy`);
    expect(method.headers.get("allow")).toBe("PUT");
    expect(await code(method)).toBe("method.not_allowed");
    expect(await code(await post("/t/default/v1/authorize", "{}", { "content-type": "text/plain" }))).toBe(
      "request.media_type",
    );
    expect(await code(await post("/t/default/v1/revocations", "{}"))).toBe("contract.invalid");
    expect(await code(await post("/t/default/v1/revocations", '{"chain":"a","chain":"b"}'))).toBe("MALFORMED");
  });

  it("carry a request id of ours on every answer, and no trace of the inside", async () => {
    const response = await post("/t/default/v1/authorize", "{", { "x-request-id": "theirs" });
    const text = await response.text();
    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{14}7/);
    expect(text).toContain(response.headers.get("x-request-id")!);
    expect(text).not.toMatch(/\.ts|at |stack|Error/);
  });

  it("are bounded: a body by its declared length and by its bytes, header fields by their sum", async () => {
    expect(await code(await post("/t/default/v1/authorize", new Uint8Array(LIMITS.body_bytes + 1)))).toBe(
      "request.body_too_large",
    );
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        sent += 65_536;
        if (sent > 64 * 1_048_576) controller.close();
        else controller.enqueue(new Uint8Array(65_536));
      },
    });
    const chunked = await post("/t/default/v1/authorize", endless).then(code, () => "connection closed");
    expect(["request.body_too_large", "connection closed"]).toContain(chunked);
    expect(sent).toBeLessThan(64 * 1_048_576);
    const large = await fetch(`${world.talos.origin}/health/live`, {
      headers: { "x-fill": "x".repeat(LIMITS.header_bytes) },
    });
    expect(large.status).toBe(431);
  });

  it("are bounded also when the sender lies about the length or sends chunks by hand", async () => {
    const answer = await raw(
      `POST /t/default/v1/authorize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
      `10000\r\n${"x".repeat(65_536)}\r\n`,
      40,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413/);
  });

  it("with a header twice are read as one value that nobody signed", async () => {
    const request = signed(world.agent, world.chain, { aud: world.aud, path: "/v1/head", method: "GET" });
    expect((await send(request)).status).toBe(200);
    const again = signed(world.agent, world.chain, { aud: world.aud, path: "/v1/head", method: "GET" });
    for (const name of ["talos-capability", "signature", "signature-input", "content-digest"]) {
      const twice = await send(
        tampered(again, { headers: { [name]: `${again.headers[name]}, ${again.headers[name]}` } }),
      );
      expect([400, 401], name).toContain(twice.status);
    }
  });

  it("take the origin from configuration, never from Host", async () => {
    const request = signed(world.agent, world.chain, { aud: world.aud, path: "/v1/head", method: "GET" });
    const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`);
    const answer = await raw(
      ["GET /t/default/v1/head HTTP/1.1", "Host: evil.example", "Connection: close", ...lines, "", ""].join("\r\n"),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
  });

  /** Bytes over a socket, as no client would send them; stops when the other side answers or closes. */
  function raw(head: string, chunk = "", times = 0): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(world.talos.port, "127.0.0.1");
      let text = "";
      const done = () => {
        socket.destroy();
        resolve(text);
      };
      socket.on("data", (data) => {
        text += data.toString("latin1");
        if (text.includes("\r\n\r\n")) done();
      });
      socket.on("close", done).on("error", done);
      socket.write(head);
      for (let i = 0; i < times && !socket.destroyed; i += 1) socket.write(chunk);
    });
  }
});

describe("public surfaces", () => {
  it("answer as their documents say", async () => {
    const get = (path: string) => fetch(world.talos.origin + path);
    const did = await get("/.well-known/did.json");
    expect(did.headers.get("content-type")).toBe("application/did+json");
    const document = await did.json();
    expect(validate("identity/did-document", document)).toMatchObject({ ok: true });
    const directory = await get("/.well-known/http-message-signatures-directory");
    expect(directory.headers.get("content-type")).toBe("application/http-message-signatures-directory+json");
    expect(validate("identity/key-directory", await directory.json())).toMatchObject({ ok: true });
    expect(await (await get("/health/live")).json()).toEqual({ status: "ok" });
    expect(
      Object.keys(((await (await get("/openapi.json")).json()) as { paths: object }).paths).length,
    ).toBeGreaterThan(10);
    expect((await fetch(`${world.talos.origin}/health/live`, { method: "HEAD" })).status).toBe(200);
  });

  it("say ready in a word, and what stands behind it to an operator alone", async () => {
    const open = await fetch(`${world.talos.origin}/health/ready`);
    expect(await open.json()).toEqual({ status: "ok" });
    const operator = person("operations");
    const { root, grant } = await import("../fixtures.ts");
    const chain = root(world.operator, operator, { aud: [world.aud], grants: [grant("talos/health.ready")] });
    const request = (as = operator, own = chain) =>
      send(signed(as, own, { aud: world.talos.origin, path: "/health/ready", method: "GET" }));
    const shown = await (await request()).json();
    expect(validate("gateway/health", shown)).toMatchObject({ ok: true });
    expect(shown).toMatchObject({
      status: "ok",
      details: { mode: "development", dependencies: { head: "ok", log: "ok", cache: "ok", database: "unavailable" } },
    });
    expect(await code(await request(world.agent, world.chain))).toBe("SCOPE_MISMATCH");
  });

  it("cover the whole surface table: each is routed, none answers route.unknown", async () => {
    for (const { name, method, path } of Object.values(SURFACES)) {
      if (name === "openapi") continue; // its text names every code
      const url = world.talos.origin + path.replace("{tenant}", "default").replace(/\{\w+\}/g, "x");
      const text = await (await fetch(url, { method })).text();
      expect(text, `${method} ${path}`).not.toMatch(/route\.unknown|method\.not_allowed|"internal"/);
    }
  });
});

describe("publishing", () => {
  const put = (jws: string) =>
    fetch(`${world.aud}/v1/policy`, { method: "PUT", headers: { "content-type": "application/jose" }, body: jws });

  it("takes the next version of the tenant's publisher and nothing else; the last good one stays", async () => {
    const next = { ...world.policy, version: world.version + 1 };
    // Signed past the core's own check of what is signed: the gateway has to refuse it by itself.
    const sign = (payload: object, who = world.publisher) =>
      jwsSign({ seed: who.seed, typ: "talos-policy+jwt", kid: who.jkt, payload });
    expect(await code(await put(sign(next, person("not a publisher"))))).toBe("SIGNATURE_INVALID");
    expect(await code(await put("no jws"))).toMatch(/^(MALFORMED|policy\.invalid)$/);
    expect(await code(await put(sign({ ...next, tenant: "second" })))).toBe("policy.invalid");
    const gap = await put(sign({ ...next, version: world.version + 2 }));
    expect(await gap.clone().json()).toMatchObject({ policy_version: world.version });
    expect(await code(gap)).toBe("policy.version_conflict");
    await expect(publish(world.aud, world.publisher, world.policy)).resolves.toMatchObject({ version: world.version });
    expect(
      await code(await put(sign({ ...policySnapshotWithout(world.policy, "read"), version: world.version + 1 }))),
    ).toBe("policy.invalid");
    expect(
      (await world.ask("/v1/authorize", JSON.stringify({ tool: "files/read_file", args: { path: "/desk/x" } }))).status,
    ).toBe(200);
  });
});

describe("HEAD", () => {
  it("is a method of its own where something is decided, though the router would pass it to GET", async () => {
    const request = signed(world.agent, world.chain, { aud: world.aud, path: "/v1/head", method: "HEAD" });
    const response = await send(request);
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET");
  });
});

describe("the head", () => {
  it("is shown to any holder, signed and fresh", async () => {
    const response = await world.ask("/v1/head", undefined, { method: "GET" });
    expect(response.status).toBe(200);
    const { head } = (await response.json()) as { head: string };
    const payload = JSON.parse(Buffer.from(head.split(".")[1]!, "base64url").toString());
    expect(payload).toMatchObject({ tenant: "default", policy_version: world.version });
    expect(Math.abs(payload.as_of_ms - Date.now())).toBeLessThan(5_000);
  });
});
