/** What is answered without a new head, while another head is on its way. */
import { describe, expect, it } from "vitest";
import { type RevocationJob, revokedAlready } from "./head-plan.ts";
import type { Change, HeadStore } from "./head-store.ts";

const ENTRY = "key:abc";
const extended: string[] = [];
const store = (drop: string[]) =>
  ({
    pending: () => (drop.length === 0 ? null : ({ drop } as unknown as Change)),
    entriesOf: () => [ENTRY],
    extend: (entry: string) => extended.push(entry),
    since: () => 3,
  }) as unknown as HeadStore;
const job = { facts: { entries: [ENTRY], jti: "j" }, expires_at: 9 } as unknown as RevocationJob;

describe("revokedAlready", () => {
  it("answers at once for what stands, and keeps it longer", () => {
    expect(revokedAlready(store([]), job)).toMatchObject({ ok: true, rev_seq: 3 });
    expect(extended).toEqual([ENTRY]);
  });

  it("does not answer for an entry that the pending head drops: it would be gone once that is in force", () => {
    extended.length = 0;
    expect(revokedAlready(store([ENTRY]), job)).toBeUndefined();
    expect(extended).toEqual([]);
  });
});
