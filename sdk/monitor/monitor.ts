import { type AuditPromise, TalosError } from "@talos/contracts";
import { bundleLeaves, HASH_BYTES, type Head, TILE_WIDTH, tileAt, verifyCheckpoint } from "@talos/core/log";
import { type Alarm, Alarmed, EVIDENCE } from "./alarm.ts";
import { b64, extendsTo, type Followed, follow, type LogReader, newFollowed, unb64 } from "./follow.ts";
import { unwitnessed } from "../log-policy.ts";

/** Heads of the tenant's log that the meta-log held and that wait for the tenant's log to be read that far. */
const WAITING_HEADS = 4_096;
const EVIDENCE_KEPT = 16;
const PAST_TREES = 16;

/** All that a monitor remembers. JSON, versioned; it holds no secret. */
export interface MonitorState {
  v: 1;
  tenant?: Followed;
  /** Trees of the tenant's log that are over, each with its last head. */
  past?: { origin: string; head: Followed["head"] }[];
  meta?: Followed;
  /** Heads of the tenant's log out of the meta-log: the newest that was found to agree, and those still to be checked. */
  vouched?: { size: number; root: string };
  waiting: { size: number; root: string }[];
  /** When the meta-log first lagged behind the tenant's head. */
  unvouched_ms?: number;
  /** When something was appended that no head holds yet. */
  unpublished_ms?: number;
  alarms: (Alarm & { time_ms: number })[];
}

export const newState = (): MonitorState => ({ v: 1, waiting: [], alarms: [] });

/** One tree of the tenant's log (contracts/spec/audit.md#epochs). */
export interface Tree {
  read: LogReader;
  origin: string;
  /** number of its first event; default 0 */
  first_seq?: number;
  /** events of it that were appended, published or not */
  appended?: number;
  /** another tree follows: this one is followed to its end first */
  over?: boolean;
}

export interface MonitorArgs {
  policy: Uint8Array;
  /** The tenant's log; a public monitor has none. */
  tenant?: Tree;
  meta?: { read: LogReader };
  promises?: AuditPromise[];
  /** How long nothing may be published while there is something to publish. */
  stale_ms: number;
  now_ms: number;
}

export interface Round {
  alarms: Alarm[];
  /** There is more to hash: ask again at once. */
  more: boolean;
  tenant?: number;
  meta?: number;
}

/**
 * One round over both logs. It stops at evidence; conditions are collected. What held is in `state` afterwards, also when
 * an alarm ended the round, so nothing is hashed twice and no head is forgotten.
 */
export async function monitorRound(state: MonitorState, args: MonitorArgs): Promise<Round> {
  const round: Round = { alarms: [], more: false };
  const raise = (alarm: Alarm) => {
    round.alarms.push(alarm);
    if (!EVIDENCE.includes(alarm.alarm)) return;
    state.alarms = [...state.alarms, { ...alarm, time_ms: args.now_ms }].slice(-EVIDENCE_KEPT);
  };
  const part = async (log: string, run: () => Promise<void>) => {
    try {
      await run();
    } catch (error) {
      if (error instanceof Alarmed) raise(error.alarm);
      else if (error instanceof TalosError && error.code === "internal") throw error;
      else raise({ alarm: "unreachable", log, detail: error instanceof Error ? error.message : String(error) });
    }
  };
  const { tenant, meta } = args;
  if (tenant) await part(tenant.origin, () => tenantRound(state, args, tenant, round, raise));
  if (meta) await part("meta", () => metaRound(state, args, meta.read, round, raise));
  if (tenant && meta) await part(tenant.origin, () => compare(state, args, tenant.read, raise));
  return round;
}

async function tenantRound(
  state: MonitorState,
  args: MonitorArgs,
  tree: Tree,
  round: Round,
  raise: (alarm: Alarm) => void,
): Promise<void> {
  const { read, origin, appended } = tree;
  const before = state.tenant?.origin === origin ? undefined : state.tenant;
  // A tree that was followed before is held to its last head, whatever was shown in between.
  const known = state.past?.find((one) => one.origin === origin)?.head;
  const log = before || !state.tenant ? { ...newFollowed(origin), ...(known && { head: known }) } : state.tenant;
  const step = await follow(log, { read, policy: unwitnessed(args.policy), now_ms: args.now_ms });
  if (before) {
    // The policy lists the new tree's key under its name: nobody can send a monitor elsewhere without its owner.
    state.past = [...(state.past ?? []), { origin: before.origin, head: before.head }].slice(-PAST_TREES);
    state.waiting = [];
    delete state.vouched;
  }
  state.tenant = log;
  round.tenant = log.head?.size ?? 0;
  round.more ||= (step !== null && !step.whole) || tree.over === true;
  const behind = (appended ?? 0) > round.tenant;
  state.unpublished_ms = behind ? Math.max(state.unpublished_ms ?? args.now_ms, log.moved_ms) : undefined!;
  if (!behind) delete state.unpublished_ms;
  else if (args.now_ms - state.unpublished_ms > args.stale_ms) {
    raise({ alarm: "stale", log: origin, detail: `${appended} events appended, ${round.tenant} published` });
  }
  for (const promise of args.promises ?? []) await checkPromise(promise, round.tenant, args.now_ms, tree, raise);
}

