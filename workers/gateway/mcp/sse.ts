/**
 * Server-sent events, read from chunks cut anywhere and printed again. An event is bounded in bytes, so that an
 * endless one costs no more memory than the bound. Source: WHATWG HTML §9.2.6; bound: limits.json `sse_event_bytes`.
 */

export interface SseEvent {
  /** lines of `data`, joined by LF; absent when the event has none */
  data?: string;
  event?: string;
  id?: string;
  /** ms */
  retry?: number;
  /** a comment and nothing else: a sign of life */
  comment?: true;
}

/** The upstream sent an event beyond the bound. */
export class SseTooLarge extends Error {
  override readonly name = "SseTooLarge";
}

const LF = 0x0a;
const CR = 0x0d;

export class SseParser {
  readonly #limit: number;
  /** invalid UTF-8 is refused: what we check must be what the client reads */
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #line: Uint8Array[] = [];
  #bytes = 0;
  #afterCr = false;
  #first = true;
  #event: SseEvent = {};
  #data: string[] = [];

  /** @param limit bytes of one event, its field names and line ends included */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Take a chunk.
   * @returns the events that it completed
   * @throws SseTooLarge; TypeError on invalid UTF-8
   */
  push(chunk: Uint8Array): SseEvent[] {
    const events: SseEvent[] = [];
    let start = 0;
    for (let at = 0; at < chunk.byteLength; at += 1) {
      const byte = chunk[at];
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false; // the second half of CRLF
        start = at + 1;
        continue;
      }
      this.#afterCr = false;
      if (byte !== LF && byte !== CR) continue;
      this.#afterCr = byte === CR;
      this.#keep(chunk.subarray(start, at));
      start = at + 1;
      const event = this.#endLine();
      if (event !== undefined) events.push(event);
    }
    this.#keep(chunk.subarray(start));
    return events;
  }

  #keep(part: Uint8Array): void {
    if (part.byteLength === 0) return;
    this.#bytes += part.byteLength;
    if (this.#bytes > this.#limit) throw new SseTooLarge(`an event of more than ${this.#limit} bytes`);
    this.#line.push(part.slice());
  }

  #endLine(): SseEvent | undefined {
    let line = this.#decode();
    this.#line = [];
    this.#bytes += 1;
    if (this.#first && line.startsWith("\ufeff")) line = line.slice(1);
    this.#first = false;
    if (line === "") return this.#dispatch();
    if (this.#bytes > this.#limit) throw new SseTooLarge(`an event of more than ${this.#limit} bytes`);
    this.#field(line);
    return undefined;
  }

  #decode(): string {
    if (this.#line.length === 1) return this.#decoder.decode(this.#line[0]);
    const size = this.#line.reduce((sum, part) => sum + part.byteLength, 0);
    const whole = new Uint8Array(size);
    let at = 0;
    for (const part of this.#line) {
      whole.set(part, at);
      at += part.byteLength;
    }
    return this.#decoder.decode(whole);
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) {
      this.#event.comment = true;
      return;
    }
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event.event = value;
    else if (name === "id" && !value.includes("\0")) this.#event.id = value;
    else if (name === "retry" && /^[0-9]{1,9}$/.test(value)) this.#event.retry = Number(value);
  }

  #dispatch(): SseEvent | undefined {
    const event = this.#event;
    const data = this.#data;
    this.#event = {};
    this.#data = [];
    this.#bytes = 0;
    if (data.length > 0) event.data = data.join("\n");
    const { comment, ...rest } = event;
    if (Object.keys(rest).length > 0) return rest;
    return comment === true ? { comment } : undefined;
  }
}

/** An event as text. Values hold no line ends except in `data`, which becomes as many lines. */
export function printSse(event: SseEvent): string {
  if (event.comment === true) return ":\n\n";
  let text = "";
  if (event.event !== undefined) text += `event: ${event.event}\n`;
  if (event.id !== undefined) text += `id: ${event.id}\n`;
  if (event.retry !== undefined) text += `retry: ${event.retry}\n`;
  if (event.data !== undefined) for (const line of event.data.split(/\r\n|\r|\n/)) text += `data: ${line}\n`;
  return `${text}\n`;
}
