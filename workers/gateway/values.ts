/**
 * What is kept of a call: salts, sealed for the vault of the subject and written with the event; and values, where the
 * policy says so, handed to the vault once their event is durable. Neither is waited for.
 * Source: contracts/spec/erasure.md#what-is-kept, #sealing.
 */
import { LIMITS } from "@talos/contracts";
import { b64uEncode, type RequestFacts } from "@talos/core";
import type { AppendEvent } from "../../durable-objects/types.ts";
import { subjectId, subjectOf } from "../../durable-objects/subject.ts";
import { type SealedSalts, sealSalts, tenantKey } from "../../durable-objects/value-keys.ts";
import type { Kept, ValueName } from "../../durable-objects/vault-types.ts";
import type { Asker } from "./asker.ts";
import { counters } from "./counters.ts";
import { within } from "./deadline.ts";
import type { Draft } from "./events.ts";

/** A value that the policy keeps, exactly as it was committed to. */
export interface Value {
  subject: string;
  name: ValueName;
  bytes: Uint8Array;
}

/** Whether the policy keeps this of a call. */
export const keeps = (keep: RequestFacts["keep"], name: ValueName): boolean => keep === "both" || keep === name;

const SECOND_TRY_MS = 1_000;

/** The salt of an event's one commitment as the log takes it; undefined where this deployment has no key to seal it with. */
export async function sealedSalt(
  { config, tenant }: Asker,
  { event_id, principal }: Pick<Draft, "event_id" | "principal">,
  { name, salt, kept }: { name: ValueName; salt: Uint8Array; kept: boolean },
): Promise<SealedSalts | undefined> {
  const { values } = config;
  if (values === undefined) return undefined;
  const place = { event_id, tenant, subject: subjectId(tenant, subjectOf(principal)), kid: values.kid };
  const transit = await tenantKey(values, tenant, "salts");
  return sealSalts(transit, { ...place, kept: kept ? name : "" }, { [name]: b64uEncode(salt) });
}

/**
 * Hand a value over, behind the answer. That it was to be kept stands in the log with its salt; so one that does not
 * arrive is counted here, and named by the vault to everyone who asks for it.
 */
export function keepValue(asker: Asker, { event_id }: Pick<AppendEvent, "event_id">, value: Value): void {
  asker.waitUntil(handOver(asker, event_id, value));
}

async function handOver(asker: Asker, event_id: string, { subject, name, bytes }: Value): Promise<void> {
  const { tenant, env, config } = asker;
  const ask = { event_id, name, ...(bytes.byteLength > LIMITS.value_bytes ? {} : { value: bytes }) };
  for (let attempt = 0; ; attempt += 1) {
    let code: string;
    try {
      const vault = env.SUBJECT_VAULTS.getByName(`${tenant}/${subject}`);
      const kept: Kept = await within(Promise.resolve(vault.keep(ask)));
      // Erased meanwhile: there is nothing to keep any more.
      if (kept.ok || kept.code === "value.erased") return;
      code = kept.code;
    } catch {
      code = "value.unavailable"; // the object's own line says why
    }
    if (attempt > 0) {
      counters.values_lost += 1;
      config.log("error", "audit.value_unsealed", { tenant, event: event_id, name, code });
      return;
    }
    await scheduler.wait(SECOND_TRY_MS);
  }
}
