import { setTimeout as sleep } from "node:timers/promises";
import { type AuditPromise, LIMITS } from "@talos/contracts";
import type { Client } from "../client.ts";
import { ClientError, GatewayError, readBounded } from "../errors.ts";
import { ALARMS, type Alarm, EVIDENCE } from "../monitor/alarm.ts";
import type { LogReader } from "../monitor/follow.ts";
import { type MonitorArgs, type MonitorState, monitorRound, type Round } from "../monitor/monitor.ts";
import { readState, writeState } from "../monitor/state.ts";
import { policyFor } from "../log-policy.ts";
import { verifyPromise } from "../record.ts";
import { readBytes } from "./audit-verify.ts";
import { type Command, duration, EXIT, IDENTITY, list, text, UsageError, type Values } from "./command.ts";
import type { Context } from "./context.ts";
import { printable } from "../printable.ts";

/** Twice what a promise says about publication. */
const STALE_SECONDS = 2 * LIMITS.audit_max_delay_seconds;
/** A bundle of 256 entries of 64 KiB each is what a tile's name can stand for; an event is at most 16 KiB. */
const FILE_BYTES = 256 * (LIMITS.event_bytes + 2);
const TIMEOUT_MS = 30_000;
/** Rounds without a pause while there is still something to hash. */
const CATCH_UP = 1_000;

export const monitor: Command = {
  name: "audit monitor",
  summary: "Follow the tenant's log and the meta-log, and raise an alarm when one is not what it was",
  about:
    "Every head must extend the last one, every entry must hash to it, the meta-log must hold the tenant's heads and no\n" +
    "others, promises must be kept, witnesses must sign. The tenant's log needs a grant for talos/audit.events; without a\n" +
    "capability only the meta-log is followed. What was seen stays in the state file: a monitor that forgets would take a\n" +
    `rollback for a beginning.\n\nAlarms: ${Object.entries(ALARMS)
      .map(([name, means]) => `\n  ${name.padEnd(13)} ${means}`)
      .join("")}\n\n${EVIDENCE.join(", ")} are evidence and end the command with exit code 1; the others are\n` +
    "printed when they begin and when they end. With --once: exit code 1 for any alarm, 3 when nothing but `unreachable`.",
  options: {
    ...IDENTITY,
    policy: {
      type: "string",
      short: "p",
      multiple: true,
      value: "FILE",
      help: "the policy: logs' keys, witnesses, quorum; one for each tree of a log that was rotated",
    },
    memory: { type: "string", short: "m", value: "FILE", help: "what was seen (default talos-monitor.json)" },
    once: { type: "boolean", help: "one look, then end" },
    every: { type: "string", value: "TIME", help: "how often to look (default 10s)" },
    stale: { type: "string", value: "TIME", help: `how long nothing may be published (default ${STALE_SECONDS}s)` },
    promise: {
      type: "string",
      multiple: true,
      value: "FILE",
      help: "a promise, or a record with one, that must be kept",
    },
    "meta-url": {
      type: "string",
      value: "URL",
      help: "where the meta-log is (default <origin of --aud>/meta); none to leave it out",
    },
  },
  examples: [
    "talos audit monitor --policy policy.txt --once",
    "talos audit monitor --policy policy.txt --every 30s --json",
    "talos audit monitor --policy policy.txt --meta-url https://talos.example/meta --once",
  ],
  async run(context, values) {
    const policies = list(values, "policy").map((path) => readBytes(path, LIMITS.policy_text_bytes));
    if (policies.length === 0) throw new UsageError("--policy FILE is needed: nothing is trusted by itself");
    const memory = text(values, "memory") ?? "talos-monitor.json";
    const stale_ms = 1_000 * (duration(values, "stale") ?? STALE_SECONDS);
    const pause_ms = 1_000 * (duration(values, "every") ?? 10);
    const client = hasCapability(context, values) ? context.client() : undefined;
    const meta = metaReader(values, client?.aud ?? context.aud());
    if (!client && !meta) throw new UsageError("nothing to follow: give a capability, or --meta-url");
    const promises = await promisesOf(values, client);
    const state = readState(memory);
    const shown = new Set<string>();
    for (;;) {
      const args = { policies, stale_ms, promises, ...(meta ? { meta: { read: meta } } : {}) };
      const round = await rounds(
        client,
        state,
        args,
        (all) => monitorRound(state, all),
        () => writeState(memory, state),
      );
      print(context, round, shown);
      const evidence = round.alarms.some(({ alarm }) => EVIDENCE.includes(alarm));
      if (evidence) return EXIT.refused;
      if (values.once === true) {
        if (round.alarms.length === 0) return EXIT.ok;
        return round.alarms.every(({ alarm }) => alarm === "unreachable") ? EXIT.unavailable : EXIT.refused;
      }
      await sleep(pause_ms);
    }
  },
};

type Fixed = Omit<MonitorArgs, "tenant" | "now_ms" | "policy"> & { policies: Uint8Array[] };

