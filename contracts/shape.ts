/**
 * The few checks that gen/validators.ts is composed of: one for each kind of node that schemas/meta.schema.json allows.
 * No code is compiled at run time, so this runs where `eval` is forbidden. What JSON Schema says of each keyword holds here
 * too; contracts.test.ts compares every schema with Ajv over all vectors and random mutations of them.
 */

/** Null when the value fits; otherwise where and by which keyword it does not, such as `/grants/0/tool: pattern`. */
export type Check = (value: unknown) => string | null;

/** Length in code points, as JSON Schema counts. Only strings near the bound are walked. */
function longerThan(text: string, max: number): boolean {
  if (text.length <= max) return false;
  if (text.length > 2 * max) return true;
  let points = 0;
  for (const _ of text) points++;
  return points > max;
}

/** A string of `min`..`max` code points that matches `pattern`. */
export function text(max: number, min = 0, pattern?: RegExp): Check {
  return (value) => {
    if (typeof value !== "string") return ": type";
    if (longerThan(value, max)) return ": maxLength";
    if (min > 0 && !longerThan(value, min - 1)) return ": minLength";
    return pattern === undefined || pattern.test(value) ? null : ": pattern";
  };
}

/** A whole number of `min`..`max`; 1.0 is whole, as in JSON Schema. */
export function integer(min: number, max: number): Check {
  return (value) => {
    if (!Number.isInteger(value)) return ": type";
    return (value as number) < min ? ": minimum" : (value as number) > max ? ": maximum" : null;
  };
}

export const boolean: Check = (value) => (typeof value === "boolean" ? null : ": type");

export function constant(only: string | number | boolean | null): Check {
  return (value) => (value === only ? null : ": const");
}

export function enumeration(...values: string[]): Check {
  const known = new Set<unknown>(values);
  return (value) => (known.has(value) ? null : ": enum");
}

/** A list of `min`..`max` elements. `unique` is for scalars only, which the generator sees to. */
export function list(item: Check, max: number, min = 0, unique = false): Check {
  return (value) => {
    if (!Array.isArray(value)) return ": type";
    if (value.length > max) return ": maxItems";
    if (value.length < min) return ": minItems";
    for (let i = 0; i < value.length; i++) {
      const problem = item(value[i]);
      if (problem !== null) return `/${i}${problem}`;
    }
    return unique && new Set(value).size !== value.length ? ": uniqueItems" : null;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A closed object: no member but `fields`, all of `required`, and with a member those that depend on it. */
export function object(fields: Record<string, Check>, required: string[], dependent: [string, string[]][] = []): Check {
  const checks = new Map(Object.entries(fields));
  return (value) => {
    if (!isObject(value)) return ": type";
    for (const name of required) if (!Object.hasOwn(value, name)) return `: required ${name}`;
    for (const name of Object.keys(value)) {
      const check = checks.get(name);
      // The name is the sender's: it is not repeated, since errors may be logged.
      if (check === undefined) return ": additionalProperties";
      const problem = check(value[name]);
      if (problem !== null) return `/${name}${problem}`;
    }
    for (const [name, others] of dependent) {
      if (Object.hasOwn(value, name) && !others.every((other) => Object.hasOwn(value, other)))
        return ": dependentRequired";
    }
    return null;
  };
}

/** An object whose member names are data. */
export function map(name: Check, member: Check, max: number, min = 0): Check {
  return (value) => {
    if (!isObject(value)) return ": type";
    const names = Object.keys(value);
    if (names.length > max) return ": maxProperties";
    if (names.length < min) return ": minProperties";
    for (const [i, key] of names.entries()) {
      if (name(key) !== null) return ": propertyNames";
      const problem = member(value[key]);
      if (problem !== null) return `/{${i}}${problem}`;
    }
    return null;
  };
}

/** An object that someone else defines. */
export function openObject(max: number): Check {
  return (value) => (!isObject(value) ? ": type" : Object.keys(value).length > max ? ": maxProperties" : null);
}

export const anything: Check = () => null;

/** Exactly one of the alternatives fits. */
export function union(...alternatives: Check[]): Check {
  return (value) => {
    let fitting = 0;
    for (const alternative of alternatives) if (alternative(value) === null) fitting++;
    return fitting === 1 ? null : ": oneOf";
  };
}
