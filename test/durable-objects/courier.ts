/**
 * A courier whose receivers are a function of the test: what is posted is kept, what comes back is what the test says.
 * It lives on `globalThis`, since worker and tests may load modules apart.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Env } from "../../durable-objects/env.ts";
import type { Ask, Asked, AskPort } from "../../durable-objects/anchor-types.ts";
import type { CourierPort, Post, Posted } from "../../durable-objects/sink-types.ts";

export interface TestReceivers {
  /** in the order they were posted */
  posts: Post[];
  answer: (post: Post) => Posted | Promise<Posted>;
  /** what nodes and calendars say */
  asked: (ask: Ask) => Asked | Promise<Asked>;
}

const shared = globalThis as unknown as { talosTestReceivers?: TestReceivers };

/** What a receiver says that answers challenges and takes everything. */
export function takes({ body }: Post): Posted {
  const { data } = JSON.parse(body) as { data: { challenge?: string } };
  return { ok: true, status: 200, ms: 1, text: JSON.stringify({ challenge: data.challenge }) };
}

export function testReceivers(): TestReceivers {
  shared.talosTestReceivers ??= {
    posts: [],
    answer: takes,
    asked: () => ({ ok: false, code: "unreachable" }),
  };
  return shared.talosTestReceivers;
}

export class Courier extends WorkerEntrypoint<Env> implements CourierPort, AskPort {
  async post(post: Post): Promise<Posted> {
    const receivers = testReceivers();
    receivers.posts.push(post);
    await scheduler.wait(1);
    return receivers.answer(post);
  }

  async ask(ask: Ask): Promise<Asked> {
    await scheduler.wait(1);
    return testReceivers().asked(ask);
  }
}
