/**
 * The load generator, a process of its own: it makes all requests of a run before the clock starts, as each needs its
 * own proof, then sends them over raw keep-alive sockets. Orders come as lines of JSON on stdin, one answer a line.
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import {
  type Ask,
  maced,
  nowSeconds,
  type Person,
  type Proven,
  type Session,
  sessionSigned,
  signed,
} from "../../test/fixtures.ts";

export interface Order {
  origin: string;
  connections: number;
  /** requests in all; each is sent once */
  count: number;
  form: "bare" | "signed" | "session_signed" | "session_mac";
  ask: Ask;
  holder: Person & { seed: number[] };
  chain: string;
  session?: { id: string; ticket: string; mac_key: number[]; expires_at: number; from: number };
}

export interface Result {
  per_second: number;
  ms: number[];
  /** share of the run in which this process computed; near 1 the generator is what is measured */
  busy: number;
}

function prove(order: Order): (i: number) => Proven {
  const { ask } = order;
  const holder: Person = { ...order.holder, seed: Uint8Array.from(order.holder.seed) };
  if (order.form === "bare") {
    const body = new TextEncoder().encode(ask.body as string);
    const headers = { "content-type": "application/json", ...ask.headers };
    return () => ({ url: ask.aud + ask.path, method: "POST", headers, body });
  }
  if (order.form === "signed") return () => signed(holder, order.chain, ask);
  const kept = order.session!;
  let sequence = BigInt(kept.from);
  const session: Session = {
    ...{
      holder,
      id: kept.id,
      ticket: kept.ticket,
      mac_key: Uint8Array.from(kept.mac_key),
      expires_at: kept.expires_at,
    },
    next: () => {
      sequence += 1n;
      return sequence;
    },
  };
  return order.form === "session_mac" ? () => maced(session, ask) : () => sessionSigned(session, ask);
}

/** The request as bytes. `created` is now, so a run must end within a proof's life of 30 s. */
function bytes({ url, method, headers, body }: Proven): Buffer {
  const { host, pathname } = new URL(url);
  const lines = [`${method} ${pathname} HTTP/1.1`, `host: ${host}`, `content-length: ${body?.byteLength ?? 0}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), Buffer.from(body ?? [])]);
}

/** Length of the complete response at the beginning of `got`, or 0. */
function complete(got: string): number {
  const end = got.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const head = got.slice(0, end).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(head);
  if (length !== null) {
    const total = end + 4 + Number(length[1]);
    return got.length >= total ? total : 0;
  }
  if (!head.includes("transfer-encoding: chunked")) throw new Error(`no length: ${head}`);
  const last = got.indexOf("\r\n0\r\n\r\n", end);
  return last < 0 ? 0 : last + 7;
}

function worker(socket: Socket, next: () => Buffer | undefined, ms: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let begun = 0;
    let got = "";
    const send = (): void => {
      const request = next();
      if (request === undefined) {
        resolve();
        return;
      }
      begun = performance.now();
      socket.write(request);
    };
    socket.setEncoding("latin1");
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server closed the connection")));
    socket.on("data", (part: string) => {
      got += part;
      const length = complete(got);
      if (length === 0) return;
      ms.push(performance.now() - begun);
      if (!got.startsWith("HTTP/1.1 200") || got.includes('"allow":false')) {
        reject(new Error(got.slice(0, 600)));
        return;
      }
      got = got.slice(length);
      send();
    });
    send();
  });
}

const opened = (port: number, host: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host, noDelay: true }, () => resolve(socket));
    socket.once("error", reject);
  });

async function run(order: Order): Promise<Result> {
  const { hostname, port } = new URL(order.origin);
  const made = nowSeconds();
  const one = prove(order);
  const fixed = order.form === "bare" ? bytes(one(0)) : undefined;
  const requests = Array.from({ length: order.count }, (_, i) => fixed ?? bytes(one(i)));
  if (nowSeconds() - made > 15) throw new Error("the requests were old before they were sent: ask for fewer");
  const sockets = await Promise.all(Array.from({ length: order.connections }, () => opened(Number(port), hostname)));
  const ms: number[] = [];
  let at = 0;
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  try {
    await Promise.all(sockets.map((socket) => worker(socket, () => requests[at++], ms)));
  } finally {
    for (const socket of sockets) socket.removeAllListeners("close").destroy();
  }
  const [wallMs, { user, system }] = [performance.now() - begun, process.cpuUsage(cpu)];
  return { per_second: (order.count / wallMs) * 1_000, ms, busy: (user + system) / 1_000 / wallMs };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line) as Order).catch((error: unknown) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
