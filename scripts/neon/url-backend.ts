import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { ClientConfig } from "pg";
import { type Backend, callerOf } from "./backend.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/** A PostgreSQL server at the place that `url` names. User, password and database come from each caller. */
export function urlBackend(url: string): Backend {
  callerOf(url);
  const place = new URL(url);
  const host = decodeURIComponent(place.hostname).replace(/^\[|\]$/g, "");
  const port = place.port === "" ? 5432 : Number(place.port);
  const sslMode = place.searchParams.get("sslmode") ?? "disable";
  // "prefer" may silently speak in the clear, and libpq's other modes need certificates that we were not given.
  if (!["disable", "require", "verify-full"].includes(sslMode)) {
    throw new Error(`sslmode=${sslMode} is not supported here: use disable, require or verify-full`);
  }
  return {
    clientConfig(connectionString): ClientConfig {
      const caller = callerOf(connectionString);
      return {
        ...caller,
        host,
        port,
        // As in libpq, `require` encrypts and `verify-full` also checks who answers.
        ssl: sslMode === "disable" ? false : { rejectUnauthorized: sslMode === "verify-full", servername: host },
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      };
    },
    async stream(): Promise<Duplex> {
      if (sslMode !== "disable") throw new Error("the WebSocket bridge speaks to servers without TLS only");
      const socket = connect({ host, port });
      socket.setNoDelay(true);
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error("connecting took too long")));
      await once(socket, "connect");
      socket.setTimeout(0);
      return socket;
    },
    async close() {},
  };
}
