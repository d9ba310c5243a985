/**
 * The meta-log for anybody: its head, tiles, policy, how it stands, where it is anchored. Files come out of the bucket, so reading
 * them reaches no object; what the bucket cannot give of the head, the object does. Nothing here names a tenant: leaves are
 * heads of logs whose names were drawn.
 * Source: contracts/spec/log.md#meta-log.
 */
import { LIMITS, type MetaAnchors, type MetaFacts, TalosError } from "@talos/contracts";
import { parseTile, TILE_WIDTH } from "@talos/core/log";
import { ANCHOR_KINDS, type AnchorsSource, anchorsOf } from "../../durable-objects/anchored.ts";
import { withinMs } from "../../durable-objects/deadline.ts";
import { keysetsOf } from "../../durable-objects/keysets.ts";
import { META, metaKeys, metaNames, metaOrigin } from "../../durable-objects/meta-key.ts";
import { logHost } from "../../durable-objects/publisher.ts";
import { metaPolicy, witnessPolicy } from "../../durable-objects/witness-policy.ts";
import { PublicError } from "../shared/errors.ts";
import type { AppContext, Handlers } from "../shared/ports.ts";

type Name = "meta.checkpoint" | "meta.tile" | "meta.policy" | "meta.status" | "meta.anchors";

const NAMES = metaNames(META);
const HEAD = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache" };
/** What is published under a tile's name never changes, whoever asks. */
const TILE = { "content-type": "application/octet-stream", "cache-control": "public, max-age=31536000, immutable" };
/** Keys are staged long before they sign, so a copy a minute old misses none. */
const POLICY = { "content-type": "text/plain; charset=utf-8", "cache-control": "public, max-age=60" };
/** A public address must not be a lever on the objects behind it: they are asked once in this time, by an isolate. */
const ASK_MS = 2_000;
/** Anchored checkpoints of each kind in one answer. */
const ANCHORS_EACH = LIMITS.meta_anchors / ANCHOR_KINDS.length;

export const metaHandlers: Pick<Handlers, Name> = {
  "meta.checkpoint": async (c) => {
    const note = await checkpoint(c);
    if (note === null) throw new PublicError("audit.not_published", { retry_after_ms: LIMITS.audit_publish_ms });
    return new Response(note, { headers: HEAD });
  },

  "meta.tile": async (c) => {
    const path = tilePath(c);
    const folder = parseTile(path).width < TILE_WIDTH ? NAMES.partial : NAMES.full;
    const found = await file(c, `${folder}/${path}`);
    if (found === null) throw new TalosError("audit.tile_unknown");
    return new Response(found, { headers: TILE });
  },

  "meta.policy": async (c) => {
    const origin = metaOrigin(logHost(c.env.TALOS_ORIGIN));
    const keys = await metaKeys(keysetsOf(c.env, c.get("now_ms")), origin);
    return new Response(metaPolicy(keys, witnessPolicy(c.env.TALOS_WITNESSES)), { headers: POLICY });
  },

  "meta.status": async (c) => c.json(await kept("status", () => status(c))),

  "meta.anchors": async (c) => c.json(await kept("anchors", () => anchors(c))),
};

const stub = (c: AppContext) => c.env.META_LOG.getByName(META);

async function checkpoint(c: AppContext): Promise<string | null> {
  try {
    const { witnesses } = witnessPolicy(c.env.TALOS_WITNESSES);
    const cosigned = witnesses.length === 0 ? null : await file(c, NAMES.cosigned);
    const found = cosigned ?? (await file(c, NAMES.checkpoint));
    return found === null ? null : new TextDecoder().decode(found);
  } catch (cause) {
    c.get("log")("warn", "meta.bucket_unavailable", { error: cause });
    return asked(async () => stub(c).checkpoint());
  }
}

/** @throws `audit.query_unavailable` when the bucket cannot be read */
async function file(c: AppContext, name: string): Promise<ArrayBuffer | null> {
  const read = async () => (await c.env.AUDIT_TILES.get(name))?.arrayBuffer();
  return (await asked(read)) ?? null;
}

/** The name behind `tile/`, as it stands in the address: decoded, one tile would have many names. */
function tilePath(c: AppContext): string {
  const path = new URL(c.req.url).pathname.slice("/meta/".length);
  try {
    parseTile(path);
    return path;
  } catch (cause) {
    throw new TalosError("audit.tile_unknown", {}, { cause });
  }
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await withinMs(ask(), LIMITS.object_timeout_ms, "the meta-log");
  } catch (cause) {
    throw new TalosError("audit.query_unavailable", {}, { cause });
  }
}

const answers = new Map<string, { at_ms: number; answer: unknown }>();

/** The last answer of that name, unless it is old. */
async function kept<T>(name: string, make: () => Promise<T>): Promise<T> {
  const last = answers.get(name);
  if (last !== undefined && Date.now() - last.at_ms < ASK_MS) return last.answer as T;
  const answer = await make();
  answers.set(name, { at_ms: Date.now(), answer });
  return answer;
}

async function status(c: AppContext): Promise<MetaFacts> {
  const nowMs = Date.now();
  const [meta, ...anchoring] = await Promise.all([
    asked(async () => stub(c).status()),
    ...ANCHOR_KINDS.map((kind) => anchoringOf(anchorsOf(c.env, kind), kind, nowMs)),
  ]);
  return {
    ...(meta.origin === null ? {} : { origin: meta.origin }),
    heads: meta.heads,
    sealed: meta.sealed_size,
    published: meta.published_size,
    publish_failures: meta.publish_failures,
    witnessed: meta.witnessed_size,
    ...(meta.witnessed_ms === undefined ? {} : { witnessed_age_ms: Math.max(0, nowMs - meta.witnessed_ms) }),
    witnesses: meta.witnesses.map(({ name, size, time_seconds, failures, code }) => ({
      ...{ name, cosigned: size, failures },
      ...(time_seconds === undefined ? {} : { time_seconds }),
      ...(code === undefined ? {} : { code }),
    })),
    anchors: anchoring,
    forked: meta.forked,
  };
}

type Anchoring = MetaFacts["anchors"][number];

/** An anchoring that cannot be asked leaves the rest of the answer as it is. */
async function anchoringOf(
  source: AnchorsSource | undefined,
  kind: Anchoring["kind"],
  nowMs: number,
): Promise<Anchoring> {
  if (source === undefined) return { kind, state: "off", anchored: 0, failures: 0 };
  try {
    const said = await asked(() => source.status());
    const { state, anchored_size, anchored_ms, failures } = said;
    const age = anchored_ms === undefined ? {} : { anchored_age_ms: Math.max(0, nowMs - anchored_ms) };
    return { kind, state, anchored: anchored_size, failures, ...age };
  } catch {
    return { kind, state: "unknown", anchored: 0, failures: 0 };
  }
}

async function anchors(c: AppContext): Promise<MetaAnchors> {
  const nowMs = Date.now();
  const pages = await Promise.all(
    ANCHOR_KINDS.map(async (kind) => {
      const source = anchorsOf(c.env, kind);
      return source === undefined ? [] : (await asked(() => source.list({ limit: ANCHORS_EACH }))).anchors;
    }),
  );
  const shown = pages.flatMap((page) => page.slice(0, ANCHORS_EACH));
  return {
    anchors: shown.map(({ size, note, anchor, done_ms }) => ({
      ...{ size, note, anchor },
      age_ms: Math.max(0, nowMs - done_ms),
    })),
  };
}
