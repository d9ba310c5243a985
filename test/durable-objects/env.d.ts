/** What `env` of `cloudflare:test` holds in the `workers` project. */
/// <reference types="@cloudflare/vitest-plugin/types" />
import type { Env as ObjectEnv } from "../../durable-objects/env.ts";

declare global {
  namespace Cloudflare {
    interface Env extends ObjectEnv {
      TEST_PUBLISHER_SEED: string;
      TEST_PUBLISHER_JWK: string;
      /** how often each crash point is played, and the seed of the run */
      TEST_CRASHES: string;
      TEST_SEED: string;
      TEST_WYCHEPROOF_ED25519: string;
    }
  }
}
