/**
 * Reads of a session under a MAC, the path that a busy gateway takes: the request is written once, into the core's own
 * memory, decided in one synchronous call, and answered in bytes that are decoded only where somebody looks. Same core,
 * same checks, same answers as `finish` (contracts/spec/capability.md#decision).
 */
import { type Decision, LIMITS, TalosError } from "@talos/contracts";
import { call, refusal, wasm } from "./core.ts";
import { frameBound, putBytes, putInteger, putText, writeRequest } from "./frame.ts";
import { look, roomFor } from "./memory.ts";
import type {
  FilterHandle,
  Finished,
  KeyringHandle,
  McpFacts,
  Need,
  PolicyHandle,
  RequestFacts,
  RequestParts,
  SealedEvent,
  ToolClass,
} from "./types.ts";

/** Longer frames go through `finish`, so that a large body does not stay in the core's memory. */
export const READ_FRAME_BYTES = 262_144;

const CLASSES: readonly ToolClass[] = ["read", "write", "destructive", "pay"];
const KINDS: readonly McpFacts["kind"][] = ["request", "notification", "response", "none"];
const ABSENT = 0xffff_ffff;
const decoder = new TextDecoder();

const SHORT = 0;
const REFUSAL = 2;

/** The core's answer at `at`: what it is, and a copy of its bytes. @throws TalosError for a refusal */
function answer(at: number): { short: boolean; body: Uint8Array } {
  const { bytes, view } = look();
  const kind = bytes[at + 4];
  const body = bytes.slice(at + 5, at + 5 + view.getUint32(at, true));
  if (kind === REFUSAL) throw refusal(decoder.decode(body));
  return { short: kind === SHORT, body };
}

/** The end of a decided read. */
export interface DecidedRead {
  status: "decided";
  decision: Decision;
  request: ReadFacts;
}

const ALLOW: Decision = Object.freeze({ allow: true, code: "OK" });

/**
 * All steps for a request that carries a MAC, in one call.
 * @param record whether the facts are to be recorded ({@link sealRead}): the proof's hash, over the whole credential,
 *   is then among them
 * @returns as `finish` without answers; facts in short form where the request is one read of a session
 * @throws as `finish`; `LIMIT_EXCEEDED` for parts beyond {@link READ_FRAME_BYTES}
 */
export function decideRead(
  parts: RequestParts,
  policy: PolicyHandle,
  filter: FilterHandle,
  tickets: KeyringHandle,
  record = true,
): DecidedRead | Finished {
  const bound = frameBound(parts);
  if (bound > READ_FRAME_BYTES) throw new TalosError("LIMIT_EXCEEDED", { field: "frame", bytes: bound });
  const { start, bytes, view } = roomFor(bound);
  const length = writeRequest(parts, bytes, view, start) - start;
  const { short, body } = answer(call(wasm.decide_read, length, policy.handle, filter.handle, tickets.handle, record));
  if (!short) return JSON.parse(decoder.decode(body)) as Finished;
  const request = new ReadFacts(body);
  return { status: "decided", decision: request.decision, request };
}

/** What all requests of a session have in common. */
export interface SessionFacts {
  session_id: string;
  sub: string;
  root_sub: string;
  anchor: string;
  jkt: string;
  capability_hash: string;
  links: string[];
  /** the same as the core wrote it, for {@link sealRead} */
  bytes: Uint8Array;
}

/** By the number that the core gave the opened ticket; a number is never used twice. As many as the core keeps open. */
const sessions = new Map<number, SessionFacts>();

function sessionOf(serial: number): SessionFacts {
  const known = sessions.get(serial);
  if (known !== undefined) return known;
  const written = call(wasm.session_facts, serial);
  const [session_id, sub, root_sub, anchor, jkt, capability_hash, ...links] = texts(written, 0) as string[];
  if (links.length === 0) throw new TalosError("internal", { reason: "a session that is not open" });
  const facts = {
    ...{ session_id: session_id!, sub: sub!, root_sub: root_sub!, anchor: anchor!, jkt: jkt! },
    ...{ capability_hash: capability_hash!, links, bytes: written },
  };
  if (sessions.size >= LIMITS.open_tickets) sessions.delete(sessions.keys().next().value!);
  sessions.set(serial, facts);
  return facts;
}

