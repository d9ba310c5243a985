/**
 * `audit.export`: a stretch of the log that its receiver verifies by itself: a head line with the complete subtrees of what
 * stands before, a checkpoint and the proof that it extends what stands here; then each leaf on a line, byte for byte.
 * One bundle is held at a time. Whatever breaks it off leaves fewer lines than the head says, which no check lets pass.
 * Source: contracts/spec/audit.md#export.
 */
import { type AuditExportHead, LIMITS, TalosError } from "@talos/contracts";
import { bundleEntries, TILE_WIDTH, tileAt } from "@talos/core/log";
import type { Range } from "../../durable-objects/log-reads.ts";
import { PublicError } from "../shared/errors.ts";
import type { AppContext, Handlers } from "../shared/ports.ts";
import { asked, hashesOf, stub, tileOf } from "./log.ts";
import { readParameters } from "./parameters.ts";

const HEADERS = { "content-type": "application/x-ndjson", "cache-control": "no-store" };
const LF = new Uint8Array([0x0a]);

export const exportHandlers: Pick<Handlers, "audit.export"> = {
  "audit.export": async (c) => {
    const { from = 0, to = Number.MAX_SAFE_INTEGER } = readParameters(c, { from: "required", to: "optional" });
    if (to <= from) throw new TalosError("contract.invalid", { query: "from and to" });
    const most = Math.min(to, from + LIMITS.audit_export_events);
    const range = await asked(async (): Promise<Range> => stub(c).range(from, most));
    if (!range.ok) throw new PublicError(range.code, { retry_after_ms: range.retry_after_ms });
    const { first_seq } = range;
    const head: AuditExportHead = {
      schema_id: "talos.audit_export",
      schema_version: "v1",
      origin: range.origin,
      ...(first_seq === 0 ? {} : { first_seq }),
      from,
      to: range.to,
      checkpoint: range.checkpoint,
      subtrees: hashesOf(range.subtrees),
      consistency: hashesOf(range.consistency),
      ...(range.more && range.to < to ? { next: range.to } : {}),
    };
    return new Response(streamOf(c, head, range.size), { headers: HEADERS });
  },
};

/** The head, then a bundle's leaves whenever the receiver has taken those before. */
function streamOf(c: AppContext, head: AuditExportHead, size: number): ReadableStream<Uint8Array> {
  const { origin, first_seq = 0 } = head;
  let at = head.from - first_seq;
  const last = head.to - first_seq;
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(new TextEncoder().encode(`${JSON.stringify(head)}\n`)),
      async pull(controller) {
        const index = Math.floor(at / TILE_WIDTH);
        const first = index * TILE_WIDTH;
        const bundle = await tileOf(c, tileAt("entries", index, size)!, origin);
        if (bundle === null) throw new TalosError("audit.query_unavailable", { why: "a bundle is missing", index });
        const end = Math.min(first + TILE_WIDTH, last);
        for (const entry of bundleEntries(bundle).slice(at - first, end - first)) {
          controller.enqueue(entry);
          controller.enqueue(LF);
        }
        at = end;
        if (at >= last) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}
