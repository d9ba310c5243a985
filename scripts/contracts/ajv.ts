/** Every schema in Ajv, the independent reader: it checks surface documents here and is the oracle in the tests. */
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Contract, Schema } from "./load.ts";
import { resolveRef } from "./refs.ts";

/** Schemas are relative files without `$id`; inside Ajv they get absolute ids, which are never fetched. */
export const schemaId = (name: string) => `talos:/${name}`;

function withIds(contract: Contract, home: string, node: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => withIds(contract, home, item));
  if (node === null || typeof node !== "object") return node;
  const members = Object.entries(node).map(([name, value]) => {
    if (name !== "$ref" || typeof value !== "string") return [name, withIds(contract, home, value)];
    const { file, def } = resolveRef(contract, home, value);
    return ["$ref", def === null ? schemaId(file) : `${schemaId(file)}#/$defs/${def}`];
  });
  return Object.fromEntries(members);
}

export function ajvOf(contract: Contract): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, allErrors: false, ownProperties: true });
  for (const keyword of ["x-codes", "x-limit", "x-unit", "x-open"]) ajv.addKeyword(keyword);
  for (const [name, schema] of contract.schemas) {
    if (name !== "meta") ajv.addSchema(withIds(contract, name, schema) as Schema, schemaId(name));
  }
  return ajv;
}
