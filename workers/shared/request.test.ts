import { LIMITS, TalosError } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { readBody, readBounded, readHeaders, requireMediaType, takeTrace } from "./request.ts";

function endless(chunk: number): {
  stream: ReadableStream<Uint8Array>;
  pulled: () => number;
  cancelled: () => boolean;
} {
  let pulled = 0;
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        pulled += chunk;
        controller.enqueue(new Uint8Array(chunk));
      },
      cancel: () => {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, pulled: () => pulled, cancelled: () => cancelled };
}

const post = (body: BodyInit | null, headers: Record<string, string> = {}): Request =>
  new Request("http://x/", { method: "POST", body, headers, duplex: "half" } as RequestInit);

describe("readBounded", () => {
  it("stops an endless body at the bound and tells the sender", async () => {
    const source = endless(1_000);
    expect(await readBounded(source.stream, 10_000)).toBeNull();
    expect(source.pulled()).toBe(11_000);
    expect(source.cancelled()).toBe(true);
  });

  it("reads exactly the bound, from many chunks, from none", async () => {
    const bytes = await readBounded(
      new Blob([new Uint8Array(600).fill(1), new Uint8Array(400).fill(2)]).stream(),
      1_000,
    );
    expect(bytes).toHaveLength(1_000);
    expect(bytes?.[599]).toBe(1);
    expect(bytes?.[600]).toBe(2);
    expect(await readBounded(null, 1)).toHaveLength(0);
  });
});

describe("readBody", () => {
  const code = (error: unknown): unknown => (error instanceof TalosError ? error.code : error);

  it("refuses by the declared length without reading, and by the bytes without a declared length", async () => {
    await expect(readBody(post("x", { "content-length": String(LIMITS.body_bytes + 1) })).catch(code)).resolves.toBe(
      "request.body_too_large",
    );
    const source = endless(65_536);
    await expect(readBody(post(source.stream)).catch(code)).resolves.toBe("request.body_too_large");
    expect(source.pulled()).toBeLessThanOrEqual(LIMITS.body_bytes + 2 * 65_536);
  });

  it("takes no content coding: the signed bytes are the read ones", async () => {
    await expect(readBody(post("x", { "content-encoding": "gzip" })).catch(code)).resolves.toBe("request.media_type");
  });

  it("names a body that broke off", async () => {
    const broken = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(new Error("reset")) });
    await expect(readBody(post(broken)).catch(code)).resolves.toBe("request.malformed");
  });

  it("waits for no sender for ever", async () => {
    const silent = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
    await expect(readBody(post(silent), LIMITS.body_bytes, 20).catch(code)).resolves.toBe("request.malformed");
  });
});

describe("headers", () => {
  it("bounds their sum", () => {
    const most = "x".repeat(LIMITS.header_bytes - 5);
    expect(readHeaders(new Headers({ A: most })).a).toBe(most);
    expect(() => readHeaders(new Headers({ a: "x".repeat(LIMITS.header_bytes - 4) }))).toThrow(TalosError);
  });

  it("takes one media type, with no charset but UTF-8", () => {
    const of = (type: string) => () => requireMediaType(post("x", { "content-type": type }), "application/json");
    expect(of("application/json")).not.toThrow();
    expect(of("application/json; charset=UTF-8")).not.toThrow();
    for (const bad of [
      "text/plain",
      "application/json; charset=utf-16",
      "application/json, text/plain",
      "application/jsonx",
    ])
      expect(of(bad)).toThrow(TalosError);
  });

  it("keeps the caller's trace under a span of ours, and starts one when the given is not usable", () => {
    const given = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    expect(takeTrace(given)).toMatch(new RegExp(`^00-${"a".repeat(32)}-[0-9a-f]{16}-01$`));
    expect(takeTrace(given)).not.toContain("b".repeat(16));
    for (const bad of [undefined, "", "00-x", `00-${"0".repeat(32)}-${"b".repeat(16)}-01`, `${given}-extra`]) {
      expect(takeTrace(bad)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    }
  });
});
