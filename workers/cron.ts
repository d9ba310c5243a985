/**
 * The Worker's clock: once a minute every object that works by alarms is asked whether one was lost. An alarm that threw
 * six times is given up by the platform, and a log whose alarm is gone would seal and publish nothing until its next
 * append. What an object has to do it knows from its rows; what is not lost is left alone.
 */
import { LIMITS } from "@talos/contracts";
import { withinMs } from "../durable-objects/deadline.ts";
import { codeOf, warn } from "../durable-objects/log.ts";
import type { Env } from "./env.ts";
import { configOf } from "./gateway/config.ts";

/** Asked at once; a deployment's tenants are asked in turns of this many. */
const AT_ONCE = 32;

type Poke = [object: string, poke: () => Promise<void>];

/** @throws `config.incomplete`, which the platform shows for the run; never for an object */
export async function pokeAll(env: Env, nowMs: number): Promise<void> {
  const { tenants } = configOf(env, nowMs);
  const { META_LOG, ANCHORS } = env;
  const pokes: Poke[] = tenants.map((name) => [`log ${name}`, async () => env.AUDIT_LOGS.getByName(name).poke()]);
  if (META_LOG !== undefined) pokes.push(["meta", () => META_LOG.getByName("meta").poke()]);
  if (ANCHORS !== undefined) {
    for (const kind of ["evm", "ots"]) pokes.push([`anchors ${kind}`, () => ANCHORS.getByName(kind).poke()]);
  }
  for (let at = 0; at < pokes.length; at += AT_ONCE) {
    await Promise.all(pokes.slice(at, at + AT_ONCE).map(one));
  }
}

async function one([object, poke]: Poke): Promise<void> {
  try {
    await withinMs(poke(), LIMITS.object_timeout_ms, "a poke");
  } catch (error) {
    warn("cron.poke_failed", { object, code: codeOf(error) });
  }
}
