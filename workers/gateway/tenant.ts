/**
 * What changes or shows what is in force: revocations, the head, the policy. Statements and snapshots prove
 * themselves; TenantHead decides, records, and only then puts them in force. Source: contracts/spec/in-force.md.
 */
import { LIMITS, type RevocationRequest, TalosError, validate } from "@talos/contracts";
import { free, jcs, policyLoad, verifyRevocation } from "@talos/core";
import type { HeadAnswer, Published, Revoked } from "../../durable-objects/types.ts";
import { PublicError } from "../shared/errors.ts";
import type { AppContext } from "../shared/ports.ts";
import { readBody, requireMediaType } from "../shared/request.ts";
import { admitStatement } from "./admission.ts";
import { askerOf } from "./authorize.ts";
import { within } from "./deadline.ts";
import { httpFacts } from "./events.ts";
import type { Asker } from "./asker.ts";
import { codeOr, holdInForce, tryRefresh } from "./in-force.ts";
import { checkForMode } from "./upstream-url.ts";

/** A statement's nonce is kept this long: as long as the statement is taken. */
const STATEMENT_SECONDS = 60;

/** `head.get`: as the object signs it now. */
export async function getHead(c: AppContext): Promise<Response> {
  const asker = askerOf(c);
  const answer = await ask(asker, async (head): Promise<HeadAnswer> => head.head());
  if (!answer.ok) throw new TalosError(codeOr(answer.code, "head.unavailable"), { tenant: asker.tenant });
  return c.json({ head: answer.head });
}

/** `revocations.create` */
export async function revoke(c: AppContext): Promise<Response> {
  requireMediaType(c.req.raw, "application/json");
  const { statement, chain } = readRevocation(await readBody(c.req.raw));
  const asker = askerOf(c);
  const aud = `${asker.config.origin}/t/${asker.tenant}`;
  const generation = await holdInForce(asker);
  try {
    const verified = verifyRevocation({ statement, chain, aud, now_ms: Date.now(), policy: generation.policy });
    await admitOnce(asker, generation.policy, verified);
  } finally {
    generation.release();
  }
  const http = await httpFacts(c, asker.config, 200);
  const answer = await ask(
    asker,
    async (head): Promise<Revoked> => head.revoke({ statement, chain, aud, request_id: c.get("request_id"), http }),
  );
  if (!answer.ok)
    throw new TalosError(codeOr(answer.code, "head.unavailable"), { tenant: asker.tenant, ...answer.detail });
  await tryRefresh(asker); // who asks here next finds it in force
  return c.json({ jti: answer.jti, entries: answer.entries, rev_seq: answer.rev_seq });
}

type Verified = ReturnType<typeof verifyRevocation>;

/** The same statement again costs its token and gets the first answer: revoking must be safe to repeat. */
async function admitOnce(
  asker: Asker,
  policy: Parameters<typeof admitStatement>[1],
  verified: Verified,
): Promise<void> {
  const { root_link, links, jkt, jti } = verified;
  const of = { root_link, links };
  try {
    const expires = Math.floor(Date.now() / 1_000) + STATEMENT_SECONDS;
    await admitStatement(asker, policy, { ...of, nonce: { jkt, value: jti, expires } });
  } catch (error) {
    if (!(error instanceof PublicError) || error.code !== "REPLAY") throw error;
    await admitStatement(asker, policy, of);
  }
}

/** @throws `MALFORMED` (duplicate names and the like), `contract.invalid` */
function readRevocation(body: Uint8Array): RevocationRequest {
  const read = validate("in-force/revocation-request", JSON.parse(jcs(body)));
  if (!read.ok) throw new TalosError("contract.invalid", { body: read.errors });
  return read.value;
}

/** `policy.put` */
export async function putPolicy(c: AppContext): Promise<Response> {
  requireMediaType(c.req.raw, "application/jose");
  const jws = new TextDecoder().decode(await readBody(c.req.raw));
  const asker = askerOf(c);
  checkSnapshot(asker, jws);
  const http = await httpFacts(c, asker.config, 200);
  const answer = await ask(
    asker,
    async (head): Promise<Published> => head.publish(jws, { request_id: c.get("request_id"), http }),
  );
  if (!answer.ok) {
    const { policy_version } = answer.detail ?? {};
    const shown =
      answer.code === "policy.version_conflict" && typeof policy_version === "number" ? { policy_version } : {};
    throw new PublicError(codeOr(answer.code, "head.unavailable"), shown, { tenant: asker.tenant, ...answer.detail });
  }
  await tryRefresh(asker); // who asks here next finds it in force
  return c.json({ policy_version: answer.version, policy_hash: answer.hash });
}

/** Publisher and content, before the object is asked: what does not prove itself costs nobody a turn there. */
function checkSnapshot({ config, tenant }: Asker, jws: string): void {
  const policy = policyLoad({ jws, tenant, publishers: config.publishers[tenant] ?? [] });
  try {
    checkForMode(policy.snapshot, config.mode);
  } finally {
    free(policy);
  }
}

type HeadStub = ReturnType<Asker["env"]["TENANT_HEADS"]["getByName"]>;

/** A change waits for the next advance, KV and the log, each with a deadline of its own in the object. */
const ASK_MS = 3 * LIMITS.object_timeout_ms;

/** @throws `head.unavailable` */
async function ask<T>(asker: Asker, work: (head: HeadStub) => Promise<T>): Promise<T> {
  try {
    return await within(Promise.resolve(work(asker.env.TENANT_HEADS.getByName(asker.tenant))), ASK_MS);
  } catch (cause) {
    throw new TalosError("head.unavailable", { tenant: asker.tenant }, { cause });
  }
}
