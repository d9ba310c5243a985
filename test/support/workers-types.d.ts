// Names of the Workers runtime, for tests and scripts that are checked with Node's types and only mention them. The two
// runtimes declare the same globals differently, so the whole of @cloudflare/workers-types cannot be loaded beside Node's.
import type * as W from "@cloudflare/workers-types";

declare global {
  type DurableObjectNamespace<T extends W.Rpc.DurableObjectBranded | undefined = undefined> =
    W.DurableObjectNamespace<T>;
  type DurableObjectState = W.DurableObjectState;
  type DurableObjectStorage = W.DurableObjectStorage;
  type ExecutionContext = W.ExecutionContext;
  type KVNamespace = W.KVNamespace;
  type R2Bucket = W.R2Bucket;
  type SqlStorage = W.SqlStorage;
  type SqlStorageValue = W.SqlStorageValue;
  const scheduler: { wait(delay_ms: number, options?: { signal?: AbortSignal }): Promise<void> };
  class IdentityTransformStream {
    readonly readable: ReadableStream<Uint8Array>;
    readonly writable: WritableStream<Uint8Array>;
  }
}
