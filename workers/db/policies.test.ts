import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { migrate } from "../../scripts/migrate.ts";
import { type TestDatabase, testDatabases } from "../../scripts/neon/test-database.ts";
import { connect, sqlState } from "./client.ts";
import { inOrder, type Policy, readPolicy, writePolicy } from "./policies.ts";
import { lastSnapshot, recordSnapshot } from "./policy-snapshots.ts";

// Starting a database takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const JKT = "A".repeat(43);
const JWK = { crv: "Ed25519", kty: "OKP", x: JKT } as const;
const demo = JSON.parse(readFileSync(join(import.meta.dirname, "../../policies/demo.json"), "utf8")) as Policy;

/** Every list filled, optional members there and absent, strings that quoting could spoil. */
const FULL = inOrder({
  ...demo,
  anchors: [
    { did: "did:web:b.example", jwk: JWK },
    { did: "did:web:a.example", jwk: JWK },
  ],
  dids: [{ did: "did:web:a.example", jkt: JKT }],
  servers: [...demo.servers, { name: "bare", url: "https://bare.example/mcp" }],
  tools: [
    ...demo.tools,
    {
      tool: "bare/full",
      class: "pay",
      actions: ["call"],
      resource_arg: "path",
      rate_class: "read",
      cost: 7,
      keep: "both",
    },
  ],
  bindings: [
    ...demo.bindings,
    {
      id: "scoped",
      role: demo.roles[0]!.id,
      principal: "did:web:a.example",
      scope: { type: "tool", attributes: { server: "bare", tool: "*" } },
    },
  ],
  forbids: [
    ...demo.forbids,
    { id: "quoted", principal: JKT, tool: "*", classes: ["pay"], reason: `it's "so" \\ $1 ü€` },
  ],
  peps: [{ jkt: JKT, origins: ["https://pep.example/a"], servers: ["bare"] }],
  revoked_keys: [`${"B".repeat(42)}A`, JKT],
} as Policy);

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`policies in ${kind.name}`, () => {
    let database: TestDatabase;
    const db = () =>
      connect({
        TALOS_MODE: "development",
        DATABASE_URL: database.url,
        TALOS_DATABASE_ENDPOINT: database.endpoint.url,
      });
    beforeAll(async () => {
      database = await kind.start();
      await migrate({ databaseUrl: database.url, endpoint: database.endpoint.url });
    });
    afterAll(() => database?.close());

    it("come back as they were written", async () => {
      expect(await readPolicy(db(), "default")).toBeNull();
      await writePolicy(db(), FULL);
      expect(await readPolicy(db(), "default")).toEqual(FULL);
    });

    it("are replaced whole, of one tenant only, or not at all", async () => {
      await writePolicy(db(), { ...FULL, tenant: "rival" });
      await writePolicy(db(), demo);
      expect(await readPolicy(db(), "default")).toEqual(inOrder(demo));
      const broken = writePolicy(db(), { ...FULL, roles: [] }); // bindings that hang in the air
      await expect(broken).rejects.toSatisfy((error) => sqlState(error) === "23503");
      expect(await readPolicy(db(), "default")).toEqual(inOrder(demo));
      expect(await readPolicy(db(), "rival")).toEqual({ ...FULL, tenant: "rival" });
    });

    it("hold as many tools and bindings as the contract allows", async () => {
      const tools = Array.from({ length: 4096 }, (_, n) => ({ ...demo.tools[0]!, tool: `everything/tool-${n}` }));
      const bindings = Array.from({ length: 4096 }, (_, n) => ({ ...demo.bindings[0]!, id: `binding-${n}` }));
      const large = inOrder({ ...demo, tenant: "large", tools, bindings } as Policy);
      await writePolicy(db(), large);
      expect(await readPolicy(db(), "large")).toEqual(large);
    });

    it("are remembered as they were published, the last one first, also when numbers begin anew", async () => {
      expect(await lastSnapshot(db(), "default")).toBeNull();
      const one = { tenant: "default", version: 4, hash: "a", jws: "a.b.c", published_at_ms: 1000 };
      await recordSnapshot(db(), one);
      await recordSnapshot(db(), { ...one, version: 1, hash: "b", published_at_ms: 2000 });
      expect((await lastSnapshot(db(), "default"))?.version).toBe(1);
      await recordSnapshot(db(), { ...one, published_at_ms: 3000 });
      expect(await lastSnapshot(db(), "default")).toEqual({ ...one, published_at_ms: 3000 });
      expect(await lastSnapshot(db(), "rival")).toBeNull();
    });
  });
}
