/** Who may publish a tenant's policy: public keys from configuration. Source: contracts/spec/in-force.md#policy-snapshot. */
import { type Jwk, LIMITS, TalosError, validate } from "@talos/contracts";

/**
 * The publishers of a tenant; none when configuration lists none, and then nobody can publish.
 * @param text `TALOS_PUBLISHERS`, JSON `{tenant: [JWK]}`
 * @throws `config.incomplete` when it is not of that shape
 */
export function publishersOf(text: string | undefined, tenant: string): Jwk[] {
  const all = parse(text ?? "{}");
  const own = Object.hasOwn(all, tenant) ? all[tenant] : [];
  if (!Array.isArray(own) || own.length > LIMITS.publishers) throw unreadable();
  return own.map((jwk) => {
    const shape = validate("identity/jwk", jwk);
    if (!shape.ok) throw unreadable();
    return shape.value;
  });
}

function parse(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TalosError("config.incomplete", { missing: ["TALOS_PUBLISHERS"] }, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unreadable();
  return value as Record<string, unknown>;
}

const unreadable = () => new TalosError("config.incomplete", { missing: ["TALOS_PUBLISHERS"] });
