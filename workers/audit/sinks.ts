/**
 * The surfaces of webhook sinks. They run behind the decision, and behind its record where they change something. The
 * tenant's log lists the sinks, each sink owns itself. Source: contracts/spec/webhooks.md#surfaces.
 */
import {
  isErrorCode,
  LIMITS,
  type SchemaName,
  type SchemaTypes,
  type SinkDeadLetters,
  type SinkDeliveries,
  TalosError,
  validate,
} from "@talos/contracts";
import { b64uEncode, jcs } from "@talos/core";
import { withinMs } from "../../durable-objects/deadline.ts";
import type {
  AttemptAnswer,
  DeadLettersAnswer,
  DeliveriesAnswer,
  RedeliverAnswer,
  Refused,
  SinkAnswer,
  SinkMadeAnswer,
} from "../../durable-objects/sink-types.ts";
import { checkReceiver, guardRules } from "../shared/guarded-fetch.ts";
import type { AppContext, Handlers } from "../shared/ports.ts";
import { randomBytes } from "../shared/request.ts";

type Name = Extract<keyof Handlers, `sinks.${string}`>;

const PAGE = 50;
/** A sink that calls its receiver while we wait. */
const CALL_MS = LIMITS.sink_timeout_ms + LIMITS.object_timeout_ms + 5_000;
const ID = /^[A-Za-z0-9_-]{21}[AQgw]$/;
const INTEGER = /^(0|[1-9][0-9]{0,15})$/;

export const sinkHandlers: Pick<Handlers, Name> = {
  "sinks.create": async (c) => {
    const { from_seq, ...settings } = readBody(c, "sinks/create");
    await checkUrl(c, settings.url);
    const tenant = c.get("tenant");
    const id = await newSinkId(c);
    const follow = () => asked(async (): Promise<number | null> => c.env.AUDIT_LOGS.getByName(tenant).follow(id));
    const next = await follow();
    if (next === null) throw new TalosError("sink.limit", { tenant });
    const made = await asked(
      async (): Promise<SinkMadeAnswer> => stub(c, id).create({ ...settings, tenant, id, from_seq: from_seq ?? next }),
    );
    const { sink, secret } = granted(made);
    // Once more: told of news before it was made, it said that it does not exist, and the log forgot it.
    if ((await follow()) === null) {
      await asked(async (): Promise<SinkAnswer> => stub(c, id).remove());
      throw new TalosError("sink.limit", { tenant });
    }
    return c.json({ sink, ...(secret === undefined ? {} : { secret }) }, 201);
  },

  "sinks.list": async (c) => {
    const ids = await asked(async (): Promise<string[]> => c.env.AUDIT_LOGS.getByName(c.get("tenant")).sinks());
    const answers = await Promise.all(ids.map((id) => asked(async (): Promise<SinkAnswer> => stub(c, id).describe())));
    // One that is listed and was not made yet, or is deleted just now, is none.
    return c.json({ sinks: answers.flatMap((answer) => (answer.ok ? [answer.sink] : [])) });
  },

  "sinks.get": async (c) => answer(c, (sink) => sink.describe()),

  "sinks.update": async (c) => {
    const settings = readBody(c, "sinks/update");
    await checkUrl(c, settings.url);
    return answer(c, (sink) => sink.update(settings));
  },

  "sinks.delete": async (c) => {
    const { sink: last } = await ask<SinkAnswer>(c, (sink) => sink.remove());
    await asked(async (): Promise<void> => c.env.AUDIT_LOGS.getByName(c.get("tenant")).unfollow(last.id));
    return c.json(last);
  },

  "sinks.pause": async (c) => answer(c, (sink) => sink.pause()),
  "sinks.resume": async (c) => answer(c, (sink) => sink.resume(), CALL_MS),

  "sinks.test": async (c) => {
    const { attempt } = await ask<AttemptAnswer>(c, (sink) => sink.sendTest(), CALL_MS);
    return c.json(attempt);
  },

  "sinks.replay": async (c) => {
    const range = readBody(c, "sinks/replay");
    return answer(c, (sink) => sink.replay(range));
  },

  "sinks.secrets.rotate": async (c) => {
    const how = readBody(c, "sinks/rotate");
    const { sink, secret } = await ask<SinkMadeAnswer>(c, (one) => one.rotate(how));
    return c.json({ sink, ...(secret === undefined ? {} : { secret }) }, 201);
  },

  "sinks.deliveries": async (c) => {
    const { cursor = Number.MAX_SAFE_INTEGER, limit } = readPage(c);
    const found = await ask<DeliveriesAnswer>(c, (sink) => sink.deliveries(cursor, limit + 1));
    const deliveries = found.deliveries.slice(0, limit);
    const more = found.deliveries.length > limit ? { next_cursor: deliveries.at(-1)!.n } : {};
    return c.json({ deliveries, ...more } satisfies SinkDeliveries);
  },

  "sinks.dead_letters": async (c) => {
    const { cursor = -1, limit } = readPage(c);
    const found = await ask<DeadLettersAnswer>(c, (sink) => sink.deadLetters(cursor, limit + 1));
    const dead_letters = found.dead_letters.slice(0, limit);
    const more = found.dead_letters.length > limit ? { next_cursor: dead_letters.at(-1)!.seq } : {};
    return c.json({ dead_letters, ...more } satisfies SinkDeadLetters);
  },

  "sinks.dead_letters.replay": async (c) => {
    const { seqs } = readBody(c, "sinks/redeliver");
    const { count } = await ask<RedeliverAnswer>(c, (sink) => sink.redeliver(seqs));
    return c.json({ count });
  },
};

