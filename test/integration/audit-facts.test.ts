/**
 * How far a record has come, of a deployment with a witness that signs nothing: 0 is said where it is known that nothing was
 * vouched for, and nothing where it cannot be known. Source: contracts/spec/audit.md#surfaces.
 */
import { type AuditLogFacts, validate } from "@talos/contracts";
import { b64uDecode } from "@talos/core";
import { verifierKey } from "@talos/core/log";
import { Key } from "@talos/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/dev/ports.ts";
import type { Faults } from "../harness.ts";
import { startWorld, type World } from "../support/world.ts";

let world: World;

beforeAll(async () => {
  const publicKey = b64uDecode(Key.generate().jwk.x);
  const key = verifierKey({ name: "w.example", publicKey, cosigns: true });
  const witnesses = `witness w ${key} http://127.0.0.1:${await freePort()}\nquorum w\n`;
  world = await startWorld({ env: { TALOS_LOOPBACK_RECEIVERS: "allow", TALOS_WITNESSES: witnesses } });
});
afterAll(() => world?.stop());

async function facts(): Promise<AuditLogFacts> {
  const answer = await world.ask("/audit/log", undefined, { method: "GET" });
  const read = validate("audit/log", await answer.json());
  if (!read.ok) throw new Error(read.errors.join("; "));
  return read.value;
}

it("is said as far as it is known: the meta-log's silence takes what only it knows, and nothing else", async () => {
  await world.talos.log().flush();
  const known = await facts();
  expect(known).toMatchObject({ witnessed: 0, forked: false });
  expect(known.published).toBeGreaterThan(0);
  expect(known).not.toHaveProperty("anchored"); // no anchors are set up here
  for (const fault of [{ down: ["meta"] }, { slow: ["meta"] }] satisfies Faults[]) {
    await world.talos.faults(fault);
    const silent = await facts();
    expect(silent).not.toHaveProperty("witnessed");
    expect(silent).toMatchObject({ origin: known.origin, policy: known.policy });
    expect(silent.published).toBeGreaterThanOrEqual(known.published);
  }
  await world.talos.faults({});
  expect(await facts()).toMatchObject({ witnessed: 0 });
});
