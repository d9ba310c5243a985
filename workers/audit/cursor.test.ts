import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { isEventId, printCursor, readCursor } from "./cursor.ts";

interface Case {
  name: string;
  cursor: string;
  valid: boolean;
  ms?: number;
  event_id?: string;
}
const file = join(import.meta.dirname, "../../contracts/vectors/audit/cursors.json");
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: Case[] };

for (const one of cases) {
  it(`holds the vector "${one.name}"`, () => {
    if (one.valid) {
      const position = { tsMs: one.ms!, eventId: one.event_id! };
      expect(readCursor(one.cursor)).toEqual(position);
      expect(printCursor(position)).toBe(one.cursor);
    } else {
      expect(() => readCursor(one.cursor)).toThrow(expect.objectContaining({ code: "audit.cursor_invalid" }));
    }
  });
}

it("knows an event's id from anything else", () => {
  expect(isEventId("01945533-3158-7c85-992d-9865f1715694")).toBe(true);
  for (const no of [
    "",
    "01945533-3158-4c85-992d-9865f1715694",
    "01945533-3158-7C85-992D-9865F1715694",
    "x".repeat(36),
  ]) {
    expect(isEventId(no)).toBe(false);
  }
});

it("reads what it printed, and of any other text nothing but what it would print", () => {
  const eventId = fc.uuid({ version: 7 });
  fc.assert(
    fc.property(fc.maxSafeNat(), eventId, (tsMs, id) => {
      const cursor = printCursor({ tsMs, eventId: id });
      expect(readCursor(cursor)).toEqual({ tsMs, eventId: id });
    }),
  );
  const plain = fc
    .tuple(fc.oneof(fc.maxSafeNat().map(String), fc.constantFrom("", "01", "-1", "1e3", "9007199254740992")), eventId)
    .map(([time, id]) => `${time}:${id}`);
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.base64String(),
    fc.tuple(plain, fc.nat(), fc.string({ maxLength: 2 })).map(([whole, at, piece]) => {
      const cut = at % (whole.length + 1);
      return Buffer.from(whole.slice(0, cut) + piece + whole.slice(cut + piece.length)).toString("base64url");
    }),
  );
  let read = 0;
  fc.assert(
    fc.property(text, (cursor) => {
      try {
        expect(printCursor(readCursor(cursor))).toBe(cursor);
        read += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: "audit.cursor_invalid" });
      }
    }),
    { numRuns: 5_000 },
  );
  expect(read).toBeGreaterThan(50);
});
