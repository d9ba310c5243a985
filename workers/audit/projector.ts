import { WorkerEntrypoint } from "cloudflare:workers";
import { TalosError } from "@talos/contracts";
import type { Env } from "../../durable-objects/env.ts";
import { warn } from "../../durable-objects/log.ts";
import type { ProjectAsk, Projected, ProjectorPort } from "../../durable-objects/types.ts";
import { project } from "../db/audit-cursor.ts";
import { connect, searching } from "../db/client.ts";
import { rowsOf } from "./row.ts";

/**
 * Where a log's events enter Postgres. `AuditLog`'s alarm calls it through the Worker's own exports, so that no object
 * holds a database connection.
 */
export class Projector extends WorkerEntrypoint<Env> implements ProjectorPort {
  /**
   * Project a stretch of a log, exactly once: repeats, gaps and a second projector move nothing.
   * @returns `moved`, and `next_seq`, from which the log goes on (ahead: it was projected already; behind: the
   *   projection was emptied and is being rebuilt)
   * @throws `audit.query_unavailable` while Postgres does not take it, `internal` for a row that is not what it says,
   *   `config.incomplete` without a database; the log keeps everything and tries again
   * Source: contracts/spec/audit.md#projection-and-cursors.
   */
  async project(batch: ProjectAsk): Promise<Projected> {
    try {
      const rows = rowsOf(batch);
      return await searching(() => project(connect(this.env), batch.log_id, batch.from_seq, rows));
    } catch (error) {
      // Across the call an error keeps its text only; why it failed must be told here.
      const { code, detail } = error instanceof TalosError ? error : new TalosError("internal");
      const why = detail.projection ?? detail.sqlstate ?? detail.missing ?? null;
      const seq = typeof detail.seq === "number" ? detail.seq : batch.from_seq;
      warn("projector.failed", { log: batch.log_id, seq, code, why: why === null ? null : String(why) });
      throw error;
    }
  }
}
