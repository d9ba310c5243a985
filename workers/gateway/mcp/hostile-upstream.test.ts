/** What an upstream sends is read by these parsers before anything is checked: any bytes, bounded, refused by name or read alike. */
import fc from "fast-check";
import { LIMITS } from "@talos/contracts";
import { keyringLoad } from "@talos/core";
import { describe, expect, it } from "vitest";
import { developmentKeysets, person } from "../../../test/fixtures.ts";
import { type Call, type Caller, openCall, sealCall } from "./call-id.ts";
import { readMessage, replaceMember } from "./message.ts";
import { printSse, type SseEvent, SseParser, SseTooLarge } from "./sse.ts";

const RUNS = { numRuns: Number(process.env.TALOS_PROPERTY_RUNS ?? 2_000) };

/** Bytes that are mostly a stream of events: field names, line ends of three kinds, UTF-8 cut in two, noise. */
const streamBytes = fc
  .array(
    fc.oneof(
      fc.constantFrom("data", "event", "id", "retry", ": ", ":", "\n", "\r", "\r\n", "\n\n", "\0", "é", "\ufeff", "12"),
      fc.string({ unit: "binary", maxLength: 8 }),
    ),
    { maxLength: 60 },
  )
  .chain((parts) => {
    const bytes = Buffer.from(parts.join(""));
    const damage = fc.record({ at: fc.nat({ max: Math.max(0, bytes.length - 1) }), byte: fc.nat({ max: 255 }) });
    return fc.option(damage, { freq: 1 }).map((change) => {
      const copy = Uint8Array.from(bytes);
      if (change !== null && copy.length > 0) copy[change.at] = change.byte;
      return copy;
    });
  });

/** The WHATWG algorithm on a whole text, without chunks and without bounds. */
function referenceEvents(bytes: Uint8Array): SseEvent[] | "not UTF-8" {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes); // drops one byte order mark, as the standard says
  } catch {
    return "not UTF-8";
  }
  const lines = text.split(/\r\n|\r|\n/).slice(0, -1); // what no line end follows was never finished
  const events: SseEvent[] = [];
  let event: SseEvent & { lines?: string[] } = {};
  for (const line of lines) {
    if (line === "") {
      const { comment, lines: data, ...rest } = event;
      const whole: SseEvent = data === undefined ? rest : { ...rest, data: data.join("\n") };
      if (Object.keys(whole).length > 0) events.push(whole);
      else if (comment === true) events.push({ comment });
      event = {};
      continue;
    }
    const [, name, value = ""] = /^([^:]*)(?::[ ]?(.*))?$/su.exec(line) as unknown as [string, string, string?];
    if (line.startsWith(":")) event.comment = true;
    else if (name === "data") event.lines = [...(event.lines ?? []), value];
    else if (name === "event") event.event = value;
    else if (name === "id" && !value.includes("\0")) event.id = value;
    else if (name === "retry" && /^[0-9]{1,9}$/.test(value)) event.retry = Number(value);
  }
  return events;
}

describe("a stream of events", () => {
  it("of any bytes reads as the standard says, or is refused by name", () => {
    fc.assert(
      fc.property(streamBytes, fc.array(fc.nat(), { maxLength: 6 }), (bytes, cuts) => {
        const expected = referenceEvents(bytes);
        const parser = new SseParser(1_000_000);
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const read: SseEvent[] = [];
        try {
          for (let i = 1; i < at.length; i += 1) read.push(...parser.push(bytes.slice(at[i - 1], at[i])));
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          expect(expected).toBe("not UTF-8");
          return;
        }
        // A line that never ended is not decoded, so bytes that are no UTF-8 may stand in it unseen.
        if (expected !== "not UTF-8") expect(read).toEqual(expected);
      }),
      RUNS,
    );
  });

  it("holds no more than its bound, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(streamBytes, { maxLength: 8 }), fc.integer({ min: 1, max: 64 }), (chunks, limit) => {
        const parser = new SseParser(limit);
        try {
          for (const chunk of chunks) {
            for (const event of parser.push(chunk)) {
              const text = [event.data, event.event, event.id].map((part) => part ?? "").join("");
              expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limit);
              const again = new SseParser(1_000_000).push(Buffer.from(printSse(event)));
              expect(again).toEqual([event]);
            }
          }
        } catch (error) {
          if (!(error instanceof SseTooLarge || error instanceof TypeError)) throw error;
        }
      }),
      RUNS,
    );
  });
});

