/**
 * The surfaces of a tenant's log over a real Worker: what a stranger with a capability can fetch is enough to check it all
 * by himself, with the library alone, and nothing of another tenant is reachable by any name.
 * Source: contracts/spec/audit.md#surfaces, contracts/spec/log.md.
 */
import { type AuditLogFacts, validate } from "@talos/contracts";
import * as log from "@talos/core/log";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grant, person, publish, root, send, signed } from "../fixtures.ts";
import { startWorld, type World } from "../support/world.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
const hash = (text: string) => new Uint8Array(Buffer.from(text, "base64"));

let world: World;
let rivalChain: string;
const rivalOperator = person("rival operator");
const rivalAgent = person("rival agent");

const get = (path: string) => world.ask(`/audit${path}`, undefined, { method: "GET" });
const rival = (path: string) =>
  send(signed(rivalAgent, rivalChain, { aud: world.talos.aud("rival"), path: `/audit${path}`, method: "GET" }));

async function refused(response: Response | Promise<Response>, status: number, code: string): Promise<Response> {
  const answer = await response;
  const body = await answer.text();
  expect(answer.status, body).toBe(status);
  expect(JSON.parse(body)).toMatchObject({ code });
  return answer;
}

async function facts(): Promise<AuditLogFacts> {
  const answer = await get("/log");
  expect(answer.status).toBe(200);
  const read = validate("audit/log", await answer.json());
  if (!read.ok) throw new Error(read.errors.join("; "));
  return read.value;
}

