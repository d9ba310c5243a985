/**
 * The gateway without its log, as a peer to measure against: the same script over the same objects, where whatever is to be
 * recorded is dropped and every promise is an empty word. It exists in benchmarks alone; nothing that is shipped can be
 * told to do this.
 */
import type { AppendAsk, Appended } from "../../durable-objects/types.ts";
import type { Env } from "../../workers/env.ts";
import app from "../../workers/index.ts";

const nothing = {
  async append({ promises = 0 }: AppendAsk): Promise<Appended> {
    return { ok: true, promises: Array.from({ length: promises }, () => "none"), seqs: [] };
  },
};

export default {
  fetch(request: Request, env: Env, ctx: ExecutionContext): Response | Promise<Response> {
    const AUDIT_LOGS = { getByName: () => nothing } as unknown as Env["AUDIT_LOGS"];
    return app.fetch(request, { ...env, AUDIT_LOGS }, ctx);
  },
};
