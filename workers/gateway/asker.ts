import type { Env } from "../env.ts";
import type { Config } from "./config.ts";

/** On whose behalf something is asked of another part: a request's bindings, configuration and tenant. */
export interface Asker {
  env: Env;
  config: Config;
  tenant: string;
  waitUntil(work: Promise<unknown>): void;
}
