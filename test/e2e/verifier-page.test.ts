/**
 * The verifier's page in a real browser: the same table of verdicts as under Node (crypto-wasm/bundle.test.ts), through its
 * own form; no request leaves it, and it could make none.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildPage } from "../../scripts/page.ts";

interface Case {
  name: string;
  file: string;
  policy: string;
  expect: string;
}
const vectors = new URL("../../contracts/vectors/log/proof-bundles.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(vectors, "utf8")) as { cases: Case[] };

function findChromium(): string | undefined {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      // not by this name
    }
  }
  return undefined;
}

const executablePath = findChromium();
const folder = mkdtempSync(join(tmpdir(), "talos-page-"));
const address = pathToFileURL(join(folder, "verify.html")).href;
const requests: string[] = [];
let browser: Browser | undefined;
let page: Page;

beforeAll(async () => {
  if (!executablePath) return;
  const { html } = await buildPage();
  writeFileSync(join(folder, "verify.html"), html);
  // Chromium refuses its sandbox to the superuser of a container; the page is our own.
  browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
  page = await browser.newPage();
  page.on("request", (request) => requests.push(request.url()));
  await open();
}, 60_000);

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(hash = ""): Promise<void> {
  await page.goto("about:blank");
  await page.goto(address + hash);
  await page.waitForSelector("html[data-ready]");
}

async function verify(file: string, policy: string): Promise<{ code: string; text: string }> {
  const upload = (text: string) => ({ name: "file", mimeType: "application/octet-stream", buffer: Buffer.from(text) });
  await page.setInputFiles("#bundle", upload(file));
  await page.setInputFiles("#policy", upload(policy));
  await page.evaluate(() => document.getElementById("verdict")!.removeAttribute("data-code"));
  await page.click("button");
  const done = page.locator('#verdict[data-code]:not([data-code=""])');
  await done.waitFor();
  return { code: (await done.getAttribute("data-code"))!, text: (await done.textContent())! };
}

it("gives the verdicts of Node, every one", async (context) => {
  if (!executablePath) context.skip("no chromium on PATH");
  for (const { name, file, policy, expect: code } of cases) {
    // An empty upload is a file of no bytes, as on a disk.
    expect((await verify(file, policy)).code, name).toBe(code);
  }
});

it("says what it saw, and nothing of a file becomes markup", async (context) => {
  if (!executablePath) context.skip("no chromium on PATH");
  const [first] = cases as [Case];
  const { text } = await verify(first.file, first.policy);
  expect(text).toContain("VERIFIED: event 019b76da-a800-7000-8000-000000000001, decision");
  expect(text).toContain("log      leaf 1 of 3, talos.example/log/AAECAwQFBgcICQoLDA0ODw");
  expect(text).toContain("witness  2026-01-01T00:00:00.000Z  w1.example");
  await page.fill("#blocks", "<img src=x onerror=alert(1)>");
  expect(await verify(first.file, first.policy)).toMatchObject({
    code: "usage",
    text: expect.stringContaining("<img"),
  });
  expect(await page.locator("#verdict img").count()).toBe(0);
  await page.fill("#blocks", "");
  await page.check("#evm");
  expect((await verify(first.file, first.policy)).code).toBe("bundle.anchor_missing");
  await page.uncheck("#evm");
});

it("reached nothing, and can reach nothing but a node that its address names", async (context) => {
  if (!executablePath) context.skip("no chromium on PATH");
  expect(requests.filter((url) => !url.startsWith("file:") && url !== "about:blank")).toEqual([]);
  const blocked = (url: string) =>
    page.evaluate(
      (url) =>
        new Promise<string>((resolve) => {
          const timer = setTimeout(() => resolve("not blocked"), 2_000);
          document.addEventListener("securitypolicyviolation", ({ violatedDirective }) => {
            clearTimeout(timer);
            resolve(violatedDirective);
          });
          fetch(url).catch(() => {});
        }),
      url,
    );
  expect(await blocked("http://127.0.0.1:9/")).toBe("connect-src");
  await open("#node=http%3A%2F%2F127.0.0.1%3A9%2F");
  expect(await blocked("http://127.0.0.1:10/")).toBe("connect-src");
  expect(await blocked("http://127.0.0.1:9/")).toBe("not blocked");
});
