/** References between schemas: relative file paths with an optional definition, as editors follow them. */
import { posix } from "node:path";
import type { Contract, Schema } from "./load.ts";

export interface Resolved {
  /** Path of the file below schemas/ without the suffix. */
  file: string;
  /** Name of the definition in `$defs`, or null for the file's own schema. */
  def: string | null;
  schema: Schema;
  title: string;
}

const SUFFIX = ".schema.json";

/** @throws when the reference leads nowhere, or to a schema without a title. */
export function resolveRef(contract: Contract, home: string, ref: string): Resolved {
  const [path = "", pointer = ""] = ref.split("#");
  const file = path === "" ? home : posix.join(posix.dirname(home), path.slice(0, -SUFFIX.length));
  const root = contract.schemas.get(file);
  const def = pointer === "" ? null : pointer.replace(/^\/\$defs\//, "");
  const schema = def === null ? root : root?.$defs?.[def];
  if (!schema?.title || (path !== "" && !path.endsWith(SUFFIX))) {
    throw new Error(`schemas/${home}${SUFFIX}: reference ${ref} leads nowhere or to a schema without a title`);
  }
  return { file, def, schema, title: schema.title };
}

/** Every schema node below `schema`, itself included. */
export function* walk(schema: Schema): Generator<Schema> {
  yield schema;
  const many = [schema.$defs, schema.properties].flatMap((group) => Object.values(group ?? {}));
  const one = [schema.items, schema.propertyNames, schema.additionalProperties];
  const children = [...many, ...(schema.oneOf ?? []), ...one];
  for (const child of children) if (typeof child === "object") yield* walk(child);
}
