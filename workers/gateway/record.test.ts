import { LIMITS } from "@talos/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Entry, EventBuffer } from "./record.ts";

const entry = (n: number): Entry => ({ event_id: `e${n}`, body: "{}", event_hash: "h", leaf_hash: "l" });

describe("EventBuffer", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function world(failures = 0) {
    const sent: string[][] = [];
    const lost: string[][] = [];
    let left = failures;
    const flush = {
      wait: (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms)),
      append: async (entries: Entry[]) => {
        if (left > 0) {
          left -= 1;
          throw new Error("down");
        }
        sent.push(entries.map((e) => e.event_id));
      },
      lost: (entries: Entry[]) => void lost.push(entries.map((e) => e.event_id)),
    };
    return { buffer: new EventBuffer(), flush, sent, lost };
  }

  it("is flushed by the request that found it empty, within the window, and by nobody else", async () => {
    const { buffer, flush, sent } = world();
    const first = buffer.add(entry(1), flush);
    expect(first).toBeInstanceOf(Promise);
    expect(buffer.add(entry(2), flush)).toBeUndefined();
    await vi.advanceTimersByTimeAsync(LIMITS.audit_buffer_ms - 1);
    expect(sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await first;
    expect(sent).toEqual([["e1", "e2"]]);
    expect(buffer.add(entry(3), flush)).toBeInstanceOf(Promise);
  });

  it("is sent at once by the request that fills it, and nothing is sent twice", async () => {
    const { buffer, flush, sent } = world();
    const work = Array.from({ length: LIMITS.audit_buffer_events + 3 }, (_, i) => buffer.add(entry(i), flush)).filter(
      Boolean,
    );
    expect(work).toHaveLength(3); // the first, the one that filled it, and the first of the next
    await vi.advanceTimersByTimeAsync(LIMITS.audit_buffer_ms);
    await Promise.all(work);
    expect(sent.flat()).toHaveLength(LIMITS.audit_buffer_events + 3);
    expect(new Set(sent.flat()).size).toBe(LIMITS.audit_buffer_events + 3);
    expect(sent[0]).toHaveLength(LIMITS.audit_buffer_events);
  });

  it("tries again while the log is down, then says aloud what was lost", async () => {
    const short = world(2);
    const first = short.buffer.add(entry(1), short.flush);
    await vi.advanceTimersByTimeAsync(1_000);
    await first;
    expect(short.sent).toEqual([["e1"]]);
    expect(short.lost).toEqual([]);

    const long = world(99);
    const second = long.buffer.add(entry(2), long.flush);
    await vi.advanceTimersByTimeAsync(10_000);
    await second;
    expect(long.sent).toEqual([]);
    expect(long.lost).toEqual([["e2"]]);
  });
});
