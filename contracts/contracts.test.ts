/**
 * The contract against itself: sources, what is generated from them, and vectors. Shapes are read twice, by our checks and
 * by Ajv, over every vector and over random damage to the valid ones. What vectors mean is the core's to test.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ajvOf, schemaId } from "../scripts/contracts/ajv.ts";
import { generate } from "../scripts/contracts/generate.ts";
import { contractHash } from "../scripts/contracts/hash.ts";
import { lintContract } from "../scripts/contracts/lint.ts";
import { type Contract, filesUnder, loadContract } from "../scripts/contracts/load.ts";
import { byteExactVectors } from "../scripts/contracts/vectors/index.ts";
import { ERRORS, isErrorCode, LIMITS, type SchemaName, SURFACES, TalosError, validate } from "./gen/index.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(HERE, "..");
const read = (path: string) => JSON.parse(readFileSync(join(HERE, path), "utf8"));

interface ShapeCase {
  name: string;
  schema: SchemaName;
  value: unknown;
  valid: boolean;
}

const shapeCases: ShapeCase[] = filesUnder(join(HERE, "vectors/schemas"), ".json").flatMap(
  (path) => read(`vectors/schemas/${path}`).cases,
);

let contract: Contract;
beforeAll(() => {
  contract = loadContract(HERE);
});

/** The contract with one change, to see that the change is refused. */
function changed(edit: (copy: Contract) => void): string[] {
  const copy = structuredClone(contract);
  edit(copy);
  return lintContract(copy);
}

describe("sources", () => {
  it("keep their own rules", () => {
    expect(lintContract(contract)).toEqual([]);
  });

  it.each([
    [
      "an object that is open without saying why",
      (c: Contract) => delete c.schemas.get("identity/jwk")?.additionalProperties,
    ],
    ["a string without a bound", (c: Contract) => delete c.schemas.get("common/types")?.$defs?.did?.maxLength],
    [
      "a field without a description",
      (c: Contract) => delete c.schemas.get("session/request")?.properties?.share?.description,
    ],
    [
      "an integer without a unit",
      (c: Contract) => delete c.schemas.get("capability/link")?.properties?.exp?.["x-unit"],
    ],
    ["a bound that limits.json does not have", (c: Contract) => Object.assign(c.limits.did_bytes ?? {}, { value: 1 })],
    [
      "a reference that leads nowhere",
      (c: Contract) =>
        Object.assign(c.schemas.get("session/request")?.properties?.share ?? {}, { $ref: "none.schema.json" }),
    ],
    [
      "a keyword outside the subset",
      (c: Contract) => Object.assign(c.schemas.get("session/request") ?? {}, { if: {} }),
    ],
    ["a surface with an unknown error", (c: Contract) => c.surfaces[0]?.errors.push("no.such")],
    [
      "a surface with an unknown schema",
      (c: Contract) => Object.assign(c.surfaces[0]?.responses[0] ?? {}, { schema: "no/such" }),
    ],
    [
      "two surfaces on one route",
      (c: Contract) => c.surfaces.push({ ...(c.surfaces[0] as Contract["surfaces"][0]), name: "twin" }),
    ],
    ["a surface without a member", (c: Contract) => delete (c.surfaces[0] as { permission?: string }).permission],
    [
      "a path parameter that is not declared",
      (c: Contract) => Object.assign(c.surfaces.find(({ tenant }) => tenant) ?? {}, { parameters: [] }),
    ],
    [
      "an example that does not fit",
      (c: Contract) => Object.assign(c.schemas.get("session/request") ?? {}, { examples: [{}] }),
    ],
    [
      "a code that no problem can say",
      (c: Contract) => c.schemas.get("gateway/problem")?.properties?.code?.enum?.pop(),
    ],
    [
      "a refusal that no decision can say",
      (c: Contract) => c.schemas.get("capability/decision")?.properties?.code?.enum?.pop(),
    ],
    ["an error without a sentence", (c: Contract) => Object.assign(c.errors.internal ?? {}, { message: "failed" })],
    ["a limit without a reason", (c: Contract) => Object.assign(c.limits.did_bytes ?? {}, { reason: "" })],
  ])("refuse %s", (_, edit) => {
    expect(changed(edit)).not.toEqual([]);
  });

  it("name surfaces as their files", () => {
    const names = filesUnder(join(HERE, "surfaces"), ".json").map((path) => path.slice(0, -".json".length));
    expect(contract.surfaces.map(({ name }) => name)).toEqual(names);
  });

  it("list in gateway.md exactly the surfaces that exist, with their methods and paths", () => {
    const page = readFileSync(join(HERE, "spec/gateway.md"), "utf8");
    const rows = [...page.matchAll(/^\| `([a-z_.]+)` \| (GET|POST|PUT|DELETE) (\S+) \|/gm)].map((row) =>
      row.slice(1, 4).join(" "),
    );
    expect(rows.sort()).toEqual(contract.surfaces.map(({ name, method, path }) => `${name} ${method} ${path}`).sort());
  });

  it("have every error code of gateway.md with its status, and no other", () => {
    const page = readFileSync(join(HERE, "spec/gateway.md"), "utf8");
    const table = page.slice(page.indexOf("| code | status |")).split("\n\n")[0] ?? "";
    const found = new Map<string, number>();
    for (const line of table.split("\n").slice(2)) {
      const [codes = "", status = ""] = line.split("|").slice(1);
      for (const match of codes.matchAll(/`([A-Za-z_.]+)`(?: (\d{3}))?/g))
        found.set(match[1] as string, Number(match[2] ?? status));
    }
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(Object.entries(ERRORS).map(([code, entry]) => [code, entry.status])),
    );
  });
});

