import type { AuditRecord, Grant } from "@talos/contracts";
import { printable } from "../printable.ts";

export { printable };
import { type InspectedLink, scopeFromGrant } from "@talos/core";

/** A chain for people: one paragraph a link. */
export function chainLines(links: InspectedLink[], now_ms: number): string[] {
  return links.flatMap(({ id, claims }, index) => {
    const title = index === 0 ? "root" : `link ${index}`;
    return [
      ...(index > 0 ? [""] : []),
      `${title}  ${id}`,
      `  issuer   ${claims.iss} (epoch ${claims.ep})`,
      `  holder   ${claims.sub}`,
      `  for      ${claims.aud.join(", ")}`,
      `  valid    ${time(claims.nbf)} to ${time(claims.exp)}${ended(claims, now_ms)}`,
      `  depth    ${claims.depth} more`,
      ...claims.grants.flatMap(grantLines),
    ];
  });
}

function ended(claims: { nbf: number; exp: number }, now_ms: number): string {
  if (now_ms / 1000 >= claims.exp) return " (expired)";
  return now_ms / 1000 < claims.nbf ? " (not yet)" : "";
}

function grantLines(grant: Grant): string[] {
  const args = Object.entries(grant.args);
  if (args.length === 0) return [`  grant    ${scopeFromGrant(grant)}`];
  const lines = [`  grant    ${scopeFromGrant({ ...grant, args: {} })}`];
  for (const [name, atoms] of args) {
    for (const atom of atoms) {
      const { op, ...rest } = atom;
      lines.push(`             ${printable(name)} ${op} ${printable(JSON.stringify(rest))}`);
    }
  }
  return lines;
}

function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** One line of the record. */
export function recordLine({ seq, event }: AuditRecord): string {
  const e = event as unknown as {
    ts: string;
    kind?: string;
    event_id: string;
    resource?: { resource_id: string };
    surface_id?: string;
    decision?: { code: string };
    effect?: { state: string };
    principal?: { did?: string };
  };
  const what = e.resource?.resource_id ?? e.surface_id ?? "";
  const came = e.effect?.state ?? e.decision?.code ?? "";
  const who = e.principal?.did ? `…${e.principal.did.slice(-8)}` : "";
  const cells = [
    e.ts,
    String(seq).padStart(6),
    (e.kind ?? "").padEnd(8),
    came.padEnd(16),
    what.padEnd(28),
    who,
    e.event_id,
  ];
  return cells.map((cell) => printable(cell)).join("  ");
}