/** Rounds until everything that is published was hashed; what held is written down after each. */
async function rounds(
  client: Client | undefined,
  state: MonitorState,
  { policies, ...fixed }: Fixed,
  run: (args: MonitorArgs) => Promise<Round>,
  save: () => void,
): Promise<Round> {
  let round: Round = { alarms: [], more: true };
  for (let count = 0; round.more && round.alarms.length === 0 && count < CATCH_UP; count += 1) {
    let tenant: MonitorArgs["tenant"];
    try {
      tenant = client && (await tenantOf(client, state));
    } catch (error) {
      if (!(error instanceof GatewayError || error instanceof ClientError)) throw error;
      const rest = await run({ ...fixed, policy: policies.at(-1)!, now_ms: Date.now() });
      save();
      const alarm: Alarm = { alarm: "unreachable", log: "tenant", detail: error.message };
      return { ...rest, alarms: [alarm, ...rest.alarms] };
    }
    const policy = tenant === undefined ? policies.at(-1)! : policyFor(policies, tenant.origin);
    round = await run({ ...fixed, policy, ...(tenant ? { tenant } : {}), now_ms: Date.now() });
    save();
  }
  return round;
}

function print(context: Context, round: Round, shown: Set<string>): void {
  const key = ({ alarm, log }: Alarm) => `${alarm} ${log}`;
  const now = new Set(round.alarms.map(key));
  const line = (value: object, plain: string) => context.io.out(`${context.json ? JSON.stringify(value) : plain}\n`);
  const time = new Date().toISOString();
  for (const alarm of round.alarms) {
    if (shown.has(key(alarm))) continue;
    line({ time, ...alarm }, `${time} ALARM ${alarm.alarm} ${printable(alarm.log)}: ${printable(alarm.detail)}`);
  }
  for (const old of shown) if (!now.has(old)) line({ time, ended: old }, `${time} ended ${printable(old)}`);
  if (now.size === 0) {
    const { tenant, meta } = round;
    const sizes = [tenant === undefined ? "" : ` tenant ${tenant}`, meta === undefined ? "" : ` meta ${meta}`].join("");
    line({ time, ok: true, tenant, meta }, `${time} ok${sizes}`);
  }
  shown.clear();
  for (const name of now) shown.add(name);
}

function hasCapability(context: Context, values: Values): boolean {
  return context.path("cap", "TALOS_CAP", "agent.cap") !== null || text(values, "cap") !== undefined;
}

/** The tree to look at: the one that was followed until it is over and wholly hashed, then the next. */
async function tenantOf(client: Client, { tenant }: MonitorState): Promise<MonitorArgs["tenant"]> {
  const { origin, appended, epochs = [] } = await client.audit.log();
  if (origin === undefined) return undefined; // nothing was ever sealed
  const read = (tree: string): LogReader => {
    const query = epochs.length > 1 ? `?origin=${encodeURIComponent(tree)}` : "";
    return (path) => get(`${client.aud}/audit/${path}${query}`, client.fetch);
  };
  let at = tenant ? epochs.findIndex((epoch) => epoch.origin === tenant.origin) : 0;
  // A tree that the log does not name any more: it is asked for by its name all the same.
  if (at < 0 && tenant && epochs.length > 0) return { read: read(tenant.origin), origin: tenant.origin };
  if (at + 1 < epochs.length && tenant && tenant.hashed.size === epochs[at]!.size) at += 1;
  const epoch = epochs[at];
  if (epoch === undefined) return { read: read(origin), origin, appended };
  const over = at + 1 < epochs.length;
  const { first_seq, size } = epoch;
  return {
    read: read(epoch.origin),
    origin: epoch.origin,
    first_seq,
    over,
    appended: over ? size : appended - first_seq,
  };
}

function metaReader(values: Values, aud: string | undefined): LogReader | undefined {
  const named = text(values, "meta-url") ?? (aud && `${new URL(aud).origin}/meta`);
  if (named === undefined || named === "none") return undefined;
  const base = named.replace(/\/$/, "");
  if (!URL.canParse(base)) throw new UsageError("--meta-url is an address");
  return (path) => get(`${base}/${path}`, fetch);
}

/** @returns null where there is no such file, or no checkpoint yet (409) @throws when it cannot be read */
async function get(url: string, fetcher: typeof fetch): Promise<Uint8Array | null> {
  const response = await fetcher(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "manual" });
  if (response.status === 404 || (response.status === 409 && new URL(url).pathname.endsWith("/checkpoint"))) {
    await response.body?.cancel();
    return null;
  }
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new ClientError("client.unreachable", `${new URL(url).pathname}: status ${response.status}`);
  }
  const bytes = await readBounded(response.body, FILE_BYTES);
  if (bytes === null) throw new ClientError("client.answer_invalid", `${new URL(url).pathname} is too long`);
  return bytes;
}

/** Promises are verified under the gateway's keys before anything is demanded in their name. */
async function promisesOf(values: Values, client: Client | undefined): Promise<AuditPromise[]> {
  const files = list(values, "promise");
  if (files.length === 0) return [];
  if (!client) throw new UsageError("--promise needs a capability: the gateway's keys are read from its audience");
  const { keys } = await client.gateway();
  return files.map((path) => {
    const content = new TextDecoder().decode(readBytes(path, 1_048_576)).trim();
    if (!content.startsWith("{")) return verifyPromise(content, keys);
    const { promise } = JSON.parse(content) as { promise?: unknown };
    if (typeof promise !== "string") throw new UsageError(`${path} holds no promise`);
    return verifyPromise(promise, keys);
  });
}
