import { LIMITS } from "@talos/contracts";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { readWhole } from "./upstream.ts";

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

/** A sender of one chunk of `size` bytes each `everyMs`, for ever or `times`. */
function sender(everyMs: number, size = 1, times = Number.POSITIVE_INFINITY) {
  const state = { sent: 0, cancelled: false };
  const source: UnderlyingDefaultSource<Uint8Array> = {
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, everyMs));
      if (state.sent >= times) return controller.close();
      state.sent += 1;
      controller.enqueue(new Uint8Array(size).fill(state.sent));
    },
    cancel: () => {
      state.cancelled = true;
    },
  };
  return { state, body: new ReadableStream(source, { highWaterMark: 0 }) };
}

/** What reading comes to within a minute, and when. */
async function outcome(read: Promise<Uint8Array>): Promise<{ code?: string; bytes?: number; at: number }> {
  const settled = read.then(
    (bytes) => ({ bytes: bytes.byteLength, at: Date.now() }),
    (error: { code: string }) => ({ code: error.code, at: Date.now() }),
  );
  await vi.advanceTimersByTimeAsync(60_000);
  return settled;
}

it("gives all bytes of a body that comes in time", async () => {
  const { body } = sender(90, 3, 5);
  expect(await outcome(readWhole(body, 100, 10_000))).toEqual({ bytes: 15, at: 540 });
});

it("ends a body that falls silent, and tells its sender", async () => {
  const { body, state } = sender(150);
  expect(await outcome(readWhole(body, 100, 10_000))).toEqual({ code: "upstream.timeout", at: 100 });
  expect(state.cancelled).toBe(true);
});

it("ends a body that sends a byte now and then for ever, when its whole time is over", async () => {
  const { body, state } = sender(90);
  expect(await outcome(readWhole(body, 100, 1_000))).toEqual({ code: "upstream.timeout", at: 1_000 });
  expect(state.cancelled).toBe(true);
});

it("ends a body at the first byte beyond the bound", async () => {
  const { body, state } = sender(1, LIMITS.upstream_body_bytes / 2);
  expect(await outcome(readWhole(body, 100, 1_000))).toMatchObject({ code: "upstream.too_large" });
  expect(state).toEqual({ sent: 3, cancelled: true });
});

it("names a body that breaks off", async () => {
  const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("reset")) });
  expect(await outcome(readWhole(body, 100, 1_000))).toMatchObject({ code: "upstream.unreachable" });
});
