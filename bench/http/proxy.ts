/** What http benchmarks compare with: a route that does nothing, and a proxy that checks nothing. */
import { Hono } from "hono";

const app = new Hono<{ Bindings: { UPSTREAM: string } }>();
app.post("/empty", (c) => c.json({ ok: true }));
app.post("/proxy", async (c) =>
  fetch(c.env.UPSTREAM, { method: "POST", headers: c.req.raw.headers, body: await c.req.arrayBuffer() }),
);
export default app;
