import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PolicySnapshot } from "@talos/contracts";
import type { GrantInit } from "@talos/sdk";
import { root } from "../bootstrap.js";

/** The demo policy as it stands in the repository: complete but for what only this machine knows. */
export const DEMO_POLICY_FILE = join(root, "policies", "demo.json");

/**
 * The demo policy with this machine's address of the everything server and this stack's operator as its anchor.
 * `version` is left to the loader.
 */
export function demoPolicy(args: {
  everythingUrl: string;
  operator: { did: string; x: string };
}): Omit<PolicySnapshot, "version"> {
  const policy = JSON.parse(readFileSync(DEMO_POLICY_FILE, "utf8")) as Omit<PolicySnapshot, "version">;
  const { did, x } = args.operator;
  return {
    ...policy,
    anchors: [{ did, jwk: { crv: "Ed25519", kty: "OKP", x } }],
    servers: policy.servers.map((server) =>
      server.name === "everything" ? { ...server, url: args.everythingUrl } : server,
    ) as PolicySnapshot["servers"],
  };
}

/**
 * What the newcomer's agent (`.talos/agent.cap`) may do: nearly all of the everything server; read the record, and add to it;
 * see what is kept of calls, and erase it.
 */
export const AGENT_GRANTS: readonly GrantInit[] = [
  ...["echo", "get-annotated-message", "get-resource-links", "get-structured-content", "get-sum", "get-tiny-image"].map(
    (name): GrantInit => ({ tool: `everything/${name}`, classes: ["read"] }),
  ),
  ...["toggle-simulated-logging", "trigger-long-running-operation"].map(
    (name): GrantInit => ({ tool: `everything/${name}`, classes: ["write"] }),
  ),
  { tool: "everything/@prompt/simple-prompt", classes: ["read"], actions: ["get"] },
  { tool: "everything/@resource", classes: ["read"], actions: ["read"] },
  { tool: "talos/audit.append", classes: ["write"], actions: ["write"] },
  { tool: "talos/audit.events", classes: ["read"], actions: ["read"] },
  { tool: "talos/audit.values", classes: ["read"], actions: ["read"] },
  { tool: "talos/privacy.erasures", classes: ["read", "destructive"], actions: ["read", "write"] },
  { tool: "talos/privacy.holds", classes: ["write"], actions: ["write", "delete"] },
  { tool: "talos/privacy.subjects", classes: ["read"], actions: ["read"] },
  { tool: "talos/health.ready", classes: ["read"], actions: ["read"] },
];
