import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readMessage, replaceMember, topLevel } from "./message.ts";

const spaced = (value: unknown, space: number): string => JSON.stringify(value, null, space);

describe("topLevel", () => {
  it("finds every member's text in any JSON object, however it is spaced", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.integer({ min: 0, max: 3 }), (object, space) => {
        const text = ` ${spaced(object, space)}\n`;
        const spans = topLevel(text);
        expect([...(spans?.keys() ?? [])]).toEqual(Object.keys(JSON.parse(text)));
        for (const [name, { start, end }] of spans!) {
          const part = text.slice(start, end);
          expect(part).toBe(part.trim());
          expect(JSON.parse(part)).toEqual(JSON.parse(text)[name]);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it("refuses a name that occurs twice, also when one is escaped", () => {
    expect(topLevel('{"id":1,"id":2}')).toBeNull();
    expect(topLevel('{"id":1,"\\u0069d":2}')).toBeNull();
    expect(topLevel("[1]")).toBeNull();
  });
});

describe("readMessage", () => {
  it("tells requests, notifications and responses apart", () => {
    expect(readMessage('{"jsonrpc":"2.0","id":1,"method":"ping"}')?.kind).toBe("request");
    expect(readMessage('{"jsonrpc":"2.0","method":"notifications/message"}')?.kind).toBe("notification");
    expect(readMessage('{"jsonrpc":"2.0","id":"a","result":{}}')?.kind).toBe("response");
    expect(readMessage('{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":""}}')?.kind).toBe("response");
  });

  it.each([
    ["a batch", '[{"jsonrpc":"2.0","id":"a","result":{}}]'],
    ["no version", '{"id":"a","result":{}}'],
    ["both result and error", '{"jsonrpc":"2.0","id":"a","result":{},"error":{}}'],
    ["an id that we never send", '{"jsonrpc":"2.0","id":1,"result":{}}'],
    ["no id", '{"jsonrpc":"2.0","result":{}}'],
    ["method and result", '{"jsonrpc":"2.0","id":"a","method":"x","result":{}}'],
    ["two ids", '{"jsonrpc":"2.0","id":"a","id":"b","result":{}}'],
    ["no JSON", '{"jsonrpc":"2.0"'],
    ["a word", "null"],
  ])("refuses %s", (_name, text) => {
    expect(readMessage(text)).toBeNull();
  });

  it("replaces the id and leaves every other character as it came", () => {
    const text = '{ "result": {"big": 12345678901234567890, "f": 1.0, "id": "a"}, "id" : "a" , "jsonrpc":"2.0"}';
    const message = readMessage(text)!;
    expect(replaceMember(message, "id", "7")).toBe(text.replace('"id" : "a"', '"id" : 7'));
  });
});
