/**
 * A projector whose database is a map, with the rule of the real one (cursor and rows move together or not at all) and
 * faults that a test asks for. It lives on `globalThis`, since worker and tests may load modules apart.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { LIMITS } from "@talos/contracts";
import type { Env } from "../../durable-objects/env.ts";
import type { ProjectAsk, Projected, ProjectorPort } from "../../durable-objects/types.ts";

export interface TestDatabase {
  /** the number after the last projected event, by log */
  cursors: Map<string, number>;
  /** event ids in the order they were inserted, by log; a duplicate would show here */
  rows: Map<string, string[]>;
  /** attempts, by log */
  calls: Map<string, number>;
  /** `down`: nothing happens; `lost`: it happens, and the answer does not arrive */
  fault: () => "none" | "down" | "lost";
}

const shared = globalThis as unknown as { talosTestDatabase?: TestDatabase };

export function testDatabase(): TestDatabase {
  shared.talosTestDatabase ??= { cursors: new Map(), rows: new Map(), calls: new Map(), fault: () => "none" };
  return shared.talosTestDatabase;
}

export class Projector extends WorkerEntrypoint<Env> implements ProjectorPort {
  async project({ log_id, from_seq, next_seq, rows }: ProjectAsk): Promise<Projected> {
    const database = testDatabase();
    database.calls.set(log_id, (database.calls.get(log_id) ?? 0) + 1);
    const fault = database.fault();
    await scheduler.wait(1);
    if (fault === "down") throw new Error("connection refused");
    if (rows.length !== next_seq - from_seq || rows.some(({ seq }, i) => seq !== from_seq + i)) {
      throw new Error("a slice with gaps");
    }
    if (rows.length > LIMITS.audit_project_rows) throw new Error("a slice too large for one statement");
    const at = database.cursors.get(log_id) ?? 0;
    const moved = at === from_seq;
    if (moved) {
      database.cursors.set(log_id, next_seq);
      const known = database.rows.get(log_id) ?? [];
      database.rows.set(log_id, [...known, ...rows.map(({ event_id }) => event_id)]);
    }
    if (fault === "lost") throw new Error("connection reset");
    return { moved, next_seq: database.cursors.get(log_id) ?? 0 };
  }
}
