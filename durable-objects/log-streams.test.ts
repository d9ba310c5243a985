import { LIMITS } from "@talos/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LogStreams } from "./log-streams.ts";

let size: number;
let reads: number;
let streams: LogStreams;

const row = (seq: number) => ({ seq, event_id: String(seq), leaf_hash: "", body: "{}" });
const ask = (stream: string, over: { holder?: string; from?: number; wait_ms?: number } = {}) =>
  streams.next({ stream, holder: "did:key:a", from: size, wait_ms: LIMITS.audit_stream_wait_ms, ...over });
/** Whether it has an answer by now. */
async function answered(asked: Promise<unknown>): Promise<boolean> {
  const none = Symbol("none");
  return (await Promise.race([asked, Promise.resolve(none)])) !== none;
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  [size, reads] = [10, 0];
  streams = new LogStreams({
    async read(from, most) {
      reads += 1;
      return Array.from({ length: Math.max(0, Math.min(most, size - from)) }, (_, i) => row(from + i));
    },
    next: () => size,
  });
});
afterEach(() => vi.useRealTimers());

describe("readers of a log that wait for news", () => {
  it("get at once what is there, and no more than a slice", async () => {
    size = 1_000;
    const answer = await ask("s", { from: 3 });
    expect(answer).toMatchObject({ ok: true, next_seq: 1_000 });
    if (answer.ok)
      expect(answer.rows.map(({ seq }) => seq)).toEqual(
        Array.from({ length: LIMITS.audit_stream_rows }, (_, i) => 3 + i),
      );
  });

  it("wait without asking again, and are all woken by one append", async () => {
    const waiting = [ask("a"), ask("b"), ask("c")];
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reads).toBe(0);
    size += 2;
    streams.stir();
    streams.stir();
    expect(await answered(waiting[0]!)).toBe(false); // company is waited for
    await vi.advanceTimersByTimeAsync(100);
    for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ rows: [row(10), row(11)] });
    expect(reads).toBe(3);
  });

  it("wait no longer than the head's period, whatever they ask for", async () => {
    const waiting = ask("a", { wait_ms: 3_600_000 });
    await vi.advanceTimersByTimeAsync(LIMITS.audit_stream_wait_ms);
    expect(await waiting).toEqual({ ok: true, rows: [], next_seq: 10 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("are so many of a holder and so many of a tenant", async () => {
    const open = (stream: string, holder: string) => ask(stream, { holder, wait_ms: 0 });
    for (let i = 0; i < LIMITS.audit_streams_holder; i += 1)
      expect(await open(`a${i}`, "a")).toMatchObject({ ok: true });
    expect(await open("one more", "a")).toEqual({ ok: false, code: "concurrency.exhausted" });
    expect(await open("a0", "a")).toMatchObject({ ok: true });
    for (let i = LIMITS.audit_streams_holder; i < LIMITS.audit_streams; i += 1)
      expect(await open(`b${i}`, `b${i}`)).toMatchObject({ ok: true });
    expect(await open("late", "late")).toEqual({ ok: false, code: "concurrency.exhausted" });
    streams.leave("a3");
    expect(await open("late", "late")).toMatchObject({ ok: true });
  });

  it("are forgotten when they do not ask any more", async () => {
    for (let i = 0; i < LIMITS.audit_streams_holder; i += 1) await ask(`a${i}`, { wait_ms: 0 });
    await vi.advanceTimersByTimeAsync(LIMITS.audit_stream_wait_ms + LIMITS.audit_stream_stall_ms);
    expect(await ask("late", { wait_ms: 0 })).toMatchObject({ ok: false }); // a slow reader still has its place
    await vi.advanceTimersByTimeAsync(LIMITS.audit_stream_stall_ms + 1);
    expect(await ask("late", { wait_ms: 0 })).toMatchObject({ ok: true });
  });
});
