import { setTimeout as sleep } from "node:timers/promises";
import {
  type AuditRecord,
  Client,
  contains,
  GatewayError,
  type GrantInit,
  inspectCapability,
  issueCapability,
  Key,
  narrowCapability,
  verifyCapability,
  verifyPromise,
} from "@talos/sdk";
import { Actor, refusalOf } from "./cast.ts";
import { verifiedProof } from "./proof.ts";
import { eventually, expect, playSteps, type Step } from "./steps.ts";

/** Revocations are in force within 5 s for what writes, 30 s for what reads (contracts/spec/in-force.md#head). */
const REVOKED_WITHIN_MS = 35_000;
/** The record is in Postgres within 10 s (level A6); the rest is patience with a slow machine. */
const INDEXED_WITHIN_MS = 30_000;
/** An erasure destroys its key before it is answered; the rest is a second's work, and patience. */
const ERASED_WITHIN_MS = 30_000;

const TOOL_GRANTS: GrantInit[] = [
  { tool: "everything/echo", classes: ["read"] },
  { tool: "everything/get-sum", classes: ["read"] },
  { tool: "everything/get-tiny-image", classes: ["read"] },
  { tool: "everything/toggle-simulated-logging", classes: ["write"] },
];
/** What the sub-agent gets: two tools, with short messages and small numbers. */
const NARROW_GRANTS: GrantInit[] = [
  {
    tool: "everything/echo",
    classes: ["read"],
    args: { message: [{ op: "maxlen", type: "string", bytes: 32 }] },
    closed: true,
  },
  {
    tool: "everything/get-sum",
    classes: ["read"],
    args: { a: [{ op: "range", type: "integer", min: 0, max: 100 }] },
  },
];

/**
 * The scenario of the README, against a running stack, with fresh keys each time and nothing but the SDK.
 * @returns how many steps went as expected; the last line printed says so
 */
export async function playScenario(args: {
  state: { aud: string; operator: Key; dir?: string; chain?: { rpc: string } };
  say: (line: string) => void;
}): Promise<{ passed: number; of: number }> {
  const play = new Play(args.state);
  try {
    const result = await playSteps(play.steps(), args.say);
    args.say(`scenario: ${result.passed} of ${result.of} steps as expected`);
    return result;
  } finally {
    await play.close();
  }
}

class Play {
  readonly #aud: string;
  readonly #operator: Key;
  /** where the files of the proof are left */
  readonly #dir: string | undefined;
  /** a node of the chain that the record is anchored on */
  readonly #rpc: string | undefined;
  readonly #agentKey = Key.generate();
  readonly #subKey = Key.generate();
  #agentChain = "";
  #sub: Actor | null = null;
  #records: AuditRecord[] = [];

  constructor({ aud, operator, dir, chain }: Parameters<typeof playScenario>[0]["state"]) {
    this.#aud = aud;
    this.#operator = operator;
    this.#dir = dir;
    this.#rpc = chain?.rpc;
  }

