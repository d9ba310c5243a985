/**
 * What the sources must keep among themselves, beyond the shape of each: bounds equal limits.json, lists of codes errors.json, references lead
 * somewhere, surfaces name schemas, errors and parameters that exist. Every problem is reported, not the first only.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Contract, Schema, SurfaceDocument } from "./load.ts";
import { resolveRef, walk } from "./refs.ts";
import { ajvOf, schemaId } from "./ajv.ts";

/** Codes that every surface may answer with; surface documents do not repeat them. */
export const COMMON_ERRORS = [
  "config.incomplete",
  "internal",
  "method.not_allowed",
  "request.header_too_large",
  "route.unknown",
  "tenant.unknown",
];

const BOUNDS = ["maxLength", "maxItems", "maxProperties", "maximum"] as const;

export function lintContract(contract: Contract): string[] {
  const problems = [...lintSchemas(contract), ...lintTables(contract)];
  if (problems.length > 0) return problems; // what follows reads with the schemas
  const ajv = ajvOf(contract);
  return [...lintExamples(contract, ajv), ...lintSurfaces(contract, ajv)];
}

function lintSchemas(contract: Contract): string[] {
  const meta = contract.schemas.get("meta");
  if (!meta) return ["schemas/meta.schema.json is missing"];
  const conforms = new Ajv2020({ strict: false, allErrors: false }).compile(meta);
  const problems: string[] = [];
  for (const [name, schema] of contract.schemas) {
    if (name === "meta") continue;
    const where = `schemas/${name}.schema.json`;
    if (!conforms(schema)) {
      const deepest = [...(conforms.errors ?? [])].sort((a, b) => b.instancePath.length - a.instancePath.length)[0];
      problems.push(`${where}${deepest?.instancePath}: outside the subset of meta.schema.json (${deepest?.message})`);
      continue;
    }
    for (const node of walk(schema))
      problems.push(...lintNode(contract, name, node).map((text) => `${where}: ${text}`));
  }
  return problems;
}

