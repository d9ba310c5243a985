import { type Jwk, type Problem, TalosError, validate } from "@talos/contracts";
import { free, policyLoad, policySign } from "@talos/core";
import { type Policy, readPolicy, writePolicy } from "../../workers/db/policies.ts";
import { lastSnapshot, recordSnapshot } from "../../workers/db/policy-snapshots.ts";
import { type Reached, reach } from "../neon/reach.ts";
import { checkPolicy, PolicyFileError } from "./check.ts";

const GATEWAY_TIMEOUT_MS = 20_000;

/** Whoever holds a publisher's private key; `Key` of the SDK is one. */
export interface Publisher {
  jwk: Jwk;
  /** 32 bytes, Ed25519 */
  seed(): Uint8Array;
}

export interface PublishOptions {
  /** `<origin>/t/{tenant}` of the gateway */
  aud: string;
  tenant: string;
  /** a policy snapshot without `version`, as parsed JSON */
  policy: unknown;
  publisher: Publisher;
  databaseUrl: string;
  /** a running local database endpoint; without one, see `reach` */
  endpoint?: string;
  /** the number to publish under, for when neither the database nor the gateway's answer tells it */
  version?: number;
}

export interface PublishResult {
  version: number;
  hash: string;
  /** whether the gateway had exactly this already */
  repeated: boolean;
}

/** What the gateway answered to a snapshot, other than yes. */
export class PublishError extends Error {
  override readonly name = "PublishError";
  readonly problem: Problem;
  constructor(problem: Problem, tried: number) {
    super(`the gateway refused policy version ${tried}: ${problem.code} (${problem.status}): ${problem.title}`);
    this.problem = problem;
  }
}

/**
 * Load a checked policy into Postgres, compile it from there, sign it and put it in force.
 * The same policy again is the same snapshot again; after a crash at any point, running it again completes it. What the
 * core would refuse never replaces what Postgres holds.
 * @throws PolicyFileError for what is wrong with the policy, PublishError for the gateway's refusal
 * Source: contracts/spec/in-force.md#policy-snapshot.
 */
export async function publishPolicy(options: PublishOptions): Promise<PublishResult> {
  const { tenant, publisher } = options;
  const checked = checkPolicy(options.policy, tenant);
  compile(checked, 1, publisher);

  const reached = await reach(options.databaseUrl, options.endpoint);
  try {
    await writePolicy(reached.connect(), checked);
    const policy = await readPolicy(reached.connect(), tenant);
    if (!policy || JSON.stringify(sorted(policy)) !== JSON.stringify(sorted(checked))) {
      throw new Error("another loader wrote this tenant's policy at the same time; run it again");
    }
    return await putInForce(options, policy, reached);
  } finally {
    await reached.close();
  }
}

/**
 * Numbers to try: the last one that Postgres knows when it has this very content, else the next; and when the gateway
 * says that it stands at N, N (a loader may have died before it could record it) and then N + 1.
 */
async function putInForce(options: PublishOptions, policy: Policy, reached: Reached): Promise<PublishResult> {
  const { tenant, publisher } = options;
  const last = await lastSnapshot(reached.connect(), tenant);
  const same = last !== null && compile(policy, last.version, publisher).hash === last.hash;
  const candidates = [options.version ?? (last ? last.version + (same ? 0 : 1) : 1)];
  for (let at = 0; ; at++) {
    const version = candidates[at]!;
    const { jws, hash } = compile(policy, version, publisher);
    const problem = await put(options.aud, jws, version, hash);
    if (problem === null) {
      await recordSnapshot(reached.connect(), { tenant, version, hash, jws, published_at_ms: Date.now() });
      return { version, hash, repeated: last?.hash === hash };
    }
    const inForce = problem.policy_version;
    const conflict = problem.code === "policy.version_conflict" && inForce !== undefined;
    if (conflict && options.version === undefined && candidates.length === 1) {
      candidates.push(...[inForce, inForce + 1].filter((next) => next >= 1 && next !== version));
    }
    if (!conflict || candidates.length === at + 1) throw new PublishError(problem, version);
  }
}

/** Sign, and let the core read it as the gateway will. */
function compile(policy: Policy, version: number, publisher: Publisher): { jws: string; hash: string } {
  try {
    const signed = policySign({ seed: publisher.seed(), snapshot: { ...policy, version } });
    free(policyLoad({ jws: signed.jws, tenant: policy.tenant, publishers: [publisher.jwk] }));
    return signed;
  } catch (error) {
    if (!(error instanceof TalosError)) throw error;
    throw new PolicyFileError([`${error.code}: ${JSON.stringify(error.detail)}`]);
  }
}

/** Null when it is in force now, else the gateway's problem. */
async function put(aud: string, jws: string, version: number, hash: string): Promise<Problem | null> {
  const answer = await fetch(`${aud}/v1/policy`, {
    method: "PUT",
    headers: { "content-type": "application/jose" },
    body: jws,
    redirect: "error",
    signal: AbortSignal.timeout(GATEWAY_TIMEOUT_MS),
  });
  const body: unknown = await answer.json();
  if (answer.ok) {
    const read = validate("policy/response", body);
    const ours = read.ok && read.value.policy_version === version && read.value.policy_hash === hash;
    if (!ours) throw new Error("the gateway confirmed something else than it was sent");
    return null;
  }
  const read = validate("gateway/problem", body);
  if (!read.ok) throw new Error(`the gateway answered ${answer.status} without a problem document`);
  return read.value;
}

/** The same value with members by name: jsonb does not keep their order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
