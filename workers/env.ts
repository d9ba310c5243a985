/** The Worker's bindings, variables and secrets. What the objects need too is declared beside them. */
import type { Env as ObjectEnv } from "../durable-objects/env.ts";

export interface Env extends ObjectEnv {
  /** JSON `{"<tenant>/<server>": {"header","value","origin"}}`: what goes up to a server, only to that origin */
  TALOS_UPSTREAM_CREDENTIALS?: string;
  /** comma-separated browser origins that may speak MCP; none when absent */
  TALOS_BROWSER_ORIGINS?: string;
}
