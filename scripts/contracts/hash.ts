/**
 * CONTRACT_HASH: base64url SHA-256 over what the sources mean. Worker and wasm carry it and refuse to start together when
 * theirs differ. Prose (descriptions, reasons) is left out, so that a better sentence needs no new build of the core;
 * everything that a machine reads is in it.
 */
import { createHash } from "node:crypto";
import { type Contract, compareBytes } from "./load.ts";

const PROSE = new Set(["description", "summary", "reason", "$comment", "examples"]);

/** Whether members of the object at this point are data (names of fields, arguments) instead of keywords. */
const NAMES_ARE_DATA = new Set(["properties", "$defs", "dependentRequired", "errors", "limits"]);

function canonical(value: unknown, namesAreData: boolean): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, false)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([name]) => namesAreData || !PROSE.has(name))
    .sort(([a], [b]) => compareBytes(a, b))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member, !namesAreData && NAMES_ARE_DATA.has(name))}`);
  return `{${members.join(",")}}`;
}

export function contractHash({ schemas, surfaces, errors, limits }: Contract): string {
  const hash = createHash("sha256");
  const feed = (name: string, text: string) => hash.update(`${name}\n${text}\n`);
  for (const [name, schema] of schemas) feed(`schemas/${name}`, canonical(schema, false));
  for (const surface of surfaces) feed(`surfaces/${surface.name}`, canonical(surface, false));
  feed("errors", canonical(errors, true));
  feed("limits", canonical(limits, true));
  return hash.digest("base64url");
}