const version = fc.oneof({ weight: 5, arbitrary: fc.constant("2.0") }, fc.constantFrom("1.0", 2));
const anyId = fc.oneof(fc.string(), fc.integer(), fc.constant(null));
const more = { id: anyId, params: fc.jsonValue(), ["__proto__"]: fc.jsonValue(), x: fc.jsonValue() };
const rpc = fc.oneof(
  fc.record({ jsonrpc: version, method: fc.string(), ...more }, { requiredKeys: ["jsonrpc", "method"] }),
  fc.record({ jsonrpc: version, id: fc.string(), result: fc.jsonValue() }),
  fc.record({ jsonrpc: version, id: fc.string(), error: fc.jsonValue() }),
  fc.record(
    { jsonrpc: version, method: anyId, ...more, result: fc.jsonValue(), error: fc.jsonValue() },
    { requiredKeys: ["jsonrpc"] },
  ),
);
/** Texts of messages, spaced in different ways, and then perhaps damaged in one place. */
const messageText = fc
  .tuple(
    rpc,
    fc.constantFrom(0, 1, "\t"),
    fc.option(fc.tuple(fc.nat(), fc.constantFrom('"', "{", "}", ",", ":", "\\", "0", "")), { freq: 1 }),
  )
  .map(([value, space, damage]) => {
    const text = JSON.stringify(value, null, space);
    if (damage === null) return text;
    const at = damage[0] % text.length;
    return text.slice(0, at) + damage[1] + text.slice(at + 1);
  });

describe("a message of an upstream", () => {
  it("is read or refused, never thrown at; what is read is what JSON says, and one id is put in place of another", () => {
    let read = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 8, arbitrary: messageText }, fc.string(), fc.json()), fc.integer(), (text, id) => {
        const message = readMessage(text);
        if (message === null) return;
        read += 1;
        const value = JSON.parse(text) as Record<string, unknown>;
        expect([...message.spans.keys()].sort()).toEqual(Object.keys(value).sort());
        for (const [name, { start, end }] of message.spans) {
          expect(JSON.parse(text.slice(start, end))).toEqual(value[name]);
        }
        expect(value.jsonrpc).toBe("2.0");
        const kind = typeof value.method !== "string" ? "response" : "id" in value ? "request" : "notification";
        expect(message.kind).toBe(kind);
        if (kind === "response") expect([typeof value.id, "result" in value]).toEqual(["string", !("error" in value)]);
        const changed = JSON.parse(replaceMember(message, "id", String(id)));
        expect(changed).toEqual("id" in value ? { ...value, id } : value);
      }),
      RUNS,
    );
    expect(read).toBeGreaterThan(RUNS.numRuns / 10);
  });
});

describe("the id that goes up", () => {
  const keyring = keyringLoad(developmentKeysets().purposes.mcp, "mcp");
  const { did: sub, jkt } = person("caller");
  const caller = (session: string): Caller => ({ tenant: "default", server: "files", sub, jkt, session });
  const now = Date.now();
  const visible = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)),
    maxLength: 60,
  });

  it("comes back as any call that it was, to its caller alone", () => {
    const id = fc.oneof(fc.string({ maxLength: 60 }), fc.maxSafeInteger()).map((value) => JSON.stringify(value));
    fc.assert(
      fc.property(
        id,
        visible,
        visible,
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (json, session, other, salt) => {
          const call: Call = { id: json, method: "tools/call", intent: "0193b2a0-7b1c-7000-8000-000000000001", salt };
          const sealed = sealCall(keyring, caller(session), call);
          expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/);
          expect(sealed.length).toBeLessThanOrEqual(LIMITS.mcp_session_bytes);
          expect(openCall(keyring, sealed, caller(session), now)).toEqual(call);
          if (other !== session) expect(openCall(keyring, sealed, caller(other), now)).toBeNull();
        },
      ),
      { numRuns: RUNS.numRuns / 4 },
    );
  });

  it("beyond its bound is refused by name, and nothing opens that we did not seal, nor with a changed character", () => {
    const long: Call = { id: JSON.stringify('"'.repeat(256)), method: "tools/call", salt: new Uint8Array(16) };
    expect(() => sealCall(keyring, caller('"'.repeat(512)), long)).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
    const sealed = sealCall(keyring, caller("s"), { ...long, id: "1" });
    fc.assert(
      fc.property(fc.oneof(fc.string(), visible, fc.base64String()), fc.nat(), (text, place) => {
        expect(openCall(keyring, text, caller("s"), now)).toBeNull();
        const at = place % sealed.length;
        const changed = `${sealed.slice(0, at)}${sealed[at] === "A" ? "B" : "A"}${sealed.slice(at + 1)}`;
        expect(openCall(keyring, changed, caller("s"), now)).toBeNull();
      }),
      { numRuns: RUNS.numRuns / 4 },
    );
  });
});
