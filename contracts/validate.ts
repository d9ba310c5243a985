/** Shape checks by name. Shape only: meaning, order and signatures are the core's. */
import type { SchemaName, SchemaTypes } from "./gen/types.ts";
import { CHECKS } from "./gen/validators.ts";

export type Validated<T> = { ok: true; value: T } | { ok: false; errors: string[] };

/**
 * Whether `value` has the shape of schemas/<name>.schema.json.
 * @returns the value under its type, or the first place and keyword that failed (`/grants/0/tool: pattern`), which never
 * repeats what was sent, so it may be logged
 */
export function validate<N extends SchemaName>(name: N, value: unknown): Validated<SchemaTypes[N]> {
  const problem = CHECKS[name](value);
  return problem === null ? { ok: true, value: value as SchemaTypes[N] } : { ok: false, errors: [problem] };
}

type Guards = { readonly [N in SchemaName]: (value: unknown) => value is SchemaTypes[N] };

/** Every schema as a type guard. */
export const validators = Object.fromEntries(
  Object.entries(CHECKS).map(([name, check]) => [name, (value: unknown) => check(value) === null]),
) as unknown as Guards;
