import { expect, it } from "vitest";
import type { ProjectAsk } from "../../durable-objects/types.ts";
import { rowsOf } from "./row.ts";
import { batchOf, event, leafHashOf } from "../../test/support/audit-events.ts";

const refused = (why: string) =>
  expect.objectContaining({
    code: "internal",
    detail: expect.objectContaining({ projection: expect.stringContaining(why) }),
  });

it("finds in an event what the search goes by", () => {
  const child = "did:web:child.example";
  const asked = "did:web:asked.example";
  const principal = { auth_mode: "signed", did: child, jkt: "A".repeat(43), root_sub: "did:web:root.example" } as const;
  const one = event("acme", 7, {
    kind: "outcome",
    correlation: event("acme", 6).event_id,
    principal,
    on_behalf: { did: asked, jkt: "A".repeat(43), root_link: "A".repeat(43) },
  });
  const [row] = rowsOf(batchOf("acme", 3, [one]));
  expect(row).toMatchObject({
    log_id: "acme",
    tenant: "acme",
    seq: 3,
    ts_ms: Date.parse(one.ts),
    event_id: one.event_id,
    kind: "outcome",
    correlation: one.correlation,
    agent: child,
    root_agent: "did:web:root.example",
    behalf_agent: asked,
    tool: "files/read",
    allow: true,
    code: "OK",
    body: JSON.stringify(one),
  });
});

it("leaves out what does not apply: no decision, no tool, a root that is the holder itself", () => {
  const { decision: _d, ...rest } = event("acme", 1);
  const surface = { ...rest, resource: { resource_type: "surface", resource_id: "head.get" } } as ReturnType<
    typeof event
  >;
  expect(rowsOf(batchOf("acme", 0, [surface]))[0]).toMatchObject({
    allow: null,
    code: null,
    tool: null,
    root_agent: null,
  });
});

it("refuses the whole batch for one row that is not what the log promised", () => {
  const good = () => batchOf("acme", 0, [event("acme", 0), event("acme", 1), event("acme", 2)]);
  expect(rowsOf(good())).toHaveLength(3);
  const bad: [string, (batch: ProjectAsk) => void][] = [
    [
      "leaf hash",
      (batch) => {
        batch.rows[1]!.body = batch.rows[1]!.body.replace("files/read", "files/riad");
      },
    ],
    [
      "out of sequence",
      (batch) => {
        batch.rows.reverse();
      },
    ],
    [
      "out of sequence",
      (batch) => {
        batch.rows[2]!.seq = 5;
      },
    ],
    [
      "stretch",
      (batch) => {
        batch.rows.pop();
      },
    ],
    [
      "stretch",
      (batch) => {
        batch.from_seq = -1;
      },
    ],
    [
      "stretch",
      (batch) => {
        batch.next_seq = Number.NaN;
      },
    ],
    [
      "event id",
      (batch) => {
        batch.rows[0]!.event_id = batch.rows[1]!.event_id;
      },
    ],
    ["shape", (batch) => rewrite(batch, { kind: "rumour" })],
    ["tenant", (batch) => rewrite(batch, { tenant: "rival" })],
  ];
  for (const [why, spoil] of bad) {
    const batch = good();
    spoil(batch);
    expect(() => rowsOf(batch), why).toThrow(refused(why));
  }
});

function rewrite(batch: ProjectAsk, over: object): void {
  const body = JSON.stringify({ ...JSON.parse(batch.rows[0]!.body), ...over });
  batch.rows[0] = { ...batch.rows[0]!, body, leaf_hash: leafHashOf(body) };
}
