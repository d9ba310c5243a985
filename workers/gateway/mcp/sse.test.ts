import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { printSse, type SseEvent, SseParser, SseTooLarge } from "./sse.ts";

const encoder = new TextEncoder();

function parse(bytes: Uint8Array, cuts: number[], limit = 1_000_000): SseEvent[] {
  const parser = new SseParser(limit);
  const events: SseEvent[] = [];
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < at.length; i += 1) events.push(...parser.push(bytes.slice(at[i - 1], at[i])));
  return events;
}
const parseText = (text: string): SseEvent[] => parse(encoder.encode(text), []);

const lineText = fc.string({ unit: "binary", maxLength: 20 }).map((s) => s.replace(/[\r\n\0\ud800-\udfff]/g, "x"));
const event: fc.Arbitrary<SseEvent> = fc
  .record(
    {
      data: fc.array(lineText, { minLength: 1, maxLength: 4 }).map((lines) => lines.join("\n")),
      event: lineText,
      id: lineText,
      retry: fc.integer({ min: 0, max: 999_999_999 }),
    },
    { requiredKeys: [] },
  )
  .filter((e) => Object.keys(e).length > 0);

describe("SseParser", () => {
  it("reads back what printSse wrote, wherever the chunks are cut", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (events, cuts) => {
        expect(parse(encoder.encode(events.map(printSse).join("")), cuts)).toEqual(events);
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives the same events for any cut of any bytes, or refuses both", () => {
    const outcome = (bytes: Uint8Array, cuts: number[]): unknown => {
      try {
        return parse(bytes, cuts, 64);
      } catch (error) {
        return (error as Error).name;
      }
    };
    const noise = fc.array(
      fc.constantFrom("data", "id", ":", " ", "\n", "\r", "\r\n", "é", "\ufeff", "x", "retry", "1"),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(noise, fc.array(fc.nat(), { maxLength: 10 }), (parts, cuts) => {
        const bytes = encoder.encode(parts.join(""));
        expect(outcome(bytes, cuts)).toEqual(outcome(bytes, []));
      }),
      { numRuns: 3_000 },
    );
  });

  it("takes all three line ends and a byte order mark at the start only", () => {
    expect(parseText("\ufeffdata: a\r\ndata: b\rdata: c\n\n")).toEqual([{ data: "a\nb\nc" }]);
    expect(parseText("data: a\r\r\ndata: b\n\n")).toEqual([{ data: "a" }, { data: "b" }]);
  });

  it("strips one space after the colon, ignores unknown fields and bad retries, keeps ids without data", () => {
    expect(parseText("data:  x\nfoo: bar\nretry: 1s\n\n")).toEqual([{ data: " x" }]);
    expect(parseText("id: 7\ndata\n\nid: 8\n\n")).toEqual([{ id: "7", data: "" }, { id: "8" }]);
    expect(parseText("id: a\0b\ndata: x\n\n")).toEqual([{ data: "x" }]);
  });

  it("passes a lone comment as a sign of life and drops an unfinished event", () => {
    expect(parseText(": ping\n\ndata: never finished\n")).toEqual([{ comment: true }]);
    expect(printSse({ comment: true })).toBe(":\n\n");
  });

  it("refuses an event beyond the bound, in one line or in many, without waiting for its end", () => {
    expect(() => parse(encoder.encode(`data: ${"x".repeat(100)}`), [], 50)).toThrow(SseTooLarge);
    expect(() => parse(encoder.encode("data: x\n".repeat(20)), [], 50)).toThrow(SseTooLarge);
    expect(() => parse(encoder.encode("\n\n: c\n".repeat(20)), [], 50)).not.toThrow();
    expect(parse(encoder.encode("data: x\n\n".repeat(100)), [], 50)).toHaveLength(100);
  });

  it("refuses bytes that are not UTF-8", () => {
    expect(() => parse(new Uint8Array([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a, 0x0a]), [])).toThrow(TypeError);
  });

  it("never lets data open a field of its own when printed", () => {
    fc.assert(
      fc.property(fc.string(), (data) => {
        const text = printSse({ data: data.replace(/[\ud800-\udfff]/g, "?") });
        expect(parseText(text).every((e) => Object.keys(e).join() === "data")).toBe(true);
        expect(parseText(text)).toHaveLength(1);
      }),
    );
  });
});
