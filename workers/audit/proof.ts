/**
 * `audit.events.proof`: all that proves one event, in one file. The tenant's log gives leaf and proof, the meta-log the
 * head that it and its witnesses vouch for, and the anchors. Nothing of it is believed here: whoever gets the file
 * verifies it. It needs neither Postgres nor, for what its own log published, the meta-log.
 * Source: contracts/spec/audit.md#surfaces, contracts/spec/log.md#proof-bundle.
 */
import { type ErrorCode, isErrorCode, LIMITS, type ProofBundle, TalosError } from "@talos/contracts";
import { jcs } from "@talos/core";
import type { ProofAsk, Proved } from "../../durable-objects/log-reads.ts";
import { META } from "../../durable-objects/meta-key.ts";
import type { MetaLevel, MetaProof } from "../../durable-objects/types.ts";
import { PublicError } from "../shared/errors.ts";
import type { AppContext, Handlers } from "../shared/ports.ts";
import { isEventId } from "./cursor.ts";
import { asked, stub } from "./log.ts";

/** What of a level is answered while no head has come so far. */
const PENDING: Record<MetaLevel, ErrorCode> = {
  published: "audit.not_published",
  witnessed: "audit.not_witnessed",
  anchored: "audit.not_anchored",
};
const HEADERS = { "content-type": "application/json", "cache-control": "no-store" };

export const proofHandlers: Pick<Handlers, "audit.events.proof"> = {
  "audit.events.proof": async (c) => {
    const id = c.req.param("id") ?? "";
    if (!isEventId(id)) throw new TalosError("contract.invalid", { parameter: "id" });
    const level = readLevel(c);
    const own = await prove(c, { event_id: id });
    const meta = await metaProof(c, level, own);
    const bundle: ProofBundle = {
      schema_id: "talos.audit_proof",
      schema_version: "v1",
      event: own.event,
      log_proof: own.log_proof,
      anchors: [],
    };
    if (meta !== undefined) {
      // The meta-log's leaf is the text of one head: the proof in the tenant's log must end in that very head.
      const { log_proof } = await prove(c, { event_id: id, head: meta.head });
      Object.assign(bundle, { log_proof, meta_proof: meta.proof, anchors: meta.anchors });
    }
    return new Response(jcs(JSON.stringify(bundle)), { headers: HEADERS });
  },
};

/** @throws `contract.invalid` */
function readLevel(c: AppContext): MetaLevel {
  const given = [...new URL(c.req.url).searchParams];
  const [name, level = ""] = given[0] ?? ["level", "published"];
  if (given.length > 1 || name !== "level" || !Object.hasOwn(PENDING, level))
    throw new TalosError("contract.invalid", { query: "level" });
  return level as MetaLevel;
}

/** @throws `audit.event_unknown`, `audit.not_published`, `audit.forked`, `audit.query_unavailable` */
async function prove(c: AppContext, ask: ProofAsk): Promise<Extract<Proved, { ok: true }>> {
  const proved = await asked(async (): Promise<Proved> => stub(c).proof(ask));
  if (proved.ok) return proved;
  if ("retry_after_ms" in proved) throw new PublicError(proved.code, { retry_after_ms: proved.retry_after_ms });
  throw new TalosError(proved.code, { event_id: ask.event_id });
}

/** The best that the meta-log has. Where the log's own word is enough, its silence costs the answer nothing but itself. */
async function metaProof(
  c: AppContext,
  level: MetaLevel,
  { origin, index }: { origin: string; index: number },
): Promise<Extract<MetaProof, { ok: true }> | undefined> {
  try {
    const meta = c.env.META_LOG?.getByName(META);
    if (meta === undefined) throw new TalosError("config.incomplete", { missing: ["META_LOG"] });
    const answer = await asked(async (): Promise<MetaProof> => meta.prove({ origin, index, level }));
    if (answer.ok) return answer;
    const code = isErrorCode(answer.code) && answer.code !== "audit.proof_pending" ? answer.code : PENDING[level];
    throw new PublicError(code, { retry_after_ms: answer.retry_after_ms || LIMITS.audit_publish_ms });
  } catch (error) {
    if (level !== "published") throw error;
    return undefined;
  }
}