function* fields(of: Uint8Array, from: number): Generator<Uint8Array | undefined> {
  const lengths = new DataView(of.buffer, of.byteOffset, of.byteLength);
  for (let at = from; at < of.byteLength; ) {
    const length = lengths.getUint32(at, true);
    at += 4;
    yield length === ABSENT ? undefined : of.subarray(at, at + length);
    if (length !== ABSENT) at += length;
  }
}

const texts = (of: Uint8Array, from: number): (string | undefined)[] =>
  Array.from(fields(of, from), (field) => (field === undefined ? undefined : decoder.decode(field)));

/** Bytes before the first text: class, class of the need, flags, kind of message, serial, expires, not_after. */
const HEAD = 24;
const RECEIPT = 1;
const WRITES = 2;
const MCP = 4;
const MCP_CALL = 8;
const KEEP_ARGS = 16;
const KEEP_RESULT = 32;
/** The texts of the facts, in the core's order. */
const TEXTS = [
  "decision",
  "rate_class",
  "tool",
  "action",
  "resource",
  "args_json",
  "nonce",
  "proof_hash",
  "request_hash",
  "mcp_method",
  "mcp_name",
  "mcp_id",
  "mcp_progress",
] as const;

/**
 * The facts of a read, decoded when asked. They are those of `finish` but for `proof_hash`, which throws when the
 * decision was made without `record`.
 */
export class ReadFacts implements RequestFacts {
  readonly form = "session_mac";
  readonly bytes: Uint8Array;
  /** what all requests of its session share; the object is the same for all of them while it is known */
  readonly session: SessionFacts;
  readonly #view: DataView;
  /** where each text begins: its length */
  readonly #at: number[] = [];

  constructor(body: Uint8Array) {
    this.bytes = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    // While the ticket is certainly open: nothing came between.
    this.session = sessionOf(this.#view.getUint32(4, true));
    let at = HEAD;
    for (let i = 0; i < TEXTS.length; i += 1) {
      this.#at.push(at);
      const length = this.#view.getUint32(at, true);
      at += length === ABSENT ? 4 : 4 + length;
    }
  }

  #opt(name: (typeof TEXTS)[number]): string | undefined {
    const at = this.#at[TEXTS.indexOf(name)]!;
    const length = this.#view.getUint32(at, true);
    return length === ABSENT ? undefined : decoder.decode(this.bytes.subarray(at + 4, at + 4 + length));
  }

