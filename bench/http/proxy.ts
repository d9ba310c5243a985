/** What http benchmarks compare with: a route that does nothing, and a proxy that checks nothing. */
import { Hono } from "hono";

const app = new Hono<{ Bindings: { UPSTREAM: string } }>();
app.post("/empty", (c) => c.json({ ok: true }));
// The request of a session's read, as it is, whose body is read and nothing else: what the platform alone costs of one.
app.post("/t/default/v1/authorize", async (c) => {
  await c.req.arrayBuffer();
  return c.json({ ok: true });
});
app.post("/proxy", async (c) =>
  fetch(c.env.UPSTREAM, { method: "POST", headers: c.req.raw.headers, body: await c.req.arrayBuffer() }),
);
export default app;
