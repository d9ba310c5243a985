import { validate } from "@talos/contracts";
import { inOrder, keyOf, PART_NAMES, type Policy } from "../../workers/db/policies.ts";

/** A policy file that cannot be loaded, with every reason that was found. */
export class PolicyFileError extends Error {
  override readonly name = "PolicyFileError";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the policy cannot be loaded:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/**
 * A policy in its one order, after everything that can be said of it without a core or a database: its shape, names
 * that occur twice, references that lead nowhere.
 * @param value parsed JSON: a policy snapshot without `version` (schemas/policy/snapshot)
 * @throws PolicyFileError
 */
export function checkPolicy(value: unknown, tenant: string): Policy {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new PolicyFileError(["not an object"]);
  if ("version" in value) throw new PolicyFileError(["/version: the loader chooses it; leave it out"]);
  const read = validate("policy/snapshot", { ...value, version: 1 });
  if (!read.ok) throw new PolicyFileError(read.errors);
  const { version: _, ...policy } = read.value;
  const problems = [...repeated(policy), ...dangling(policy)];
  if (policy.tenant !== tenant) problems.push(`/tenant: is ${policy.tenant}, to be loaded for ${tenant}`);
  if (problems.length > 0) throw new PolicyFileError(problems);
  return inOrder(policy);
}

function repeated(policy: Policy): string[] {
  return PART_NAMES.flatMap((part) => {
    const keys = (policy[part] as unknown[]).map((entry) => keyOf(part, entry));
    const twice = new Set(keys.filter((key, at) => keys.indexOf(key) !== at));
    return [...twice].map((key) => `/${part}: ${key} occurs more than once`);
  });
}

function dangling(policy: Policy): string[] {
  const rates = new Set<string>(policy.rate_classes.map((rate) => rate.name));
  const roles = new Set<string>(policy.roles.map((role) => role.id));
  const servers = new Set<string>(policy.servers.map((server) => server.name));
  const problems: string[] = [];
  for (const { tool, rate_class } of policy.tools) {
    if (!rates.has(rate_class)) problems.push(`/tools: ${tool} names the rate class ${rate_class}, which is not there`);
    const server = tool.slice(0, tool.indexOf("/"));
    // Our own surfaces are tools of `talos`, which is no MCP server.
    if (server !== "talos" && !servers.has(server)) problems.push(`/tools: ${tool} is of a server that is not there`);
  }
  for (const { id, role } of policy.bindings) {
    if (!roles.has(role)) problems.push(`/bindings: ${id} names the role ${role}, which is not there`);
  }
  for (const pep of policy.peps) {
    for (const server of pep.servers) {
      if (!servers.has(server)) problems.push(`/peps: ${pep.jkt} names the server ${server}, which is not there`);
    }
  }
  return problems;
}
