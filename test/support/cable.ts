import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "../../scripts/dev/ports.ts";

/**
 * How a line treats those who connect: `whole`; `stalled` takes connections and carries nothing, as a host that hangs
 * does; `answerless` carries questions and breaks when the answer comes, so that what was asked is done and nobody
 * learns of it; `wrong` carries nothing and answers 200 with what is no answer, `endless` with one that has no end.
 */
export type Line = "whole" | "stalled" | "answerless" | "wrong" | "endless";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const WRONG = `${HEAD}content-length: 9\r\n\r\n<garbage>`;
const PIECE = `10000\r\n${"[".repeat(65_536)}\r\n`;

/** A chunked body for as long as somebody takes it. */
function pour(near: Socket): void {
  let more = true;
  while (more && !near.destroyed) more = near.write(PIECE);
  if (!near.destroyed) near.once("drain", () => pour(near));
}

/** A TCP line to a local port that a test can cut, spoil and mend: what is behind it is then gone, and back. */
export class Cable {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  /** chosen once: who was told of it finds the line there again */
  #port = 0;
  #line: Line = "whole";

  constructor(target: number) {
    this.#target = target;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Begin, or begin again on the same port. */
  async mend(): Promise<void> {
    await this.become("whole");
  }

  /** Break every connection; those that come from now on are treated so. */
  async become(line: Line): Promise<void> {
    await this.cut();
    this.#line = line;
    if (this.#port === 0) this.#port = await freePort();
    this.#server = createServer((near) => this.#connect(near));
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  #connect(near: Socket): void {
    this.#keep(near);
    if (this.#line === "stalled") return;
    if (this.#line === "wrong") return void near.on("data", () => near.write(WRONG));
    if (this.#line === "endless") {
      return void near.once("data", () => {
        near.write(`${HEAD}transfer-encoding: chunked\r\n\r\n`);
        pour(near);
      });
    }
    const far = connect(this.#target, "127.0.0.1");
    this.#keep(far);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    near.pipe(far);
    if (this.#line === "answerless") far.once("data", () => near.destroy());
    else far.pipe(near);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  /** Break every connection and take no new one. */
  async cut(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    const closed = once(server, "close");
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
