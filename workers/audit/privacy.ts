/**
 * The surfaces of what is kept of calls: opening an event's commitments, erasing a subject, holding one. They run behind
 * the decision, and behind its record. The log says whose an event is; the subject's vault owns the rest.
 * Source: contracts/spec/erasure.md.
 */
import { type AuditEventV2, type AuditValues, isErrorCode, LIMITS, TalosError, validate } from "@talos/contracts";
import { b64uDecode, b64uEncode, commitment, jcs } from "@talos/core";
import { withinMs } from "../../durable-objects/deadline.ts";
import { erasureId, subjectId, subjectOf, subjectOfErasure, timeOf } from "../../durable-objects/subject.ts";
import type {
  ErasureAnswer,
  Opened,
  OpenedAnswer,
  Refused,
  SubjectAnswer,
  ValueName,
} from "../../durable-objects/vault-types.ts";
import { searching } from "../db/client.ts";
import type { AppContext, Handlers } from "../shared/ports.ts";
import { randomBytes } from "../shared/request.ts";
import { isEventId } from "./cursor.ts";

type Name = Extract<keyof Handlers, `privacy.${string}`> | "audit.events.values";

export const privacyHandlers: Pick<Handlers, Name> = {
  "audit.events.values": async (c) => {
    const id = c.req.param("id") ?? "";
    if (!isEventId(id)) throw new TalosError("contract.invalid", { parameter: "id" });
    const tenant = c.get("tenant");
    const found = await searching(() => c.env.AUDIT_LOGS.getByName(tenant).get(id));
    if (found === null) throw new TalosError("audit.event_unknown");
    const { principal, commitments = {} } = JSON.parse(found.body) as AuditEventV2;
    const names = (["args", "result"] as const).filter((name) => commitments[name] !== undefined);
    if (names.length === 0) throw new TalosError("value.none");
    const subject = subjectOf(principal);
    const work = async (): Promise<OpenedAnswer> => stub(c, subjectId(tenant, subject)).open(id);
    const opened = granted(await asked(work, LIMITS.object_timeout_ms + 2_000));
    const values = names.map((name) => shownValue(c, id, name, commitments[name]!, opened));
    return c.json({ event_id: id, seq: found.seq, subject, values } satisfies AuditValues, 200, NO_STORE);
  },

  "privacy.erasures.create": async (c) => {
    const { subject, reason } = readBody(c);
    const tenant = c.get("tenant");
    const { form, sub, jkt, root_sub, session_id } = c.get("facts");
    const hash = subjectId(tenant, subject);
    const ask = {
      id: erasureId(hash, await ownId(c, hash)),
      subject,
      ...(reason === undefined ? {} : { reason }),
      principal: { auth_mode: form, did: sub, jkt, root_sub, ...(session_id === undefined ? {} : { session_id }) },
      request_id: c.get("request_id"),
    };
    const { erasure } = granted(await asked(async (): Promise<ErasureAnswer> => stub(c, hash).erase(ask)));
    return c.json(erasure, 202);
  },

  "privacy.erasures.get": async (c) => {
    const id = c.req.param("id") ?? "";
    const hash = subjectOfErasure(id);
    if (hash === undefined) throw new TalosError("contract.invalid", { parameter: "id" });
    const { erasure } = granted(await asked(async (): Promise<ErasureAnswer> => stub(c, hash).erasure(id)));
    return c.json(erasure);
  },

  "privacy.subjects.get": async (c) => standing(c, (vault) => vault.describe()),
  "privacy.holds.set": async (c) => standing(c, (vault) => vault.hold(true)),
  "privacy.holds.clear": async (c) => standing(c, (vault) => vault.hold(false)),
};

const NO_STORE = { "cache-control": "no-store" };

type Stub = ReturnType<AppContext["env"]["SUBJECT_VAULTS"]["getByName"]>;

const stub = (c: AppContext, hash: string) => c.env.SUBJECT_VAULTS.getByName(`${c.get("tenant")}/${hash}`);

/**
 * One commitment with what is kept behind it, which is shown only where it is what was committed to.
 * @throws `internal` where it is not
 */
function shownValue(
  c: AppContext,
  id: string,
  name: ValueName,
  committed: string,
  { salts, values }: Opened,
): AuditValues["values"][0] {
  const base = { name, commitment: committed };
  const kept = values.find((one) => one.name === name);
  const salt = salts[name];
  if (salt === undefined) {
    // The log hands salts over in a moment; after that there is none.
    const young = Date.now() - timeOf(id) < LIMITS.value_seal_ms;
    return { ...base, state: young ? "pending" : "no_salt" };
  }
  if (kept?.value === undefined) return { ...base, state: kept?.state ?? "not_kept", salt };
  if (commitment(b64uDecode(salt), kept.value) !== committed) {
    c.get("log")("error", "audit.value_differs", { event: id, name });
    throw new TalosError("internal", { why: "a kept value is not what was committed to" });
  }
  return { ...base, state: "kept", salt, value: b64uEncode(kept.value) };
}

/** The subject that the path names, as it then stands. */
async function standing(c: AppContext, work: (vault: Stub) => Promise<SubjectAnswer>): Promise<Response> {
  const read = validate("privacy/erase", { subject: c.req.param("subject") });
  if (!read.ok) throw new TalosError("contract.invalid", { parameter: "subject" });
  const { subject } = read.value;
  const answer = granted(await asked(() => work(stub(c, subjectId(c.get("tenant"), subject)))));
  return c.json({ subject, ...answer.standing });
}

/** 16 bytes: random, or those that follow from the caller and its idempotency key. */
async function ownId(c: AppContext, hash: string): Promise<Uint8Array> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return randomBytes(16);
  const of = JSON.stringify(["talos.erasure", c.get("tenant"), hash, c.get("facts").sub, key]);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(of))).slice(0, 16);
}

/** @throws `MALFORMED`, `contract.invalid` */
function readBody(c: AppContext) {
  const read = validate("privacy/erase", JSON.parse(jcs(c.get("body") ?? new Uint8Array(0))));
  if (!read.ok) throw new TalosError("contract.invalid", { body: read.errors });
  return read.value;
}

/** What a vault answered. @throws `value.unavailable` when it cannot be asked */
async function asked<T>(work: () => Promise<T>, ms: number = LIMITS.object_timeout_ms): Promise<T> {
  try {
    return await withinMs(work(), ms, "the vault");
  } catch (cause) {
    throw new TalosError("value.unavailable", {}, { cause });
  }
}

/** @throws what the vault refused with */
function granted<A extends { ok: true }>(answer: A | Refused): A {
  if (answer.ok) return answer;
  const { code } = answer;
  throw new TalosError(isErrorCode(code) ? code : "value.unavailable");
}
