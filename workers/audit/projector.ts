import { WorkerEntrypoint } from "cloudflare:workers";
import type { Env } from "../../durable-objects/env.ts";
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
   * @throws `audit.query_unavailable` while Postgres cannot take it, `internal` for a row that is not what it says
   * Source: contracts/spec/audit.md#projection-and-cursors.
   */
  async project(batch: ProjectAsk): Promise<Projected> {
    const rows = rowsOf(batch);
    return searching(() => project(connect(this.env), batch.log_id, batch.from_seq, rows));
  }
}
