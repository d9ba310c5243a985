/** The verifier of bundles against the vectors, and every bit of a bundle; the same file runs in Chromium (sdk/verifier). */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { verifyBundle } from "./bundle.ts";

interface Case {
  name: string;
  file: string;
  policy: string;
  expect: string;
  reason?: string;
}
const path = new URL("../contracts/vectors/log/proof-bundles.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: Case[] };
const bytes = (text: string) => new TextEncoder().encode(text);
const verify = (file: Uint8Array, policy: string) => verifyBundle({ file, policy: bytes(policy) });

it.each(cases)("$name: $expect", async ({ file, policy, expect: code, reason }) => {
  const said = await verify(bytes(file), policy);
  expect(said.ok ? "OK" : said.code).toBe(code);
  if (reason) expect(said).toMatchObject({ reason });
});

it("says what it saw", async () => {
  const [{ file, policy }] = cases as [Case];
  const said = await verify(bytes(file), policy);
  expect(said).toEqual({
    ok: true,
    event: JSON.parse(file).event,
    anchors: [],
    log: {
      origin: "talos.example/log/AAECAwQFBgcICQoLDA0ODw",
      index: 1,
      size: 3,
      root: expect.any(String),
      witnesses: [],
    },
    meta: {
      origin: "talos.example/meta",
      index: 1,
      size: 3,
      root: expect.any(String),
      witnesses: ["w1.example", "w2.example"].map((name) => ({ name, time_seconds: 1767225600 })),
    },
  });
});

it("says the step, what refused beneath it, and why", async () => {
  const { file, policy } = cases.find((one) => one.name === "one witness of two")!;
  expect(await verify(bytes(file), policy)).toEqual({
    ok: false,
    step: "meta",
    code: "bundle.meta_invalid",
    reason: "log.quorum_missed",
    detail: "too few witnesses",
  });
});
