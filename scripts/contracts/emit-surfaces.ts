/** gen/surfaces.ts: the table that the router is built from. */
import { BANNER } from "./emit-errors.ts";
import { COMMON_ERRORS } from "./lint.ts";
import type { Contract, SurfaceDocument } from "./load.ts";

function row(surface: SurfaceDocument): string {
  const { name, summary, method, path, tenant, permission, rate_class, audit_action, meta_allow, request, responses } =
    surface;
  const value = {
    name,
    summary,
    method,
    path,
    tenant,
    permission,
    tool: surface.tool ?? null,
    action: surface.action ?? null,
    class: surface.class,
    rate_class,
    audit_action,
    meta_allow,
    parameters: surface.parameters.map((parameter) => ({
      name: parameter.name,
      in: parameter.in,
      required: parameter.required,
      schema: parameter.schema,
    })),
    request,
    responses: responses.map(({ status, media_type, schema }) => ({ status, media_type, schema })),
    errors: [...new Set([...surface.errors, ...COMMON_ERRORS])].sort(),
  };
  return `  ${JSON.stringify(name)}: ${JSON.stringify(value)},`;
}

export function emitSurfaces({ surfaces }: Contract): string {
  return `${BANNER}
import type { ErrorCode } from "./errors.ts";
import type { SchemaName, ToolClass } from "./types.ts";

/** One endpoint, as surfaces/<name>.json states it. Source: contracts/spec/gateway.md. */
export interface Surface {
  readonly name: SurfaceName;
  readonly summary: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Template with \`{name}\` for parameters. */
  readonly path: string;
  /** Whether it lies below \`/t/{tenant}\`. */
  readonly tenant: boolean;
  readonly permission: "public" | "holder" | "grant" | "body" | "statement" | "publisher" | "mcp";
  /** Tool and action that a grant must name, where one is asked for. */
  readonly tool: string | null;
  readonly action: string | null;
  /** \`registry\`: the class of the tool that the body names; null: no capability is read. */
  readonly class: ToolClass | "registry" | null;
  /** \`registry\`: of the tool that the body names; null: no gate. */
  readonly rate_class: string | null;
  /** What its events are called; null: none. */
  readonly audit_action: string | null;
  /** Names that \`meta\` of its events may have. */
  readonly meta_allow: readonly string[];
  readonly parameters: readonly { readonly name: string; readonly in: "path" | "query" | "header"; readonly required: boolean; readonly schema: string }[];
  readonly request: { readonly media_type: string; readonly schema: SchemaName | null } | null;
  readonly responses: readonly { readonly status: number; readonly media_type: string | null; readonly schema: SchemaName | null }[];
  /** Codes that it answers with, those of every surface included. */
  readonly errors: readonly ErrorCode[];
}

export type SurfaceName =
${surfaces.map(({ name }) => `  | ${JSON.stringify(name)}`).join("\n")};

export const SURFACES: { readonly [N in SurfaceName]: Surface & { readonly name: N } } = {
${surfaces.map(row).join("\n")}
};
`;
}
