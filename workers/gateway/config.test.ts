import { b64uDecode, b64uEncode, publicKey } from "@talos/core";
import { expect, it } from "vitest";
import { developmentKeysets } from "../../test/fixtures.ts";
import type { Env } from "../env.ts";
import { inUse, readConfig } from "./config.ts";

it("publishes a retired key until its time is over; staged and primary keys have no such end", () => {
  const keysets = developmentKeysets("now");
  const retired = developmentKeysets("before");
  const staged = developmentKeysets("next");
  const until = 1_800_000_000;
  const { receipt } = keysets.purposes;
  receipt.push({ ...retired.purposes.receipt[0]!, status: "accept", not_after: until });
  receipt.push({ ...staged.purposes.receipt[0]!, status: "staged", not_after: until });
  const env = { TALOS_MODE: "development", TALOS_ORIGIN: "http://127.0.0.1:1", TALOS_TENANTS: "default" };
  const read = readConfig({ ...env, TALOS_KEYSETS: JSON.stringify(keysets) } as Env, (until - 1) * 1_000);
  if (!read.ok) throw new Error(read.missing.join(", "));
  const at = (ms: number): string[] =>
    inUse(read.config.published, ms)
      .filter(({ purpose }) => purpose === "receipt")
      .map(({ x }) => x);
  const [primary, old, next] = receipt.map(({ key }) => b64uEncode(publicKey(b64uDecode(key))));
  expect(at(until * 1_000 - 1)).toEqual([primary, old, next]);
  expect(at(until * 1_000)).toEqual([primary, next]);
});