  steps(): Step[] {
    return [
      { title: "the operator grants an agent a capability", run: () => this.#grants() },
      { title: "the agent narrows it, offline, for a sub-agent", run: () => this.#narrows() },
      { title: "the sub-agent opens a session", run: () => this.#opensSession() },
      { title: "the official MCP client lists what may be called", run: () => this.#lists() },
      { title: "the sub-agent calls a real tool", run: () => this.#calls() },
      { title: "a tool outside the capability is refused", run: () => this.#refusesTool() },
      { title: "an argument outside the capability is refused", run: () => this.#refusesArgument() },
      { title: "a replayed request is refused", run: () => this.#refusesReplay() },
      { title: "a burst meets its token bucket, and recovers", run: () => this.#meetsBucket() },
      { title: "revoking the agent stops its sub-agent", run: () => this.#revokes() },
      { title: "every call stands in the record with a signed promise", run: () => this.#isRecorded() },
      { title: "the record is read back from Postgres", run: () => this.#readsBack() },
      { title: "the proof of its last call is verified, offline", run: () => this.#isProved() },
      { title: "what is kept of a call is opened, erased, and its proof stands", run: () => this.#isErased() },
    ];
  }

  async close(): Promise<void> {
    await this.#sub?.close();
  }

  get #actor(): Actor {
    expect(this.#sub, "there is no sub-agent: an earlier step failed");
    return this.#sub;
  }

  async #grants(): Promise<string> {
    this.#agentChain = issueCapability({
      key: this.#operator,
      holder: this.#agentKey,
      aud: this.#aud,
      grants: TOOL_GRANTS,
      ttl_seconds: 3_600,
      depth: 2,
    });
    const valid = verifyCapability({ chain: this.#agentChain, aud: this.#aud, anchors: [this.#operator.did] });
    expect(valid.ok, "the capability does not verify");
    return `${TOOL_GRANTS.length} tools for an hour`;
  }

  async #narrows(): Promise<string> {
    const narrow = { key: this.#agentKey, chain: this.#agentChain, holder: this.#subKey, ttl_seconds: 900 };
    const chain = narrowCapability({ ...narrow, grants: NARROW_GRANTS });
    const [parent, child] = inspectCapability(chain);
    expect(contains(parent!.claims.grants, child!.claims.grants).ok, "the child is not contained in its parent");
    const wide: GrantInit[] = [{ tool: "everything/get-env", classes: ["read"] }];
    const refusal = await caught(() => narrowCapability({ ...narrow, grants: wide }));
    expect(refusal === "DELEGATION_INVALID", `a wider child was not refused (${refusal})`);
    this.#sub = new Actor(this.#subKey, chain);
    return "2 tools with limits for 15 minutes; a wider child is refused on the spot";
  }

  async #opensSession(): Promise<string> {
    const { client } = this.#actor;
    const session = (await client.transport.session()).toJSON();
    const { did } = await client.gateway();
    return `${session.session_id}, signed by ${did}`;
  }

  async #lists(): Promise<string> {
    const { tools } = await (await this.#actor.mcp()).listTools();
    const names = tools.map(({ name }) => name).sort();
    expect(names.join() === "echo,get-sum", `it lists ${names.join(", ") || "nothing"}`);
    return `${names.join(" and ")}, and nothing else of the server`;
  }

  async #calls(): Promise<string> {
    const actor = this.#actor;
    const text = await actor.call("echo", { message: "hello" });
    expect(text.includes("hello"), `echo answered ${text}`);
    await actor.call("echo", { message: "again" });
    expect(actor.answers.at(-1)?.proof === "session_mac", "the second call was not proved by the session's MAC");
    return `echo says "${text}"; from the second call on a MAC is proof enough`;
  }

  async #refusesTool(): Promise<string> {
    const problem = await this.#actor.refused("get-env", {});
    expect(problem.status === 403, `status ${problem.status}`);
    expect(problem.code === "SCOPE_MISMATCH" && problem.decision?.field === "tool", JSON.stringify(problem));
    return `get-env: ${problem.code} at ${problem.decision.field}`;
  }

  async #refusesArgument(): Promise<string> {
    const problem = await this.#actor.refused("get-sum", { a: 101, b: 1 });
    expect(problem.status === 403, `status ${problem.status}`);
    expect(problem.code === "ARGUMENT_MISMATCH" && problem.decision?.field === "args.a", JSON.stringify(problem));
    return `get-sum of 101: ${problem.code} at ${problem.decision.field}`;
  }

  async #refusesReplay(): Promise<string> {
    let captured: { url: string; init: RequestInit } | null = null;
    const key = this.#subKey;
    const client = new Client({
      key,
      chain: this.#actor.client.transport.chain,
      session: false,
      fetch: (input, init) => {
        captured = { url: String(input), init: init! };
        return fetch(input, init);
      },
    });
    const first = await client.authorize({ tool: "everything/echo", args: { message: "once" } });
    expect(first.decision.allow, `the first was refused: ${first.decision.code}`);
    const { url, init } = captured!;
    const again = await fetch(url, { ...init, signal: null });
    const { code } = (await again.json()) as { code?: string };
    expect(again.status === 409 && code === "REPLAY", `the second was answered ${again.status} ${code}`);
    return "the same bytes a second time: 409 REPLAY";
  }

  async #meetsBucket(): Promise<string> {
    const actor = this.#actor;
    const calls = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => actor.call("get-sum", { a: i, b: 1 })));
    const refusals = calls.flatMap((call) => (call.status === "rejected" ? [refusalOf(call.reason)] : []));
    const served = calls.length - refusals.length;
    expect(served > 0, "not one call was served");
    expect(refusals.length > 0, "the bucket was never empty");
    for (const { code, status } of refusals) expect(status === 429 && code === "rate.exhausted", `${status} ${code}`);
    const wait = Math.max(...refusals.map(({ retry_after_ms }) => retry_after_ms ?? 0));
    expect(wait > 0 && wait < 20_000, `it asks to wait ${wait} ms`);
    await sleep(wait + 50);
    const text = await actor.call("get-sum", { a: 20, b: 22 });
    expect(text.includes("42"), `get-sum answered ${text}`);
    return `${served} of 10 served, ${refusals.length} told to wait; ${wait} ms later it serves again`;
  }

  async #revokes(): Promise<string> {
    const actor = this.#actor;
    const operator = new Client({ key: this.#operator, chain: this.#agentChain });
    const started = Date.now();
    const { rev_seq } = await operator.revoke({ kind: "link" });
    const problem = await eventually(() => actor.call("echo", { message: "still here" }).then(() => null, refusalOf), {
      every_ms: 250,
      timeout_ms: REVOKED_WITHIN_MS,
      otherwise: "the sub-agent's calls still go through",
    });
    expect(problem.code === "REVOKED", `it was refused with ${problem.code}`);
    const again = await caught(() =>
      new Client({ key: this.#subKey, chain: actor.client.transport.chain }).transport.session(),
    );
    expect(again === "REVOKED", `a new session was answered ${again}`);
    return `REVOKED after ${((Date.now() - started) / 1000).toFixed(1)} s (revocation ${rev_seq}), new sessions too`;
  }

  #reader(more: GrantInit[] = []): Client {
    const key = Key.generate();
    const chain = issueCapability({
      key: this.#operator,
      holder: key,
      aud: this.#aud,
      grants: [{ tool: "talos/audit.events", classes: ["read"], actions: ["read"] }, ...more],
      ttl_seconds: 600,
    });
    return new Client({ key, chain });
  }

  async #isRecorded(): Promise<string> {
    const reader = this.#reader();
    const { keys } = await reader.gateway();
    const { served } = this.#actor;
    const intents = this.#actor.intents();
    expect(served > 0 && intents.length >= served, `${served} calls were served, ${intents.length} named their intent`);
    for (const { id, promise } of intents) {
      const record = await reader.auditEvent(id);
      expect(record.promise, `event ${id} came without a promise`);
      verifyPromise(record.promise, keys, record);
      // What the caller was handed with the answer is the same promise: the log cannot tell two stories.
      expect(promise === null || promise === record.promise, `event ${id} has two promises`);
      this.#records.push(record);
    }
    return `${intents.length} intents, each with its hashes and the log's signature checked`;
  }

  async #readsBack(): Promise<string> {
    expect(this.#records.length > 0, "no call was recorded: an earlier step failed");
    const reader = this.#reader();
    const wanted = new Set(this.#records.map(({ event }) => event.event_id));
    const filter = { agent: this.#subKey.did, from: Date.now() - 600_000, page_size: 50 };
    const found = await eventually(
      async () => {
        const all: AuditRecord[] = [];
        for await (const record of reader.auditEvents(filter)) all.push(record);
        const ids = new Set(all.map(({ event }) => event.event_id));
        const outcomes = all.filter(({ event }) => "kind" in event && event.kind === "outcome").length;
        return [...wanted].every((id) => ids.has(id)) && outcomes >= wanted.size ? all : null;
      },
      { every_ms: 500, timeout_ms: INDEXED_WITHIN_MS, otherwise: "not every call arrived in Postgres" },
    );
    const ids = found.map(({ event }) => event.event_id);
    expect(new Set(ids).size === ids.length, "an event is there twice");
    for (const record of this.#records) {
      const copy = found.find(({ event }) => event.event_id === record.event.event_id);
      expect(copy?.leaf_hash === record.leaf_hash, `event ${record.event.event_id} differs from the log's`);
    }
    const denied = found.filter(({ event }) => "kind" in event && event.decision?.allow === false).length;
    expect(denied > 0, "the refusals are not there");
    return `${found.length} events of the sub-agent, ${denied} of them refusals, equal to the log's`;
  }

  async #isProved(): Promise<string> {
    const last = this.#records.at(-1);
    expect(last, "no call was recorded: an earlier step failed");
    const { event_id } = last.event;
    const asked = { client: this.#reader(), event_id, rpc: this.#rpc, dir: this.#dir };
    const { event, log, meta, anchors } = await verifiedProof(asked);
    expect(JSON.parse(event).event_id === event_id, "it is the proof of another event");
    expect(meta !== undefined && meta.witnesses.length > 1, "no two witnesses vouch for it");
    const names = meta.witnesses.map(({ name }) => name).join(" and ");
    const block = anchors.find((anchor) => anchor.kind === "evm" && anchor.status === "verified");
    const anchored =
      block?.kind === "evm" ? `anchored in block ${block.block_number} of the local chain` : "no chain here";
    return `event ${log.index} of ${log.size}; cosigned by ${names}; ${anchored}`;
  }

  async #isErased(): Promise<string> {
    const of = ({ event }: AuditRecord) => "kind" in event && event.resource?.resource_id === "everything/echo";
    const call = this.#records.find(of);
    expect(call, "no call of echo was recorded: an earlier step failed");
    const { event_id } = call.event;
    const client = this.#reader([
      { tool: "talos/audit.values", classes: ["read"], actions: ["read"] },
      { tool: "talos/privacy.erasures", classes: ["read", "destructive"], actions: ["read", "write"] },
    ]);
    const [kept] = (await client.privacy.values(event_id)).values;
    const text = Buffer.from(kept?.value ?? "", "base64url").toString();
    expect(text.includes('"message"'), `what is kept of it is ${kept?.state}: ${text}`);
    // The holder of the root link answers for everyone who acts for it: what its sub-agent asked is kept as its own.
    const { id } = await client.privacy.erase(this.#agentKey.did);
    const erased = await eventually(
      async () => {
        const erasure = await client.privacy.erasure(id);
        return erasure.state === "done" ? erasure : null;
      },
      { every_ms: 250, timeout_ms: ERASED_WITHIN_MS, otherwise: "the erasure is not done" },
    );
    const refusal = await caught(() => client.privacy.values(event_id));
    expect(refusal === "value.erased", `its values are answered with ${refusal}`);
    const { event } = await verifiedProof({ client, event_id });
    expect(event.includes("commitments"), "the event lost its commitments");
    return `${text} was kept; ${erased.values} values erased; the event still verifies`;
  }
}

/** The code of what `action` throws; null when it throws nothing. */
async function caught(action: () => unknown): Promise<string | null> {
  try {
    await action();
    return null;
  } catch (error) {
    if (error instanceof GatewayError) return error.problem.code;
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
}
