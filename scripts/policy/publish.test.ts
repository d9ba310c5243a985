import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { jwsVerify } from "@talos/core";
import { Key } from "@talos/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "../../workers/db/client.ts";
import { type Policy, readPolicy } from "../../workers/db/policies.ts";
import { migrate } from "../migrate.ts";
import { type TestDatabase, testDatabases } from "../neon/test-database.ts";
import { PolicyFileError } from "./check.ts";
import { PublishError, publishPolicy } from "./publish.ts";

// Starting a database takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const DEMO = readFileSync(join(import.meta.dirname, "../../policies/demo.json"), "utf8");

/** The rules of `PUT …/v1/policy` (contracts/spec/in-force.md#policy-snapshot), and a way to fall silent. */
class Gateway {
  inForce: { version: number; hash: string } = { version: 0, hash: "" };
  jws: string[] = [];
  /** take the snapshot, then cut the line before the answer */
  cutAfter = false;
  refuse: { code: string; status: number } | null = null;
  readonly #server: Server;
  constructor(publisher: Key) {
    this.#server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      const { payload } = jwsVerify({ jws: body, typ: "talos-policy+jwt", x: publisher.jwk.x });
      const hash = Buffer.from(
        await crypto.subtle.digest("SHA-256", Buffer.from(body.split(".")[1]!, "base64url")),
      ).toString("base64url");
      const { version } = payload as { version: number };
      const same = version === this.inForce.version && hash === this.inForce.hash;
      const problem = (code: string, status: number) => {
        response.writeHead(status, { "content-type": "application/problem+json" });
        const shared = { type: `urn:talos:error:${code}`, title: code, status, code, retryable: false };
        const more = code === "policy.version_conflict" ? { policy_version: this.inForce.version } : {};
        response.end(JSON.stringify({ ...shared, ...more, request_id: "0190a5e0-7c3a-7000-8000-000000000001" }));
      };
      if (this.refuse) return problem(this.refuse.code, this.refuse.status);
      if (!same && version !== this.inForce.version + 1) return problem("policy.version_conflict", 409);
      this.inForce = { version, hash };
      this.jws.push(body);
      if (this.cutAfter) return request.socket.destroy();
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ policy_version: version, policy_hash: hash }));
    });
  }
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/t/default`;
  }
  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`publishing a policy through ${kind.name}`, () => {
    let database: TestDatabase;
    let gateway: Gateway;
    let aud: string;
    const publisher = new Key(randomBytes(32));
    const anchor = new Key(randomBytes(32));

    const policy = (over: Partial<Policy> = {}): Policy => ({
      ...(JSON.parse(DEMO) as Policy),
      anchors: [{ did: anchor.did, jwk: anchor.jwk }],
      revoked_keys: [publisher.jkt, anchor.jkt],
      ...over,
    });
    const publish = (value: unknown) =>
      publishPolicy({
        ...{ aud, tenant: "default", policy: value, publisher },
        ...{ databaseUrl: database.url, endpoint: database.endpoint.url },
      });
    const db = () =>
      connect({
        TALOS_MODE: "development",
        DATABASE_URL: database.url,
        TALOS_DATABASE_ENDPOINT: database.endpoint.url,
      });
    const recorded = () => db().sql`SELECT version::int, hash FROM policy_snapshots ORDER BY published_at_ms, version`;

    beforeAll(async () => {
      database = await kind.start();
      await migrate({ databaseUrl: database.url, endpoint: database.endpoint.url });
    });
    afterAll(() => database?.close());
    beforeEach(async () => {
      await db().sql`DELETE FROM policy_snapshots`;
      gateway = new Gateway(publisher);
      aud = await gateway.start();
    });
    afterEach(() => gateway.stop());

    it("puts it in force, with the content that Postgres holds, and records it", async () => {
      const { version, hash } = await publish(policy());
      expect(version).toBe(1);
      expect(gateway.inForce).toEqual({ version, hash });
      expect(await recorded()).toEqual([{ version, hash }]);
      const { payload } = jwsVerify({ jws: gateway.jws[0]!, typ: "talos-policy+jwt", x: publisher.jwk.x });
      const { version: _, ...published } = payload as Policy & { version: number };
      expect(published).toEqual(await readPolicy(db(), "default"));
      expect(new Set(published.tools)).toEqual(new Set(policy().tools));
      expect(published.roles).toEqual(policy().roles);
      expect(published.bindings).toEqual(policy().bindings);
    });

    it("does nothing new for the same policy, however its lists are ordered, and counts on for another", async () => {
      const first = await publish(policy());
      const shuffled = policy({
        tools: [...policy().tools].reverse(),
        rate_classes: [...policy().rate_classes].reverse(),
      });
      expect(await publish(shuffled)).toEqual({ ...first, repeated: true });
      expect((await publish(policy({ forbids: [] }))).version).toBe(2);
      expect((await publish(policy())).version).toBe(3);
      expect(await readPolicy(db(), "default")).toMatchObject({ forbids: policy().forbids });
    });

    it("completes what a loader began that died before it heard the answer", async () => {
      gateway.cutAfter = true;
      await expect(publish(policy())).rejects.toThrow();
      expect(await recorded()).toEqual([]);
      gateway.cutAfter = false;
      expect((await publish(policy())).version).toBe(1);
      gateway.cutAfter = true;
      await expect(publish(policy({ forbids: [] }))).rejects.toThrow();
      gateway.cutAfter = false;
      // Other content than the one that was cut off: the gateway says where it stands.
      expect((await publish(policy({ revoked_keys: [] }))).version).toBe(3);
    });

    it("finds its way to a gateway that is ahead of Postgres, or was set up anew", async () => {
      await publish(policy());
      await publish(policy({ forbids: [] }));
      await db().sql`DELETE FROM policy_snapshots`;
      expect((await publish(policy({ forbids: [] }))).version).toBe(2);
      gateway.inForce = { version: 0, hash: "" };
      expect((await publish(policy({ forbids: [] }))).version).toBe(1);
    });

    it("refuses a bad file with every reason, and leaves what Postgres and the gateway hold", async () => {
      await publish(policy());
      const before = await readPolicy(db(), "default");
      const [tool] = policy().tools;
      const bad: [unknown, RegExp][] = [
        [null, /not an object/],
        [{ ...policy(), version: 7 }, /version: the loader chooses it/],
        [{ ...policy(), extra: 1 }, /additionalProperties/],
        [policy({ tenant: "rival" }), /is rival/],
        [policy({ tools: [...policy().tools, tool!] }), /occurs more than once/],
        [policy({ tools: [{ ...tool!, rate_class: "nowhere" }] }), /rate class nowhere/],
        [policy({ tools: [{ ...tool!, tool: "nowhere/x" }] }), /server that is not there/],
        [policy({ roles: [] }), /names the role demo-agent/],
        [policy({ rate_classes: policy().rate_classes.filter((rate) => rate.name !== "control") }), /policy.invalid/],
      ];
      for (const [value, reason] of bad) {
        const error = await publish(value).catch((caught: unknown) => caught);
        expect(error, String(reason)).toBeInstanceOf(PolicyFileError);
        expect((error as Error).message).toMatch(reason);
      }
      expect(await readPolicy(db(), "default")).toEqual(before);
      expect(gateway.inForce.version).toBe(1);
    });

    it("passes on the gateway's refusal and records nothing", async () => {
      gateway.refuse = { code: "SIGNATURE_INVALID", status: 401 };
      const error = await publish(policy()).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PublishError);
      expect((error as PublishError).message).toMatch(/version 1: SIGNATURE_INVALID \(401\)/);
      expect(await recorded()).toEqual([]);
    });

    it("keeps the policies of two tenants apart", async () => {
      await publish(policy());
      const rival = { ...policy({ tenant: "rival", forbids: [] }) };
      await publishPolicy({
        ...{ aud, tenant: "rival", policy: rival, publisher, databaseUrl: database.url },
        ...{ endpoint: database.endpoint.url, version: 2 },
      });
      expect((await readPolicy(db(), "default"))?.forbids).toEqual(policy().forbids);
      expect((await readPolicy(db(), "rival"))?.forbids).toEqual([]);
    });
  });
}