/** Calls, until the log has at least so many events, all of them published. */
async function grow(size: number): Promise<number> {
  for (;;) {
    const status = await world.talos.log().status();
    if (status.next_seq >= size) break;
    await Promise.all(Array.from({ length: 16 }, () => world.ask("/v1/head", undefined, { method: "GET" })));
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  await world.talos.log().flush();
  return (await world.talos.log().status()).published_size;
}

beforeAll(async () => {
  const publisher = person("publisher");
  world = await startWorld({
    tenants: ["default", "rival"],
    publishers: { default: [publisher.jwk], rival: [publisher.jwk] },
  });
  const policy = { ...world.policy, tenant: "rival", version: 1 };
  const anchors = [{ did: rivalOperator.did, jwk: rivalOperator.jwk }];
  await publish(world.talos.aud("rival"), publisher, { ...policy, anchors });
  const aud = [world.talos.aud("rival")];
  rivalChain = root(rivalOperator, rivalAgent, { aud, grants: [grant("talos/audit.events")] });
});
afterAll(() => world?.stop());

describe("a tenant's log over HTTP", () => {
  it("is checked from its facts, checkpoint, tiles and bundles alone", async () => {
    const size = await grow(300);
    const { origin, policy = "", keys, published } = await facts();
    expect(published).toBeGreaterThanOrEqual(size);
    expect(keys.every((key) => key.startsWith(`${origin}+`))).toBe(true);

    const answer = await get("/checkpoint");
    expect(answer.headers.get("content-type")).toMatch(/^text\/plain/);
    const head = await log.verifyCheckpoint({ note: await bytesOf(answer), policy: utf8(policy) });
    expect(head).toMatchObject({ origin });
    expect(head.size).toBeGreaterThanOrEqual(size);

    const read = async (path: string) => {
      const tile = await get(`/${path}`);
      expect(tile.status, path).toBe(200);
      expect(tile.headers.get("cache-control")).toBe("private, max-age=31536000, immutable");
      return bytesOf(tile);
    };
    expect(await log.treeRoot(head.size, read)).toEqual(head.root);
    let tree = log.emptyFrontier();
    for (let index = 0; ; index += 1) {
      const path = log.tileAt("entries", index, head.size);
      if (path === undefined) break;
      const bundle = await read(path);
      tree = log.extend(tree, log.bundleLeaves(bundle));
      for (const entry of log.bundleEntries(bundle)) {
        const event = validate("audit/event-v2", JSON.parse(new TextDecoder().decode(entry)));
        expect(event).toMatchObject({ ok: true, value: { tenant: "default" } });
      }
    }
    expect(tree.root).toEqual(head.root);

    // A reader who saw an older head still gets its partial tiles, though nobody published that size.
    const narrow = await read("tile/entries/000.p/7");
    expect(log.bundleEntries(narrow).length).toBe(7);
    expect(await read("tile/0/000.p/7")).toEqual(log.bundleLeaves(narrow));
  });

  it("shows that each head extends the one before", async () => {
    const before = await log.verifyCheckpoint({
      note: await bytesOf(await get("/checkpoint")),
      policy: utf8((await facts()).policy!),
    });
    await grow(before.size + 40);
    const after = await log.verifyCheckpoint({
      note: await bytesOf(await get("/checkpoint")),
      policy: utf8((await facts()).policy!),
    });
    expect(after.size).toBeGreaterThan(before.size);
    const answer = await get(`/consistency?old=${before.size}&size=${after.size}`);
    const proof = (await answer.json()) as { hashes: string[] };
    expect(validate("audit/consistency", proof)).toMatchObject({ ok: true });
    const hashes = Buffer.concat(proof.hashes.map(hash));
    log.checkConsistency({ old: before, head: after, hashes });
    const same = (await (await get(`/consistency?old=${after.size}&size=${after.size}`)).json()) as typeof proof;
    expect(same.hashes).toEqual([]);
    for (const query of [
      "",
      "?old=1",
      "?size=5",
      "?old=0&size=5",
      "?old=6&size=5",
      "?old=1&size=5&x=1",
      "?old=1&old=1&size=5",
      "?old=01&size=5",
      "?old=-1&size=5",
      "?old=1&size=99999999999999999",
    ])
      await refused(get(`/consistency${query}`), 400, "contract.invalid");
    const late = await refused(get("/consistency?old=1&size=9007199254740991"), 409, "audit.not_published");
    expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("gives nothing under a name that is no tile of it, however it is written", async () => {
    const published = await grow(300); // so that what a decoded name would lead to is there
    const beyond = Math.floor(published / 256) + 1;
    const names = [
      `tile/0/${String(beyond).padStart(3, "0")}`,
      `tile/entries/${String(beyond).padStart(3, "0")}`,
      `tile/0/${String(beyond - 1).padStart(3, "0")}.p/255`,
      ...["tile/0/0", "tile/0/x000/000", "tile/7/000", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256"],
      ...["tile/0/000.p/07", "tile/0/000/", "tile/0//000", "tile/-1/000", "tile/entries", "tile/0/%30%30%30"],
      ...[
        "tile/0/..%2f000",
        "tile/%2e%2e/%2e%2e/c/rival/checkpoint",
        "tile/0/000%00",
        "tile/..%5c..%5cf/rival/tile/0/000",
      ],
      ...["tile/f/rival/tile/0/000", "tile/entries/000.p/7/../../../checkpoint?", `tile/0/${"x999/".repeat(40)}000`],
    ];
    for (const name of names) {
      const answer = await get(`/${name}`);
      expect(answer.status, name).toBe(404);
      expect((await answer.json()) as object, name).toMatchObject({
        code: expect.stringMatching(/^(audit\.tile_unknown|route\.unknown)$/),
      });
    }
  });

  it("shows a tenant its own log only", async () => {
    const own = await facts();
    await world.talos.log("rival").flush();
    const answer = await rival("/log");
    const theirs = (await answer.json()) as AuditLogFacts;
    expect(theirs.origin).not.toBe(own.origin);
    expect(theirs.published).toBeLessThan(own.published);
    await refused(rival("/tile/entries/000"), 404, "audit.tile_unknown"); // it has fewer events, and ours are not its
    const bundle = await bytesOf(await rival(`/${log.tileAt("entries", 0, theirs.published)}`));
    for (const entry of log.bundleEntries(bundle))
      expect(JSON.parse(new TextDecoder().decode(entry))).toMatchObject({ tenant: "rival" });
    for (const path of [
      "/log",
      "/checkpoint",
      "/tile/0/000",
      "/consistency?old=1&size=1",
      "/stream",
      "/export?from=0",
    ]) {
      const foreign = await send(
        signed(world.agent, world.chain, { aud: world.talos.aud("rival"), path: `/audit${path}`, method: "GET" }),
      );
      expect(foreign.status, path).toBe(401);
      const bare = await fetch(`${world.aud}/audit${path}`);
      await refused(bare, 401, "NO_CAPABILITY");
      const blind = person("blind");
      const chain = root(world.operator, blind, { aud: [world.aud], grants: [grant("files/read_file")] });
      await refused(world.ask(`/audit${path}`, undefined, { method: "GET", as: blind, chain }), 403, "SCOPE_MISMATCH");
    }
  });
});