describe("what is generated", () => {
  it("is in the tree as the sources give it, twice the same", () => {
    const [first, second] = [generate(ROOT), generate(ROOT)];
    expect(first.problems).toEqual([]);
    expect([...second.files]).toEqual([...first.files]);
    for (const [name, text] of first.files) expect(readFileSync(join(HERE, "gen", name), "utf8"), name).toBe(text);
    expect(filesUnder(join(HERE, "gen"), "").length).toBe(first.files.size);
  });

  it("has a hash that follows meaning and not prose", () => {
    const hash = contractHash(contract);
    const after = (edit: (copy: Contract) => void) => {
      const copy = structuredClone(contract);
      edit(copy);
      return contractHash(copy);
    };
    expect(after((c) => Object.assign(c.schemas.get("identity/jwk") ?? {}, { description: "Other words." }))).toBe(
      hash,
    );
    expect(after((c) => Object.assign(c.limits.did_bytes ?? {}, { reason: "Other words." }))).toBe(hash);
    expect(after((c) => Object.assign(c.limits.did_bytes ?? {}, { value: 257 }))).not.toBe(hash);
    expect(after((c) => Object.assign(c.errors.internal ?? {}, { retryable: true }))).not.toBe(hash);
    expect(after((c) => Object.assign(c.surfaces[0] ?? {}, { path: "/x" }))).not.toBe(hash);
    expect(after((c) => delete c.schemas.get("gateway/problem")?.properties?.description)).toBe(hash);
    expect(after((c) => delete c.schemas.get("gateway/problem")?.properties?.title)).not.toBe(hash);
  });

  it("describes every surface in OpenAPI, with references that lead somewhere", () => {
    const openapi = read("gen/openapi.json");
    const operations = Object.entries<Record<string, { operationId: string }>>(openapi.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, { operationId }]) => `${operationId} ${method.toUpperCase()} ${path}`),
    );
    expect(operations.sort()).toEqual(
      Object.values(SURFACES)
        .map(({ name, method, path }) => `${name} ${method} ${path}`)
        .sort(),
    );
    for (const [, pointer] of JSON.stringify(openapi).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = (pointer as string).split("/").reduce((node, part) => node?.[part], openapi);
      expect(target, pointer).toBeDefined();
    }
  });

  it("gives errors a public message and keeps detail apart", () => {
    const error = new TalosError("REPLAY", { nonce: "secret" });
    expect([error.name, error.code, error.message]).toEqual(["TalosError", "REPLAY", ERRORS.REPLAY.message]);
    expect(error.message).not.toContain("secret");
    expect([isErrorCode("REPLAY"), isErrorCode("toString"), isErrorCode(null)]).toEqual([true, false, false]);
  });
});

