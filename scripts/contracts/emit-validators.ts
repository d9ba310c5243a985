/**
 * gen/validators.ts: every schema as a composition of the checks in contracts/shape.ts. The subset of
 * schemas/meta.schema.json makes the translation total. (Ajv's standalone output for the same schemas is 330 kB, four
 * times a Worker's whole share; Ajv stays as the oracle that the tests compare with.)
 */
import { BANNER } from "./emit-errors.ts";
import type { Contract, Schema } from "./load.ts";
import { resolveRef } from "./refs.ts";

/** Schemas that validate something at run time: all but the meta-schema, files of definitions, and surface documents. */
export function runtimeSchemas(contract: Contract): [name: string, schema: Schema][] {
  return [...contract.schemas].filter(([name, schema]) => name !== "meta" && name !== "surface" && !schema["x-open"]);
}

const key = (name: string) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));
const args = (...values: unknown[]) => {
  while (values.length > 0 && values.at(-1) === undefined) values.pop();
  return values.map((value) => (value === undefined ? "undefined" : String(value))).join(", ");
};

/** Prints one node; `refer` gives the name under which a referenced schema's check stands. */
function expression(node: Schema, refer: (ref: string) => string): string {
  const print = (inner: Schema) => expression(inner, refer);
  if (node.$ref !== undefined) return refer(node.$ref);
  if ("const" in node) return `constant(${JSON.stringify(node.const)})`;
  if (node.enum) return `enumeration(${node.enum.map((value) => JSON.stringify(value)).join(", ")})`;
  if (node.oneOf) return `union(${node.oneOf.map(print).join(", ")})`;
  switch (node.type) {
    case "string": {
      const pattern = node.pattern === undefined ? undefined : `/${node.pattern.replaceAll("/", "\\/")}/u`;
      return `text(${args(node.maxLength, node.minLength ?? (pattern ? 0 : undefined), pattern)})`;
    }
    case "integer":
      return `integer(${node.minimum}, ${node.maximum})`;
    case "boolean":
      return "boolean";
    case "array": {
      const min = node.minItems ?? (node.uniqueItems ? 0 : undefined);
      return `list(${args(print(node.items as Schema), node.maxItems, min, node.uniqueItems)})`;
    }
    case "object": {
      if (node["x-open"]) return `openObject(${node.maxProperties})`;
      if (typeof node.additionalProperties === "object") {
        return `map(${args(print(node.propertyNames as Schema), print(node.additionalProperties), node.maxProperties, node.minProperties)})`;
      }
      const fields = Object.entries(node.properties ?? {}).map(([name, field]) => `${key(name)}: ${print(field)}`);
      const dependent = node.dependentRequired && JSON.stringify(Object.entries(node.dependentRequired));
      return `object({ ${fields.join(", ")} }, ${args(JSON.stringify(node.required ?? []), dependent)})`;
    }
    default:
      return "anything";
  }
}

/** @throws when schemas refer to each other in a circle; the subset has no recursion. */
export function emitValidators(contract: Contract): string {
  const lines: string[] = [];
  const done = new Map<string, "open" | "done">();
  const emit = (file: string, schema: Schema) => {
    const name = `is${schema.title}`;
    if (done.get(name) === "open") throw new Error(`schemas/${file}: ${schema.title} refers to itself`);
    if (done.has(name)) return name;
    done.set(name, "open");
    const text = expression(schema, (ref) => {
      const target = resolveRef(contract, file, ref);
      return emit(target.file, target.schema);
    });
    lines.push(`const ${name} = ${text};`);
    done.set(name, "done");
    return name;
  };
  const named = runtimeSchemas(contract).map(([name, schema]) => `  ${JSON.stringify(name)}: ${emit(name, schema)},`);
  const helpers = [
    "anything",
    "boolean",
    "constant",
    "enumeration",
    "integer",
    "list",
    "map",
    "object",
    "openObject",
    "text",
    "union",
  ];
  const used = helpers.filter((helper) => lines.some((line) => new RegExp(`\\b${helper}\\b`).test(line)));
  return `${BANNER}
import { ${used.join(", ")} } from "../shape.ts";
import type { Check } from "../shape.ts";
import type { SchemaName } from "./types.ts";

${lines.join("\n")}

/** The check of every schema, by its path below schemas/. */
export const CHECKS: { readonly [N in SchemaName]: Check } = {
${named.join("\n")}
};
`;
}