type Stub = ReturnType<AppContext["env"]["WEBHOOK_SINKS"]["getByName"]>;

const stub = (c: AppContext, id: string) => c.env.WEBHOOK_SINKS.getByName(`${c.get("tenant")}/${id}`);

/**
 * Ask the sink that the path names.
 * @throws `contract.invalid`, `sink.unavailable`, what the sink refuses with
 */
async function ask<A extends { ok: true } | Refused>(
  c: AppContext,
  work: (sink: Stub) => Promise<A>,
  ms?: number,
): Promise<Extract<A, { ok: true }>> {
  const id = c.req.param("id") ?? "";
  if (!ID.test(id)) throw new TalosError("contract.invalid", { parameter: "id" });
  return granted(await asked(() => work(stub(c, id)), ms));
}

/** Ask, and answer with the sink as it then stands. */
async function answer(c: AppContext, work: (sink: Stub) => Promise<SinkAnswer>, ms?: number): Promise<Response> {
  return c.json((await ask(c, work, ms)).sink);
}

/**
 * 16 bytes: random, or those that follow from the caller and its idempotency key, so that the same creation again meets
 * the sink that it made.
 */
async function newSinkId(c: AppContext): Promise<string> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return b64uEncode(randomBytes(16));
  const of = JSON.stringify(["talos.sink", c.get("tenant"), c.get("facts").sub, key]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(of));
  return b64uEncode(new Uint8Array(digest, 0, 16));
}

/** @throws `sink.url_refused`, or `sink.unavailable` when its name cannot be resolved now */
async function checkUrl(c: AppContext, url: string): Promise<void> {
  const checked = await checkReceiver(url, guardRules(c.env), AbortSignal.timeout(LIMITS.object_timeout_ms));
  if (checked.ok) return;
  throw new TalosError(checked.code === "unresolved" ? "sink.unavailable" : "sink.url_refused", { why: checked.why });
}

/** @throws `MALFORMED`, `contract.invalid` */
function readBody<N extends SchemaName>(c: AppContext, shape: N): SchemaTypes[N] {
  const body = c.get("body");
  const read = validate(shape, JSON.parse(jcs(body ?? new Uint8Array(0))));
  if (!read.ok) throw new TalosError("contract.invalid", { body: read.errors });
  return read.value;
}

/** @throws `contract.invalid` for a parameter that is unknown, repeated or not of its shape */
function readPage(c: AppContext): { cursor?: number; limit: number } {
  const found = new Map<string, number>();
  for (const [name, value] of new URL(c.req.url).searchParams) {
    const known = name === "cursor" || name === "limit";
    if (!known || found.has(name) || !INTEGER.test(value)) throw new TalosError("contract.invalid", { query: "page" });
    found.set(name, Number(value));
  }
  const { cursor, limit = PAGE } = Object.fromEntries(found) as { cursor?: number; limit?: number };
  if (limit < 1 || limit > LIMITS.sink_page || !Number.isSafeInteger(cursor ?? 0))
    throw new TalosError("contract.invalid", { query: "page" });
  return cursor === undefined ? { limit } : { cursor, limit };
}

/** What an object answered. @throws `sink.unavailable` when it cannot be asked */
async function asked<T>(work: () => Promise<T>, ms: number = LIMITS.object_timeout_ms): Promise<T> {
  try {
    return await withinMs(work(), ms, "the sink");
  } catch (cause) {
    throw new TalosError("sink.unavailable", {}, { cause });
  }
}

/** @throws what the sink refused with */
function granted<A extends { ok: true } | Refused>(answer: A): Extract<A, { ok: true }> {
  if (answer.ok) return answer as Extract<A, { ok: true }>;
  const { code } = answer;
  throw new TalosError(isErrorCode(code) ? code : "sink.unavailable");
}
