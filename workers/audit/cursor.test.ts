import { readFileSync } from "node:fs";
import { join } from "node:path";
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
