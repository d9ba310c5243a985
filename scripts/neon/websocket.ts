import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import type { Backend } from "./backend.ts";

const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const MAX_CONNECTIONS = 64;
/** WebSocket close codes (RFC 6455, section 7.4.1). */
const CLOSE_INTERNAL = 1011;
const CLOSE_UNSUPPORTED = 1003;

/** Neon's WebSocket protocol: binary frames that carry Postgres wire bytes, whatever their boundaries. */
export class SqlOverWebSocket {
  readonly #backend: Backend;
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES, perMessageDeflate: false });

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Takes an HTTP upgrade that the endpoint has already found to come from this machine. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#server.clients.size >= MAX_CONNECTIONS) {
      socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n");
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (client) => this.#bridge(client));
  }

  close(): void {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }

  #bridge(client: WebSocket): void {
    // The client talks first and at once; what it says waits here until the backend is connected.
    const early: Buffer[] = [];
    let backend: Duplex | null = null;
    client.on("message", (data: RawData, isBinary) => {
      if (!isBinary) return client.close(CLOSE_UNSUPPORTED, "binary frames only");
      const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
      if (backend) backend.write(bytes);
      else early.push(bytes);
    });
    client.on("close", () => backend?.destroy());
    client.on("error", () => backend?.destroy());
    this.#backend.stream().then(
      (stream) => {
        if (client.readyState !== WebSocket.OPEN) return void stream.destroy();
        backend = stream;
        stream.on("data", (chunk: Buffer) => client.send(chunk));
        stream.on("end", () => client.close());
        stream.on("close", () => client.close());
        stream.on("error", (error) => client.close(CLOSE_INTERNAL, error.message.slice(0, 100)));
        for (const bytes of early) stream.write(bytes);
      },
      (error: Error) => client.close(CLOSE_INTERNAL, error.message.slice(0, 100)),
    );
  }
}
