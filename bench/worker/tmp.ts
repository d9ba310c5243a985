import { uuidv7, decideRead, sealRead, jcs, sha256, leafHash } from "@talos/core";
import { Hono } from "hono";
const loops: Record<string, (req: Request) => () => unknown> = {
  noop: () => () => 0,
  get: (r) => () => r.headers.get("content-type"),
  getMissing: (r) => () => r.headers.get("mcp-name"),
  iterate: (r) => () => {
    let n = 0;
    for (const [a, b] of r.headers) n += a.length + b.length;
    return n;
  },
  forEach: (r) => () => {
    let n = 0;
    r.headers.forEach((a, b) => {
      n += a.length + b.length;
    });
    return n;
  },
  fromEntries: (r) => () => Object.fromEntries(r.headers),
  url: (r) => () => new URL(r.url),
  random10: () => () => crypto.getRandomValues(new Uint8Array(10)),
  random1k: () => () => crypto.getRandomValues(new Uint8Array(1024)),
  uuid: () => {
    const b = new Uint8Array(10);
    return () => uuidv7(Date.now(), b);
  },
  iso: () => () => new Date().toISOString(),
  now: () => () => Date.now(),
  respText: () => () => new Response("{}", { headers: { "content-type": "application/json" } }),
  respHeadersObj: () => () => new Response("{}", { headers: new Headers({ "content-type": "application/json" }) }),
  respSet4: () => () => {
    const r = new Response("{}", { headers: { "content-type": "application/json" } });
    r.headers.set("a", "b");
    r.headers.set("c", "d");
    r.headers.has("e");
    r.headers.set("f", "d");
    return r;
  },
  resp5: () => () =>
    new Response("{}", { headers: { "content-type": "application/json", a: "b", c: "d", f: "d", g: "h" } }),
  responseJson: () => () => Response.json({ a: 1 }),
  abort: () => () => new AbortController(),
  signal: (r) => () => r.signal,
};
const app = new Hono();
app.post("/loop/:name", async (c) => {
  const n = Number(c.req.query("n"));
  const f = loops[c.req.param("name")]!(c.req.raw);
  for (let i = 0; i < n; i++) f();
  return c.json({});
});
app.post("/names", (c) => c.json(Object.keys(loops)));
app.post("/one/empty", (c) => c.json({ ok: true }));
app.post("/one/raw", () => new Response("{}", { headers: { "content-type": "application/json" } }));
app.post("/one/arrayBuffer", async (c) => {
  await c.req.raw.arrayBuffer();
  return c.json({ ok: true });
});
app.post("/one/bytes", async (c) => {
  await (c.req.raw as any).bytes();
  return c.json({ ok: true });
});
app.post("/one/reader", async (c) => {
  const reader = c.req.raw.body!.getReader();
  for (;;) {
    const { done } = await reader.read();
    if (done) break;
  }
  return c.json({ ok: true });
});
app.post("/one/timer", async (c) => {
  const t = setTimeout(() => 0, 5000);
  clearTimeout(t);
  return c.json({ ok: true });
});
app.post("/one/signal", (c) => {
  c.req.raw.signal.addEventListener("abort", () => 0, { once: true });
  return c.json({ ok: true });
});
app.post("/one/waitUntil", (c) => {
  c.executionCtx.waitUntil(Promise.resolve());
  return c.json({ ok: true });
});
app.post("/one/digest", async (c) => {
  await crypto.subtle.digest("SHA-256", new Uint8Array(1000));
  return c.json({ ok: true });
});
export default app;
