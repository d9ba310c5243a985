/**
 * A receiver of webhooks as a customer would write it: it believes nothing that its verifier did not accept, answers
 * challenges, and can be down, redirect, stall, flood or be gone.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { SinkDelivery } from "@talos/contracts";
import { freePort } from "../../scripts/dev/ports.ts";

export interface Received {
  id: string;
  headers: Record<string, string>;
  text: string;
  body: SinkDelivery;
}

export type Mood = "well" | "failing" | "redirecting" | "flooding" | "gone" | "busy" | "mute";

export interface Receiver {
  url: string;
  mood: Mood;
  /** what was accepted, in order */
  received: Received[];
  /** requests of any kind */
  hits: number;
  /** why deliveries were not believed */
  refused: string[];
  /** the machine goes off, and on again at the same address */
  off(): Promise<void>;
  on(): Promise<void>;
}

/** @param verify throws for what it does not believe */
export async function startReceiver(
  verify: (text: string, headers: Record<string, string>) => unknown,
): Promise<Receiver> {
  const port = await freePort();
  let server: Server | undefined;
  const receiver: Receiver = {
    ...{ url: `http://127.0.0.1:${port}/talos`, mood: "well", received: [], hits: 0, refused: [] },
    async on() {
      server = createServer((request, response) => void answer(request, response));
      await new Promise<void>((resolve) => server!.listen(port, "127.0.0.1", resolve));
    },
    async off() {
      const closing = new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
      server?.closeAllConnections();
      server = undefined;
      await closing;
    },
  };
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    receiver.hits += 1;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (receiver.mood !== "well") return misbehave(receiver.mood, response);
    const text = Buffer.concat(chunks).toString();
    const headers = request.headers as Record<string, string>;
    try {
      verify(text, headers);
    } catch (error) {
      receiver.refused.push((error as Error).message);
      response.writeHead(401).end();
      return;
    }
    const body = JSON.parse(text) as SinkDelivery;
    const { challenge } = body.data as { challenge?: string };
    if (body.type.startsWith("dev.talos.audit."))
      receiver.received.push({ id: headers["webhook-id"]!, headers, text, body });
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ challenge }));
  }
  await receiver.on();
  return receiver;
}

function misbehave(mood: Mood, response: ServerResponse): void {
  switch (mood) {
    case "redirecting":
      response.writeHead(307, { location: "http://127.0.0.1:9/elsewhere" }).end();
      return;
    case "flooding":
      response.writeHead(200).end(Buffer.alloc(1_000_000));
      return;
    case "gone":
      response.writeHead(410).end();
      return;
    case "busy":
      response.writeHead(429, { "retry-after": "1800" }).end();
      return;
    case "mute":
      response.writeHead(200).end("{}");
      return;
    default:
      response.writeHead(500).end("no");
  }
}
