import type {
  SchemaName,
  SchemaTypes,
  Sink,
  SinkAttempt,
  SinkCreate,
  SinkDeadLetter,
  SinkDeadLetters,
  SinkDeliveries,
  SinkMade,
  SinkReplay,
  SinkRotate,
  SinkUpdate,
} from "@talos/contracts";

/** One signed question to the tenant, its answer checked against a schema. */
export type Ask = <N extends SchemaName>(
  method: string,
  path: string,
  shape: N,
  options: { body?: unknown; headers?: Record<string, string>; signal: AbortSignal | undefined },
) => Promise<SchemaTypes[N]>;

export type { Sink, SinkAttempt, SinkDeadLetter, SinkMade };

/** The tenant's webhook sinks (contracts/spec/webhooks.md). Needs grants for `talos/sinks`. */
export class Sinks {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /**
   * Make a sink; it works after `resume`. With `v1` the answer holds the secret, this once.
   * @param key the same key again is the same sink, so a lost answer can be asked for again
   */
  create(settings: SinkCreate, key: string = crypto.randomUUID(), signal?: AbortSignal): Promise<SinkMade> {
    const headers = { "idempotency-key": key };
    return this.#ask("POST", "/v1/sinks", "sinks/made", { body: settings, headers, signal });
  }

  async list(signal?: AbortSignal): Promise<Sink[]> {
    return (await this.#ask("GET", "/v1/sinks", "sinks/list", { signal })).sinks;
  }

  get(id: string, signal?: AbortSignal): Promise<Sink> {
    return this.#ask("GET", at(id), "sinks/sink", { signal });
  }

  update(id: string, settings: SinkUpdate, signal?: AbortSignal): Promise<Sink> {
    return this.#ask("PUT", at(id), "sinks/sink", { body: settings, signal });
  }

  /** @returns the sink as it last stood */
  delete(id: string, signal?: AbortSignal): Promise<Sink> {
    return this.#ask("DELETE", at(id), "sinks/sink", { signal });
  }

  pause(id: string, signal?: AbortSignal): Promise<Sink> {
    return this.#ask("POST", at(id, "/pause"), "sinks/sink", { signal });
  }

  /** Challenge the receiver where that is due, then deliver; what waits is tried at once. */
  resume(id: string, signal?: AbortSignal): Promise<Sink> {
    return this.#ask("POST", at(id, "/resume"), "sinks/sink", { signal });
  }

  test(id: string, signal?: AbortSignal): Promise<SinkAttempt> {
    return this.#ask("POST", at(id, "/test"), "sinks/attempt", { signal });
  }

  /** Set the cursor; with `to_seq` for a range only. */
  replay(id: string, range: SinkReplay, signal?: AbortSignal): Promise<Sink> {
    return this.#ask("POST", at(id, "/replay"), "sinks/sink", { body: range, signal });
  }

  rotate(id: string, how: SinkRotate = {}, signal?: AbortSignal): Promise<SinkMade> {
    return this.#ask("POST", at(id, "/secrets"), "sinks/made", { body: how, signal });
  }

  /** Newest first. */
  deliveries(
    id: string,
    page: { cursor?: number; limit?: number } = {},
    signal?: AbortSignal,
  ): Promise<SinkDeliveries> {
    return this.#ask("GET", at(id, `/deliveries${query(page)}`), "sinks/deliveries", { signal });
  }

  /** In the order of the log. */
  deadLetters(
    id: string,
    page: { cursor?: number; limit?: number } = {},
    signal?: AbortSignal,
  ): Promise<SinkDeadLetters> {
    return this.#ask("GET", at(id, `/dead-letters${query(page)}`), "sinks/dead-letters", { signal });
  }

  /** @param seqs all when absent @returns how many are tried again */
  async redeliver(id: string, seqs?: number[], signal?: AbortSignal): Promise<number> {
    const body = seqs === undefined ? {} : { seqs };
    const { count } = await this.#ask("POST", at(id, "/dead-letters/replay"), "sinks/redelivered", { body, signal });
    return count;
  }
}

const at = (id: string, rest = ""): string => `/v1/sinks/${encodeURIComponent(id)}${rest}`;

function query(page: { cursor?: number; limit?: number }): string {
  const set = Object.entries(page).filter(([, value]) => value !== undefined);
  return set.length === 0 ? "" : `?${new URLSearchParams(set.map(([name, value]) => [name, String(value)]))}`;
}