function lintNode(contract: Contract, home: string, node: Schema): string[] {
  const problems: string[] = [];
  if (node.$ref !== undefined) {
    try {
      resolveRef(contract, home, node.$ref);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  const limit = node["x-limit"];
  if (limit !== undefined) {
    const bound = BOUNDS.map((keyword) => node[keyword]).find((value) => value !== undefined);
    const value = contract.limits[limit]?.value;
    if (value === undefined || bound !== value) {
      problems.push(`x-limit ${limit} is ${value} in limits.json, the bound here is ${bound}`);
    }
  }
  const which = node["x-codes"];
  if (which !== undefined && node.enum?.join() !== codes(contract, which).join()) {
    problems.push(`x-codes ${which}: not the codes of errors.json in their order: ${codes(contract, which).join(" ")}`);
  }
  if (node.uniqueItems && !isScalar(contract, home, node.items)) problems.push("uniqueItems is for lists of scalars");
  for (const name of node.required ?? []) {
    if (node.properties && !(name in node.properties))
      problems.push(`required member ${name} is not among the properties`);
  }
  return problems;
}

/** What an enumeration of error codes must list; a decision's begins with the one that refuses nothing. */
function codes({ errors }: Contract, which: "every" | "decision"): string[] {
  const all = Object.keys(errors);
  return which === "every" ? all : ["OK", ...all.filter((code) => errors[code]?.decision)];
}

function isScalar(contract: Contract, home: string, node: Schema | undefined): boolean {
  if (node?.$ref !== undefined) {
    const target = resolveRef(contract, home, node.$ref);
    return isScalar(contract, target.file, target.schema);
  }
  return node?.enum !== undefined || node?.type === "string" || node?.type === "integer";
}

function lintTables({ errors, limits }: Contract): string[] {
  const problems: string[] = [];
  for (const [code, entry] of Object.entries(errors)) {
    const { status, message, retryable } = entry;
    const known = ["status", "message", "retryable", "decision"];
    const shape = Number.isInteger(status) && status >= 400 && status <= 599 && typeof retryable === "boolean";
    if (!shape || !message?.endsWith(".") || Object.keys(entry).some((name) => !known.includes(name))) {
      problems.push(`errors.json: ${code} needs a status 400..599, a sentence as message, and retryable`);
    }
    if (!/^([A-Z_]+|[a-z]+(\.[a-z_]+)?)$/.test(code)) problems.push(`errors.json: ${code} is no code`);
  }
  for (const [name, { value, unit, reason }] of Object.entries(limits)) {
    if (!/^[a-z0-9_]+$/.test(name) || !Number.isSafeInteger(value) || value < 0 || !unit || !reason?.endsWith(".")) {
      problems.push(`limits.json: ${name} needs a whole value, a unit and a sentence as reason`);
    }
  }
  return problems;
}

function lintExamples(contract: Contract, ajv: Ajv2020): string[] {
  return [...contract.schemas].flatMap(([name, { examples = [] }]) =>
    examples
      .filter((example) => name !== "meta" && ajv.getSchema(schemaId(name))?.(example) !== true)
      .map((example) => `schemas/${name}.schema.json: not an example of it: ${JSON.stringify(example)}`),
  );
}

function lintSurfaces(contract: Contract, ajv: Ajv2020): string[] {
  const conforms = ajv.getSchema(schemaId("surface"));
  if (!conforms) return ["schemas/surface.schema.json is missing"];
  const routes = new Map<string, string>();
  const calls = new Map<string, string>();
  return contract.surfaces.flatMap((surface) => {
    const where = `surfaces/${surface.name}.json`;
    if (!conforms(surface)) return [`${where}: ${ajv.errorsText(conforms.errors)}`];
    const route = `${surface.method} ${surface.path}`;
    const twin = routes.get(route);
    routes.set(route, where);
    // The core finds class and rate class of one of our own tools by tool and action.
    const call = `${surface.tool} ${surface.action}`;
    const cost = `${surface.class} ${surface.rate_class}`;
    const other = surface.tool === undefined ? undefined : calls.get(call);
    if (other === undefined && surface.class !== "registry") calls.set(call, cost);
    return [
      ...(twin ? [`${where}: ${route} is ${twin}'s already`] : []),
      ...(other !== undefined && other !== cost ? [`${where}: ${call} is ${other} elsewhere`] : []),
      ...lintSurface(contract, surface).map((text) => `${where}: ${text}`),
    ];
  });
}

function lintSurface(contract: Contract, surface: SurfaceDocument): string[] {
  const problems: string[] = [];
  const schemas = [surface.request?.schema, ...surface.responses.map((response) => response.schema)];
  for (const name of schemas) if (name && !contract.schemas.has(name)) problems.push(`no schema ${name}`);
  for (const code of surface.errors) {
    if (!(code in contract.errors)) problems.push(`no error ${code} in errors.json`);
    if (COMMON_ERRORS.includes(code) && code !== "config.incomplete") problems.push(`${code} is every surface's`);
  }
  for (const { name, schema } of surface.parameters) {
    const [file = "", def = ""] = schema.split("#");
    if (!contract.schemas.get(file)?.$defs?.[def]) problems.push(`parameter ${name}: no schema ${schema}`);
  }
  if (/\{path\}./.test(surface.path)) problems.push("{path} spans segments and stands at the end");
  const inPath = [...surface.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  const declared = surface.parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
  if (inPath.join() !== declared.join()) problems.push(`path has {${inPath}}, parameters have {${declared}}`);
  if (surface.tenant !== surface.path.startsWith("/t/{tenant}/")) problems.push("tenant and path disagree");
  if (surface.permission === "grant" && !surface.tool) problems.push("permission grant needs a tool");
  if (surface.tool && !surface.tool.startsWith("talos/")) problems.push("a surface's tool is below talos/");
  if (surface.tenant && surface.permission !== "publisher" && surface.rate_class === null) {
    problems.push("a tenant surface needs a rate class");
  }
  return problems;
}