/** A promise is kept when its leaf is at its place of a published head, in time. */
async function checkPromise(
  promise: AuditPromise,
  size: number,
  now_ms: number,
  { read, origin, first_seq = 0, over }: Tree,
  raise: (alarm: Alarm) => void,
): Promise<void> {
  const { event_id } = promise;
  const seq = promise.seq - first_seq; // its index in this tree
  if (seq < 0 || (over && seq >= size)) return; // another tree's
  if (seq >= size) {
    const due = promise.time_ms + promise.max_delay_seconds * 1_000;
    const late = Math.floor((now_ms - due) / 1_000);
    if (late > 0) raise({ alarm: "overdue", log: origin, detail: `event ${event_id} is ${late} s late` });
    return;
  }
  const at = Math.floor(seq / TILE_WIDTH);
  const bytes = await read(tileAt("entries", at, size)!);
  const place = (seq % TILE_WIDTH) * HASH_BYTES;
  const leaf = bytes && b64(bundleLeaves(bytes).subarray(place, place + HASH_BYTES));
  const promised = promise.leaf.replaceAll("-", "+").replaceAll("_", "/");
  if (leaf?.replaceAll("=", "") !== promised) {
    raise({ alarm: "broken", log: origin, detail: `event ${event_id} is not at ${promise.seq}` });
  }
}

async function metaRound(
  state: MonitorState,
  args: MonitorArgs,
  read: LogReader,
  round: Round,
  raise: (alarm: Alarm) => void,
): Promise<void> {
  const note = await read("checkpoint");
  if (note === null && !state.meta) return;
  // The origin of the meta-log is what its first checkpoint says under the policy; it never changes after that.
  const origin = state.meta?.origin ?? new TextDecoder().decode(note!).split("\n", 1)[0]!;
  state.meta ??= newFollowed(origin);
  const found: { size: number; root: string }[] = [];
  const step = await follow(state.meta, {
    read,
    policy: unwitnessed(args.policy),
    now_ms: args.now_ms,
    onEntry: (_, entry) => {
      const [log, size = "", root = ""] = new TextDecoder().decode(entry).split("\n");
      if (log === args.tenant?.origin) found.push({ size: Number(size), root });
    },
  });
  round.meta = state.meta.head?.size ?? 0;
  round.more ||= step !== null && !step.whole;
  state.waiting.push(...found);
  if (state.waiting.length > WAITING_HEADS) {
    throw new Alarmed({ alarm: "stale", log: origin, detail: `${state.waiting.length} heads wait to be compared` });
  }
  if (step === null) return;
  try {
    await verifyCheckpoint({ note: new TextEncoder().encode(state.meta.head!.note), policy: args.policy });
  } catch (error) {
    if (!(error instanceof TalosError) || !error.code.startsWith("log.")) throw error;
    const alarm = error.code === "log.quorum_missed" ? "quorum" : "invalid";
    raise({ alarm, log: origin, detail: `${error.code}, a head of ${step.verdict.size}` });
  }
}

/** What the meta-log holds of the tenant's log must be that log: every head of it, each the beginning of the next. */
async function compare(
  state: MonitorState,
  args: MonitorArgs,
  read: LogReader,
  raise: (alarm: Alarm) => void,
): Promise<void> {
  const log = state.tenant;
  if (!log?.head) return;
  const head: Head = { size: log.head.size, root: unb64(log.head.root) };
  const tiles = async (path: string) => {
    const bytes = await read(path);
    if (bytes === null) throw new Alarmed({ alarm: "tampered", log: log.origin, detail: `${path} is not there` });
    return bytes;
  };
  while (state.waiting.length > 0) {
    const next = state.waiting[0]!;
    const last = state.vouched;
    const fail = (alarm: "rollback" | "equivocation", detail: string) =>
      new Alarmed({ alarm, log: log.origin, detail, evidence: [log.head!.note] });
    if (last && next.size < last.size) throw fail("rollback", `the meta-log holds ${next.size} after ${last.size}`);
    if (last && next.size === last.size && next.root !== last.root) {
      throw fail("equivocation", `the meta-log holds two heads of ${next.size}`);
    }
    if (next.size > head.size) break; // read the tenant's log further first
    if (!(await extendsTo({ size: next.size, root: unb64(next.root) }, head, tiles))) {
      throw fail("equivocation", `the meta-log holds another head of ${next.size}`);
    }
    state.vouched = next;
    state.waiting.shift();
  }
  const vouched = Math.max(state.vouched?.size ?? 0, ...state.waiting.map(({ size }) => size));
  if (vouched >= head.size) delete state.unvouched_ms;
  else {
    state.unvouched_ms ??= args.now_ms;
    if (args.now_ms - state.unvouched_ms > args.stale_ms) {
      raise({ alarm: "stale", log: log.origin, detail: `the meta-log holds ${vouched} of ${head.size}` });
    }
  }
}
