/**
 * A crowd of callers that keeps asking: tool calls that read and that write, in every form of proof, and decisions
 * with receipts. Each shot is noted with what came back, word for word, so that afterwards the record can be held
 * against it. A shot whose answer never came is `lost`: then either nothing happened or it is in the record.
 */
import { createHash } from "node:crypto";
import { maced, type Person, type Proven, rpc, send, type Session, sessionSigned, signed } from "../fixtures.ts";
import { MCP_HEADERS } from "./world.ts";

export type Kind = "read" | "write" | "receipt";

export interface Shot {
  n: string;
  kind: Kind;
  status: number | "lost";
  /** how long the answer took */
  ms: number;
  body: string;
  intent?: string;
  /** `talos-promise` of the intent */
  promise?: string;
  /** JWS */
  receipt?: string;
}

export interface Caller {
  holder: Person;
  chain: string;
  session?: Session;
  /** headers of every MCP message, e.g. a session of the server's */
  mcp?: Record<string, string>;
}

export interface LoadOptions {
  aud: string;
  /** who sends the next shot; asked for each */
  caller: () => Caller;
  /** where the next request goes; the proof names `aud` all the same */
  to?: () => string;
  width: number;
  random: () => number;
  /** begins every `n` */
  name?: string;
}

export class Load {
  readonly shots: Shot[] = [];
  readonly #options: LoadOptions;
  #running: Promise<void>[] = [];
  #stopped = false;
  #count = 0;
  #inFlight = 0;
  #held: Promise<void> | undefined;
  #resume: () => void = () => undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = Array.from({ length: this.#options.width }, () => this.#run());
  }

  /** Ask nothing new until `resume`; what is under way goes on. */
  hold(): void {
    this.#held ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#resume();
    this.#held = undefined;
  }

  /** Hold, and wait until every answer is there. */
  async drain(): Promise<void> {
    this.hold();
    while (this.#inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Wait for so many more answers, at most so long. */
  async answers(count: number, atMostMs: number): Promise<void> {
    const enough = this.shots.length + count;
    const untilMs = performance.now() + atMostMs;
    while (this.shots.length < enough && performance.now() < untilMs) await new Promise((done) => setTimeout(done, 3));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.resume();
    await Promise.all(this.#running);
  }

  /** How many shots have begun; the number in a shot's name is its place among them. */
  get begun(): number {
    return this.#count;
  }

  get answered(): Shot[] {
    return this.shots.filter(({ status }) => status !== "lost");
  }

  /** Shots that were answered otherwise than by success. */
  get failed(): Shot[] {
    return this.answered.filter(({ status }) => status !== 200);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#held;
      if (this.#stopped) return;
      this.#inFlight += 1;
      try {
        this.shots.push(await this.#shoot());
      } finally {
        this.#inFlight -= 1;
      }
    }
  }

  async #shoot(): Promise<Shot> {
    const { random, name = "n", to } = this.#options;
    this.#count += 1;
    const n = `${name}-${this.#count}`;
    const dice = random();
    const kind: Kind = dice < 0.45 ? "write" : dice < 0.9 ? "read" : "receipt";
    const proven = this.#prove(kind, n, this.#options.caller());
    const url = to === undefined ? proven.url : to() + new URL(proven.url).pathname;
    const startMs = performance.now();
    const shot = (status: Shot["status"], body: string): Shot => ({
      ...{ n, kind, status, body, ms: performance.now() - startMs },
    });
    let response: Response;
    let body: string;
    try {
      response = await send({ ...proven, url });
    } catch (error) {
      return shot("lost", String(error));
    }
    const promise = response.headers.get("talos-promise") ?? undefined;
    const intent = response.headers.get("talos-intent") ?? undefined;
    try {
      body = await response.text();
    } catch (error) {
      // The head of the answer came, and with it perhaps a promise, which binds though the rest was lost.
      return { ...shot("lost", String(error)), intent, promise };
    }
    return {
      ...shot(response.status, body),
      ...(intent === undefined ? {} : { intent }),
      ...(promise === undefined ? {} : { promise }),
      ...(kind === "receipt" && response.ok ? { receipt: (JSON.parse(body) as { receipt: string }).receipt } : {}),
    };
  }

  /** The proof's form follows from the shot's number, so that all forms meet all kinds that may use them. */
  #prove(kind: Kind, n: string, { holder, chain, session, mcp }: Caller): Proven {
    const { aud } = this.#options;
    const tool = kind === "write" ? "act" : "look";
    const ask =
      kind === "receipt"
        ? { aud, path: "/v1/authorize", body: JSON.stringify({ tool: "tools/look", args: { n }, receipt: true }) }
        : {
            ...{ aud, path: "/mcp/tools", headers: { ...MCP_HEADERS, ...mcp } },
            body: rpc("tools/call", { name: tool, arguments: { n } }, n),
          };
    const form = createHash("sha256").update(n).digest()[0]! % 3;
    if (session === undefined || form === 0) return signed(holder, chain, ask);
    return form === 1 || kind === "write" ? sessionSigned(session, ask) : maced(session, ask);
  }
}

/** What is wrong with an answer of success: it must be the answer to this call and to no other. */
export function faultOf({ n, kind, status, body, intent, promise }: Shot): string | undefined {
  if (status !== 200) return `${n}: ${status} ${body.slice(0, 300)}`;
  if (kind === "receipt") return body.includes('"allow":true') ? undefined : `${n}: ${body.slice(0, 300)}`;
  if (!body.startsWith("{")) return `${n}: ${body.slice(0, 300)}`; // a stream, on which only a failure comes
  const answer = JSON.parse(body) as { id: string; result?: { content: { text: string }[] } };
  const text = answer.result?.content[0]?.text;
  if (answer.id !== n || text !== `${kind === "write" ? "act" : "look"} ${n}`) return `${n}: ${body.slice(0, 300)}`;
  return intent === undefined || promise === undefined ? `${n}: no promise` : undefined;
}
