/** Production with anything missing serves nothing. Source: contracts/spec/keys.md. */
import { SURFACES, type Keysets } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { developmentKeysets, person, rpc } from "../fixtures.ts";
import { startTalos, type TalosOptions } from "../harness.ts";

function productionKeysets(): Keysets {
  const keysets = developmentKeysets();
  const purposes = Object.fromEntries(
    Object.entries(keysets.purposes).map(([purpose, keys]) => [
      purpose,
      keys.map((key) => ({ ...key, kid: key.kid.replace("dev-", "prod-") })),
    ]),
  );
  return { ...keysets, environment: "production", purposes: purposes as Keysets["purposes"] };
}

const PRODUCTION: TalosOptions = {
  mode: "production",
  publishers: { default: [person("publisher").jwk] },
  env: {
    TALOS_ORIGIN: "https://talos.example",
    TALOS_DATABASE_ENDPOINT: undefined,
    DATABASE_URL: "postgresql://u:config-canary@db.example/talos",
  },
};
const withKeysets = (change: (keysets: Keysets) => Keysets): TalosOptions => ({
  ...PRODUCTION,
  keysets: change(productionKeysets()),
});
const withEnv = (env: Record<string, string | undefined>): TalosOptions => ({
  ...PRODUCTION,
  keysets: productionKeysets(),
  env: { ...PRODUCTION.env, ...env },
});

const incomplete: [string, TalosOptions][] = [
  ["no keysets", withEnv({ TALOS_KEYSETS: undefined })],
  ["keysets that are no JSON", withEnv({ TALOS_KEYSETS: "{" })],
  ["a missing purpose", withKeysets((k) => ({ ...k, purposes: { ...k.purposes, mcp: [] } }))],
  [
    "a purpose without a primary",
    withKeysets((k) => ({
      ...k,
      purposes: { ...k.purposes, head: k.purposes.head.map((key) => ({ ...key, status: "staged" as const })) },
    })),
  ],
  [
    "a development key",
    withKeysets((k) => ({ ...k, purposes: { ...k.purposes, ticket: developmentKeysets().purposes.ticket } })),
  ],
  ["keysets of development", withKeysets((k) => ({ ...k, environment: "development" }))],
  [
    "an expired primary",
    withKeysets((k) => ({
      ...k,
      purposes: { ...k.purposes, receipt: k.purposes.receipt.map((key) => ({ ...key, not_after: 1_000 })) },
    })),
  ],
  [
    "one key for two purposes",
    withKeysets((k) => ({
      ...k,
      purposes: { ...k.purposes, promise: k.purposes.promise.map((key) => ({ ...key, key: k.purposes.head[0]!.key })) },
    })),
  ],
  ["an origin that is not https", withEnv({ TALOS_ORIGIN: "http://talos.example" })],
  ["publishers that are no keys", withEnv({ TALOS_PUBLISHERS: '{"default":[{"kty":"RSA"}]}' })],
  [
    "a credential without its origin",
    withEnv({ TALOS_UPSTREAM_CREDENTIALS: '{"default/files":{"header":"x","value":"config-canary"}}' }),
  ],
  ["no tenants", withEnv({ TALOS_TENANTS: "" })],
  ["no database", withEnv({ DATABASE_URL: undefined })],
  ["webhooks to loopback", withEnv({ TALOS_LOOPBACK_RECEIVERS: "allow" })],
  ["a resolver without TLS", withEnv({ TALOS_DOH_URL: "http://127.0.0.1:1/dns-query" })],
  ["witnesses that are no policy", withEnv({ TALOS_WITNESSES: "witness w1" })],
  ["witnesses without a quorum's end", withEnv({ TALOS_WITNESSES: "quorum none" })],
  ["a local database endpoint", withEnv({ TALOS_DATABASE_ENDPOINT: "http://127.0.0.1:1" })],
  ["an unknown mode", withEnv({ TALOS_MODE: "staging" })],
];

describe("production", () => {
  it.each(incomplete)(
    "with %s answers config.incomplete on every surface, and names nothing",
    async (_what, options) => {
      const talos = await startTalos(options);
      try {
        for (const { method, path } of [...Object.values(SURFACES), { method: "GET", path: "/nothing" }]) {
          const body =
            method === "GET" || method === "DELETE"
              ? {}
              : { body: rpc("ping"), headers: { "content-type": "application/json" } };
          const response = await fetch(talos.origin + path.replace("{tenant}", "default").replace(/\{\w+\}/g, "x"), {
            method,
            ...body,
          });
          expect(response.status, path).toBe(503);
          const text = await response.text();
          expect(text).toContain('"code":"config.incomplete"');
          expect(text).not.toMatch(/keyset|TALOS_|primary|DATABASE/);
          expect(response.headers.get("x-request-id")).not.toBeNull();
        }
        expect(talos.logs.join("\n")).toContain("config.incomplete");
        expect(talos.logs.join("\n")).not.toContain("config-canary");
        for (const keys of Object.values(talos.keysets.purposes))
          for (const { key } of keys) expect(talos.logs.join("\n")).not.toContain(key);
      } finally {
        await talos.stop();
      }
    },
  );

  it("with everything there is alive, and refuses a policy that names a loopback server or admits unlisted tools", async () => {
    const { snapshot } = await import("../fixtures.ts");
    const { policySign } = await import("@talos/core");
    const talos = await startTalos({ ...PRODUCTION, keysets: productionKeysets() });
    try {
      expect((await fetch(`${talos.origin}/health/live`)).status).toBe(200);
      const publisher = person("publisher");
      const put = (over: object) => {
        const { jws } = policySign({
          seed: publisher.seed,
          snapshot: snapshot({ anchors: [person("operator")], over }),
        });
        return fetch(`${talos.aud()}/v1/policy`, {
          method: "PUT",
          headers: { "content-type": "application/jose" },
          body: jws,
        });
      };
      for (const url of [
        "http://127.0.0.1:3000/mcp",
        "https://localhost/mcp",
        "https://169.254.169.254/mcp",
        "http://mcp.example/mcp",
      ]) {
        expect((await put({ servers: [{ name: "files", url }] })).status, url).toBe(422);
      }
      expect((await put({ unregistered: "destructive" })).status).toBe(422);
      expect((await put({ servers: [{ name: "files", url: "https://mcp.example/mcp" }] })).status).toBe(200);
    } finally {
      await talos.stop();
    }
  });
});
