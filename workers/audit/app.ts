import { type AuditQuery, TalosError, validate } from "@talos/contracts";
import type { AuditQueryPort, Handlers } from "../shared/ports.ts";
import { isEventId } from "./cursor.ts";

/** Query parameters that are numbers on the wire. */
const NUMBERS = new Set(["limit", "from", "to"]);
const INTEGER = /^(0|[1-9][0-9]{0,15})$/;

/**
 * The record's two surfaces. They run behind the decision, and see the tenant of the path only: that is the tenant the
 * caller's capability was checked against.
 * Source: contracts/surfaces/audit.events.{list,get}.json.
 */
export function auditHandlers(query: AuditQueryPort): Pick<Handlers, "audit.events.list" | "audit.events.get"> {
  return {
    "audit.events.list": async (c) => {
      const asked = readQuery(new URL(c.req.url).searchParams);
      return c.json(await query.list(c.env, c.get("tenant"), asked));
    },
    "audit.events.get": async (c) => {
      const id = c.req.param("id") ?? "";
      if (!isEventId(id)) throw new TalosError("contract.invalid", { parameter: "id" });
      return c.json(await query.get(c.env, c.get("tenant"), id));
    },
  };
}

/** @throws `contract.invalid` for a parameter that is unknown, repeated or not of its shape */
export function readQuery(parameters: URLSearchParams): AuditQuery {
  const asked = new Map<string, string | number>();
  for (const [name, value] of parameters) {
    if (asked.has(name)) throw new TalosError("contract.invalid", { query: "a parameter twice" });
    asked.set(name, NUMBERS.has(name) && INTEGER.test(value) ? Number(value) : value);
  }
  const read = validate("audit/query", Object.fromEntries(asked));
  if (!read.ok) throw new TalosError("contract.invalid", { query: read.errors });
  return read.value;
}
