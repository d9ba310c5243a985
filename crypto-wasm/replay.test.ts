/**
 * What a captured read of a session is good for. Every isolate has a core of its own, with windows of its own: once in
 * each, and no longer than the proof lives.
 */
import { LIMITS } from "@talos/contracts";
import { expect, it, vi } from "vitest";
import type { RequestParts } from "./index.ts";

/** A core that has seen nothing, behind the same policy and ticket keys. */
async function isolate() {
  vi.resetModules();
  const [core, site] = [await import("./index.ts"), await import("./testing.ts")];
  const [policy, filter] = [site.policy(), site.filter()];
  const none = async () => ({ rev_seq: 1, items: {} });
  const code = async (request: RequestParts, now_ms = site.NOW_MS): Promise<string> => {
    const frame = core.encodeRequest({ ...request, now_ms, head_as_of_ms: now_ms });
    return (await core.authorize(frame, policy, filter, site.tickets, none)).decision.code;
  };
  return { code, site };
}

it("a captured read is answered once in each isolate that has not seen it, and never again in one that has", async () => {
  const first = await isolate();
  const session = await first.site.session(first.site.root());
  const read = first.site.maced(first.site.call("read", { path: "data/a" }), session, 1);
  const isolates = [first, await isolate(), await isolate()];
  for (const { code } of isolates) {
    expect([await code(read), await code(read)]).toEqual(["OK", "REPLAY"]);
  }
  for (const { code } of isolates) expect(await code(read)).toBe("REPLAY");
});

it("a captured read is good for a minute at most, in any isolate", async () => {
  const first = await isolate();
  const session = await first.site.session(first.site.root());
  const read = first.site.maced(first.site.call("read", { path: "data/a" }), session, 1);
  const { NOW_MS } = first.site;
  const life_ms = LIMITS.proof_life_seconds * 1_000;
  expect(life_ms).toBeLessThanOrEqual(60_000);
  expect(await (await isolate()).code(read, NOW_MS + life_ms - 1)).toBe("OK");
  expect(await (await isolate()).code(read, NOW_MS + life_ms)).toBe("PROOF_INVALID");
});

it("a captured read is not made good again by those that overtook it", async () => {
  const { code, site } = await isolate();
  const session = await site.session(site.root());
  const read = (sequence: number) => site.maced(site.call("read", { path: "data/a" }), session, sequence);
  const captured = read(1);
  expect(await code(captured)).toBe("OK");
  for (let sequence = 2; sequence <= LIMITS.sequence_window; sequence += 1)
    expect(await code(read(sequence))).toBe("OK");
  expect(await code(captured)).toBe("REPLAY");
  expect(await code(read(LIMITS.sequence_window + 1))).toBe("OK");
  expect(await code(captured)).toBe("PROOF_INVALID"); // left the window, and is refused for that
});
