/**
 * gen/types.ts: one type for every schema and every definition that has a title.
 * The subset of schemas/meta.schema.json keeps this total: a keyword that is not handled here cannot be written there.
 */
import { BANNER } from "./emit-errors.ts";
import type { Contract, Schema } from "./load.ts";
import { resolveRef } from "./refs.ts";

const doc = (text: string | undefined, indent: string) =>
  text ? `${indent}/** ${text.replaceAll("*/", "*\\/")} */\n` : "";

const key = (name: string) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

/** A schema as a TypeScript type expression. `home` is the file that its references are relative to. */
function typeOf(contract: Contract, home: string, schema: Schema, indent: string): string {
  if (schema.$ref !== undefined) return resolveRef(contract, home, schema.$ref).title;
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.oneOf) return schema.oneOf.map((one) => typeOf(contract, home, one, indent)).join(" | ");
  switch (schema.type) {
    case "string":
      return "string";
    case "integer":
      return "number";
    case "boolean":
      return "boolean";
    case "array": {
      const items = typeOf(contract, home, schema.items as Schema, indent);
      return /^[\w.]+$/.test(items) ? `${items}[]` : `(${items})[]`;
    }
    case "object": {
      if (schema["x-open"]) return "Record<string, unknown>";
      if (typeof schema.additionalProperties === "object") {
        return `Record<string, ${typeOf(contract, home, schema.additionalProperties, indent)}>`;
      }
      return objectType(contract, home, schema, indent);
    }
    default:
      return "unknown"; // an open node: the meta-schema asks it to say why
  }
}

function objectType(contract: Contract, home: string, schema: Schema, indent: string): string {
  const inner = `${indent}  `;
  const members = Object.entries(schema.properties ?? {}).map(([name, node]) => {
    const optional = schema.required?.includes(name) ? "" : "?";
    const type = typeOf(contract, home, node, inner);
    return `${doc(node.description, inner)}${inner}${key(name)}${optional}: ${type};\n`;
  });
  return `{\n${members.join("")}${indent}}`;
}

function declaration(contract: Contract, home: string, schema: Schema): string {
  const isObject = schema.type === "object" && schema.properties !== undefined;
  const body = typeOf(contract, home, schema, "");
  const text = isObject ? `export interface ${schema.title} ${body}\n` : `export type ${schema.title} = ${body};\n`;
  return doc(schema.description, "") + text;
}

/** @throws when two schemas have one title: names of types are the schemas' titles. */
export function emitTypes(contract: Contract): string {
  const seen = new Map<string, string>();
  const parts: string[] = [];
  const add = (home: string, schema: Schema, where: string) => {
    const title = schema.title;
    if (!title) throw new Error(`${where} has no title`);
    if (seen.has(title)) throw new Error(`${where} and ${seen.get(title)} are both called ${title}`);
    seen.set(title, where);
    parts.push(declaration(contract, home, schema));
  };
  for (const [name, schema] of contract.schemas) {
    if (name === "meta") continue;
    for (const [def, node] of Object.entries(schema.$defs ?? {})) add(name, node, `${name}#${def}`);
    if (!schema["x-open"]) add(name, schema, name);
  }
  const names = [...contract.schemas].filter(
    ([name, schema]) => name !== "meta" && name !== "surface" && !schema["x-open"],
  );
  const map = names.map(([name, schema]) => `  ${JSON.stringify(name)}: ${schema.title};`).join("\n");
  return `${BANNER}\n${parts.join("\n")}
/** The type that each schema describes, by its path below schemas/. */
export interface SchemaTypes {
${map}
}

export type SchemaName = keyof SchemaTypes;
`;
}