describe("shapes", () => {
  it("have valid and invalid vectors for every schema", () => {
    for (const [name, schema] of contract.schemas) {
      if (name === "meta" || name === "surface" || schema["x-open"]) continue;
      const mine = shapeCases.filter((c) => c.schema === name);
      expect([mine.some((c) => c.valid), mine.some((c) => !c.valid)], name).toEqual([true, true]);
    }
  });

  it.each([...new Set(shapeCases.map(({ schema }) => schema))])("%s takes and refuses its vectors", (wanted) => {
    for (const { name, schema, value, valid } of shapeCases) {
      if (schema === wanted) expect(validate(schema, value).ok, name).toBe(valid);
    }
  });

  it("are read by Ajv as by us, vectors and random damage alike", () => {
    const ajv = ajvOf(contract);
    const agree = (schema: SchemaName, value: unknown) => {
      const theirs = ajv.getSchema(schemaId(schema))?.(value);
      expect(validate(schema, value).ok, `${schema} ${JSON.stringify(value)?.slice(0, 2000)}`).toBe(theirs);
    };
    for (const { schema, value } of shapeCases) agree(schema, value);
    const valid = fc.constantFrom(...shapeCases.filter((c) => c.valid));
    const damaged = fc.tuple(valid, fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), fc.jsonValue());
    fc.assert(
      fc.property(damaged, ([{ schema, value }, path, piece]) => agree(schema, damage(value, path, piece))),
      { numRuns: 5000 },
    );
  });

  it("refuse members of the prototype and say nothing of the sender's names", () => {
    const sent = JSON.parse(
      '{"share":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","writes":false,"__proto__":{"x":1}}',
    );
    expect(validate("session/request", sent)).toEqual({ ok: false, errors: [": additionalProperties"] });
    expect(validate("session/request", Object.create({ share: "A", writes: false })).ok).toBe(false);
  });
});

/** A copy with `piece` put in the place that `path` leads to, index by index. */
function damage(value: unknown, path: number[], piece: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined || value === null || typeof value !== "object") return piece;
  const keys = Object.keys(value);
  if (keys.length === 0) return piece;
  const key = keys[step % keys.length] as string;
  const copy = structuredClone(value) as Record<string, unknown>;
  if (rest.length === 0 && step % 3 === 0) {
    if (Array.isArray(copy)) copy.splice(Number(key), 1);
    else delete copy[key];
  } else if (rest.length === 0 && step % 3 === 1 && !Array.isArray(copy)) {
    copy[`x${key}`] = piece;
  } else {
    copy[key] = damage(copy[key], rest, piece);
  }
  return copy;
}

