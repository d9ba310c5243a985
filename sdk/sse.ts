import { ClientError } from "./errors.ts";

/** One event of a stream (WHATWG HTML §9.2). */
export interface ServerSentEvent {
  event: string;
  data: string;
  id?: string;
}

/**
 * The events of a `text/event-stream` body. Ends with the stream; leaving the loop cancels it.
 * @param limit bytes one event may have
 * @param passed gets the id of everything that was passed, also of what has no data
 * @throws `client.answer_invalid` for a longer one
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  limit: number,
  passed?: (id: string) => void,
): AsyncGenerator<ServerSentEvent, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let lines: string[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // an event without its blank line is incomplete and dropped, as the standard says
      rest += decoder.decode(value, { stream: true });
      // A CR at the very end may be half of a CRLF: it waits for the next chunk.
      const parts = rest.split(/\r\n|\n|\r(?!$)/);
      rest = parts.pop()!;
      for (const line of parts) {
        size += line.length;
        if (line !== "") lines.push(line);
        else {
          const event = parse(lines);
          lines = [];
          size = 0;
          // First what was received, then that it was: whoever fails over an event asks for it again.
          if (event.data !== "") yield event;
          if (event.id !== undefined) passed?.(event.id);
        }
      }
      if (size + rest.length > limit) throw new ClientError("client.answer_invalid", `an event of over ${limit} bytes`);
    }
  } finally {
    await reader.cancel();
  }
}

function parse(lines: string[]): ServerSentEvent {
  const event: ServerSentEvent = { event: "message", data: "" };
  const data: string[] = [];
  for (const line of lines) {
    const at = line.indexOf(":");
    if (at === 0) continue; // a comment
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "event") event.event = value;
    else if (name === "id") event.id = value;
  }
  // Without data an event is not dispatched: MCP servers send such ones to set an id (priming).
  event.data = data.join("\n");
  return event;
}
