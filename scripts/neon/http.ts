import type { IncomingMessage, ServerResponse } from "node:http";
import pg from "pg";
import type { Backend } from "./backend.ts";

/** Neon's own bound on a request over HTTP. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_POOLS = 8;
const MAX_CLIENTS_PER_POOL = 10;
const QUERY_TIMEOUT_MS = 60_000;

const ISOLATION: Record<string, string> = {
  ReadUncommitted: "READ UNCOMMITTED",
  ReadCommitted: "READ COMMITTED",
  RepeatableRead: "REPEATABLE READ",
  Serializable: "SERIALIZABLE",
};

/** Members of an error that @neondatabase/serverless copies onto its NeonDbError, beside `message`. */
const ERROR_FIELDS = [
  ...["severity", "code", "detail", "hint", "position", "internalPosition", "internalQuery", "where", "schema"],
  ...["table", "column", "dataType", "constraint", "file", "line", "routine"],
] as const;

interface Query {
  query: string;
  params: unknown[];
}

interface Answer {
  fields: { name: string; dataTypeID: number }[];
  rows: unknown[];
  command: string;
  rowCount: number | null;
  rowAsArray: boolean;
}

/** A refusal with its HTTP status. The driver reads JSON from a 400 only, and shows any other body as text. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** `POST /sql` as Neon's proxy answers it: one query, or `queries` as one transaction. */
export class SqlOverHttp {
  readonly #backend: Backend;
  readonly #pools = new Map<string, pg.Pool>();
  #closing = false;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const asked = readAsked(request, await readBody(request));
      const answer = await this.#run(asked);
      respond(response, 200, answer);
    } catch (error) {
      if (error instanceof Refusal) respond(response, error.status, { message: error.message, code: null });
      else if (error instanceof pg.DatabaseError) respond(response, 400, describe(error));
      // No SQLSTATE: the server was not reached, or went away in the middle.
      else respond(response, 503, { message: `database unavailable: ${(error as Error).message}`, code: null });
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
    this.#pools.clear();
  }

  async #run(asked: Asked): Promise<Answer | { results: Answer[] }> {
    const client = await this.#pool(asked.connectionString).connect();
    let broken = true;
    try {
      if (!("queries" in asked)) {
        const answer = await runOne(client, asked.query, asked.arrayMode);
        broken = false;
        return answer;
      }
      await client.query(asked.begin);
      const results: Answer[] = [];
      for (const query of asked.queries) results.push(await runOne(client, query, asked.arrayMode));
      await client.query("COMMIT");
      broken = false;
      return { results };
    } catch (error) {
      if (error instanceof pg.DatabaseError) {
        await client.query("ROLLBACK"); // outside a transaction this is a warning, not an error
        broken = false;
      }
      throw error;
    } finally {
      client.release(broken);
    }
  }

  #pool(connectionString: string): pg.Pool {
    const known = this.#pools.get(connectionString);
    if (known) return known;
    if (this.#pools.size >= MAX_POOLS) throw new Refusal(429, "too many different connection strings");
    let config: pg.ClientConfig;
    try {
      config = this.#backend.clientConfig(connectionString);
    } catch {
      throw new Refusal(400, "Neon-Connection-String is not a Postgres URL");
    }
    const pool = new pg.Pool({
      ...config,
      max: MAX_CLIENTS_PER_POOL,
      query_timeout: QUERY_TIMEOUT_MS,
      allowExitOnIdle: true,
    });
    // An idle connection that breaks is thrown away by the pool; the next query opens a new one or reports why not.
    pool.on("error", (error) => {
      if (!this.#closing) console.warn(`neon endpoint: idle connection lost: ${error.message}`);
    });
    this.#pools.set(connectionString, pool);
    return pool;
  }
}

type Asked = { connectionString: string; arrayMode: boolean } & (
  | { query: Query }
  | { queries: Query[]; begin: string }
);

function readAsked(request: IncomingMessage, body: unknown): Asked {
  const header = (name: string) => {
    const value = request.headers[name];
    return typeof value === "string" ? value : undefined;
  };
  const connectionString = header("neon-connection-string");
  if (connectionString === undefined) throw new Refusal(400, "Neon-Connection-String is missing");
  if (header("neon-raw-text-output") !== "true") {
    throw new Refusal(400, "only Neon-Raw-Text-Output: true is supported, which is what the driver sends");
  }
  const arrayMode = header("neon-array-mode") === "true";
  const several = (body as { queries?: unknown }).queries;
  if (several === undefined) return { connectionString, arrayMode, query: readQuery(body) };
  if (!Array.isArray(several)) throw new Refusal(400, "queries must be a list");
  const isolation = header("neon-batch-isolation-level");
  const level = isolation === undefined ? undefined : ISOLATION[isolation];
  if (isolation !== undefined && level === undefined) throw new Refusal(400, "unknown Neon-Batch-Isolation-Level");
  const begin = [
    "BEGIN",
    level && `ISOLATION LEVEL ${level}`,
    header("neon-batch-read-only") === "true" && "READ ONLY",
    header("neon-batch-deferrable") === "true" && "DEFERRABLE",
  ];
  return { connectionString, arrayMode, queries: several.map(readQuery), begin: begin.filter(Boolean).join(" ") };
}

function readQuery(value: unknown): Query {
  const { query, params } = (value ?? {}) as Partial<Query>;
  if (typeof query !== "string") throw new Refusal(400, "query must be a string");
  if (params !== undefined && !Array.isArray(params)) throw new Refusal(400, "params must be a list");
  return { query, params: params ?? [] };
}

async function runOne(client: pg.PoolClient, { query, params }: Query, arrayMode: boolean): Promise<Answer> {
  // Extended protocol always: one statement a query, as at Neon. Every value comes back as Postgres prints it.
  const config: pg.QueryArrayConfig & { queryMode: "extended" } = {
    text: query,
    values: params,
    rowMode: "array",
    queryMode: "extended",
    types: { getTypeParser: () => (text: unknown) => text } as unknown as pg.CustomTypesConfig,
  };
  const result = await client.query(config);
  const fields = result.fields.map((field) => ({ ...field }));
  const rows = arrayMode
    ? result.rows
    : result.rows.map((row: unknown[]) => Object.fromEntries(fields.map((field, at) => [field.name, row[at]])));
  return { fields, rows, command: result.command, rowCount: result.rowCount, rowAsArray: arrayMode };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Refusal(413, "request body too large");
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return body;
  } catch {
    // answered below, like any other body that is no object
  }
  throw new Refusal(400, "request body must be a JSON object");
}

function describe(error: pg.DatabaseError): Record<string, unknown> {
  const told: Record<string, unknown> = { message: error.message };
  for (const field of ERROR_FIELDS) told[field] = error[field] ?? null;
  return told;
}

function respond(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
