/**
 * Reads the sources of the contract into one value. Nothing here interprets them; the emitters beside this file do.
 * Paths are sorted bytewise, so that what is generated never depends on the file system.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A schema of the subset that schemas/meta.schema.json allows; every reader here relies on that check. */
export interface Schema {
  $schema?: string;
  $comment?: string;
  title?: string;
  description?: string;
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  required?: string[];
  dependentRequired?: Record<string, string[]>;
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  minProperties?: number;
  maxProperties?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  oneOf?: Schema[];
  examples?: unknown[];
  "x-codes"?: "every" | "decision";
  "x-limit"?: string;
  "x-unit"?: string;
  "x-open"?: string;
}

export interface ErrorEntry {
  status: number;
  message: string;
  retryable: boolean;
  decision?: true;
}

export interface LimitEntry {
  value: number;
  unit: string;
  reason: string;
}

export interface Contract {
  /** By path below schemas/ without the suffix: `capability/grant`. */
  schemas: Map<string, Schema>;
  surfaces: SurfaceDocument[];
  errors: Record<string, ErrorEntry>;
  limits: Record<string, LimitEntry>;
}

export interface SurfaceParameter {
  name: string;
  in: "path" | "query" | "header";
  required: boolean;
  /** `file#definition` below schemas/. */
  schema: string;
  description: string;
}

/** surfaces/<name>.json; its shape is schemas/surface.schema.json. */
export interface SurfaceDocument {
  name: string;
  summary: string;
  description: string;
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: string;
  tenant: boolean;
  permission: "public" | "holder" | "grant" | "body" | "statement" | "publisher" | "mcp";
  tool?: string;
  action?: string;
  class: "read" | "write" | "destructive" | "pay" | "registry" | null;
  rate_class: string | null;
  audit_action: string | null;
  meta_allow: string[];
  parameters: SurfaceParameter[];
  request: { media_type: string; schema: string | null } | null;
  responses: { status: number; media_type: string | null; schema: string | null; description: string }[];
  errors: string[];
}

export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Every file below `root` that ends in `suffix`, as sorted paths relative to it. */
export function filesUnder(root: string, suffix: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(suffix))
    .sort(compareBytes);
}

/** @throws when a file is missing or is not JSON; a contract that cannot be read generates nothing. */
export function loadContract(contractsDir: string): Contract {
  const read = (path: string) => JSON.parse(readFileSync(join(contractsDir, path), "utf8"));
  const schemas = new Map<string, Schema>();
  for (const path of filesUnder(join(contractsDir, "schemas"), ".schema.json")) {
    schemas.set(path.slice(0, -".schema.json".length), read(`schemas/${path}`));
  }
  const surfaces = filesUnder(join(contractsDir, "surfaces"), ".json").map((path) => read(`surfaces/${path}`));
  return { schemas, surfaces, errors: read("errors.json"), limits: read("limits.json") };
}
