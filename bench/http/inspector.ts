/** The inspector of a workerd: every isolate of the process, those of the local stand-ins for bucket, KV and cache too. */

/** An isolate that does nothing else answers at once; some of the stand-ins never do. */
const ANSWER_MS = 20_000;

export interface Target {
  id: string;
  webSocketDebuggerUrl: string;
}

export async function targets(port: number): Promise<Target[]> {
  return (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as Target[];
}

export interface Inspector {
  call<T>(method: string, params?: object): Promise<T>;
  /** what is told without being asked */
  on(method: string, take: (params: unknown) => void): void;
  close(): void;
}

export async function inspect({ webSocketDebuggerUrl: url }: Target): Promise<Inspector> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`no inspector at ${url}`));
  });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const listeners = new Map<string, (params: unknown) => void>();
  socket.onmessage = ({ data }) => {
    const said = JSON.parse(String(data)) as {
      id?: number;
      result?: never;
      error?: object;
      method?: string;
      params?: unknown;
    };
    if (said.id === undefined) return void listeners.get(said.method ?? "")?.(said.params);
    const asked = waiting.get(said.id);
    waiting.delete(said.id);
    if (said.error === undefined) asked?.resolve(said.result as never);
    else asked?.reject(new Error(JSON.stringify(said.error)));
  };
  let last = 0;
  return {
    call: (method, params = {}) =>
      new Promise((resolve, reject) => {
        last += 1;
        const id = last;
        waiting.set(id, { resolve, reject });
        setTimeout(() => waiting.get(id)?.reject(new Error(`${method} was not answered`)), ANSWER_MS).unref();
        socket.send(JSON.stringify({ id: last, method, params }));
      }),
    on: (method, take) => void listeners.set(method, take),
    close: () => socket.close(),
  };
}
