import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Backend, BackendChoice } from "./neon/backend.ts";
import { SqlOverHttp } from "./neon/http.ts";
import { startPglite } from "./neon/pglite-backend.ts";
import { urlBackend } from "./neon/url-backend.ts";
import { SqlOverWebSocket } from "./neon/websocket.ts";

const LOOPBACK = "127.0.0.1";

export interface NeonEndpoint {
  /** `http://127.0.0.1:PORT`; the driver's `fetchEndpoint` is this and `/sql`, its `wsProxy` host and port and `/v2`. */
  url: string;
  port: number;
  close(): Promise<void>;
}

/**
 * A local server that speaks the protocols of @neondatabase/serverless: SQL over HTTP (`POST /sql`) and Postgres wire
 * bytes over WebSocket (`/v2`), in front of embedded PGlite or any PostgreSQL. For development and tests; it listens
 * on loopback only and answers no browser. WebSocket clients set `useSecureWebSocket` and `pipelineConnect` to false.
 * @param options.port 0 or absent takes a free one
 * @throws when the port is taken, or PGlite cannot open `dataDir`
 */
export async function startNeonEndpoint(options: { backend: BackendChoice; port?: number }): Promise<NeonEndpoint> {
  const backend: Backend =
    options.backend.kind === "pglite" ? await startPglite(options.backend.dataDir) : urlBackend(options.backend.url);
  const http = new SqlOverHttp(backend);
  const webSocket = new SqlOverWebSocket(backend);

  const server = createServer((request, response) => {
    if (!isLocalClient(request)) response.writeHead(403).end();
    else if (request.url !== "/sql") response.writeHead(404).end();
    else if (request.method !== "POST") response.writeHead(405, { allow: "POST" }).end();
    else void http.handle(request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    if (!isLocalClient(request)) return socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n");
    if (new URL(request.url ?? "/", "http://localhost").pathname !== "/v2") {
      return socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n");
    }
    webSocket.upgrade(request, socket, head);
  });

  server.listen(options.port ?? 0, LOOPBACK);
  try {
    await once(server, "listening");
  } catch (error) {
    await backend.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${port}`,
    port,
    async close() {
      webSocket.close();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      await http.close();
      await backend.close();
    },
  };
}

/**
 * A web page could reach this port from the user's own browser: by WebSocket, which knows no preflight, or under a
 * name of its own that resolves to loopback. Browsers send `Origin` or a foreign `Host` then; our clients send neither.
 */
function isLocalClient(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "");
  return request.headers.origin === undefined && (host === LOOPBACK || host === "localhost");
}
