/** Keys, capabilities, a signing fetch and a client: what runs in Node, workers and browsers alike. */
export type { AuditRecord, Decision, Grant, Head } from "@talos/contracts";
export type { Anchor, InspectedLink, PublishedKey, ToolClass } from "@talos/core";
export { contains, grantFromScope, scopeFromGrant } from "@talos/core";
export {
  type AppendReceipt,
  Audit,
  type AuditEntry,
  type AuditLogFacts,
  type ConsistencyProof,
  type ProofLevel,
  type StreamFrom,
  type Tree,
} from "./audit.ts";
export * from "./capability.ts";
export { type AuditFilter, Client, revoke } from "./client.ts";
export {
  CLIENT_ERRORS,
  ClientError,
  type ClientErrorCode,
  GatewayError,
  type GatewayProblem,
  parseProblem,
} from "./errors.ts";
export { type Answered, createFetch, type FetchOptions } from "./fetch.ts";
export { didOfOrigin, fetchGatewayIdentity, type GatewayIdentity, parseDidDocument } from "./gateway-keys.ts";
export { Key, type PrivateJwk, type PublicJwk } from "./keys.ts";
export { McpClient, McpError, type McpTool, type McpToolResult } from "./mcp.ts";
export { checkRecord, verifyPromise } from "./record.ts";
export { chainUpTo, type Revocation, revocationStatement } from "./revocation.ts";
export { signedHeaders } from "./signer.ts";
export { type Sink, type SinkAttempt, type SinkDeadLetter, type SinkMade, Sinks } from "./sinks.ts";
