import { TalosError } from "@talos/contracts";
import type { AppContext } from "../shared/ports.ts";

const INTEGER = /^(0|[1-9][0-9]{0,15})$/;

/**
 * Whole numbers of a query, each once, and nothing else.
 * @param others names that are read elsewhere
 * @throws `contract.invalid` for a parameter that is unknown, repeated, missing or no safe integer
 */
export function readParameters<N extends string>(
  c: AppContext,
  names: Readonly<Record<N, "required" | "optional">>,
  others: readonly string[] = [],
): Partial<Record<N, number>> {
  const found: Partial<Record<N, number>> = {};
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (others.includes(name)) continue;
    const known = Object.hasOwn(names, name) && !Object.hasOwn(found, name);
    if (!known || !INTEGER.test(value) || !Number.isSafeInteger(Number(value))) throw invalid();
    found[name as N] = Number(value);
  }
  const missing = Object.entries(names).some(([name, need]) => need === "required" && !Object.hasOwn(found, name));
  if (missing) throw invalid();
  return found;
}

const invalid = () => new TalosError("contract.invalid", { query: "parameters" });
