/**
 * The surfaces of a tenant's log: what it is, its checkpoint, tiles and consistency. They run behind the decision and see
 * the tenant of the path only, so no name that a caller gives leads to another's. Files come out of the bucket; what the
 * bucket has not, or cannot give now, out of the log's own rows.
 * Source: contracts/spec/audit.md#surfaces, contracts/spec/log.md.
 */
import { type AuditLogFacts, LIMITS, TalosError } from "@talos/contracts";
import { bundle, bundleEntries, HASH_BYTES, parseTile, TILE_WIDTH } from "@talos/core/log";
import { withinMs } from "../../durable-objects/deadline.ts";
import type { LogEpoch, MetaReached } from "../../durable-objects/types.ts";
import type { Consistency } from "../../durable-objects/log-reads.ts";
import { keysetsOf } from "../../durable-objects/keysets.ts";
import { headKeys, META, metaKeys, metaOrigin } from "../../durable-objects/meta-key.ts";
import { logHost } from "../../durable-objects/publisher.ts";
import { metaPolicy, witnessPolicy } from "../../durable-objects/witness-policy.ts";
import { PublicError } from "../shared/errors.ts";
import type { AppContext, Handlers } from "../shared/ports.ts";
import { readParameters } from "./parameters.ts";

type Name = "audit.log" | "audit.checkpoint" | "audit.tile" | "audit.consistency";

const TEXT = { "content-type": "text/plain; charset=utf-8", "cache-control": "private, no-cache" };
/** What is published under a tile's name never changes; shared caches have no business with a tenant's record. */
const TILE = { "content-type": "application/octet-stream", "cache-control": "private, max-age=31536000, immutable" };

export const logHandlers: Pick<Handlers, Name> = {
  "audit.log": async (c) => c.json(await facts(c)),

  "audit.checkpoint": async (c) => {
    const note = await checkpointOf(c, treeOf(c));
    if (note === null) throw notPublished();
    return new Response(note, { headers: TEXT });
  },

  "audit.tile": async (c) => {
    const bytes = await tileOf(c, tilePath(c), treeOf(c));
    if (bytes === null) throw new TalosError("audit.tile_unknown");
    return new Response(bytes as BufferSource, { headers: TILE });
  },

  "audit.consistency": async (c) => {
    const { old = 0, size = 0 } = readParameters(c, { old: "required", size: "required" }, ["origin"]);
    const origin = treeOf(c);
    if (old < 1 || old > size) throw new TalosError("contract.invalid", { query: "old and size" });
    const proof = await asked(async (): Promise<Consistency> => stub(c).consistency(old, size, origin));
    if (!proof.ok) throw new PublicError(proof.code, { retry_after_ms: proof.retry_after_ms });
    return c.json({ old, size, hashes: hashesOf(proof.hashes) });
  },
};

export const stub = (c: AppContext) => c.env.AUDIT_LOGS.getByName(c.get("tenant"));

/** @param waitMs how long the log itself may wait. @throws `audit.query_unavailable` when it cannot be asked */
export async function asked<T>(ask: () => Promise<T>, waitMs = 0): Promise<T> {
  try {
    return await withinMs(ask(), waitMs + LIMITS.object_timeout_ms, "the log");
  } catch (cause) {
    throw new TalosError("audit.query_unavailable", {}, { cause });
  }
}

const notPublished = () =>
  new PublicError("audit.not_published", { retry_after_ms: LIMITS.audit_project_ms + LIMITS.audit_publish_ms });

