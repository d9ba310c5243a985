/** The Worker's clock on the shipped script: what the platform dispatches by wrangler.toml's `crons`. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { startTalos } from "../harness.ts";
import { makeEvent } from "../support/appender.ts";

it("is set to once a minute, reaches every object, and leaves a log that works alone", async () => {
  expect(readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8")).toContain('crons = ["* * * * *"]');
  const talos = await startTalos();
  try {
    expect((await talos.log().append({ events: [makeEvent()] })).ok).toBe(true);
    expect(await talos.tick()).toBe("ok");
    await talos.log().flush();
    expect(await talos.log().status()).toMatchObject({ next_seq: 1, sealed_size: 1, published_size: 1 });
    expect(await talos.tick()).toBe("ok");
    expect(talos.logs.filter((line) => line.includes("cron.poke_failed"))).toEqual([]);
  } finally {
    await talos.stop();
  }
}, 60_000);
