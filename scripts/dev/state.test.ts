import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leafOf, verifyCapability } from "@talos/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdState, openState, runningPid } from "./state.ts";

let dir: string;
beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), "talos-state-")), "state");
});
afterEach(() => rmSync(join(dir, ".."), { recursive: true, force: true }));

const capability = () => readFileSync(join(dir, "agent.cap"), "utf8").trim();

describe("the state folder", () => {
  it("is the same at the next start: port, keys and the newcomer's capability", async () => {
    const first = await openState({ dir });
    const chain = capability();
    expect(verifyCapability({ chain, aud: first.aud, anchors: [first.operator.did] })).toEqual({ ok: true });
    const second = await openState({ dir });
    expect(second.port).toBe(first.port);
    expect(second.operator.did).toBe(first.operator.did);
    expect(second.keysets).toEqual(first.keysets);
    expect(capability()).toBe(chain);
  });

  it("of an older version gets keys of the purposes that it has not, and keeps the others", async () => {
    const { values: _, ...purposes } = (await openState({ dir })).keysets.purposes;
    const path = join(dir, "keysets.json");
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, "utf8")) as object), purposes }));
    const { keysets } = await openState({ dir });
    expect(keysets.purposes).toEqual({ ...purposes, values: [expect.objectContaining({ status: "primary" })] });
    expect((await openState({ dir })).keysets).toEqual(keysets);
  });

  it("keeps its secrets to its owner", async () => {
    await openState({ dir });
    for (const name of [
      "operator.json",
      "publisher.json",
      "agent.json",
      "agent.cap",
      "keysets.json",
      "state.json",
      "witness-1.json",
      "witness-2.json",
    ]) {
      expect(statSync(join(dir, name)).mode & 0o777, name).toBe(0o600);
    }
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it("issues the newcomer's capability anew when the operator is another one", async () => {
    await openState({ dir });
    rmSync(join(dir, "operator.json"));
    const { operator } = await openState({ dir });
    expect(leafOf(capability()).claims.iss).toBe(operator.did);
  });

  it("begins anew with reset", async () => {
    const first = await openState({ dir });
    const second = await openState({ dir, reset: true });
    expect(second.operator.did).not.toBe(first.operator.did);
  });

  it("names the pinned port when another program has it, and takes another only with reset", async () => {
    const { port } = await openState({ dir });
    const server = createServer();
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    try {
      await expect(openState({ dir })).rejects.toThrow(new RegExp(`Port ${port} is taken`));
      expect((await openState({ dir, reset: true })).port).not.toBe(port);
    } finally {
      server.close();
    }
  });

  it("is not taken away from a running stack, not even by reset", async () => {
    const { operator, port } = await openState({ dir });
    writeFileSync(join(dir, "dev.pid"), "1\n"); // process 1 always runs
    const server = createServer();
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    try {
      await expect(openState({ dir, reset: true })).rejects.toThrow(/runs on/);
    } finally {
      server.close();
    }
    expect(JSON.parse(readFileSync(join(dir, "state.json"), "utf8")).operator).toBe(operator.did);
  });

  it("forgets the pid of a stack that crashed", async () => {
    await openState({ dir });
    writeFileSync(join(dir, "dev.pid"), "4194304999\n"); // beyond any pid
    expect(runningPid(dir)).toBeNull();
    const release = holdState(dir);
    release();
    expect(runningPid(dir)).toBeNull();
  });
});
