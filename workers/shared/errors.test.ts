import { ERRORS, type ErrorCode, TalosError, validate } from "@talos/contracts";
import { describe, expect, it } from "vitest";
import { named, problem, PublicError, rpcError } from "./errors.ts";

const ID = "0193b2a0-7b1c-7000-8000-000000000001";
const codes = Object.keys(ERRORS) as ErrorCode[];

describe("problems", () => {
  it.each(codes)("%s has the contract's shape and status, and none of its detail", async (code) => {
    const response = problem(
      new TalosError(code, { secret: "detail-canary" }, { cause: new Error("cause-canary") }),
      ID,
    );
    expect(response.status).toBe(ERRORS[code].status);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const text = await response.text();
    expect(validate("gateway/problem", JSON.parse(text))).toMatchObject({ ok: true });
    expect(text).not.toMatch(/canary|"stack"|\.ts:\d+/);
  });

  it("carries retry-after on 429 and 503, in seconds, rounded up", async () => {
    const response = problem(new PublicError("rate.exhausted", { retry_after_ms: 1_200 }), ID);
    expect(response.headers.get("retry-after")).toBe("2");
    expect(await response.json()).toMatchObject({ retry_after_ms: 1_200, retryable: true });
    expect(problem(new TalosError("head.unavailable"), ID).headers.get("retry-after")).toBe("1");
    expect(problem(new TalosError("internal"), ID).headers.get("retry-after")).toBeNull();
  });

  it("names anything else internal", () => {
    expect(named(new TypeError("x")).code).toBe("internal");
    expect(named("text").code).toBe("internal");
  });
});

describe("JSON-RPC errors", () => {
  it.each([
    ["MALFORMED", -32600],
    ["mcp.header_mismatch", -32020],
    ["SCOPE_MISMATCH", -32001],
    ["mcp.session_unknown", -32001],
    ["rate.exhausted", -32002],
    ["upstream.timeout", -32003],
    ["outcome.unrecorded", -32003],
  ] as const)("%s is %d", async (code, number) => {
    const response = rpcError(new TalosError(code), ID, '"a"');
    expect(response.status).toBe(ERRORS[code].status);
    expect(await response.json()).toMatchObject({
      jsonrpc: "2.0",
      id: "a",
      error: { code: number, data: { code, request_id: ID } },
    });
  });

  it("has a null id when no message was read", async () => {
    expect(await rpcError(new TalosError("request.body_too_large"), ID, undefined).json()).toMatchObject({ id: null });
  });
});
