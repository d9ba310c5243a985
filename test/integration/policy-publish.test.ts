import { b64uDecode } from "@talos/core";
import { Key } from "@talos/sdk";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate } from "../../scripts/migrate.ts";
import { type TestDatabase, testDatabases } from "../../scripts/neon/test-database.ts";
import { PublishError, publishPolicy } from "../../scripts/policy/publish.ts";
import { connect } from "../../workers/db/client.ts";
import type { Policy } from "../../workers/db/policies.ts";
import { person, snapshot } from "../fixtures.ts";
import { startTalos, type Talos } from "../harness.ts";
import { TOOLS } from "../support/world.ts";

for (const kind of testDatabases()) {
  describe.skipIf(kind.skip !== undefined)(`the loader and the gateway, through ${kind.name}`, () => {
    let database: TestDatabase;
    let talos: Talos;
    const publisher = new Key(randomBytes(32));
    const { version: _, ...policy } = snapshot({
      anchors: [person("operator")],
      tools: TOOLS,
      servers: ["files", "other", "unlisted"].map((name) => ({ name, url: `http://127.0.0.1:1/${name}` })),
    });
    const publish = (over: Partial<Policy> = {}, by = publisher) =>
      publishPolicy({
        ...{ aud: talos.aud(), tenant: "default", policy: { ...policy, ...over }, publisher: by },
        ...{ databaseUrl: database.url, endpoint: database.endpoint.url },
      });
    const revoked = (n: number) => ({
      revoked_keys: Array.from({ length: n }, (_, at) => person(`revoked ${at}`).jkt),
    });

    beforeAll(async () => {
      database = await kind.start();
      await migrate({ databaseUrl: database.url, endpoint: database.endpoint.url });
      talos = await startTalos({ publishers: { default: [publisher.jwk] } });
    });
    afterAll(async () => {
      await talos?.stop();
      await database?.close();
    });

    it("brings a policy into force, says the same thing twice, and counts on", async () => {
      const first = await publish();
      expect(first).toMatchObject({ version: 1, repeated: false });
      expect(b64uDecode(first.hash)).toHaveLength(32);
      expect(await publish()).toEqual({ ...first, repeated: true });
      expect(await publish(revoked(1))).toMatchObject({ version: 2, repeated: false });
    });

    it("finds its way when Postgres knows nothing of what the gateway has in force", async () => {
      await connect({
        TALOS_MODE: "development",
        DATABASE_URL: database.url,
        TALOS_DATABASE_ENDPOINT: database.endpoint.url,
      }).sql`DELETE FROM policy_snapshots`;
      expect(await publish(revoked(2))).toMatchObject({ version: 3, repeated: false });
    });

    it("is refused with a key that is no publisher's", async () => {
      const stranger = new Key(randomBytes(32));
      const error = await publish({}, stranger).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PublishError);
      expect((error as PublishError).problem.status).toBeGreaterThanOrEqual(400);
    });
  });
}
