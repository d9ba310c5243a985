/**
 * A Worker that runs one loop a request. Its clock stands still while it computes, so whoever asks takes the time:
 * `POST /<case>?n=<iterations>` runs, `POST /<case>?n=<iterations>&prepare` makes what that run uses up (untimed).
 */

/** One thing that is measured. */
export interface Case {
  /** makes what the next run of `n` iterations needs fresh each time */
  prepare?: (n: number) => void | Promise<void>;
  /** `n` iterations; throws when an answer is not the one expected, so that no failure is measured as speed */
  run: (n: number) => void | Promise<void>;
}

export type Cases = Record<string, Case>;

/** An empty loop: what a request costs without the work. */
const noop: Case = { run: () => undefined };

/** @param setUp receives what the host posts to `/setup`, once, before any run */
export function serve(setUp: (given: unknown) => Cases | Promise<Cases>): {
  fetch(request: Request): Promise<Response>;
} {
  let cases: Cases = { noop };
  return {
    async fetch(request) {
      const url = new URL(request.url);
      const name = url.pathname.slice(1);
      try {
        if (name === "setup") {
          cases = { noop, ...(await setUp(await request.json())) };
          return Response.json(Object.keys(cases));
        }
        const asked = cases[name];
        if (asked === undefined) return new Response(`no case ${name}`, { status: 404 });
        const n = Number(url.searchParams.get("n"));
        await (url.searchParams.has("prepare") ? asked.prepare?.(n) : asked.run(n));
        return new Response(null, { status: 204 });
      } catch (error) {
        return new Response(error instanceof Error ? (error.stack ?? error.message) : String(error), { status: 500 });
      }
    },
  };
}

/** @throws when something is not what the loop is about */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`measured the wrong thing: ${what}`);
}
