/**
 * Grants as Cedar policies, and needs as Cedar requests, written from contracts/spec/capability.md#grant without a look at the
 * core: a leaf is a policy set with one `permit` a grant, so that "some grant fits" is Cedar's "some policy is satisfied".
 *
 * What makes an atom false in Talos (another type, an absent argument) is an error or a false in Cedar, and an error leaves
 * the policy unsatisfied. What Cedar has no words for travels beside the text it speaks of: its length in bytes, the number of
 * its segments, whether it holds a control character.
 */
import type { Atom, Grant, Pattern } from "@talos/contracts";
import type { Need } from "@talos/core";
import * as cedar from "@cedar-policy/cedar-wasm/nodejs";

const INTEGER_MAX = 9_007_199_254_740_991;

/** A Cedar string literal; in a `like` pattern a star has to be escaped besides. */
const text = (value: string, star = "*"): string =>
  `"${[...value].map((c) => (c === "*" ? star : /[ !#-[\]-~]/.test(c) ? c : `\\u{${c.codePointAt(0)!.toString(16)}}`)).join("")}"`;
const like = (value: string, begin: string, end: string): string =>
  `"${begin}${text(value, "\\*").slice(1, -1)}${end}"`;
const set = (values: readonly (string | number)[]): string =>
  `[${values.map((value) => (typeof value === "string" ? text(value) : value)).join(", ")}]`;

/** Whether `value`, of which `about` is known, is a path. */
function isPath(value: string, about: string): string {
  const no = [`"*%*"`, `"*\\\\*"`, `"*//*"`, `"*/"`, `"./*"`, `"../*"`, `"*/./*"`, `"*/../*"`, `"*/."`, `"*/.."`];
  return [
    `${about}.bytes >= 1`,
    `${about}.bytes <= 1024`,
    `${about}.segments <= 64`,
    `!${about}.control`,
    `!["", ".", ".."].contains(${value})`,
    ...no.map((pattern) => `!(${value} like ${pattern})`),
  ].join(" && ");
}

function matches(pattern: Pattern, value: string, about: string): string {
  const path = isPath(value, about);
  if (pattern === "any") return path;
  if ("exact" in pattern) return `${path} && ${value} == ${text(pattern.exact)}`;
  if (pattern.prefix === "/") return `${path} && ${value} like "/*"`;
  return `${path} && (${value} == ${text(pattern.prefix)} || ${value} like ${like(pattern.prefix, "", "/*")})`;
}

function atomOf(atom: Atom, name: string): string {
  const value = `context.args[${text(name)}]`;
  const about = `context.strings[${text(name)}]`;
  switch (atom.op) {
    case "eq":
      return `${value} == ${typeof atom.value === "string" ? text(atom.value) : atom.value}`;
    case "in":
      return `${set(atom.values)}.contains(${value})`;
    case "not_in": {
      // Cedar's `contains` is false of another type too: what has a wrong type must err before it is negated.
      const typed = atom.type === "string" ? `${value} like "*"` : `${value} <= ${INTEGER_MAX}`;
      return `${typed} && !${set(atom.values)}.contains(${value})`;
    }
    case "range":
      return `${value} >= ${atom.min} && ${value} <= ${atom.max}`;
    case "pat":
      return matches(atom.pattern, value, about);
    case "subset":
      return `${set(atom.values)}.containsAll(${value})`;
    case "maxlen":
      return `${about}.bytes <= ${atom.bytes}`;
  }
}

/** One grant as one policy. */
export function policyOf(grant: Grant): string {
  const actions =
    grant.actions === "*" ? "action" : `action in [${grant.actions.map((name) => `Action::${text(name)}`).join(", ")}]`;
  const conditions = [`${set(grant.classes)}.contains(context.class)`];
  const resource = matches(grant.resource, "context.resource", "context.about");
  conditions.push(
    grant.resource === "any" ? `!(context has resource) || (${resource})` : `context has resource && ${resource}`,
  );
  for (const [name, atoms] of Object.entries(grant.args)) {
    conditions.push(`context.args has ${text(name)}`, ...atoms.map((atom) => atomOf(atom, name)));
  }
  if (grant.closed) conditions.push(`${set(Object.keys(grant.args))}.containsAll(context.names)`);
  const when = conditions.map((condition) => `  when { ${condition} }`).join("\n");
  return `permit(principal, ${actions}, resource == Tool::${text(grant.tool)})\n${when};`;
}

function inCedar(value: unknown): cedar.CedarValueJson {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : { float: String(value) };
  if (Array.isArray(value)) return value.map(inCedar);
  return { other: JSON.stringify(value) };
}

const aboutOf = (value: string): cedar.CedarValueJson => ({
  bytes: Buffer.byteLength(value),
  segments: value.replace(/^\//, "").split("/").length,
  control: /\p{Cc}/u.test(value),
});

/** A leaf that Cedar has read. */
export class Oracle {
  static #count = 0;
  readonly #id: string;
  readonly policies: string;

  /** `slot` names the place in Cedar's memory: a later leaf in the same slot takes it. */
  constructor(grants: readonly Grant[], slot: string) {
    this.#id = slot;
    this.policies = grants.map(policyOf).join("\n");
    const parsed = cedar.preparsePolicySet(slot, { staticPolicies: this.policies });
    if (parsed.type !== "success")
      throw new Error(`Cedar does not read ${this.policies}: ${JSON.stringify(parsed.errors)}`);
    Oracle.#count += 1;
  }

  /** How many leaves were compiled. */
  static get count(): number {
    return Oracle.#count;
  }

  allows(need: Need): boolean {
    const args = Object.entries(need.args ?? {});
    const strings = args.filter((entry): entry is [string, string] => typeof entry[1] === "string");
    const answer = cedar.statefulIsAuthorized({
      principal: { type: "Agent", id: "holder" },
      action: { type: "Action", id: need.action },
      resource: { type: "Tool", id: need.tool },
      context: {
        class: need.class,
        names: args.map(([name]) => name),
        args: Object.fromEntries(args.map(([name, value]) => [name, inCedar(value)])),
        strings: Object.fromEntries(strings.map(([name, value]) => [name, aboutOf(value)])),
        ...(need.resource === undefined ? {} : { resource: need.resource, about: aboutOf(need.resource) }),
      },
      entities: [],
      preparsedPolicySetId: this.#id,
    });
    if (answer.type !== "success") throw new Error(`Cedar does not answer: ${JSON.stringify(answer.errors)}`);
    return answer.response.decision === "allow";
  }
}
