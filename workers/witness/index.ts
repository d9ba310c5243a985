/**
 * A witness of transparency logs (C2SP tlog-witness), as a script of its own: deployed under another account than the log's,
 * it is what the log's operator cannot roll back. It knows the logs that it is configured with, and cosigns a checkpoint that
 * extends the newest one that it cosigned.
 * Source: contracts/spec/log.md#witness.
 */
import { type ErrorCode, LIMITS, TalosError } from "@talos/contracts";
import { readSubmission, verifyCheckpoint } from "@talos/core/log";
import { withinMs } from "../../durable-objects/deadline.ts";
import { codeOf, warn } from "../../durable-objects/log.ts";
import { type WitnessConfig, type WitnessEnv, witnessConfig } from "../../durable-objects/witness-config.ts";
import { BODY_MS, readBounded } from "../shared/request.ts";

export { WitnessedLog } from "../../durable-objects/witnessed-log.ts";

/** What C2SP's protocol says of a checkpoint that cannot be read, is of an unknown log, or is not signed by it. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  "log.submission_malformed": 400,
  "log.note_malformed": 400,
  "log.checkpoint_malformed": 400,
  "log.origin_unknown": 404,
  "log.signature_invalid": 403,
  "config.incomplete": 503,
};

const answer = (status: number, body: string, type = "text/plain; charset=utf-8"): Response =>
  new Response(body, { status, headers: { "content-type": type, "cache-control": "no-store" } });

async function addCheckpoint(request: Request, env: WitnessEnv, config: WitnessConfig): Promise<Response> {
  const body = await withinMs(readBounded(request.body, LIMITS.witness_submission_bytes), BODY_MS, "the body");
  if (body === null) return answer(413, "too long\n");
  const { old, hashes, note, text } = readSubmission(body);
  const { origin, size, root } = await verifyCheckpoint({
    note: new TextEncoder().encode(note),
    policy: config.policy,
  });
  const said = await env.WITNESSED_LOGS.getByName(origin).add({ old, hashes, size, root, note, text });
  if (said.ok) return answer(200, said.line);
  if (said.refused === "size") return answer(409, `${said.size}\n`, "text/x.tlog.size");
  if (said.refused === "order") return answer(400, "an old size beyond the checkpoint's\n");
  if (said.refused === "proof") return answer(422, "log.consistency_invalid\n");
  return answer(503, "unavailable\n");
}

/** What it knows of one log: the newest checkpoint that it cosigned, and those that contradict one. */
async function view(url: URL, env: WitnessEnv, { origins }: WitnessConfig): Promise<Response> {
  const origin = url.searchParams.get("origin") ?? "";
  if (!origins.has(origin)) return answer(404, "log.origin_unknown\n");
  const known = await env.WITNESSED_LOGS.getByName(origin).view();
  return answer(200, `${JSON.stringify({ origin, latest: known })}\n`, "application/json");
}

async function route(request: Request, env: WitnessEnv): Promise<Response> {
  const config = witnessConfig(env);
  const url = new URL(request.url);
  if (url.pathname === "/add-checkpoint") {
    return request.method === "POST" ? addCheckpoint(request, env, config) : answer(405, "POST\n");
  }
  if (request.method !== "GET") return answer(405, "GET\n");
  if (url.pathname === "/vkey") return answer(200, `${config.vkey}\n`);
  if (url.pathname === "/log") return view(url, env, config);
  return answer(404, "nothing here\n");
}

export default {
  async fetch(request, env) {
    try {
      return await route(request, env);
    } catch (error) {
      const code = codeOf(error);
      const status = error instanceof TalosError ? STATUS[error.code] : undefined;
      if (status === undefined || status === 503) warn("witness.failed", { code });
      return answer(status ?? 500, `${status === undefined ? "internal" : code}\n`);
    }
  },
} satisfies ExportedHandler<WitnessEnv>;