async function facts(c: AppContext): Promise<AuditLogFacts> {
  const { origin, ...sizes } = await asked(() => stub(c).facts());
  if (origin === undefined) return { keys: [], ...sizes };
  const keysets = keysetsOf(c.env, c.get("now_ms"));
  // Every head key of the deployment under the log's origin: a head of before a rotation verifies too.
  const epochs = await asked(async (): Promise<LogEpoch[]> => stub(c).log());
  const keys = headKeys(keysets, origin);
  const meta = await metaKeys(keysets, metaOrigin(logHost(c.env.TALOS_ORIGIN)));
  // Of the newest tree alone: a policy takes no key under two names. Those of trees that are over are made of their `keys`.
  const policy = metaPolicy([...keys, ...meta], witnessPolicy(c.env.TALOS_WITNESSES));
  return { origin, keys, ...sizes, ...(await reachedOf(c, origin)), policy, epochs: epochs.slice(-LIMITS.log_epochs) };
}

/** What vouches for the tree beyond its own key; nothing while the meta-log cannot be asked, which costs no other fact. */
async function reachedOf(c: AppContext, origin: string): Promise<MetaReached> {
  try {
    return await asked(async (): Promise<MetaReached> => c.env.META_LOG!.getByName(META).reached(origin));
  } catch (error) {
    c.get("log")("warn", "audit.meta_unavailable", { error });
    return {};
  }
}

/** The log knows its newest head; without it the bucket does. */
async function checkpointOf(c: AppContext, origin: string | undefined): Promise<string | null> {
  try {
    return await asked(() => stub(c).checkpoint(origin));
  } catch (error) {
    const found = origin === undefined ? await fromBucket(c, `c/${c.get("tenant")}/checkpoint`) : null;
    if (found === null) throw error;
    return new TextDecoder().decode(found);
  }
}

/** The tree that is asked for by its name, of those that the log had; the newest one when absent. */
function treeOf(c: AppContext): string | undefined {
  const named = new URL(c.req.url).searchParams.getAll("origin");
  if (named.length > 1 || named[0] === "") throw new TalosError("contract.invalid", { query: "origin" });
  return named[0];
}

/** The name behind `tile/`, as it stands in the address: decoded, one tile would have many names. */
function tilePath(c: AppContext): string {
  const { pathname } = new URL(c.req.url);
  const path = pathname.slice(`/t/${c.get("tenant")}/audit/`.length);
  try {
    parseTile(path);
    return path;
  } catch (cause) {
    throw new TalosError("audit.tile_unknown", {}, { cause });
  }
}

/**
 * @param origin of the tree, the newest one when absent
 * @returns null where the log has no such tile
 */
export async function tileOf(c: AppContext, path: string, origin?: string): Promise<Uint8Array | null> {
  const { level, width } = parseTile(path);
  const partial = width < TILE_WIDTH;
  // A log that was rotated has a folder for each of its trees; while it cannot be asked, the first one's is the likely one.
  const folder = await asked(async (): Promise<string | null> => stub(c).folder(origin)).catch((error: unknown) => {
    if (origin !== undefined) throw error;
    return c.get("tenant");
  });
  if (folder === null) return null;
  const found = await fromBucket(c, `${partial ? "p" : "f"}/${folder}/${path}`);
  if (found !== null) return found;
  const own = await asked(() => stub(c).tile(path, origin));
  if (own !== null || !partial || level !== "entries") return own;
  // An older head's bundle, cleared from the bucket and from the rows: it is the beginning of the full one.
  const full = await fromBucket(c, `f/${folder}/${path.slice(0, path.indexOf(".p/"))}`);
  return full === null ? null : bundle(bundleEntries(full).slice(0, width));
}

/** Null when the bucket has it not, or cannot say. */
async function fromBucket(c: AppContext, name: string): Promise<Uint8Array | null> {
  try {
    const read = async () => (await c.env.AUDIT_TILES.get(name))?.arrayBuffer();
    const bytes = await withinMs(read(), LIMITS.object_timeout_ms, "the bucket");
    return bytes === undefined ? null : new Uint8Array(bytes);
  } catch (error) {
    c.get("log")("warn", "audit.bucket_unavailable", { error });
    return null;
  }
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

/** Hashes one after another, each in base64. */
export const hashesOf = (bytes: Uint8Array): string[] =>
  Array.from({ length: bytes.length / HASH_BYTES }, (_, i) =>
    base64(bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  );
