/**
 * What services ask of each other. A service imports these types and nothing of another service; workers/index.ts
 * hands the implementations over, so one can move behind a service binding without its callers noticing.
 */
import type { AuditEventPage, AuditQuery, AuditRecord, Decision, SurfaceName } from "@talos/contracts";
import type { RequestFacts, ToolClass } from "@talos/core";
import type { Context, MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";
import type { Log } from "./log.ts";
import type { Fields } from "./request.ts";

/** What the middleware puts on the context of every request. */
export interface Vars {
  /** UUIDv7, ours; also the answer's `x-request-id` */
  request_id: string;
  /** unix ms when the request arrived */
  now_ms: number;
  /** the header fields, read once */
  headers: Fields;
  log: Log;
  /** set once a route matched */
  surface: SurfaceName;
  /** set on tenant surfaces, one of TALOS_TENANTS */
  tenant: string;
  /** canonical JSON text of the JSON-RPC id, once the message was read */
  rpc_id?: string;
  /** set behind {@link AuthorizePort}: who asked, and the decision that let it pass */
  facts: RequestFacts;
  /** the bytes of the body, as they were decided on */
  body?: Uint8Array;
  decision: Decision;
  /** set there too: decides again, as of now. @throws the code of a decision that no longer allows */
  still: () => Promise<void>;
  /** set by a handler whose answer goes on after it: what was decided is held, and stays in flight, until this settles */
  lasting?: Promise<void>;
  /** on answers to an authenticated caller: `talos-class`, `talos-intent`, `talos-promise` */
  tool_class?: ToolClass;
  intent_id?: string;
  promise?: string;
}

export type AppEnv = { Bindings: Env; Variables: Vars };
export type AppContext = Context<AppEnv>;
export type Handler = (c: AppContext) => Response | Promise<Response>;
/** One handler for every surface document; the table in surface.ts refuses to start otherwise. */
export type Handlers = Record<SurfaceName, Handler>;

/** Decides surfaces of the permissions `grant` and `holder`; a refusal is answered and recorded there. */
export interface AuthorizePort {
  /** Middleware behind which `facts` and `decision` are on the context and the call is admitted. */
  authorized(surface: SurfaceName): MiddlewareHandler<AppEnv>;
}

/** The searchable projection of the record. */
export interface AuditQueryPort {
  /** @throws `audit.cursor_invalid`, `audit.query_unavailable` */
  list(env: Env, tenant: string, query: AuditQuery): Promise<AuditEventPage>;
  /** @throws `audit.event_unknown`, `audit.query_unavailable` */
  get(env: Env, tenant: string, eventId: string): Promise<AuditRecord>;
  /** Whether the database answers, for readiness. */
  ping(env: Env): Promise<boolean>;
}
