/**
 * Events of the gateway, from what a request is and what was decided about it. Values of arguments and results never
 * enter: only commitments do. Source: contracts/spec/audit.md#event.
 */
import {
  type AuditEventV2,
  type Decision,
  type HttpFacts,
  SURFACES,
  type SurfaceName,
  type ToolClass,
} from "@talos/contracts";
import { CORE_HASH, type RequestFacts } from "@talos/core";
import type { AppContext } from "../shared/ports.ts";
import { hex, newId } from "../shared/request.ts";
import type { Evaluation } from "./authorize.ts";
import type { Config } from "./config.ts";

/** An event before it is hashed. */
export type Draft = Omit<AuditEventV2, "event_hash">;
export type Meta = Record<string, string | number | boolean>;

const encoder = new TextEncoder();

/** Imported once per configuration; a key, not a promise, since no request awaits another's. */
const keys = new WeakMap<Config, CryptoKey>();

async function importIpKey(config: Config): Promise<CryptoKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", config.ip.key as BufferSource, algorithm, false, ["sign"]);
  keys.set(config, key);
  return key;
}

/** Addresses remembered under their hash: those of the agents that keep asking. Beyond, all are worked out anew. */
const ADDRESSES = 4_096;
const addresses = new WeakMap<Config, Map<string, ClientIp>>();

type ClientIp = Pick<HttpFacts, "client_ip_hash" | "client_ip_hash_alg" | "client_ip_hash_key_id">;
const NO_ADDRESS: ClientIp = {};

/** The client's address under the `ip` keyset; empty when the platform names none. A promise for a new address only. */
export function clientIp(c: AppContext, config: Config): ClientIp | Promise<ClientIp> {
  const address = c.get("headers")["cf-connecting-ip"];
  if (address === undefined) return NO_ADDRESS;
  return addresses.get(config)?.get(address) ?? hashAddress(address, config);
}

async function hashAddress(address: string, config: Config): Promise<ClientIp> {
  const key = keys.get(config) ?? (await importIpKey(config));
  const mac = await crypto.subtle.sign("HMAC", key, encoder.encode(address));
  const hashed: ClientIp = {
    client_ip_hash: hex(new Uint8Array(mac)),
    client_ip_hash_alg: "HMAC-SHA256",
    client_ip_hash_key_id: config.ip.kid,
  };
  let known = addresses.get(config);
  if (known === undefined || known.size >= ADDRESSES) {
    known = new Map();
    addresses.set(config, known);
  }
  known.set(address, hashed);
  return hashed;
}

/** The request as an event names it: method and path template, never the path with its values. */
export async function httpFacts(c: AppContext, config: Config, status?: number): Promise<HttpFacts> {
  const { method, path } = SURFACES[c.get("surface")];
  return { method, path, ...(status === undefined ? {} : { status_code: status }), ...(await clientIp(c, config)) };
}

/** What every event of this request begins with. */
export async function envelope(
  c: AppContext,
  config: Config,
  principal: Draft["principal"],
): Promise<Omit<Draft, "kind" | "event_id">> {
  const name: SurfaceName = c.get("surface");
  const surface = SURFACES[name];
  return {
    schema_id: "talos.audit_event",
    schema_version: "v2",
    ts: new Date().toISOString(),
    tenant: c.get("tenant"),
    request_id: c.get("request_id"),
    surface_id: name,
    audit_action: surface.audit_action ?? name,
    principal,
    http: await httpFacts(c, config),
    meta: {},
  };
}

export function principalOf(facts: RequestFacts): Draft["principal"] {
  return {
    auth_mode: facts.form,
    did: facts.sub,
    jkt: facts.jkt,
    root_sub: facts.root_sub,
    ...(facts.session_id === undefined ? {} : { session_id: facts.session_id }),
  };
}

/** Characters of `decision.field` in an event (audit/event-v2.schema.json): a longer one would stop the projection. */
const FIELD_CHARACTERS = 160;

/** At most `characters` code points: cutting between surrogates would leave a text that the core refuses. */
export const cut = (text: string, characters: number): string =>
  text.length <= characters ? text : Array.from(text).slice(0, characters).join("");

/** A decision as recorded; failures of other steps are recorded under their own code. */
export type Said = Omit<Decision, "code"> & { code: string };

export function decisionOf(decision: Said, evaluation: Evaluation): NonNullable<Draft["decision"]> {
  const { head, asOfMs } = evaluation.generation;
  const { allow, code, link, grant, field } = decision;
  return {
    allow,
    code,
    ...(link === undefined ? {} : { link }),
    ...(grant === undefined ? {} : { grant }),
    // The caller chose the argument's name that stands in it (`closed.<name>`), and how long it is.
    ...(field === undefined ? {} : { field: cut(field, FIELD_CHARACTERS) }),
    policy_version: head.policy_version,
    policy_hash: head.policy_hash,
    rev_seq: head.rev_seq,
    rev_as_of_ms: asOfMs,
    core_hash: CORE_HASH,
  };
}

/** What was asked for: the tool, or the surface where no tool is. */
export function resourceOf(
  surface: SurfaceName,
  need: { tool: string; class: ToolClass; action: string } | undefined,
): NonNullable<Draft["resource"]> {
  if (need === undefined) return { resource_type: "surface", resource_id: surface };
  return { resource_type: "tool", resource_id: need.tool, class: need.class, action: need.action };
}

/** Capability and proof of the one who asked. */
export function evidenceOf(facts: RequestFacts): Pick<Draft, "capability" | "proof"> {
  return {
    capability: { hash: facts.capability_hash, links: facts.links },
    proof: { form: facts.form, nonce: facts.nonce, hash: facts.proof_hash },
  };
}

export interface DecisionEvent {
  decision: Said;
  facts: RequestFacts;
  /** absent: it is recorded before the answer is known */
  status?: number;
  need?: RequestFacts["needs"][number] | undefined;
  /** the one for whom a third party asked */
  on_behalf?: Draft["on_behalf"];
  meta?: Meta;
}

/** A decision that dispatches nothing, or a denial. */
export async function decisionEvent(c: AppContext, evaluation: Evaluation, of: DecisionEvent): Promise<Draft> {
  const base = await envelope(c, evaluation.asker.config, principalOf(of.facts));
  return {
    ...base,
    event_id: newId(Date.now()),
    kind: "decision",
    outcome: of.decision.allow ? "success" : "denied",
    http: { ...base.http!, ...(of.status === undefined ? {} : { status_code: of.status }) },
    resource: resourceOf(c.get("surface"), of.need ?? of.facts.needs[0]),
    decision: decisionOf(of.decision, evaluation),
    ...evidenceOf(of.facts),
    ...(of.on_behalf === undefined ? {} : { on_behalf: of.on_behalf }),
    meta: of.meta ?? {},
  };
}