describe("vectors", () => {
  const files = filesUnder(join(HERE, "vectors"), ".json");

  it.each(files)("%s quotes a page that exists and names each case once", (path) => {
    const { spec, description, cases } = read(`vectors/${path}`);
    const [page = "", heading] = spec.split("#");
    if (page.endsWith(".md")) {
      const text = readFileSync(join(ROOT, page), "utf8");
      expect(text.split("\n")).toContain(`## ${heading}`);
    }
    expect(description.length).toBeGreaterThan(0);
    expect(new Set(cases.map((c: { name: string }) => c.name)).size).toBe(cases.length);
  });

  it("that are byte-exact are what the independent implementation gives", () => {
    for (const [name, file] of byteExactVectors()) {
      expect(read(`vectors/${name}.json`), name).toEqual(JSON.parse(JSON.stringify(file)));
    }
  });

  it("hold the two halves of every decision that containment makes", () => {
    const { cases } = read("vectors/capability/containment-atoms.json");
    const cell = (c: { child: { op: string }; parent: { op: string } }) => `${c.child.op} in ${c.parent.op}`;
    const ops = ["eq", "in", "not_in", "range", "pat", "subset", "maxlen"];
    const never = new Set(cases.map(cell));
    for (const c of cases) if (c.expect) never.delete(cell(c));
    for (const a of ops)
      for (const b of ops)
        expect(
          cases.some((c: Parameters<typeof cell>[0] & { expect: boolean }) => cell(c) === `${a} in ${b}` && !c.expect),
          `${a} in ${b}`,
        ).toBe(true);
    const dashes = [
      ...["eq", "in", "range", "pat"].map((op) => `${op} in subset`),
      ...["eq", "in", "range", "pat", "subset", "maxlen"].map((op) => `not_in in ${op}`),
      ...["pat", "maxlen"].map((op) => `range in ${op}`),
      "pat in range",
      ...ops.filter((op) => op !== "subset").map((op) => `subset in ${op}`),
      ...ops.filter((op) => op !== "maxlen").map((op) => `maxlen in ${op}`),
    ];
    expect([...never].sort()).toEqual(dashes.sort());
  });

  it("of links, tickets, heads, statements, policies and events fit their schemas", () => {
    const payload = (jws: string) => JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString());
    const fits = (schema: SchemaName, value: unknown) =>
      expect(validate(schema, value), schema).toMatchObject({ ok: true });
    for (const c of read("vectors/capability/chains.json").cases) {
      if (c.expect.allow) for (const link of c.chain.split("~")) fits("capability/link", payload(link));
    }
    for (const c of read("vectors/in-force/heads.json").cases) if (c.valid) fits("in-force/head", payload(c.head));
    for (const c of read("vectors/in-force/statements.json").cases)
      if (c.valid) fits("in-force/revocation-statement", payload(c.statement));
    for (const c of read("vectors/in-force/policies.json").cases) if (c.valid) fits("policy/snapshot", payload(c.jws));
    for (const c of read("vectors/in-force/revocation-bodies.json").cases)
      fits("in-force/revocation-body", JSON.parse(c.body));
    for (const c of read("vectors/audit/events.json").cases) fits("audit/event-v2", JSON.parse(c.body));
    for (const c of read("vectors/audit/signed.json").cases) fits(c.schema, payload(c.jws));
    for (const c of read("vectors/encoding/uuidv7.json").cases) {
      const { jti: _, ...rest } = payload(read("vectors/in-force/statements.json").cases[0].statement);
      expect(validate("in-force/revocation-statement", { ...rest, jti: c.text }).ok, c.name).toBe(c.valid);
    }
  });

  it("of published v1 events fit our schema of v1, and their hashes are ours", (ctx) => {
    const dir = process.env.TALOS_VECTORS_DIR;
    if (!dir) return ctx.skip("TALOS_VECTORS_DIR names no folder of published vectors");
    const { tests } = JSON.parse(readFileSync(join(dir, "reference/audit_event_vectors.json"), "utf8"));
    for (const { event_without_hash, canonical_bytes_hex, event_hash } of tests) {
      expect(createHash("sha256").update(Buffer.from(canonical_bytes_hex, "hex")).digest("hex")).toBe(event_hash);
      expect(validate("audit/event-v1", { ...event_without_hash, event_hash })).toMatchObject({ ok: true });
    }
  });

  it("of published UUIDs are read as ours are", (ctx) => {
    const dir = process.env.TALOS_VECTORS_DIR;
    if (!dir) return ctx.skip("TALOS_VECTORS_DIR names no folder of published vectors");
    const published = JSON.parse(readFileSync(join(dir, "reference/uuidv7.json"), "utf8"));
    for (const text of published.valid) expect(validate("audit/query", { correlation: text }).ok, text).toBe(true);
    for (const text of published.invalid) expect(validate("audit/query", { correlation: text }).ok, text).toBe(false);
  });

  it("and limits agree where the specification gives a number", () => {
    expect([LIMITS.link_bytes, LIMITS.chain_bytes, LIMITS.chain_links, LIMITS.grants]).toEqual([4096, 16384, 8, 64]);
    expect(LIMITS.delegation_depth).toBe(LIMITS.chain_links - 1);
    expect(LIMITS.tool_bytes).toBe(LIMITS.server_bytes + "/@prompt/".length + LIMITS.tool_name_bytes);
    expect(LIMITS.aud_bytes).toBeGreaterThanOrEqual(LIMITS.origin_bytes + "/t/".length + LIMITS.tenant_bytes);
    expect(LIMITS.gate_expires_ahead_seconds).toBeGreaterThanOrEqual(
      LIMITS.proof_life_seconds + LIMITS.proof_skew_seconds,
    );
    expect(LIMITS.policy_bytes).toBeLessThanOrEqual(LIMITS.body_bytes);
  });
});