  #text(name: (typeof TEXTS)[number]): string {
    const text = this.#opt(name);
    if (text === undefined) throw new TalosError("internal", { reason: "a fact that is not there", name });
    return text;
  }

  #flag(bit: number): boolean {
    return (this.bytes[2]! & bit) !== 0;
  }

  /** The decision that the core gave with these facts. */
  get decision(): Decision {
    const refused = this.#opt("decision");
    return refused === undefined ? ALLOW : (JSON.parse(refused) as Decision);
  }
  get class(): ToolClass {
    return CLASSES[this.bytes[0]!]!;
  }
  get needs(): Need[] {
    const [tool, resource] = [this.#opt("tool"), this.#opt("resource")];
    if (tool === undefined) return [];
    const need: Need = { tool, class: CLASSES[this.bytes[1]!]!, action: this.#text("action") };
    return [resource === undefined ? need : { ...need, resource }];
  }
  get rate_class(): string {
    return this.#text("rate_class");
  }
  get rate_classes(): string[] {
    return [this.rate_class];
  }
  get links(): string[] {
    return this.session.links;
  }
  get root_link(): string {
    return this.session.links[0]!;
  }
  get sub(): string {
    return this.session.sub;
  }
  get root_sub(): string {
    return this.session.root_sub;
  }
  get anchor(): string {
    return this.session.anchor;
  }
  get jkt(): string {
    return this.session.jkt;
  }
  get session_id(): string {
    return this.session.session_id;
  }
  get capability_hash(): string {
    return this.session.capability_hash;
  }
  get nonce(): string {
    return this.#text("nonce");
  }
  get expires(): number {
    return Number(this.#view.getBigUint64(8, true));
  }
  get not_after(): number {
    return Number(this.#view.getBigInt64(16, true));
  }
  get proof_hash(): string {
    return this.#text("proof_hash");
  }
  get request_hash(): string {
    return this.#text("request_hash");
  }
  get args_json(): string | undefined {
    return this.#opt("args_json");
  }
  get keep(): RequestFacts["keep"] {
    const [args, result] = [this.#flag(KEEP_ARGS), this.#flag(KEEP_RESULT)];
    if (args) return result ? "both" : "args";
    return result ? "result" : undefined;
  }
  get writes(): boolean {
    return this.#flag(WRITES);
  }
  get receipt(): boolean {
    return this.#flag(RECEIPT);
  }
  get mcp(): McpFacts | undefined {
    if (!this.#flag(MCP)) return undefined;
    const facts: McpFacts = { kind: KINDS[this.bytes[3]!]!, call: this.#flag(MCP_CALL) };
    const [method, name] = [this.#opt("mcp_method"), this.#opt("mcp_name")];
    const [id, progress] = [this.#opt("mcp_id"), this.#opt("mcp_progress")];
    if (method !== undefined) facts.method = method;
    if (name !== undefined) facts.name = name;
    if (id !== undefined) facts.id_json = id;
    if (progress !== undefined) facts.progress_token_json = progress;
    return facts;
  }
}

/** What an event of a read has beside the request's facts. Members are those of the event. */
export interface ReadEvent {
  surface_id: string;
  tenant: string;
  event_id: string;
  ts: string;
  request_id: string;
  status_code: number;
  client_ip_hash?: string | undefined;
  client_ip_hash_key_id?: string | undefined;
  policy_hash: string;
  policy_version: number;
  rev_seq: number;
  rev_as_of_ms: number;
  /** absent: allowed */
  denied?: { allow: boolean; code: string; link?: number; grant?: number; field?: string } | undefined;
  meta?: Record<string, string | number | boolean> | undefined;
}

/**
 * The event of kind `decision` about a read, built, hashed and sealed in one call. The same bytes as `sealEvent` of the
 * event that the gateway would have written. The facts may be older: whoever buffers, seals when it flushes.
 * @throws as `sealEvent`; `request.malformed` for facts without the proof's hash
 */
export function sealRead(event: ReadEvent, facts: ReadFacts): SealedEvent {
  const { session, bytes: own } = facts;
  const denied = event.denied === undefined ? undefined : JSON.stringify(event.denied);
  const meta = event.meta === undefined ? undefined : JSON.stringify(event.meta);
  const given = [event.surface_id, event.tenant, event.event_id, event.ts, event.request_id];
  const hashes = [event.client_ip_hash, event.client_ip_hash_key_id, event.policy_hash];
  let bound = 16 * 12 + session.bytes.byteLength + own.byteLength;
  for (const text of [...given, ...hashes, denied, meta]) bound += (text?.length ?? 0) * 3;
  const { start, bytes, view } = roomFor(bound);
  let at = start;
  for (const text of given) at = putText(bytes, view, at, text);
  at = putInteger(view, at, event.status_code);
  for (const text of hashes) at = putText(bytes, view, at, text);
  for (const n of [event.policy_version, event.rev_seq, event.rev_as_of_ms]) at = putInteger(view, at, n);
  at = putText(bytes, view, at, denied);
  at = putText(bytes, view, at, meta);
  at = putBytes(bytes, view, at, session.bytes);
  at = putBytes(bytes, view, at, own);
  const { body } = answer(call(wasm.seal_read, at - start));
  const text = decoder.decode(body);
  return {
    event_id: event.event_id,
    event_hash: text.slice(0, 64),
    leaf_hash: text.slice(64, 107),
    body: text.slice(107),
  };
}
