import { WorkerEntrypoint } from "cloudflare:workers";
import type { Env } from "../../durable-objects/env.ts";
import type { Ask, Asked, AskPort } from "../../durable-objects/anchor-types.ts";
import type { CourierPort, Post, Posted } from "../../durable-objects/sink-types.ts";
import { guardedAsk, guardedPost, guardRules } from "../shared/guarded-fetch.ts";

/**
 * Where webhooks leave. A sink reaches it through the Worker's own exports, so that what may be called from here is
 * decided in one place, and asked again at every delivery: what a name resolved to when the sink was saved says nothing
 * about today. Source: contracts/spec/webhooks.md#receivers.
 */
export class Courier extends WorkerEntrypoint<Env> implements CourierPort, AskPort {
  post(post: Post): Promise<Posted> {
    return guardedPost(post, guardRules(this.env));
  }

  /** The anchors' nodes and calendars. */
  ask(ask: Ask): Promise<Asked> {
    return guardedAsk(ask, guardRules(this.env));
  }
}
